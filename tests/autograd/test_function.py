"""Operations with a derivative of the user's own."""

from typing import Any

import numpy as np
import pytest

import lamina
from lamina.autograd import Function, grad, gradcheck, gradgradcheck
from lamina.errors import GradientError, ShapeError
from lamina.memory import stats

Tensor = lamina.Tensor


def leaf(*values: float) -> Tensor:
    return lamina.tensor(values, dtype="float64", requires_grad=True)


class Cube(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x * x * x

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return grad * 3.0 * x * x


class Exp(Function):
    """Saves its output."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        out = x.exp()
        ctx.save_for_backward(out)
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        (out,) = ctx.saved_tensors
        return grad * out


class Scale(Function):
    """Takes what is no tensor, and says which gradients it was asked for."""

    asked: tuple[bool, ...] = ()

    @staticmethod
    def forward(ctx: Any, factor: float, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        ctx.factor = factor
        return x * factor, y * factor

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Any, ...]:
        Scale.asked = ctx.needs_input_grad
        return None, grads[0] * ctx.factor, grads[1] * ctx.factor


class InNumpy(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return lamina.tensor(np.sin(x.numpy()))

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return lamina.tensor(grad.numpy() * np.cos(x.numpy()))


@pytest.mark.parametrize("function", [Cube, Exp])
def test_the_derivative_is_the_one_written(function: type[Function]) -> None:
    x = leaf(0.5, -1.0, 2.0)
    assert gradcheck(function.apply, x)
    assert gradgradcheck(function.apply, x)


def test_forward_sees_no_history() -> None:
    class Watch(Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor) -> Tensor:
            assert not (x * 2.0).requires_grad
            return x * 2.0

        @staticmethod
        def backward(ctx: Any, grad: Tensor) -> Tensor:
            return grad * 2.0

    assert Watch.apply(leaf(1.0)).requires_grad


def test_arguments_that_are_no_tensors_and_several_outputs() -> None:
    x, y = leaf(1.0), lamina.tensor([2.0], dtype="float64")
    first, second = Scale.apply(3.0, x, y)
    (found,) = grad((first + second).sum(), x)
    assert found.tolist() == [3.0]
    assert Scale.asked == (False, True, False)


def test_backward_in_numpy_is_differentiable_once() -> None:
    x = leaf(0.5, 1.0)
    out = InNumpy.apply(x).sum()
    (found,) = grad(out, x, retain_graph=True)
    np.testing.assert_allclose(found.numpy(), np.cos([0.5, 1.0]))
    with pytest.raises(GradientError, match="would lose its history"):
        grad(out, x, create_graph=True)


def test_an_input_returned_as_it_came_is_a_tensor_of_its_own() -> None:
    class Reverse(Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor) -> Tensor:
            return x

        @staticmethod
        def backward(ctx: Any, grad: Tensor) -> Tensor:
            return -grad

    x = leaf(1.0, 2.0)
    out = Reverse.apply(x)
    assert out is not x
    (out * 2.0).sum().backward()
    assert x.grad.tolist() == [-2.0, -2.0]


def test_an_output_without_derivative() -> None:
    class Sorted(Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            order = np.argsort(x.numpy())
            places, ranks = lamina.tensor(order), lamina.tensor(order.astype(np.float64))
            ctx.order = order
            ctx.mark_non_differentiable(ranks)
            return lamina.tensor(x.numpy()[order]), places, ranks

        @staticmethod
        def backward(ctx: Any, grad: Tensor, *rest: Tensor) -> Tensor:
            return lamina.tensor(grad.numpy()[np.argsort(ctx.order)])

    x = leaf(3.0, 1.0, 2.0)
    values, places, ranks = Sorted.apply(x)
    assert (values.requires_grad, places.requires_grad, ranks.requires_grad) == (True, False, False)
    (values * lamina.tensor([1.0, 10.0, 100.0], dtype="float64")).sum().backward()
    assert x.grad.tolist() == [100.0, 1.0, 10.0]


def test_saved_tensors_are_freed_and_checked_like_those_of_an_op() -> None:
    x = leaf(2.0)
    y = x * 1.0
    out = Cube.apply(y).sum()
    y.add_(1.0)
    with pytest.raises(GradientError, match="Cube saved for its derivative was written in place"):
        out.backward()
    out = Cube.apply(x).sum()
    out.backward()
    with pytest.raises(GradientError, match="freed by an earlier backward"):
        out.backward()


def test_memory_returns_with_the_graph() -> None:
    x = lamina.ones(256, 256, requires_grad=True)
    before = stats().live
    out = Exp.apply(x * 1.0)
    total = out.sum()
    total.backward()
    x.grad = None
    del out, total
    assert stats().live == before


def test_the_wrong_number_of_gradients_is_refused() -> None:
    class Short(Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor, y: Tensor) -> Tensor:
            return x * y

        @staticmethod
        def backward(ctx: Any, grad: Tensor) -> Tensor:
            return grad

    with pytest.raises(GradientError, match="Short returned 1 gradients for 2 arguments"):
        Short.apply(leaf(1.0), leaf(2.0)).sum().backward()


def test_a_gradient_of_the_wrong_shape_is_refused() -> None:
    class Narrow(Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor) -> Tensor:
            return x * 2.0

        @staticmethod
        def backward(ctx: Any, grad: Tensor) -> Tensor:
            return grad.sum()

    with pytest.raises(ShapeError, match="the gradient of input 0 of Narrow has shape"):
        Narrow.apply(leaf(1.0, 2.0)).sum().backward()


def test_none_may_be_saved() -> None:
    class Maybe(Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor) -> Tensor:
            ctx.save_for_backward(None, x)
            return x * x

        @staticmethod
        def backward(ctx: Any, grad: Tensor) -> Tensor:
            nothing, x = ctx.saved_tensors
            assert nothing is None
            return grad * x * 2.0

    assert gradcheck(Maybe.apply, leaf(1.0, 2.0))

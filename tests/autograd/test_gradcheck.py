"""gradcheck finds wrong derivatives, and says where."""

from typing import Any

import numpy as np
import pytest

import lamina
from lamina.autograd import Function, gradcheck, gradgradcheck
from lamina.errors import DTypeError, GradientError

Tensor = lamina.Tensor


def leaf(*shape: int) -> Tensor:
    values = np.random.default_rng(0).normal(size=shape)
    return lamina.tensor(values, requires_grad=True)


class Wrong(Function):
    """x², whose derivative is wrong at the last element."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        slope = x * 2.0
        slope = slope + lamina.tensor([0.0] * (x.numel() - 1) + [0.25], dtype="float64")
        return grad * slope


class WrongTwice(Function):
    """x³, whose derivative hides its dependence on x from a second derivative."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x * x * x

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return grad * (x.detach() * x.detach() * 3.0)


def test_a_right_derivative_passes() -> None:
    x, y = leaf(2, 3), leaf(3)
    assert gradcheck(lambda x, y: (x * y.exp(), (x @ y).tanh()), (x, y))
    assert gradgradcheck(lambda x, y: (x * y.exp(), (x @ y).tanh()), (x, y))


def test_the_worst_element_is_shown() -> None:
    message = (
        r"output 0 at \(3,\) with respect to input 0 at \(3,\) is (-?[\d.]+), and the difference "
        r"quotient there (-?[\d.]+); 1 of 16 elements differ"
    )
    with pytest.raises(GradientError, match=message):
        gradcheck(Wrong.apply, leaf(4))


def test_a_wrong_second_derivative_is_found() -> None:
    x = leaf(3)
    assert gradcheck(WrongTwice.apply, x)
    with pytest.raises(GradientError, match="with respect to input 0"):
        gradgradcheck(WrongTwice.apply, x)


def test_a_dependence_that_was_cut_is_found() -> None:
    with pytest.raises(GradientError, match="is 0, and the difference quotient"):
        gradcheck(lambda x: x.detach() * x.detach(), leaf(2))


def test_non_contiguous_inputs_and_no_tensors_beside_them() -> None:
    x = leaf(3, 2).detach().T.requires_grad_()
    assert gradcheck(lambda x, scale, w: x * w * scale, (x, 2.0, lamina.ones(3, dtype="float64")))


def test_the_input_is_left_as_it_was() -> None:
    x = leaf(3)
    before = x.detach().numpy().copy()
    gradcheck(lambda x: x * x, x)
    np.testing.assert_array_equal(x.detach().numpy(), before)
    assert x.grad is None
    assert x.version == 0


def test_empty_inputs_pass() -> None:
    assert gradcheck(lambda x: x * x, leaf(0, 3))


def test_integer_outputs_are_left_out() -> None:
    assert gradcheck(lambda x: (x * x, lamina.tensor([1])), leaf(3))


def test_less_than_float64_is_refused() -> None:
    x = lamina.tensor([1.0], requires_grad=True)
    with pytest.raises(DTypeError, match="input 0 is float32; difference quotients need float64"):
        gradcheck(lambda x: x * x, x)


def test_nothing_to_check_is_refused() -> None:
    with pytest.raises(GradientError, match="no input requires grad"):
        gradcheck(lambda x: x * x, lamina.ones(1, dtype="float64"))


def test_tolerances_are_kept() -> None:
    assert gradcheck(Wrong.apply, leaf(4), atol=0.3)
    assert gradgradcheck(lambda x: x * x * x, leaf(2), lamina.ones(2, dtype="float64"))

"""checkpoint: the same numbers from less memory."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import lamina
from lamina.autograd import Function, checkpoint, grad, no_grad
from lamina.errors import GradientError
from lamina.memory import stats
from lamina.philox import default_generator

Block = Callable[[lamina.Tensor], lamina.Tensor]


def leaf(*shape: int, seed: int = 0) -> lamina.Tensor:
    values = np.random.default_rng(seed).normal(size=shape)
    return lamina.tensor(values, requires_grad=True)


def noise_like(x: lamina.Tensor) -> lamina.Tensor:
    return lamina.tensor(default_generator.next().random(x.shape))


def make_block(seed: int) -> tuple[Block, lamina.Tensor]:
    w = leaf(4, 4, seed=seed)

    def block(x: lamina.Tensor) -> lamina.Tensor:
        hidden = (x @ w).tanh() * noise_like(x)
        view = hidden[1:]
        hidden = hidden * 1.0
        hidden += 0.5
        return (hidden * hidden).exp() * view.sum() + x

    return block, w


def gradients_of(run: Callable[[], lamina.Tensor], *points: lamina.Tensor) -> list[Any]:
    lamina.philox.default_generator.manual_seed(3)
    value = run()
    return [value.item(), *(g.numpy() for g in grad(value, points))]


def assert_same(found: list[Any], expected: list[Any]) -> None:
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_same_bits_as_without_it() -> None:
    x = leaf(3, 4, seed=9)
    (first, w1), (second, w2) = make_block(1), make_block(2)
    plain = gradients_of(lambda: second(first(x)).sum(), x, w1, w2)
    saving = gradients_of(lambda: checkpoint(second, checkpoint(first, x)).sum(), x, w1, w2)
    assert_same(saving, plain)


def test_regions_may_nest() -> None:
    x = leaf(3, 4, seed=9)
    (first, w1), (second, w2) = make_block(1), make_block(2)

    def both(x: lamina.Tensor) -> lamina.Tensor:
        return checkpoint(second, checkpoint(first, x) * 0.5)

    plain = gradients_of(lambda: second(first(x) * 0.5).sum(), x, w1, w2)
    assert_same(gradients_of(lambda: checkpoint(both, x).sum(), x, w1, w2), plain)


def test_the_stream_of_random_numbers_goes_on_as_without_it() -> None:
    x = leaf(3, 4)
    block, _ = make_block(1)
    default_generator.manual_seed(5)
    block(x).sum().backward()
    expected = default_generator.state
    default_generator.manual_seed(5)
    checkpoint(block, x).sum().backward()
    assert default_generator.state == expected


def test_gradients_of_gradients() -> None:
    x = leaf(3, 4, seed=9)
    block, w = make_block(1)

    def curvature(run: Callable[[], lamina.Tensor]) -> list[Any]:
        def second() -> lamina.Tensor:
            dx, dw = grad(run(), (x, w), create_graph=True)
            return (dx * dx).sum() + (dw * dw).sum()

        return gradients_of(second, x, w)

    plain = curvature(lambda: block(x).sum())
    assert_same(curvature(lambda: checkpoint(block, x).sum()), plain)


def test_a_derivative_taken_inside_the_region() -> None:
    x = leaf(3, 4)

    def slope(x: lamina.Tensor) -> lamina.Tensor:
        (dx,) = grad((x.exp() * x).sum(), x, create_graph=True)
        return (dx * dx).sum()

    plain = gradients_of(lambda: slope(x * 1.0), x)
    assert_same(gradients_of(lambda: checkpoint(slope, x * 1.0), x), plain)


def test_a_second_backward_runs_the_region_again() -> None:
    x, runs = leaf(3), []

    def region(x: lamina.Tensor) -> lamina.Tensor:
        runs.append(1)
        return (x.exp() * x).sum()

    out = checkpoint(region, x)
    (first,) = grad(out, x, retain_graph=True)
    (second,) = grad(out, x)
    assert_same([first.numpy()], [second.numpy()])
    assert len(runs) == 3
    with pytest.raises(GradientError, match="freed by an earlier backward"):
        grad(out, x)


def test_the_region_runs_twice_for_all_of_its_tensors() -> None:
    x, runs = leaf(3), []

    def region(x: lamina.Tensor) -> lamina.Tensor:
        runs.append(1)
        for _ in range(10):
            x = x.tanh() * x
        return x.sum()

    checkpoint(region, x).backward()
    assert len(runs) == 2


def test_arguments_of_every_kind_are_handed_on() -> None:
    x, scale = leaf(3), lamina.full((3,), 2.0, dtype="float64")

    def region(x: lamina.Tensor, power: int, *, scale: lamina.Tensor, name: str) -> lamina.Tensor:
        assert name == "n"
        return ((x * scale) ** power).sum()

    (found,) = grad(checkpoint(region, x, 2, scale=scale, name="n"), x)
    np.testing.assert_allclose(found.numpy(), 8.0 * x.detach().numpy())


def test_several_outputs() -> None:
    x = leaf(3)
    first, second = checkpoint(lambda x: (x.exp(), x * x), x)
    (found,) = grad(first.sum() + second.sum(), x)
    values = x.detach().numpy()
    np.testing.assert_allclose(found.numpy(), np.exp(values) + 2.0 * values)


def test_without_grad_it_is_a_plain_call() -> None:
    with no_grad():
        assert not checkpoint(lambda x: x * 2.0, leaf(3)).requires_grad


def test_what_differs_the_second_time_is_an_error() -> None:
    x, sizes = leaf(4), iter((4, 3))

    def fickle(x: lamina.Tensor) -> lamina.Tensor:
        return x[: next(sizes)].exp().sum()

    out = checkpoint(fickle, x * 1.0)
    message = r"saved float64 of shape \(3,\) where it had saved float64 of shape \(4,\)"
    with pytest.raises(GradientError, match=message):
        out.backward()


def test_what_is_missing_the_second_time_is_an_error() -> None:
    x, depths = leaf(4), iter((2, 1))

    def fickle(x: lamina.Tensor) -> lamina.Tensor:
        for _ in range(next(depths)):
            x = x.exp()
        return x.sum()

    with pytest.raises(GradientError, match=r"saved nothing where .* \(tensor 1\)"):
        checkpoint(fickle, x * 1.0).backward()


def test_an_argument_written_meanwhile_is_an_error() -> None:
    x = leaf(4) * 1.0
    out = checkpoint(lambda x: x.exp().sum(), x)
    x.mul_(2.0)
    with pytest.raises(GradientError, match="checkpoint saved for its derivative was written"):
        out.backward()


def test_a_saved_tensor_overwritten_inside_is_an_error() -> None:
    def region(x: lamina.Tensor) -> lamina.Tensor:
        y = x.exp()
        y.mul_(2.0)
        return y.sum()

    with pytest.raises(GradientError, match="saved inside checkpoint was written in place"):
        checkpoint(region, leaf(4)).backward()


def test_a_custom_function_inside() -> None:
    class Square(Function):
        @staticmethod
        def forward(ctx: Any, x: lamina.Tensor) -> lamina.Tensor:
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        def backward(ctx: Any, grad: lamina.Tensor) -> lamina.Tensor:
            (x,) = ctx.saved_tensors
            return grad * x * 2.0

    x = leaf(4)
    out = checkpoint(lambda x: Square.apply(x.exp()).sum(), x)
    (found,) = grad(out, x)
    np.testing.assert_allclose(found.numpy(), 2.0 * np.exp(2.0 * x.detach().numpy()))


def deep(x: lamina.Tensor) -> lamina.Tensor:
    for _ in range(16):
        x = (x * x) * 0.5 + x
    return x


def test_it_keeps_no_more_than_the_arguments() -> None:
    x = lamina.full((256, 256), 0.1, requires_grad=True)
    before = stats().live
    plain = deep(x)
    without = stats().live - before
    del plain
    saving = checkpoint(deep, x)
    assert stats().live - before <= 2 * x.nbytes
    assert without >= 16 * x.nbytes
    del saving
    assert stats().live == before


def test_nested_regions_drop_the_arguments_of_the_inner_ones() -> None:
    x = lamina.full((256, 256), 0.1, requires_grad=True)
    before = stats().live

    def chain(x: lamina.Tensor) -> lamina.Tensor:
        for _ in range(8):
            x = checkpoint(deep, x)
        return x

    out = checkpoint(chain, x)
    assert stats().live - before <= 2 * x.nbytes
    out.sum().backward()
    x.grad = None
    del out
    assert stats().live == before

"""Reverse mode: what reaches `.grad`, what `grad` returns, hooks, and what is kept for how long."""

import gc
import threading
from collections.abc import Iterator

import numpy as np
import pytest

import lamina
from lamina import autograd
from lamina.autograd import grad
from lamina.errors import ArgumentError, GradientError, ShapeError
from lamina.memory import stats


def leaf(*values: float) -> lamina.Tensor:
    return lamina.tensor(values, dtype="float64", requires_grad=True)


def assert_values(tensor: lamina.Tensor | None, *expected: float) -> None:
    assert tensor is not None
    np.testing.assert_allclose(tensor.detach().numpy(), expected, rtol=1e-12)


def test_gradients_add_up_over_paths_and_over_calls() -> None:
    x = leaf(1.0, 2.0)
    y = x * 3.0
    (y * y + y).sum().backward()
    assert_values(x.grad, 21.0, 39.0)
    (x * 2.0).sum().backward()
    assert_values(x.grad, 23.0, 41.0)


def test_what_is_written_to_a_gradient_stays_there() -> None:
    x, y = leaf(1.0), leaf(2.0)
    seed = lamina.ones(1, dtype="float64")
    (x + y).backward(seed)
    x.grad.add_(10.0)
    assert_values(y.grad, 1.0)
    assert_values(seed, 1.0)


def test_a_gradient_given_weighs_the_outputs() -> None:
    x = leaf(1.0, 2.0)
    (x * x).backward(lamina.tensor([1.0, 10.0], dtype="float64"))
    assert_values(x.grad, 2.0, 40.0)


def test_a_gradient_arrives_in_the_dtype_of_its_leaf() -> None:
    x = lamina.tensor([1.0, 2.0], requires_grad=True)
    y = leaf(3.0, 4.0)
    (x * y).sum().backward()
    assert x.grad.dtype is lamina.float32
    assert y.grad.dtype is lamina.float64


def test_broadcast_axes_are_summed() -> None:
    x = lamina.ones(3, 1, dtype="float64", requires_grad=True)
    y = lamina.ones(4, dtype="float64", requires_grad=True)
    (x * y).sum().backward()
    assert_values(x.grad, [4.0], [4.0], [4.0])
    assert_values(y.grad, 3.0, 3.0, 3.0, 3.0)


def test_the_same_tensor_twice_in_one_op() -> None:
    x = leaf(3.0)
    (x * x).backward(lamina.ones(1, dtype="float64"))
    assert_values(x.grad, 6.0)


def test_gradients_of_gradients_of_gradients() -> None:
    x = leaf(2.0)
    value, factors = (x**5).sum(), [80.0, 160.0, 240.0, 240.0, 120.0]
    for factor in factors:
        (value,) = grad(value, x, create_graph=True)
        assert_values(value, factor)
        value = value.sum()


def test_backward_with_a_graph_of_its_own() -> None:
    x = leaf(2.0)
    (x**3).sum().backward(create_graph=True)
    first = x.grad
    x.grad = None
    first.sum().backward()
    assert_values(x.grad, 12.0)


def test_grad_leaves_every_grad_alone_and_needs_no_leaf() -> None:
    x, w = leaf(2.0), leaf(5.0)
    middle = x * w
    out = (middle * middle).sum()
    to_middle, to_x = grad(out, (middle, x))
    assert_values(to_middle, 20.0)
    assert_values(to_x, 100.0)
    assert x.grad is None
    assert w.grad is None


def test_grad_frees_only_what_it_passed() -> None:
    x = leaf(2.0)
    middle = x * x
    grad((middle * middle).sum(), middle)
    middle.sum().backward()
    assert_values(x.grad, 4.0)


def test_grad_of_an_output_with_respect_to_itself() -> None:
    x = leaf(2.0)
    assert_values(grad(x, x)[0], 1.0)
    y = x * 3.0
    assert_values(grad(y, y)[0], 1.0)


def test_grad_weighs_several_outputs() -> None:
    x = leaf(2.0)
    outputs = (x * x, x * 3.0)
    seeds = [lamina.full((1,), v, dtype="float64") for v in (1.0, 10.0)]
    assert_values(grad(outputs, x, seeds)[0], 34.0)


def test_an_input_that_does_not_matter() -> None:
    x, unused = leaf(2.0), leaf(3.0)
    with pytest.raises(GradientError, match="do not depend on input 1; pass allow_unused=True"):
        grad(x * x, (x, unused))
    found = grad(x * x, (x, unused), allow_unused=True)
    assert_values(found[0], 4.0)
    assert found[1] is None


def test_an_input_without_grad_is_refused() -> None:
    x = leaf(2.0)
    with pytest.raises(GradientError, match=r"input 1 .* requires_grad_\(\)"):
        grad(x * x, (x, x.detach()))


def test_backward_of_more_than_one_number_needs_a_gradient() -> None:
    with pytest.raises(GradientError, match=r"backward from shape \(2,\) needs a gradient"):
        (leaf(1.0, 2.0) * 2.0).backward()


def test_a_gradient_of_another_shape_is_refused() -> None:
    with pytest.raises(ShapeError, match=r"the gradient given has shape \(3,\); expected \(2,\)"):
        (leaf(1.0, 2.0) * 2.0).backward(lamina.ones(3))


def test_as_many_gradients_as_tensors() -> None:
    with pytest.raises(ArgumentError, match="1 gradients were given for 2 tensors"):
        autograd.backward([leaf(1.0), leaf(1.0)], [None])


def test_what_has_no_history_is_refused() -> None:
    with pytest.raises(GradientError, match=r"float32 tensor of shape \(\) has no history"):
        lamina.tensor(1.0).backward()


def test_a_graph_passes_once_unless_it_is_retained() -> None:
    x = leaf(2.0)
    y = (x * x).sum()
    y.backward(retain_graph=True)
    y.backward()
    assert_values(x.grad, 8.0)
    with pytest.raises(GradientError, match=r"through multiply was freed .* retain_graph=True"):
        y.backward()


def test_a_graph_that_saved_nothing_passes_again() -> None:
    x = leaf(2.0)
    y = (x + 1.0).sum()
    y.backward()
    y.backward()
    assert_values(x.grad, 2.0)


def test_a_saved_tensor_written_since_is_an_error() -> None:
    x = leaf(2.0)
    y = x.exp()
    z = (y * y).sum()
    y += 1.0
    message = r"shape \(1,\) that multiply saved for its derivative was written .*version 1"
    with pytest.raises(GradientError, match=message):
        z.backward()


def test_a_parameter_stepped_before_backward_is_an_error() -> None:
    x, w = leaf(2.0), leaf(3.0)
    loss = (x * w).sum()
    with autograd.no_grad():
        w.sub_(0.1)
    with pytest.raises(GradientError, match="written in place since"):
        loss.backward()


def test_hooks_see_the_sum_and_may_replace_it() -> None:
    x, seen = leaf(2.0), []
    y = x * 3.0
    y.register_hook(lambda g: seen.append(g.item()))
    y.register_hook(lambda g: g * 10.0)
    x.register_hook(lambda g: seen.append(g.item()))
    (y * 2.0 + y).sum().backward()
    assert seen == [3.0, 90.0]
    assert_values(x.grad, 90.0)


def test_a_hook_that_was_removed_is_silent() -> None:
    x = leaf(2.0)
    handle = x.register_hook(lambda g: g * 0.0)
    handle.remove()
    handle.remove()
    (x * 3.0).sum().backward()
    assert_values(x.grad, 3.0)


def test_grad_runs_hooks_too() -> None:
    x = leaf(2.0)
    y = x * 3.0
    y.register_hook(lambda g: g * 2.0)
    assert_values(grad(y.sum(), x)[0], 6.0)


def test_retain_grad_keeps_the_gradient_of_what_was_computed() -> None:
    x = leaf(2.0)
    y = x * 3.0
    y.retain_grad()
    (y * y).sum().backward(retain_graph=True)
    assert_values(y.grad, 12.0)
    (y * y).sum().backward()
    assert_values(y.grad, 24.0)


def test_ten_thousand_ops_deep() -> None:
    x = leaf(1.0)
    y = x
    for _ in range(10_000):
        y = y + x
    y.backward(lamina.ones(1, dtype="float64"))
    assert_values(x.grad, 10_001.0)
    assert_values(grad(y, x)[0], 10_001.0)
    del y


@pytest.fixture
def no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def run_a_step(x: lamina.Tensor, w: lamina.Tensor) -> lamina.Tensor:
    hidden = (x @ w).tanh() * 0.5
    hidden.retain_grad()
    hidden.register_hook(lambda g: g * 1.0)
    view = hidden[1:]
    view.mul_(2.0)
    return (hidden.exp() * hidden).sum()


@pytest.mark.usefixtures("no_collector")
@pytest.mark.parametrize("with_backward", [True, False])
def test_memory_returns_at_once_without_the_collector(with_backward: bool) -> None:
    x = lamina.ones(64, 64)
    w = lamina.full((64, 64), 0.01, requires_grad=True)
    before = stats().live
    loss = run_a_step(x, w)
    assert stats().live > before
    if with_backward:
        loss.backward()
        w.grad = None
    del loss
    assert stats().live == before


@pytest.mark.usefixtures("no_collector")
def test_higher_derivatives_leave_no_cycles() -> None:
    x = lamina.full((64, 64), 0.5, requires_grad=True)
    before = stats().live
    (slope,) = grad((x.exp() * x.tanh()).sum(), x, create_graph=True)
    (curve,) = grad(slope.sum(), x)
    del slope, curve
    assert stats().live == before


@pytest.mark.usefixtures("no_collector")
def test_backward_frees_what_was_saved_on_the_way() -> None:
    x = lamina.full((256, 256), 0.5, requires_grad=True)
    y = x.exp().exp().exp().sum()
    held = stats().live
    y.backward()
    assert stats().live <= held - 2 * x.nbytes


def test_threads_record_graphs_of_their_own() -> None:
    shared, wrong = leaf(2.0), []

    def work(power: int) -> None:
        for _ in range(30):
            x = leaf(2.0)
            with autograd.set_grad_enabled(power % 2 == 0):
                y = (x**power * shared).sum()
            expected = power * 2.0**power if power % 2 == 0 else None
            if (grad(y, x)[0].item() if y.requires_grad else None) != expected:
                wrong.append(power)

    threads = [threading.Thread(target=work, args=(power,)) for power in range(2, 10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert shared.grad is None

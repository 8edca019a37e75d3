"""Writes in place: histories of bases and views, and what must not be written."""

from collections.abc import Callable

import numpy as np
import pytest

import lamina
from lamina.autograd import grad, no_grad
from lamina.errors import DTypeError, GradientError, LayoutError, ShapeError


def leaf(*values: float) -> lamina.Tensor:
    return lamina.tensor(values, dtype="float64", requires_grad=True)


def zeros(*shape: int) -> lamina.Tensor:
    return lamina.zeros(*shape, dtype="float64")


def gradient(out: lamina.Tensor, x: lamina.Tensor) -> list[float]:
    return grad(out.sum(), x)[0].tolist()


def test_a_copy_takes_the_history_of_its_source() -> None:
    x, target = leaf(1.0, 2.0), zeros(2)
    target.copy_(x)
    target.mul_(3.0)
    assert gradient(target, x) == [3.0, 3.0]
    assert x.is_leaf
    assert x.tolist() == [1.0, 2.0]


def test_a_copy_ends_the_history_of_its_target() -> None:
    x, y = leaf(1.0, 2.0), leaf(5.0, 7.0)
    target = x * 2.0
    target.copy_(y)
    dx, dy = grad((target * target).sum(), (x, y), allow_unused=True)
    assert dx is None
    assert dy.tolist() == [10.0, 14.0]


def test_a_view_made_before_its_base_was_written_follows_it() -> None:
    x, base = leaf(2.0, 3.0, 4.0), zeros(3)
    view = base[1:]
    base.add_(x)
    assert gradient(view * view, x) == [0.0, 6.0, 8.0]


def test_a_stale_view_written_without_grad_changes_its_base() -> None:
    x, base = leaf(2.0, 3.0, 4.0), zeros(3)
    view = base[1:]
    base.add_(x)
    view.mul_(10.0)
    assert gradient(base, x) == [1.0, 10.0, 10.0]


def test_a_view_of_a_base_set_to_zero_has_no_gradient_left() -> None:
    x = leaf(2.0, 3.0)
    base = x * 1.0
    view = base[:1]
    base.zero_()
    assert grad(view.sum() + x.sum() * 0.0, x)[0].tolist() == [0.0, 0.0]


def test_a_view_made_without_grad_still_writes_through() -> None:
    x = leaf(2.0, 3.0)
    base = x * 1.0
    with no_grad():
        view = base[:1]
    view.mul_(5.0)
    assert gradient(base, x) == [5.0, 1.0]


def test_stale_views_may_be_differentiated_themselves() -> None:
    x, base = leaf(2.0, 3.0), zeros(2)
    view = base[0]
    base.add_(x)
    assert view.grad_fn is not None
    assert not view.is_leaf
    view.backward()
    assert x.grad.tolist() == [1.0, 0.0]


def test_a_factor_overwritten_by_its_product() -> None:
    x, w = leaf(2.0, 3.0), leaf(5.0, 7.0)
    y = x * 1.0
    y.mul_(w)
    dx, dw = grad(y.sum(), (x, w), create_graph=True)
    assert dx.tolist() == [5.0, 7.0]
    assert dw.tolist() == [2.0, 3.0]
    assert gradient(dw, x) == [1.0, 1.0]


def test_a_tensor_multiplied_by_itself_in_place() -> None:
    x = leaf(2.0, 3.0)
    y = x * 1.0
    y.mul_(y)
    assert gradient(y, x) == [4.0, 6.0]


def test_writes_to_a_base_in_fortran_order() -> None:
    x = lamina.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], dtype="float64", requires_grad=True)
    base = lamina.from_numpy(np.asfortranarray(np.zeros((2, 3))))
    assert not base.is_contiguous()
    base.add_(x)
    base[1].mul_(10.0)
    column = base[:, 2]
    column.mul_(100.0)
    expected = [[1.0, 1.0, 100.0], [10.0, 10.0, 1000.0]]
    np.testing.assert_array_equal(grad(base.sum(), x)[0].numpy(), expected)
    np.testing.assert_array_equal(base.detach().numpy(), np.array(expected) * x.detach().numpy())


def test_a_base_with_gaps_in_memory_is_refused() -> None:
    base = lamina.from_numpy(np.zeros(6)[::2])
    with pytest.raises(GradientError, match="with gaps in memory"):
        base[0] = leaf(1.0).sum()


def test_overlapping_parts_move_as_numpy_moves_them() -> None:
    x = leaf(1.0, 2.0, 3.0, 4.0)
    y = x * 1.0
    y[1:] = y[:-1]
    assert y.tolist() == [1.0, 1.0, 2.0, 3.0]
    assert gradient(y * lamina.tensor([1.0, 2.0, 3.0, 4.0], dtype="float64"), x) == [3, 3, 4, 0]


def test_adding_into_a_row_records_one_write() -> None:
    x = leaf(1.0, 2.0)
    table = zeros(3, 2)
    table[1] += x
    assert table.version == 1
    assert table.grad_fn.op.name == "strided_write"
    assert gradient(table, x) == [1.0, 1.0]


WRITES: dict[str, Callable[[lamina.Tensor], object]] = {
    "+=": lambda x: x.__iadd__(1.0),
    "mul_": lambda x: x.mul_(2.0),
    "copy_": lambda x: x.copy_(x * 2.0),
    "zero_": lambda x: x.zero_(),
    "a view": lambda x: x[0].mul_(2.0),
    "an index": lambda x: x.__setitem__(0, 1.0),
    "clamp_": lambda x: x.clamp_(0.0, 1.0),
    "a view made without grad": lambda x: no_grad()(lambda: x[0])().mul_(2.0),
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES.keys())
def test_a_leaf_that_requires_grad_is_not_written(write: Callable[..., object]) -> None:
    x = leaf(1.0, 2.0)
    with pytest.raises(GradientError, match="a leaf that requires grad was written in place"):
        write(x)
    assert x.tolist() == [1.0, 2.0]


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES.keys())
def test_without_grad_it_is(write: Callable[..., object]) -> None:
    x = leaf(1.5, 2.0)
    with no_grad():
        write(x)
    assert x.version == 1
    assert x.is_leaf
    assert x.requires_grad


def test_read_only_memory_is_not_written() -> None:
    values = np.zeros(3)
    values.flags.writeable = False
    with pytest.raises(LayoutError, match=r"read-only; write to a clone\(\)"):
        lamina.from_numpy(values).add_(1.0)


def test_an_expanded_tensor_is_not_written() -> None:
    with pytest.raises(LayoutError, match=r"share memory .* clone\(\) it first"):
        lamina.zeros(1).expand(4).add_(1.0)


def test_a_result_of_another_kind_is_not_written() -> None:
    with pytest.raises(DTypeError, match=r"a float32 result .* int64 tensor"):
        lamina.tensor([1, 2]).add_(0.5)


def test_a_result_of_another_shape_is_not_written() -> None:
    with pytest.raises(ShapeError, match=r"shape \(2, 3\) cannot be written in place to shape"):
        lamina.zeros(3).add_(lamina.zeros(2, 3))


def test_views_share_the_count_of_writes() -> None:
    x = lamina.zeros(4)
    view = x[1:].detach()
    view.add_(1.0)
    assert x.version == view.version == 1


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_every_float_type_keeps_its_type(dtype: str) -> None:
    x = lamina.ones(3, dtype=dtype)
    x += 1.0
    x *= 0.5
    x -= lamina.ones(3, dtype=dtype)
    assert x.dtype is getattr(lamina, dtype)
    assert x.tolist() == [0.0, 0.0, 0.0]

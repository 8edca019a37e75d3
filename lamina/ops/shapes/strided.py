"""Reading and writing through a layout: the derivative of every view, and of writes into one."""

from dataclasses import dataclass
from typing import Any, final

import numpy as np

from lamina import layout as lay
from lamina.errors import LayoutError
from lamina.kernels.elementwise import compute
from lamina.kernels.expression import Constant, Input
from lamina.kernels.scalars import STORED
from lamina.layout import Layout, Shape
from lamina.memory import Array, Spec
from lamina.memory.array import NDArray, scratch_copy, scratch_full
from lamina.ops.registry import Kernel, Op, Value, View, define


@define
@final
@dataclass(frozen=True, slots=True)
class StridedRead(View):
    """out[i] = x.flat[layout(i)], `x` counted in C order. A view where `x` lies in that order."""

    name = "as_strided"
    layout: Layout

    def infer(self, *inputs: Spec) -> Spec:
        (x,) = inputs
        shape, strides, offset = self.layout
        lay.strided(shape, strides, offset, lay.contiguous(x.shape).size)
        return Spec(shape, x.dtype)

    def relayout(self, layout: Layout) -> Layout | None:
        shape, strides, offset = self.layout
        lay.strided(shape, strides, offset, layout.size)
        moved = Layout(shape, strides, offset + layout.offset)
        return moved if layout.is_contiguous else None

    def ref(self, *inputs: NDArray) -> NDArray:
        return see(np.ascontiguousarray(inputs[0]).reshape(-1), self.layout)

    def vjp(self, grad: Value, out: Value, *inputs: Value) -> tuple[Any, ...]:
        return (StridedAdd(self.layout, inputs[0].shape)(grad),)


@define
@final
@dataclass(frozen=True, slots=True)
class StridedAdd(Op):
    """out.flat[layout(i)] += x[i], over zeros of `shape`: the transpose of `as_strided`."""

    name = "strided_add"
    saves = ()
    layout: Layout
    shape: Shape

    def infer(self, *inputs: Spec) -> Spec:
        return Spec(self.shape, inputs[0].dtype)

    def lower(self, *inputs: Spec) -> Kernel | None:
        is_stored = inputs[0].dtype.name in STORED
        return None if self.layout.overlaps_itself or not is_stored else self._place

    def _place(self, out: Array, x: Array) -> None:
        compute([Constant(0, x.dtype.name)], [out], [])
        if x.layout.size:
            compute([Input(0)], [out.with_layout(self.layout)], [x])

    def ref(self, *inputs: NDArray) -> NDArray:
        (x,) = inputs
        out = scratch_full(self.shape, x.dtype, 0)
        _accumulate(out.reshape(-1), self.layout, x)
        return out

    def vjp(self, grad: Value, out: Value, *inputs: Value) -> tuple[Any, ...]:
        return (StridedRead(self.layout)(grad),)


@define
@final
@dataclass(frozen=True, slots=True)
class StridedWrite(Op):
    """`x` with the places that `layout` names, in C order of `x`, replaced by `value`."""

    name = "strided_write"
    saves = ()
    layout: Layout

    def infer(self, *inputs: Spec) -> Spec:
        x, _ = inputs
        if self.layout.overlaps_itself:
            raise LayoutError(
                "strided_write: some elements of the view share memory; write to a clone() of it"
            )
        return x

    def lower(self, *inputs: Spec) -> Kernel | None:
        return self._replace if inputs[0].dtype.name in STORED else None

    def _replace(self, out: Array, x: Array, value: Array) -> None:
        compute([Input(0)], [out], [x])
        if value.layout.size:
            compute([Input(0)], [out.with_layout(self.layout)], [value])

    def ref(self, *inputs: NDArray) -> NDArray:
        x, value = inputs
        out = scratch_copy(x)
        see(out.reshape(-1), self.layout)[...] = value
        return out

    def vjp(self, grad: Value, out: Value, *inputs: Value) -> tuple[Any, ...]:
        _, value = inputs
        return (
            lambda: self(grad, grad.new_zeros(value.shape)),
            lambda: StridedRead(self.layout)(grad),
        )


def see(flat: NDArray, layout: Layout) -> NDArray:
    """Return a numpy view of a flat array through `layout`."""
    size = flat.itemsize
    start = flat[layout.offset :] if layout.size else flat
    steps = tuple(s * size for s in layout.strides)
    return np.lib.stride_tricks.as_strided(start, layout.shape, steps)


def _accumulate(flat: NDArray, layout: Layout, x: NDArray) -> None:
    """Add `x` where `layout` points, one non-overlapping part at a time, in a fixed order."""
    if not layout.overlaps_itself:
        view = see(flat, layout)
        view += x
        return
    axis = min((a for a, n in enumerate(layout.shape) if n > 1), key=lambda a: layout.shape[a])
    still = [a for a, n in enumerate(layout.shape) if n > 1 and layout.strides[a] == 0]
    if still:
        total = x.sum(axis=still[0], dtype=x.dtype)
        return _accumulate(flat, lay.select(layout, still[0], 0), total)
    for place in range(layout.shape[axis]):
        _accumulate(flat, lay.select(layout, axis, place), np.take(x, place, axis))


def add_through(view: View, grad: Value, shape: Shape) -> Value:
    """Return the gradient of a tensor of `shape` from that of its view."""
    layout = view.relayout(lay.contiguous(shape))
    assert layout is not None, "a contiguous layout can always be viewed"
    return StridedAdd(layout, shape)(grad)


def as_strided(x: Value, size: Shape, stride: tuple[int, ...], storage_offset: int = 0) -> Value:
    """Return the view of `x` with exactly these sizes, strides and offset, in elements of `x` in C
    order.

    LayoutError where it would leave the elements of `x`.
    """
    return StridedRead(Layout(tuple(size), tuple(stride), storage_offset))(x)

"""Ops that move no data: other shapes, orders and parts of the same storage."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np

from lamina import layout as lay
from lamina.errors import ArgumentError, AxisError, ShapeError
from lamina.layout import Layout, Shape, normalize_axes, normalize_axis
from lamina.memory import Spec
from lamina.memory.array import NDArray
from lamina.ops.pointwise import unbroadcast
from lamina.ops.registry import Value, View, define
from lamina.ops.shapes.strided import add_through


class _Move(View):
    """A view whose shape follows from its layout rule alone."""

    __slots__ = ()

    def infer(self, *inputs: Spec) -> Spec:
        (x,) = inputs
        layout = self.relayout(lay.contiguous(x.shape))
        assert layout is not None, "a contiguous layout can always be viewed"
        return Spec(layout.shape, x.dtype)


@define
@final
@dataclass(frozen=True, slots=True)
class Reshape(_Move):
    """The same elements in the same order, in other axes."""

    name = "reshape"
    shape: Shape

    def relayout(self, layout: Layout) -> Layout | None:
        return lay.reshape(layout, lay.infer_shape(layout.size, self.shape))

    def ref(self, *inputs: NDArray) -> NDArray:
        return np.reshape(inputs[0], self.shape)

    def vjp(self, grad: Value, out: Value, *inputs: Value) -> tuple[Any, ...]:
        return (reshape(grad, inputs[0].shape),)


@define
@final
@dataclass(frozen=True, slots=True)
class Permute(_Move):
    """Axes in another order."""

    name = "permute"
    axes: tuple[int, ...]

    def relayout(self, layout: Layout) -> Layout:
        return lay.permute(layout, self.axes)

    def ref(self, *inputs: NDArray) -> NDArray:
        return np.transpose(inputs[0], self.axes)

    def vjp(self, grad: Value, out: Value, *inputs: Value) -> tuple[Any, ...]:
        inverse = [0] * len(self.axes)
        for place, axis in enumerate(normalize_axes(self.axes, len(self.axes))):
            inverse[axis] = place
        return (Permute(tuple(inverse))(grad),)


@define
@final
@dataclass(frozen=True, slots=True)
class Expand(_Move):
    """Axes of size 1, and axes that were not there, stretched without a copy."""

    name = "expand"
    shape: Shape

    def relayout(self, layout: Layout) -> Layout:
        return lay.expand(layout, self.shape)

    def ref(self, *inputs: NDArray) -> NDArray:
        return np.broadcast_to(inputs[0], self.shape)

    def vjp(self, grad: Value, out: Value, *inputs: Value) -> tuple[Any, ...]:
        return (unbroadcast(grad, inputs[0]),)


@define
@final
@dataclass(frozen=True, slots=True)
class Flip(_Move):
    """The order of elements reversed along some axes."""

    name = "flip"
    axes: tuple[int, ...]

    def relayout(self, layout: Layout) -> Layout:
        return lay.flip(layout, self.axes)

    def ref(self, *inputs: NDArray) -> NDArray:
        return np.flip(inputs[0], self.axes)

    def vjp(self, grad: Value, out: Value, *inputs: Value) -> tuple[Any, ...]:
        return (self(grad),)


@define
@final
@dataclass(frozen=True, slots=True)
class InsertAxis(_Move):
    """A new axis of size 1."""

    name = "insert_axis"
    axis: int

    def relayout(self, layout: Layout) -> Layout:
        return lay.insert_axis(layout, self.axis)

    def ref(self, *inputs: NDArray) -> NDArray:
        return np.expand_dims(inputs[0], self.axis)

    def vjp(self, grad: Value, out: Value, *inputs: Value) -> tuple[Any, ...]:
        return (DropAxes((self.axis,))(grad),)


@define
@final
@dataclass(frozen=True, slots=True)
class DropAxes(_Move):
    """Axes of size 1 taken away."""

    name = "drop_axes"
    axes: tuple[int, ...]

    def relayout(self, layout: Layout) -> Layout:
        return lay.drop_axes(layout, self.axes)

    def ref(self, *inputs: NDArray) -> NDArray:
        return np.squeeze(inputs[0], self.axes)

    def vjp(self, grad: Value, out: Value, *inputs: Value) -> tuple[Any, ...]:
        return (reshape(grad, inputs[0].shape),)


@define
@final
@dataclass(frozen=True, slots=True)
class Windows(_Move):
    """Every window along an axis, the place in the window as a new last axis: im2col as a view."""

    name = "windows"
    axis: int
    size: int
    step: int = 1
    dilation: int = 1

    def relayout(self, layout: Layout) -> Layout:
        return lay.windows(layout, self.axis, self.size, self.step, self.dilation)

    def ref(self, *inputs: NDArray) -> NDArray:
        reach = self.dilation * (self.size - 1) + 1
        every = np.lib.stride_tricks.sliding_window_view(inputs[0], reach, axis=self.axis)
        picked = every[..., :: self.dilation]
        return picked[(*(slice(None),) * self.axis, slice(None, None, self.step))]

    def vjp(self, grad: Value, out: Value, *inputs: Value) -> tuple[Any, ...]:
        return (add_through(self, grad, inputs[0].shape),)


@define
@final
@dataclass(frozen=True, slots=True)
class Diagonal(_Move):
    """The diagonal of two axes, as a new last axis."""

    name = "diagonal"
    offset: int
    first: int
    second: int

    def relayout(self, layout: Layout) -> Layout:
        return lay.diagonal(layout, self.offset, self.first, self.second)

    def ref(self, *inputs: NDArray) -> NDArray:
        return np.diagonal(inputs[0], self.offset, self.first, self.second)

    def vjp(self, grad: Value, out: Value, *inputs: Value) -> tuple[Any, ...]:
        return (add_through(self, grad, inputs[0].shape),)


def reshape(x: Value, shape: Sequence[int]) -> Value:
    """Return the elements of `x`, in order, as `shape` (one −1 allowed); a view if one exists."""
    return Reshape(tuple(shape))(x)


def permute(x: Value, axes: Sequence[int]) -> Value:
    """Return a view of `x` whose axis i is its axis `axes[i]`."""
    return Permute(tuple(axes))(x)


def swap_axes(x: Value, first: int, second: int) -> Value:
    """Return a view of `x` with two axes exchanged."""
    ndim = len(x.shape)
    order = list(range(ndim))
    a, b = normalize_axis(first, ndim), normalize_axis(second, ndim)
    order[a], order[b] = b, a
    return Permute(tuple(order))(x)


def move_axes(x: Value, source: int | Sequence[int], destination: int | Sequence[int]) -> Value:
    """Return a view of `x` with axes moved to new places, the others in their order."""
    ndim = len(x.shape)
    taken, places = normalize_axes(source, ndim), normalize_axes(destination, ndim)
    if len(taken) != len(places):
        raise AxisError(f"{len(taken)} axes were given {len(places)} places; give one place each")
    order = [a for a in range(ndim) if a not in taken]
    for place, axis in sorted(zip(places, taken, strict=True)):
        order.insert(place, axis)
    return Permute(tuple(order))(x)


def expand(x: Value, shape: Sequence[int]) -> Value:
    """Return a view of `x` stretched to `shape`; −1 keeps a size."""
    lead = len(shape) - len(x.shape)
    kept = [x.shape[a - lead] if n == -1 and a >= lead else n for a, n in enumerate(shape)]
    if -1 in kept:
        raise ShapeError(
            f"cannot expand {x.shape} to {tuple(shape)}: −1 stands for an axis it lacks"
        )
    return x if tuple(kept) == x.shape else Expand(tuple(kept))(x)


def flip(x: Value, axes: int | Iterable[int] | None = None) -> Value:
    """Return a view of `x` with the order of elements reversed along `axes` (all by default)."""
    return Flip(normalize_axes(axes, len(x.shape)))(x)


def expand_dims(x: Value, axis: int | Sequence[int]) -> Value:
    """Return a view of `x` with new axes of size 1 at the places `axis` of the result."""
    named = (axis,) if isinstance(axis, int) else tuple(axis)
    for place in sorted(normalize_axes(named, len(x.shape) + len(named))):
        x = InsertAxis(place)(x)
    return x


def squeeze(x: Value, axis: int | Sequence[int] | None = None) -> Value:
    """Return a view of `x` without the size-1 axes named (all of them by default)."""
    if axis is None:
        return DropAxes(tuple(a for a, n in enumerate(x.shape) if n == 1))(x)
    return DropAxes(normalize_axes(axis, len(x.shape)))(x)


def flatten(x: Value, start: int = 0, end: int = -1) -> Value:
    """Return `x` with the axes from `start` to `end`, both included, made one."""
    ndim = len(x.shape)
    if ndim == 0:
        return reshape(x, (1,))
    first, last = normalize_axis(start, ndim), normalize_axis(end, ndim)
    if first > last:
        raise ArgumentError(f"flatten from axis {start} to {end}: the first lies behind the last")
    size = int(np.prod(x.shape[first : last + 1], dtype=np.int64))
    return reshape(x, (*x.shape[:first], size, *x.shape[last + 1 :]))


def unflatten(x: Value, axis: int, sizes: Sequence[int]) -> Value:
    """Return `x` with one axis split into `sizes`, of which one may be −1."""
    place = normalize_axis(axis, len(x.shape))
    split = lay.infer_shape(x.shape[place], sizes)
    return reshape(x, (*x.shape[:place], *split, *x.shape[place + 1 :]))


def unfold(x: Value, axis: int, size: int, step: int = 1, *, dilation: int = 1) -> Value:
    """Return a view of every window of `size` along `axis`, `step` apart, as a new last axis."""
    return Windows(normalize_axis(axis, len(x.shape)), size, step, dilation)(x)


def diagonal(x: Value, offset: int = 0, first: int = 0, second: int = 1) -> Value:
    """Return a view of the diagonal of two axes, as a new last axis."""
    ndim = len(x.shape)
    a, b = normalize_axes((first, second), ndim)
    return Diagonal(offset, a, b)(x)

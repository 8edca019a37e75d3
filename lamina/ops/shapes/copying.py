"""Ops that copy, because their result cannot be a view: clone, join, repeat, roll, triangles."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, final

import numpy as np

from lamina.errors import ArgumentError, ShapeError
from lamina.kernels.elementwise import compute
from lamina.kernels.expression import Constant, Expression, Input
from lamina.kernels.scalars import SCALARS, STORED
from lamina.layout import cut, normalize_axis
from lamina.memory import Array, Spec
from lamina.memory.array import NDArray, scratch, scratch_copy
from lamina.ops.pointwise import ANY, Elementwise
from lamina.ops.registry import Kernel, Op, Value, define
from lamina.ops.shapes.movement import reshape

copy = define(
    Elementwise(
        "copy",
        scratch_copy,
        lambda g, out, x: (g,),
        kinds=ANY,
        promotion="none",
        saves=(),
        scalar=lambda x: x,
    )
)


@define
@final
@dataclass(frozen=True, slots=True)
class Concat(Op):
    """Tensors joined end to end along an axis."""

    name = "concat"
    promotion = "common"
    saves = ()
    axis: int

    def infer(self, *inputs: Spec) -> Spec:
        first = inputs[0].shape
        for place, x in enumerate(inputs):
            same = x.shape[: self.axis] + x.shape[self.axis + 1 :]
            if len(x.shape) != len(first) or same != first[: self.axis] + first[self.axis + 1 :]:
                raise ShapeError(
                    f"concat: tensor {place} of shape {x.shape} joined to {first} along axis "
                    f"{self.axis}; expected equal sizes along every other axis"
                )
        total = sum(x.shape[self.axis] for x in inputs)
        return Spec((*first[: self.axis], total, *first[self.axis + 1 :]), inputs[0].dtype)

    def lower(self, *inputs: Spec) -> Kernel | None:
        is_stored = all(x.dtype.name in STORED for x in inputs)
        return self._join if is_stored else None

    def _join(self, out: Array, *inputs: Array) -> None:
        _put_end_to_end(out, inputs, self.axis, Input(0))

    def ref(self, *inputs: NDArray) -> NDArray:
        sizes = list(inputs[0].shape)
        sizes[self.axis] = sum([x.shape[self.axis] for x in inputs])
        return np.concatenate(inputs, self.axis, scratch(sizes, inputs[0].dtype))

    def vjp(self, grad: Value, out: Value, *inputs: Value) -> tuple[Any, ...]:
        parts, start = [], 0
        for x in inputs:
            stop = start + x.shape[self.axis]
            parts.append(grad[(*(slice(None),) * self.axis, slice(start, stop))])
            start = stop
        return tuple(parts)


@define
@final
@dataclass(frozen=True, slots=True)
class Joined(Op):
    """Σ of the inputs, each in its place over zeros: joined end to end along an axis, −0 as 0.

    The op is made by programs, of the gradients of parts of a tensor.
    """

    name = "joined"
    differentiable = False
    axis: int

    def infer(self, *inputs: Spec) -> Spec:
        return Concat(self.axis).infer(*inputs)

    def ref(self, *inputs: NDArray) -> NDArray:
        joined = np.concatenate(inputs, self.axis)
        return joined + joined.dtype.type(0)

    def lower(self, *inputs: Spec) -> Kernel | None:
        return self._join if inputs[0].dtype.name in SCALARS else None

    def _join(self, out: Array, *inputs: Array) -> None:
        zero = Constant(0.0, out.dtype.name)
        _put_end_to_end(out, inputs, self.axis, Input(0) + zero)


def _put_end_to_end(out: Array, inputs: Sequence[Array], axis: int, expression: Expression) -> None:
    """Write what `expression` makes of each input to its place along `axis`."""
    start = 0
    for x in inputs:
        size = x.shape[axis]
        if x.layout.size:
            part = out.with_layout(cut(out.layout, axis, start, 1, size))
            compute([expression], [part], [x])
        start += size


def concat(tensors: Any, axis: int | None = 0) -> Value:
    """Return `tensors` joined end to end along `axis`; None flattens them first."""
    values = tuple(tensors)
    if not values:
        raise ShapeError("concat: no tensors given; give at least one")
    if axis is None:
        values, axis = tuple(v.reshape((-1,)) for v in values), 0
    return Concat(normalize_axis(axis, len(values[0].shape)))(*values)


def stack(tensors: Any, axis: int = 0) -> Value:
    """Return `tensors`, all of one shape, joined along a new axis at place `axis`."""
    values = tuple(tensors)
    if not values:
        raise ShapeError("stack: no tensors given; give at least one")
    shapes = {tuple(v.shape) for v in values}
    if len(shapes) > 1:
        raise ShapeError(f"stack: shapes {sorted(shapes)} given; expected one shape for all")
    place = normalize_axis(axis, len(values[0].shape) + 1)
    index = (*(slice(None),) * place, None)
    return Concat(place)(*(v[index] for v in values))


@define
@final
@dataclass(frozen=True, slots=True)
class Triangle(Op):
    """Each matrix on one side of a diagonal, that one included; zeros on the other side."""

    name = "triangle"
    saves = ()
    side: Literal["lower", "upper"]
    offset: int = 0

    def infer(self, *inputs: Spec) -> Spec:
        (x,) = inputs
        if len(x.shape) < 2:
            raise ShapeError(f"triangle: shape {x.shape} given; expected matrices, (…, m, n)")
        return x

    def ref(self, *inputs: NDArray) -> NDArray:
        (x,) = inputs
        m, n = x.shape[-2:]
        is_lower = self.side == "lower"
        below = np.tri(m, n, self.offset if is_lower else self.offset - 1, bool)
        out = scratch_copy(x)
        np.copyto(out, 0, where=~below if is_lower else below)
        return out

    def vjp(self, grad: Value, out: Value, *inputs: Value) -> tuple[Any, ...]:
        return (self(grad),)


@define
@final
@dataclass(frozen=True, slots=True)
class Tile(Op):
    """`x` laid side by side with itself, `times[a]` times along axis a."""

    name = "tile"
    saves = ()
    times: tuple[int, ...]

    def infer(self, *inputs: Spec) -> Spec:
        (x,) = inputs
        if len(self.times) != len(x.shape) or any(t < 0 for t in self.times):
            raise ShapeError(
                f"tile: {self.times} repetitions of shape {x.shape} given; expected a count of 0 "
                "or more for each axis"
            )
        return Spec(tuple(t * n for t, n in zip(self.times, x.shape)), x.dtype)

    def ref(self, *inputs: NDArray) -> NDArray:
        (x,) = inputs
        out = scratch([t * n for t, n in zip(self.times, x.shape, strict=True)], x.dtype)
        apart = [n for pair in zip(self.times, x.shape, strict=True) for n in pair]
        out.reshape(apart)[...] = x.reshape([m for n in x.shape for m in (1, n)])
        return out

    def vjp(self, grad: Value, out: Value, *inputs: Value) -> tuple[Any, ...]:
        (x,) = inputs
        apart = tuple(n for pair in zip(self.times, x.shape) for n in pair)
        return (grad.reshape(apart).sum(axis=tuple(range(0, len(apart), 2))),)


@define
@final
@dataclass(frozen=True, slots=True)
class Repeat(Op):
    """Every place of an axis `times` times in a row."""

    name = "repeat"
    saves = ()
    times: int
    axis: int

    def infer(self, *inputs: Spec) -> Spec:
        (x,) = inputs
        if self.times < 0:
            raise ArgumentError(f"repeat: {self.times} times given; expected 0 or more")
        total = x.shape[self.axis] * self.times
        return Spec((*x.shape[: self.axis], total, *x.shape[self.axis + 1 :]), x.dtype)

    def ref(self, *inputs: NDArray) -> NDArray:
        return np.repeat(inputs[0], self.times, self.axis)

    def vjp(self, grad: Value, out: Value, *inputs: Value) -> tuple[Any, ...]:
        shape = inputs[0].shape
        apart = (*shape[: self.axis + 1], self.times, *shape[self.axis + 1 :])
        return (grad.reshape(apart).sum(axis=self.axis + 1),)


@define
@final
@dataclass(frozen=True, slots=True)
class Roll(Op):
    """Places moved along axes, those pushed past the end coming in at the start."""

    name = "roll"
    saves = ()
    shifts: tuple[int, ...]
    axes: tuple[int, ...]

    def infer(self, *inputs: Spec) -> Spec:
        if len(self.shifts) != len(self.axes):
            raise ArgumentError(
                f"roll: shifts {self.shifts} given for axes {self.axes}; give one shift an axis"
            )
        return inputs[0]

    def ref(self, *inputs: NDArray) -> NDArray:
        return np.roll(inputs[0], self.shifts, self.axes)

    def vjp(self, grad: Value, out: Value, *inputs: Value) -> tuple[Any, ...]:
        return (Roll(tuple(-s for s in self.shifts), self.axes)(grad),)


def tril(x: Value, offset: int = 0) -> Value:
    """Return `x` with zeros above a diagonal of each matrix: the main one, or `offset` above it.

    >>> import lamina
    >>> tril(lamina.tensor([[1, 2], [3, 4]]))
    Tensor([[1, 0],
            [3, 4]])
    """
    return Triangle("lower", int(offset))(x)


def triu(x: Value, offset: int = 0) -> Value:
    """Return `x` with zeros below a diagonal of each matrix: the main one, or `offset` above it."""
    return Triangle("upper", int(offset))(x)


def tile(x: Value, repetitions: Sequence[int]) -> Value:
    """Return `x` laid side by side with itself; axes that `x` lacks are put in front.

    >>> import lamina
    >>> tile(lamina.tensor([1, 2]), (2, 2))
    Tensor([[1, 2, 1, 2],
            [1, 2, 1, 2]])
    """
    times = tuple(repetitions)
    lacking = len(times) - len(x.shape)
    if lacking > 0:
        x = reshape(x, (1,) * lacking + tuple(x.shape))
    return Tile((1,) * -lacking + times)(x)


def repeat(x: Value, times: int, axis: int | None = None) -> Value:
    """Return `x` with every place of `axis` repeated `times` times; None repeats in C order.

    >>> import lamina
    >>> repeat(lamina.tensor([1, 2]), 2)
    Tensor([1, 1, 2, 2])
    """
    if axis is None:
        x, axis = reshape(x, (-1,)), 0
    return Repeat(int(times), normalize_axis(axis, len(x.shape)))(x)


def roll(x: Value, shift: int | Sequence[int], axis: int | Sequence[int] | None = None) -> Value:
    """Return `x` moved round by `shift` places along `axis`; None rolls the elements in C order.

    >>> import lamina
    >>> roll(lamina.tensor([1, 2, 3]), 1)
    Tensor([3, 1, 2])
    """
    if axis is None:
        return reshape(roll(reshape(x, (-1,)), shift, 0), tuple(x.shape))
    named = (axis,) if isinstance(axis, int) else tuple(axis)
    axes = tuple(normalize_axis(a, len(x.shape)) for a in named)
    shifts = (shift,) * len(axes) if isinstance(shift, int) else tuple(shift)
    return Roll(shifts, axes)(x)

"""Ops that read and write where index arrays point. Indices are inputs without a gradient.

Reading and adding are each other's derivative: that of `array_index` is `array_add`, that of
`gather` is `gather_add`, and back. `once` marks the derivative of writing, of which only the last
write to a place counts.
"""

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, final

import numpy as np

from lamina import dtypes
from lamina.codegen.target import compiles_here
from lamina.errors import IndexingError, ShapeError
from lamina.kernels.elementwise import compute
from lamina.kernels.expression import Input, apply
from lamina.kernels.gather import add_rows, read_rows
from lamina.kernels.scalars import SCALARS, STORED
from lamina.layout import Shape, broadcast_shapes
from lamina.memory import Array, Spec, empty, settled
from lamina.memory.array import NDArray
from lamina.ops.elementwise.arithmetic import not_equal, where
from lamina.ops.indices import places as at
from lamina.ops.registry import (
    Arrays,
    Op,
    Value,
    by_reference,
    define,
    in_c_order,
    require,
    spec_of,
)
from lamina.ops.shapes.movement import expand_dims

# numpy's arrays have 64 axes at most, so there are no more indices than that.
_AFTER_ONE = tuple(range(1, 65))
_AFTER_TWO = tuple(range(2, 66))


class Placing(Op):
    """An op of one output that is written, in numpy, into memory of the pool.

    Inputs keep their dtypes: indices are not to be promoted with what they index.
    """

    __slots__ = ()
    promotes_from = 1 << 10

    @abstractmethod
    def infer(self, *inputs: Spec) -> Spec: ...

    @abstractmethod
    def write(self, out: NDArray, *inputs: NDArray) -> None:
        """Write the result to `out`, in C order."""

    def ref(self, *inputs: NDArray) -> NDArray:
        shape, dtype = self.infer(*map(spec_of, inputs))
        out: NDArray = np.empty(shape, dtype.numpy)
        self.write(out, *inputs)
        return out

    def run(self, *inputs: Array) -> Arrays:
        out = empty(*self.infer(*[x.spec for x in inputs]))
        self.write(out.numpy(), *[x.numpy() for x in inputs])
        return out


@define
@final
@dataclass(frozen=True, slots=True)
class ArrayIndex(Placing):
    """The elements of `x` at places along some axes; the axes of the places stand at `place`."""

    name = "array_index"
    saves = _AFTER_ONE
    axes: tuple[int, ...]
    place: int
    once: bool = False

    def infer(self, *inputs: Spec) -> Spec:
        x, *places = inputs
        return Spec(_selected(self, x.shape, self.axes, self.place, places), x.dtype)

    def write(self, out: NDArray, *inputs: NDArray) -> None:
        x, *places = inputs
        at.read(out, x, self.axes, self.place, places)
        if self.once:
            at.keep_last(out, self.place, self.axes, x.shape, places)

    def vjp(self, grad: Value, out: Value, *inputs: Value) -> tuple[Any, ...]:
        x, *places = inputs
        rest = (None,) * len(places)
        if self.once:
            return (ArrayPut(self.axes, self.place)(grad.new_zeros(x.shape), grad, *places), *rest)
        return (ArrayAdd(self.axes, self.place, x.shape)(grad, *places), *rest)


@define
@final
@dataclass(frozen=True, slots=True)
class ArrayAdd(Placing):
    """Zeros of `shape` with values added where indices point: the transpose of `array_index`."""

    name = "array_add"
    saves = _AFTER_ONE
    axes: tuple[int, ...]
    place: int
    shape: Shape

    def infer(self, *inputs: Spec) -> Spec:
        values, *places = inputs
        _check_values(self, values, _selected(self, self.shape, self.axes, self.place, places))
        return Spec(self.shape, values.dtype)

    def run(self, *inputs: Array) -> Arrays:
        values, places = inputs[:2]
        out = empty(*self.infer(*(x.spec for x in inputs)))
        is_rows = self.axes == (0,) and self.place == 0 and values.dtype.name in SCALARS
        if not is_rows or not compiles_here() or 0 in (values.layout.size, out.layout.size):
            return Placing.run(self, *inputs)
        if places.storage.is_present:
            return Placing.run(self, *inputs)
        values, places = in_c_order(values), _from_front(places, self.shape[0])
        count = places.layout.size
        shape = (self.shape[0], count, values.layout.size // count)
        addresses = (out.address, values.address, places.address)
        add_rows(*addresses, shape=shape, dtype=values.dtype.name)
        return out

    def write(self, out: NDArray, *inputs: NDArray) -> None:
        values, *places = inputs
        at.add(out, values, self.axes, self.place, places)

    def vjp(self, grad: Value, out: Value, *inputs: Value) -> tuple[Any, ...]:
        _, *places = inputs
        return (ArrayIndex(self.axes, self.place)(grad, *places), *(None,) * len(places))


@define
@final
@dataclass(frozen=True, slots=True)
class ArrayPut(Placing):
    """`x` with values written where indices point; of several for one place the last stays."""

    name = "array_put"
    saves = _AFTER_TWO
    axes: tuple[int, ...]
    place: int

    def infer(self, *inputs: Spec) -> Spec:
        x, values, *places = inputs
        _check_values(self, values, _selected(self, x.shape, self.axes, self.place, places))
        return x

    def write(self, out: NDArray, *inputs: NDArray) -> None:
        x, values, *places = inputs
        out[...] = x
        at.put(out, values, self.axes, self.place, places)

    def vjp(self, grad: Value, out: Value, *inputs: Value) -> tuple[Any, ...]:
        _, values, *places = inputs
        return (
            lambda: self(grad, grad.new_zeros(values.shape), *places),
            lambda: ArrayIndex(self.axes, self.place, once=True)(grad, *places),
            *(None,) * len(places),
        )


@define
@final
@dataclass(frozen=True, slots=True)
class Gather(Placing):
    """out[…, i, …] = x[…, index[…, i, …], …]: a place along one axis for every element."""

    name = "gather"
    saves = (1,)
    axis: int
    once: bool = False

    def infer(self, *inputs: Spec) -> Spec:
        x, index = inputs
        _check_along(self, index, x.shape, self.axis)
        return Spec(index.shape, x.dtype)

    def write(self, out: NDArray, *inputs: NDArray) -> None:
        x, index = inputs
        at.read_along(out, x, self.axis, index)
        if self.once:
            out[~at.is_last(at.along(index, self.axis, x.shape), x.size)] = 0

    def vjp(self, grad: Value, out: Value, *inputs: Value) -> tuple[Any, ...]:
        x, index = inputs
        if self.once:
            return (Scatter(self.axis)(grad.new_zeros(x.shape), grad, index), None)
        return (GatherAdd(self.axis, x.shape)(grad, index), None)


@define
@final
@dataclass(frozen=True, slots=True)
class GatherAdd(Placing):
    """Zeros of `shape` with values added along an axis: the transpose of `gather`."""

    name = "gather_add"
    saves = (1,)
    axis: int
    shape: Shape

    def infer(self, *inputs: Spec) -> Spec:
        values, index = inputs
        _check_along(self, index, self.shape, self.axis)
        _check_values(self, values, index.shape)
        return Spec(self.shape, values.dtype)

    def write(self, out: NDArray, *inputs: NDArray) -> None:
        values, index = inputs
        spots = at.along(index, self.axis, self.shape).reshape(-1)
        out[...] = at.added(out.size, spots, values.reshape(-1)).reshape(self.shape)

    def vjp(self, grad: Value, out: Value, *inputs: Value) -> tuple[Any, ...]:
        return (Gather(self.axis)(grad, inputs[1]), None)


@define
@final
@dataclass(frozen=True, slots=True)
class Scatter(Placing):
    """`x` with values written along an axis; of several for one place the last stays."""

    name = "scatter"
    saves = (2,)
    axis: int

    def infer(self, *inputs: Spec) -> Spec:
        x, values, index = inputs
        _check_along(self, index, x.shape, self.axis)
        _check_values(self, values, index.shape)
        return x

    def write(self, out: NDArray, *inputs: NDArray) -> None:
        x, values, index = inputs
        spots = at.along(index, self.axis, x.shape)
        out[...] = x
        out.reshape(-1)[spots.reshape(-1)] = values.reshape(-1)

    def vjp(self, grad: Value, out: Value, *inputs: Value) -> tuple[Any, ...]:
        _, values, index = inputs
        return (
            lambda: self(grad, grad.new_zeros(values.shape), index),
            lambda: Gather(self.axis, once=True)(grad, index),
            None,
        )


@define
@final
@dataclass(frozen=True, slots=True)
class Embedding(Placing):
    """Rows of a table; the row `padding` gets no gradient."""

    name = "embedding"
    saves = (1,)
    padding: int | None = None

    def infer(self, *inputs: Spec) -> Spec:
        table, indices = inputs
        require(
            len(table.shape) == 2,
            self,
            ShapeError,
            f"weight of shape {table.shape} given; expected (rows, features)",
        )
        return Spec(_selected(self, table.shape, (0,), 0, [indices]), table.dtype)

    def run(self, *inputs: Array) -> Arrays:
        table, indices = inputs
        out = empty(*self.infer(table.spec, indices.spec))
        if not compiles_here() or table.dtype.name not in STORED or out.layout.size == 0:
            return Placing.run(self, *inputs)
        if indices.storage.is_present:
            _check_rows(indices.numpy(), table.shape[0])
        table, places = in_c_order(table), as_int64(indices)
        shape = (1, table.shape[0], places.layout.size, table.shape[1])
        addresses = (out.address, table.address, places.address)
        read_rows(*addresses, shape=shape, itemsize=table.dtype.itemsize)
        return out

    def write(self, out: NDArray, *inputs: NDArray) -> None:
        table, indices = inputs
        _check_rows(indices, len(table))
        at.read(out, table, (0,), 0, (indices,))

    def vjp(self, grad: Value, out: Value, *inputs: Value) -> tuple[Any, ...]:
        table, indices = inputs
        if self.padding is not None:
            is_row = expand_dims(not_equal(indices, self.padding), -1)
            grad = where(is_row, grad, 0.0)
        return (ArrayAdd((0,), 0, table.shape)(grad, indices), None)


@define
@final
@dataclass(frozen=True, slots=True)
class Argwhere(Op):
    """The places of the elements that are not zero, a row each, in C order."""

    name = "argwhere"
    differentiable = False

    def infer(self, *inputs: Spec) -> Spec:
        raise ShapeError(
            "argwhere: how many places there are depends on the elements, so its shape is not "
            "known before it runs; use where() instead of selecting"
        )

    def ref(self, *inputs: NDArray) -> NDArray:
        (x,) = inputs
        # numpy's own search through several axes takes ten times as long.
        flat = np.flatnonzero(x)
        if x.ndim == 1:
            return flat[:, None]
        return np.stack(np.unravel_index(flat, x.shape), 1) if x.ndim else flat[:, None][:, :0]

    def run(self, *inputs: Array) -> Arrays:
        return settled(by_reference(self, inputs))


def _check_rows(indices: NDArray, rows: int) -> None:
    if indices.size and indices.min() < 0:
        spot = tuple(np.argwhere(indices < 0)[0].tolist())
        raise IndexingError(
            f"embedding: index {indices[spot]} at {spot} given, expected 0 to {rows - 1}; rows are "
            "not counted from the end"
        )
    at.counted(indices, 0, rows)


def as_int64(places: Array) -> Array:
    """Return whole numbers in C order, as kernels read places."""
    if places.dtype is dtypes.int64:
        return in_c_order(places)
    out = empty(places.shape, dtypes.int64)
    compute([apply("to_int64", Input(0))], [out], [places])
    return out


def _from_front(places: Array, size: int) -> Array:
    """Return places counted from the front, as kernels read them."""
    out = empty(places.shape, dtypes.int64)
    place = apply("to_int64", Input(0))
    compute([apply("where", place < 0, place + size, place)], [out], [places])
    return out


def _selected(op: Op, shape: Shape, axes: tuple[int, ...], place: int, places: list[Spec]) -> Shape:
    """Return the shape of what `places` along `axes` select from an array of `shape`."""
    for spec in places:
        _check_index(op, spec)
    block = common_shape([p.shape for p in places])
    rest = [n for axis, n in enumerate(shape) if axis not in axes]
    return (*rest[:place], *block, *rest[place:])


def common_shape(shapes: list[Shape]) -> Shape:
    """Return the shape that index arrays broadcast to; IndexingError where they do not."""
    try:
        return broadcast_shapes(*shapes)
    except ShapeError as error:
        raise IndexingError(f"the index arrays do not fit together: {error}") from None


def _check_index(op: Op, index: Spec) -> None:
    require(
        index.dtype.is_integer,
        op,
        IndexingError,
        f"an index of {index.dtype.name} given; expected integers: convert it with .to('int64')",
    )


def _check_values(op: Op, values: Spec, expected: Shape) -> None:
    require(
        values.shape == expected,
        op,
        ShapeError,
        f"values of shape {values.shape} given; the index selects {expected}",
    )


def _check_along(op: Op, index: Spec, shape: Shape, axis: int) -> None:
    _check_index(op, index)
    fits = len(index.shape) == len(shape) and all(
        n <= size for a, (n, size) in enumerate(zip(index.shape, shape, strict=True)) if a != axis
    )
    require(
        fits,
        op,
        ShapeError,
        f"an index of shape {index.shape} given for {shape} along axis {axis}; expected as many "
        "axes, and no other axis longer",
    )


def is_mask(index: Any) -> bool:
    """Return whether an index array holds truth values."""
    return index.dtype is dtypes.bool_ or index.dtype == np.bool_

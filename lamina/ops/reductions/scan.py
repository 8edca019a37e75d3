"""Running sums, products and extremes along an axis."""

from dataclasses import dataclass
from math import prod
from typing import Any, Literal, NamedTuple, final

import numpy as np

from lamina import dtypes
from lamina.dtypes import DType
from lamina.errors import DTypeError, ShapeError
from lamina.layout import normalize_axis
from lamina.memory import Spec
from lamina.memory.array import NDArray, scratch, scratch_copy
from lamina.ops.elementwise.arithmetic import cast
from lamina.ops.halves import widened
from lamina.ops.indices.gathering import GatherAdd
from lamina.ops.registry import OUT, Op, Value, define
from lamina.ops.shapes.copying import concat
from lamina.ops.shapes.movement import flip

_LANES = 32


class Running(NamedTuple):
    """The extreme so far at each place, and where it was met."""

    values: Value
    indices: Value


@define
@final
@dataclass(frozen=True, slots=True)
class CumulativeSum(Op):
    """out[i] = Σ x[j], j ≤ i, along the axis."""

    name = "cumsum"
    saves = ()
    axis: int

    def infer(self, *inputs: Spec) -> Spec:
        return inputs[0]

    def ref(self, *inputs: NDArray) -> NDArray:
        return _accumulated(np.add, widened(inputs[0]), self.axis)

    def vjp(self, grad: Value, out: Value, *inputs: Value) -> tuple[Any, ...]:
        return (flip(self(flip(grad, self.axis)), self.axis),)


@define
@final
@dataclass(frozen=True, slots=True)
class CumulativeProduct(Op):
    """out[i] = Π x[j], j ≤ i, along the axis.

    Derivative: x̄[i] = Π_{j<i} x[j] · s[i] with s[i] = ḡ[i] + x[i+1]·s[i+1]. It does not divide, so
    zeros are no exception.
    """

    name = "cumprod"
    axis: int

    def infer(self, *inputs: Spec) -> Spec:
        return inputs[0]

    def ref(self, *inputs: NDArray) -> NDArray:
        return _accumulated(np.multiply, widened(inputs[0]), self.axis)

    def vjp(self, grad: Value, out: Value, *inputs: Value) -> tuple[Any, ...]:
        (x,) = inputs
        axis = self.axis
        next_factor = flip(_moved_up(flip(x, axis), axis, 0), axis)
        return (_moved_up(self(x), axis, 1) * _run_back(next_factor, grad, axis),)


@define
@final
@dataclass(frozen=True, slots=True)
class Recurrence(Op):
    """s[i] = a[i]·s[i−1] + b[i] along the axis, s[−1] being 0. Takes one numpy step a place.

    Derivative: r[i] = ḡ[i] + a[i+1]·r[i+1] is that of b[i]; that of a[i] is r[i]·s[i−1].
    """

    name = "recurrence"
    promotion = "common"
    saves = (0, OUT)
    axis: int

    def infer(self, *inputs: Spec) -> Spec:
        a, b = inputs
        if a.shape != b.shape:
            raise ShapeError(f"recurrence: shapes {a.shape} and {b.shape} given; expected one")
        return a

    def ref(self, *inputs: NDArray) -> NDArray:
        a, b = (np.moveaxis(widened(x), self.axis, 0) for x in inputs)
        out = np.array(b)
        for place in range(1, len(out)):
            out[place] += a[place] * out[place - 1]
        return np.moveaxis(out, 0, self.axis)

    def vjp(self, grad: Value, out: Value, *inputs: Value) -> tuple[Any, ...]:
        axis = self.axis
        a = inputs[0]
        back = _run_back(flip(_moved_up(flip(a, axis), axis, 0), axis), grad, axis)
        return (lambda: back * _moved_up(out, axis, 0), back)


@define
@final
@dataclass(frozen=True, slots=True)
class CumulativeExtreme(Op):
    """The greatest or least element so far and its place: the last of equals; NaN once met."""

    name = "cumextreme"
    saves = (OUT,)
    axis: int
    kind: Literal["max", "min"]

    def infer(self, *inputs: Spec) -> tuple[Spec, Spec]:
        (x,) = inputs
        if x.dtype.is_complex:
            raise DTypeError(f"cum{self.kind}: {x.dtype.name} given, expected numbers in an order")
        return x, Spec(x.shape, dtypes.int64)

    def ref(self, *inputs: NDArray) -> tuple[NDArray, NDArray]:
        (x,) = inputs
        fold = np.maximum if self.kind == "max" else np.minimum
        values = _accumulated(fold, x, self.axis)
        column = (-1, *(1,) * (x.ndim - self.axis - 1))
        places = np.arange(x.shape[self.axis]).reshape(column)
        met = np.where((x == values) | (x != x), places, 0)
        return values, _accumulated(np.maximum, met, self.axis)

    def vjp(self, grad: Value, out: Value, *inputs: Value) -> tuple[Any, ...]:
        return (GatherAdd(self.axis, inputs[0].shape)(grad[0], out[1]),)


def _accumulated(fold: np.ufunc, x: NDArray, axis: int) -> NDArray:
    """Return what `fold` has made of the elements so far, at each place of the axis."""
    behind = prod(x.shape[axis + 1 :])
    if behind < _LANES:
        return fold.accumulate(x, axis=axis, dtype=x.dtype, out=scratch(x.shape, x.dtype))
    # numpy goes down each lane alone, a cache line for every element.
    out = scratch_copy(x)
    lanes = np.moveaxis(out, axis, 0)
    for place in range(1, len(lanes)):
        fold(lanes[place - 1], lanes[place], out=lanes[place])
    return out


def _moved_up(x: Value, axis: int, first: float) -> Value:
    """Return `x` with each place of the axis moved up by one, `first` coming in at the start."""
    size = x.shape[axis]
    if size == 0:
        return x
    before = (slice(None),) * axis
    start = x.new_full((*x.shape[:axis], 1, *x.shape[axis + 1 :]), first)
    return concat([start, x[(*before, slice(0, size - 1))]], axis)


def _run_back(a: Value, b: Value, axis: int) -> Value:
    """Return r[i] = b[i] + a[i]·r[i+1]."""
    return flip(Recurrence(axis)(flip(a, axis), flip(b, axis)), axis)


def products_beside(x: Value) -> Value:
    """Return, for each place of the last axis, the product of all the others."""
    axis = len(x.shape) - 1
    product = CumulativeProduct(axis)
    before = _moved_up(product(x), axis, 1)
    behind = flip(_moved_up(product(flip(x, axis)), axis, 1), axis)
    return before * behind


def accumulated_dtype(given: DType) -> DType:
    """Return the dtype that sums and products of `given` have: (u)int64 for whole numbers."""
    if given.kind in ("float", "complex"):
        return given
    return dtypes.uint64 if given.kind == "unsigned" else dtypes.int64


def cumsum(x: Value, axis: int, *, dtype: DType | None = None) -> Value:
    """Return the running sum of `x` along `axis`; of integers and bools in (u)int64.

    >>> import lamina
    >>> cumsum(lamina.tensor([1, 2, 3]), 0)
    Tensor([1, 3, 6])
    """
    return CumulativeSum(_axis_of(x, axis))(cast(x, dtype or accumulated_dtype(x.dtype)))


def cumprod(x: Value, axis: int, *, dtype: DType | None = None) -> Value:
    """Return the running product of `x` along `axis`; of integers and bools in (u)int64."""
    return CumulativeProduct(_axis_of(x, axis))(cast(x, dtype or accumulated_dtype(x.dtype)))


def cummax(x: Value, axis: int) -> Running:
    """Return the greatest element so far along `axis`, and its place (the last of equals)."""
    return Running(*CumulativeExtreme(_axis_of(x, axis), "max")(x))


def cummin(x: Value, axis: int) -> Running:
    """Return the least element so far along `axis`, and its place (the last of equals)."""
    return Running(*CumulativeExtreme(_axis_of(x, axis), "min")(x))


def _axis_of(x: Value, axis: int) -> int:
    if not x.shape:
        raise ShapeError("a running sum of a 0-d tensor was asked for; it has no axis")
    return normalize_axis(axis, len(x.shape))

"""Sorting along an axis, and what an order makes quick: top k, search, distinct values.

Equal elements keep their order, descending too; NaN counts as greater than everything.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple, final

import numpy as np

from lamina import dtypes
from lamina.errors import ArgumentError, DTypeError, ShapeError
from lamina.layout import normalize_axis
from lamina.memory import Array, Spec, settled
from lamina.memory.array import NDArray, scratch
from lamina.ops.elementwise.arithmetic import isnan, where
from lamina.ops.halves import widened
from lamina.ops.indices.gathering import Gather
from lamina.ops.registry import Arrays, Op, Value, by_reference, define
from lamina.ops.shapes.movement import squeeze

_INDEX_BITS = np.uint64(32)
_INDEX_MASK = np.uint64(0xFFFF_FFFF)


class Found(NamedTuple):
    """Elements and where they were along the axis."""

    values: Value
    indices: Value


class Distinct(NamedTuple):
    """Distinct values in order, the first place of each, each element's value, and the counts."""

    values: Value
    indices: Value
    inverse: Value
    counts: Value


def _check_order(op: Op, x: Spec) -> None:
    if x.dtype.is_complex:
        raise DTypeError(f"{op.name}: {x.dtype.name} given, expected numbers in an order")


@define
@final
@dataclass(frozen=True, slots=True)
class ArgSort(Op):
    """The places of the elements along the axis, in sorted order."""

    name = "argsort"
    differentiable = False
    axis: int
    descending: bool = False

    def infer(self, *inputs: Spec) -> Spec:
        (x,) = inputs
        _check_order(self, x)
        return Spec(x.shape, dtypes.int64)

    def ref(self, *inputs: NDArray) -> NDArray:
        x = np.moveaxis(widened(inputs[0]), self.axis, -1)
        keys = _keys(x, descending=self.descending)
        order = _stable_order(x, self.descending) if keys is None else _places(np.sort(keys))
        return np.moveaxis(order, -1, self.axis)


@define
@final
@dataclass(frozen=True, slots=True)
class TopPlaces(Op):
    """The places of the k greatest (or least) elements along the axis, in sorted order."""

    name = "topk"
    differentiable = False
    count: int
    axis: int
    largest: bool = True

    def infer(self, *inputs: Spec) -> Spec:
        (x,) = inputs
        _check_order(self, x)
        size = x.shape[self.axis]
        if not 0 <= self.count <= size:
            raise ShapeError(
                f"topk: {self.count} elements asked of axis {self.axis}, of size {size}"
            )
        shape = (*x.shape[: self.axis], self.count, *x.shape[self.axis + 1 :])
        return Spec(shape, dtypes.int64)

    def ref(self, *inputs: NDArray) -> NDArray:
        x = np.moveaxis(widened(inputs[0]), self.axis, -1)
        keys = _keys(x, descending=self.largest)
        if keys is None:
            order = _stable_order(x, self.largest)[..., : self.count]
        else:
            if 0 < self.count < x.shape[-1]:
                keys = np.partition(keys, self.count - 1)
            order = _places(np.sort(keys[..., : self.count]))
        return np.moveaxis(order, -1, self.axis)


def _keys(x: NDArray, *, descending: bool) -> NDArray | None:
    """Return whole numbers in the order of `x` along the last axis, each with its place below.

    No two are equal, so that any sort of them is stable; numpy sorts them with vector instructions.
    None for elements of 64 bits.
    """
    bits = _ordered_bits(x)
    if bits is None:
        return None
    if descending:
        bits = _INDEX_MASK - bits
    return (bits << _INDEX_BITS) | np.arange(x.shape[-1], dtype=np.uint64)


def _ordered_bits(x: NDArray) -> NDArray | None:
    """Return whole numbers below 2³² in the order of `x`."""
    match x.dtype.kind, x.dtype.itemsize:
        case "f", 4:
            # Adding 0 makes −0 the equal of 0, as it compares.
            held = np.where(x != x, np.float32(np.nan), x + np.float32(0)).view(np.int32)
            return ((held >> 31 | np.int32(-(2**31))) ^ held).view(np.uint32).astype(np.uint64)
        case "i", 1 | 2 | 4:
            return (x.astype(np.int64) + 2**31).view(np.uint64)
        case "u" | "b", 1 | 2 | 4:
            return x.astype(np.uint64)
        case _:
            return None


def _places(keys: NDArray) -> NDArray:
    out = scratch(keys.shape, np.int64)
    np.bitwise_and(keys, _INDEX_MASK, out=out.view(np.uint64))
    return out


def _stable_order(x: NDArray, descending: bool) -> NDArray:
    if not descending:
        return np.argsort(x, axis=-1, kind="stable")
    return x.shape[-1] - 1 - np.flip(np.argsort(np.flip(x, -1), axis=-1, kind="stable"), -1)


@define
@final
@dataclass(frozen=True, slots=True)
class SearchSorted(Op):
    """The places in ascending rows, (…, n) or (n,), before or behind which values belong."""

    name = "searchsorted"
    differentiable = False
    promotion = "common"
    side: Literal["left", "right"] = "left"

    def infer(self, *inputs: Spec) -> Spec:
        rows, values = inputs
        _check_order(self, rows)
        if not rows.shape or (len(rows.shape) > 1 and rows.shape[:-1] != values.shape[:-1]):
            raise ShapeError(
                f"searchsorted: sorted shape {rows.shape} and values of shape {values.shape} "
                "given; expected one sorted row, or a row of values for each sorted row"
            )
        return Spec(values.shape, dtypes.int64)

    def ref(self, *inputs: NDArray) -> NDArray:
        rows, values = map(widened, inputs)
        if rows.ndim == 1:
            return np.searchsorted(rows, values, self.side)
        out = scratch(values.shape, np.int64)
        for row in np.ndindex(*rows.shape[:-1]):
            out[row] = np.searchsorted(rows[row], values[row], self.side)
        return out


@define
@final
@dataclass(frozen=True, slots=True)
class Unique(Op):
    """Distinct values of all elements, ascending; first places, inverse and counts. NaNs differ."""

    name = "unique"
    differentiable = False

    def infer(self, *inputs: Spec) -> Spec:
        raise ShapeError(
            "unique: how many distinct values there are depends on the elements, so its shape is "
            "not known before it runs; use sort() where a fixed shape is needed"
        )

    def ref(self, *inputs: NDArray) -> tuple[NDArray, ...]:
        (x,) = inputs
        return np.unique(
            x, return_index=True, return_inverse=True, return_counts=True, equal_nan=False
        )

    def run(self, *inputs: Array) -> Arrays:
        return tuple(settled(np.asarray(part)) for part in by_reference(self, inputs))


def argsort(x: Value, axis: int = -1, *, descending: bool = False) -> Value:
    """Return the places of the elements of `x` along `axis` in sorted order; equals keep theirs.

    >>> import lamina
    >>> argsort(lamina.tensor([2.0, 3.0, 2.0]), descending=True)
    Tensor([1, 0, 2])
    """
    if not x.shape:
        return x.new_zeros((), dtype=dtypes.int64)
    return ArgSort(normalize_axis(axis, len(x.shape)), descending)(x)


def sort(x: Value, axis: int = -1, *, descending: bool = False) -> Value:
    """Return the elements of `x` along `axis` in sorted order."""
    return sorted_with_places(x, axis, descending=descending).values


def sorted_with_places(x: Value, axis: int = -1, *, descending: bool = False) -> Found:
    """Return the elements of `x` along `axis` in sorted order, and where they were."""
    places = argsort(x, axis, descending=descending)
    return Found(_at(x, axis, places), places)


def topk(x: Value, k: int, axis: int = -1, *, largest: bool = True, sorted: bool = True) -> Found:
    """Return the `k` greatest (or least) elements along `axis` and where they were.

    They are in sorted order whether `sorted` is asked or not; of equals the first count.

    >>> import lamina
    >>> topk(lamina.tensor([1.0, 3.0, 2.0]), 2).values
    Tensor([3., 2.])
    """
    if not x.shape:
        raise ShapeError("topk: a 0-d tensor was given; it has no axis to choose along")
    places = TopPlaces(k, normalize_axis(axis, len(x.shape)), largest)(x)
    return Found(_at(x, axis, places), places)


def kth_value(x: Value, k: int, axis: int = -1, keepdims: bool = False) -> Found:
    """Return the k-th least element along `axis`, counted from 1, and where it is."""
    size = x.shape[axis] if x.shape else 1
    if not 1 <= k <= size:
        raise ArgumentError(f"kth_value: k = {k} given, expected 1 to {size}")
    place = _cut(argsort(x, axis), axis, k - 1)
    return _dropped(Found(_at(x, axis, place), place), axis, keepdims)


def median_along(x: Value, axis: int = -1, keepdims: bool = False) -> Found:
    """Return the middle element along `axis`, of an even number the lower, and where it is.

    NaN where there is one.
    """
    size = x.shape[axis] if x.shape else 1
    if size == 0:
        raise ShapeError(f"median: {tuple(x.shape)} has no elements along axis {axis}")
    order = argsort(x, axis)
    place, last = _cut(order, axis, (size - 1) // 2), _cut(order, axis, size - 1)
    # NaNs are sorted to the end.
    if x.dtype.is_floating_point:
        place = where(isnan(_at(x, axis, last)), last, place)
    return _dropped(Found(_at(x, axis, place), place), axis, keepdims)


def median(x: Value) -> Value:
    """Return the middle element of all, of an even number the lower; NaN where there is one."""
    return median_along(x.reshape((-1,)), 0).values


def _at(x: Value, axis: int, places: Value) -> Value:
    return Gather(normalize_axis(axis, len(x.shape)))(x, places) if x.shape else x


def _cut(x: Value, axis: int, place: int) -> Value:
    if not x.shape:
        return x
    before = (slice(None),) * normalize_axis(axis, len(x.shape))
    return x[(*before, slice(place, place + 1))]


def _dropped(found: Found, axis: int, keepdims: bool) -> Found:
    if keepdims or not found.values.shape:
        return found
    return Found(squeeze(found.values, axis), squeeze(found.indices, axis))


def searchsorted(rows: Value, values: Value, *, side: Literal["left", "right"] = "left") -> Value:
    """Return the places where `values` would keep the ascending `rows` in order.

    Beside equal elements the "left" place is before them and the "right" one behind. `rows` is (n,)
    for any values, or (…, n) for values (…, m). ArgumentError for another side.
    """
    if side not in ("left", "right"):
        raise ArgumentError(f"searchsorted: side {side!r} given, expected 'left' or 'right'")
    return SearchSorted(side)(rows, values)


def unique_all(x: Value) -> Distinct:
    """Return the distinct values of `x`, the first place of each, each element's, and the counts.

    The values ascend; every NaN is distinct from every other.
    """
    return Distinct(*Unique()(x))


def unique_counts(x: Value) -> tuple[Value, Value]:
    """Return the distinct values of `x` and how often each occurs."""
    every = unique_all(x)
    return every.values, every.counts


def unique_inverse(x: Value) -> tuple[Value, Value]:
    """Return the distinct values of `x`, and for each element the place of its value."""
    every = unique_all(x)
    return every.values, every.inverse


def unique_values(x: Value) -> Value:
    """Return the distinct values of `x`, ascending."""
    return unique_all(x).values

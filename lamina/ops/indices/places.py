"""Reading from places of an array and writing to them, in numpy.

Places are integer arrays. Those for several axes broadcast together and are joined into one flat
place each. Sums run in the order of the places, so they have the same bits every time.
"""

import math
from collections.abc import Sequence

import numpy as np

from lamina.codegen.target import compiles_here
from lamina.errors import IndexingError
from lamina.kernels.gather import add_rows, read_rows
from lamina.kernels.scalars import SCALARS
from lamina.layout import Shape
from lamina.memory.array import NDArray
from lamina.ops.halves import widened

Axes = tuple[int, ...]
_WORDS = (1, 2, 4, 8)

# Up to this many rows for one place are added in turns for all places, more of them by place.
_LONG = 8


def counted(places: NDArray, axis: int, size: int) -> NDArray:
    """Return `places` along an axis counted from the front; IndexingError names one outside."""
    if not places.size:
        return places.astype(np.intp)
    low, high = int(places.min()), int(places.max())
    if low < -size or high >= size:
        spot = tuple(np.argwhere((places < -size) | (places >= size))[0].tolist())
        at = f", at {spot} of the index array," if spot else ""
        raise IndexingError(f"index {places[spot]}{at} is outside axis {axis}, of size {size}")
    whole = places.astype(np.intp, copy=False)
    return np.where(whole < 0, whole + size, whole) if low < 0 else whole


def joined(places: Sequence[NDArray], axes: Axes, shape: Shape) -> NDArray:
    """Return where `places` along `axes` lie in the product of those axes."""
    total = counted(places[0], axes[0], shape[axes[0]])
    for where, axis in zip(places[1:], axes[1:], strict=True):
        total = total * shape[axis] + counted(where, axis, shape[axis])
    return total


def read(out: NDArray, x: NDArray, axes: Axes, place: int, places: Sequence[NDArray]) -> None:
    """Write to `out` what `x` holds at `places` along `axes`, their axes standing at `place`."""
    where = joined(places, axes, x.shape)
    if not out.size:
        return
    if x.flags.c_contiguous and _is_run(axes):
        first = axes[0]
        merged = x.reshape(*x.shape[:first], -1, *x.shape[axes[-1] + 1 :]) if axes[1:] else x
        target = _block_moved(out, where.ndim, place, first)
        if target.flags.c_contiguous and compiles_here() and x.itemsize in _WORDS:
            _read_rows(target, merged, where, first)
            return
        # The places were checked; "wrap" spares numpy its own check and a buffer.
        np.take(merged, where, first, out=target, mode="wrap")
        return
    found = _in_front(x, axes)[_apart(where, axes, x.shape)]
    _block_moved(out, where.ndim, place, 0)[...] = found


def put(out: NDArray, values: NDArray, axes: Axes, place: int, places: Sequence[NDArray]) -> None:
    """Write `values` to `places` of `out`; of several for one place the last stays."""
    where = joined(places, axes, out.shape)
    if not values.size:
        return
    rows = _block_moved(values, where.ndim, place, 0)
    # One axis of places: numpy goes through more than one in an order of its own.
    rows = rows.reshape(where.size, *rows.shape[where.ndim :])
    _in_front(out, axes)[_apart(where.reshape(-1), axes, out.shape)] = rows


def add(out: NDArray, values: NDArray, axes: Axes, place: int, places: Sequence[NDArray]) -> None:
    """Write to `out` the sum of the `values` for each place, in order; 0 where there are none."""
    where = joined(places, axes, out.shape).reshape(-1)
    target = _in_front(out, axes)
    sizes, rest = target.shape[: len(axes)], target.shape[len(axes) :]
    block = values.ndim - len(rest)
    rows = _block_moved(values, block, place, 0).reshape(where.size, math.prod(rest))
    if values.dtype.name in SCALARS and compiles_here() and out.size and where.size:
        sums = target if target.flags.c_contiguous else np.empty(target.shape, out.dtype)
        _add_rows(sums, rows, where)
        if sums is not target:
            target[...] = sums
        return
    out[...] = 0
    if rows.shape[1] == 1:
        target[...] = added(math.prod(sizes), where, rows.reshape(-1)).reshape(target.shape)
    elif rows.size:
        groups, sums = _grouped_sums(math.prod(sizes), where, widened(rows))
        target[_apart(groups, axes, out.shape)] = sums.reshape(-1, *rest)


def added(size: int, where: NDArray, values: NDArray) -> NDArray:
    """Return `size` sums, the i-th of the `values` whose `where` is i, in their order."""
    wide = widened(values)
    if wide.dtype.name in SCALARS and compiles_here() and size and where.size:
        found = np.empty(size, wide.dtype)
        _add_rows(found, wide.reshape(-1, 1), where.reshape(-1))
        return found
    sums = np.zeros(size, wide.dtype)
    np.add.at(sums, where, wide)
    return sums


def _read_rows(out: NDArray, x: NDArray, where: NDArray, axis: int) -> None:
    """Copy to `out` what `x` holds at checked places along one axis; both lie in C order."""
    places = np.ascontiguousarray(where, np.int64)
    width = math.prod(x.shape[axis + 1 :])
    shape = (math.prod(x.shape[:axis]), x.shape[axis], places.size, width)
    addresses = (array.ctypes.data for array in (out, x, places))
    read_rows(*addresses, shape=shape, itemsize=x.itemsize)


def _add_rows(out: NDArray, rows: NDArray, where: NDArray) -> None:
    """Write to `out`, in C order, the sums of the rows for each of its checked places."""
    values, places = np.ascontiguousarray(rows), np.ascontiguousarray(where, np.int64)
    count, width = values.shape
    shape = (out.size // max(width, 1), count, width)
    addresses = (array.ctypes.data for array in (out, values, places))
    add_rows(*addresses, shape=shape, dtype=values.dtype.name)


def _grouped_sums(size: int, where: NDArray, rows: NDArray) -> tuple[NDArray, NDArray]:
    """Return the places below `size` that occur, and the sum of the rows for each in order."""
    # numpy sorts 16-bit integers by radix, others by comparison.
    keys = where.astype(np.uint16) if size <= 1 << 16 else where
    order = np.argsort(keys, kind="stable")
    ordered = where[order]
    starts = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1])))
    counts = np.diff(starts, append=order.size)
    sums = rows.take(order[starts], 0)
    for turn in range(1, _LONG):
        group = np.flatnonzero((counts > turn) & (counts <= _LONG))
        if not group.size:
            break
        sums[group] += rows.take(order[starts[group] + turn], 0)
    for long in np.flatnonzero(counts > _LONG):
        part = order[starts[long] : starts[long] + counts[long]]
        np.add.reduce(rows.take(part, 0), axis=0, out=sums[long])
    return ordered[starts], sums


def is_last(where: NDArray, size: int) -> NDArray:
    """Return for each flat place below `size` whether none after it, in C order, is the same."""
    number = np.arange(where.size)
    latest = np.empty(size, np.intp)
    latest[where.reshape(-1)] = number
    return (latest[where.reshape(-1)] == number).reshape(where.shape)


def keep_last(
    out: NDArray, place: int, axes: Axes, shape: Shape, places: Sequence[NDArray]
) -> None:
    """Put 0 in `out`, read from an array of `shape`, where a later place is the same."""
    where = joined(places, axes, shape)
    size = math.prod(shape[a] for a in axes)
    _block_moved(out, where.ndim, place, 0)[~is_last(where, size)] = 0


def along(index: NDArray, axis: int, shape: Shape) -> NDArray:
    """Return flat places in an array of `shape`: `index` along `axis`, their own elsewhere."""
    steps = [math.prod(shape[a + 1 :]) for a in range(len(shape))]
    where: NDArray = counted(index, axis, shape[axis]) * steps[axis]
    for other, count in enumerate(index.shape):
        if other != axis and count > 1:
            apart = (count,) + (1,) * (len(shape) - other - 1)
            where += (np.arange(count) * steps[other]).reshape(apart)
    return where


def read_along(out: NDArray, x: NDArray, axis: int, index: NDArray) -> None:
    """Write to `out` what `x` holds at `index` along `axis`, the other places being its own."""
    spots = along(index, axis, x.shape)
    if x.flags.c_contiguous and spots.size:
        np.take(x.reshape(-1), spots.reshape(out.shape), out=out, mode="wrap")
    elif spots.size:
        out[...] = x[np.unravel_index(spots.reshape(out.shape), x.shape)]


def _is_run(axes: Axes) -> bool:
    return axes == tuple(range(axes[0], axes[0] + len(axes)))


def _in_front(array: NDArray, axes: Axes) -> NDArray:
    """Return a view of `array` with `axes` first."""
    return array if axes == tuple(range(len(axes))) else np.moveaxis(array, axes, range(len(axes)))


def _block_moved(array: NDArray, count: int, source: int, target: int) -> NDArray:
    """Return a view with the `count` axes that stand at `source` standing at `target`."""
    if source == target or not count:
        return array
    return np.moveaxis(array, range(source, source + count), range(target, target + count))


def _apart(where: NDArray, axes: Axes, shape: Shape) -> tuple[NDArray, ...]:
    """Return flat places in the product of `axes` as places along each."""
    if len(axes) == 1:
        return (where,)
    return np.unravel_index(where, [shape[a] for a in axes])

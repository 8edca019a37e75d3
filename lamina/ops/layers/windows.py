"""Windows that slide over the last axes: their greatest, their sum, and where it came from."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from math import prod
from typing import Any, final

import numpy as np

from lamina import dtypes
from lamina.errors import DTypeError, ShapeError
from lamina.kernels.pool import Pooling, pooling, three_axes
from lamina.kernels.pool_planes import Along
from lamina.layout import Shape
from lamina.memory import Array, Spec
from lamina.memory.array import NDArray, scratch, scratch_full
from lamina.ops.halves import in_float32, is_half, wide_dtype, widened
from lamina.ops.layers.spatial import inside
from lamina.ops.registry import OUT, Kernel, Op, Value, define, in_c_order


@dataclass(frozen=True, slots=True)
class Window:
    """Windows along one axis: window p covers places p·stride + k·dilation − padding, k < size."""

    size: int
    stride: int
    padding: int
    dilation: int
    count: int

    def parts(self, length: int) -> Iterator[tuple[int, slice, slice]]:
        """Yield each k with the windows whose place k is inside the axis, and those places."""
        for k in range(self.size):
            start = k * self.dilation - self.padding
            first, last = inside(start, self.stride, self.count, length)
            if last > first:
                begin, end = start + first * self.stride, start + (last - 1) * self.stride + 1
                yield k, slice(first, last), slice(begin, end, self.stride)

    def all_reach(self, length: int) -> bool:
        """Return whether every window has a place inside an axis of `length`."""
        reached: set[int] = set()
        for _, windows, _ in self.parts(length):
            reached.update(range(windows.start, windows.stop))
        return len(reached) == self.count


Windows = tuple[Window, ...]
Divisors = tuple[tuple[float, ...], ...]
_BLOCK_BYTES = 1 << 19


def _pooled_spec(op: Op, windows: Windows, x: Spec) -> Spec:
    if x.dtype.kind in ("bool", "complex"):
        raise DTypeError(f"{op.name}: {x.dtype.name} given, expected real numbers")
    if len(x.shape) < len(windows):
        raise ShapeError(f"{op.name}: {x.shape} given, expected at least {len(windows)} axes")
    return Spec((*x.shape[: len(x.shape) - len(windows)], *(w.count for w in windows)), x.dtype)


@define
@final
@dataclass(frozen=True, slots=True)
class MaxPool(Op):
    """The greatest of each window over the last axes; NaN where a window holds one.

    The gradient goes to the first of equal elements, in row-major order.
    """

    name = "max_pool"
    saves = (0, OUT)
    windows: Windows

    def infer(self, *inputs: Spec) -> Spec:
        return _pooled_spec(self, self.windows, inputs[0])

    def ref(self, *inputs: NDArray) -> NDArray:
        (x,) = inputs
        for axis, window in enumerate(self.windows, x.ndim - len(self.windows)):
            x = _fold(x, axis, window, np.maximum, _lowest(x.dtype))
        return x

    def lower(self, *inputs: Spec) -> Kernel | None:
        call = _native("max", self.windows, _spatial(inputs[0], self.windows), inputs[0])
        return None if call is None else lambda out, x: call.run(in_c_order(x), out)

    def vjp(self, grad: Value, out: Value, *inputs: Value) -> tuple[Any, ...]:
        (x,) = inputs
        spatial = x.shape[len(x.shape) - len(self.windows) :]
        return (WindowPut(self.windows, spatial)(grad, WindowPlaces(self.windows)(x, out)),)


@define
@final
@dataclass(frozen=True, slots=True)
class WindowPlaces(Op):
    """The first place of each window, numbered in row-major order, that holds its greatest."""

    name = "window_places"
    differentiable = False
    windows: Windows

    def infer(self, *inputs: Spec) -> Spec:
        spec = _pooled_spec(self, self.windows, inputs[0])
        return Spec(spec.shape, dtypes.from_numpy(np.dtype(_number_type(self.windows))))

    def ref(self, *inputs: NDArray) -> NDArray:
        x, greatest = inputs
        count = len(self.windows)
        planes, wanted = as_planes(x, count), as_planes(greatest, count)
        places = scratch(wanted.shape, _number_type(self.windows))
        for block in _blocks(planes):
            self._find(planes[block], wanted[block], places[block])
        return places.reshape(greatest.shape)

    def lower(self, *inputs: Spec) -> Kernel | None:
        number = np.dtype(_number_type(self.windows)).name
        spatial = _spatial(inputs[0], self.windows)
        call = _native("places", self.windows, spatial, inputs[0], number=number)
        if call is None:
            return None
        return lambda out, x, greatest: call.run(in_c_order(x), in_c_order(greatest), out)

    def _find(self, x: NDArray, greatest: NDArray, places: NDArray) -> None:
        last = prod(w.size for w in self.windows) - 1
        places[...] = 0
        has_nan = bool((greatest != greatest).any())
        # The earlier the place the greater its mark, so that the first of equals stays.
        for number, to, of in _offsets(self.windows, x.shape):
            part, wanted = x[of], greatest[to]
            hit = part == wanted
            if has_nan:
                hit |= (part != part) & (wanted != wanted)
            marked, mark = places[to], places.dtype.type(last - number)
            np.maximum(marked, hit.view(np.uint8) * mark, out=marked)
        np.subtract(last, places, out=places)


@define
@final
@dataclass(frozen=True, slots=True)
class WindowPut(Op):
    """Zeros with each element of the first input added at the place that the second names."""

    name = "window_put"
    saves = (1,)
    windows: Windows
    spatial: Shape

    def infer(self, *inputs: Spec) -> Spec:
        values, _ = inputs
        lead = values.shape[: len(values.shape) - len(self.windows)]
        return Spec((*lead, *self.spatial), values.dtype)

    def ref(self, *inputs: NDArray) -> NDArray:
        values, places = inputs
        count = len(self.windows)
        wide, chosen = as_planes(widened(values), count), as_planes(places, count)
        out = scratch_full((len(wide), *self.spatial), wide.dtype, 0)
        for block in _blocks(out):
            index = _flat_index(self.windows, self.spatial, chosen[block])
            np.add.at(out[block].reshape(-1), index, wide[block].reshape(-1))
        return out.reshape((*values.shape[: values.ndim - count], *self.spatial))

    def lower(self, *inputs: Spec) -> Kernel | None:
        values, places = inputs
        wide = Spec(values.shape, wide_dtype(values.dtype))
        number = places.dtype.name
        call = _native("put", self.windows, self.spatial, wide, number=number)
        if call is None:
            return None

        def put(out: Array, values: Array, places: Array) -> None:
            call.run(out, in_c_order(values), in_c_order(places))

        return in_float32(put) if is_half(values.dtype) else put

    def vjp(self, grad: Value, out: Value, *inputs: Value) -> tuple[Any, ...]:
        return (WindowTake(self.windows)(grad, inputs[1]), None)


@define
@final
@dataclass(frozen=True, slots=True)
class WindowTake(Op):
    """The element of each window at the place that the second input names."""

    name = "window_take"
    saves = (1,)
    windows: Windows

    def infer(self, *inputs: Spec) -> Spec:
        x, places = inputs
        return Spec(places.shape, x.dtype)

    def ref(self, *inputs: NDArray) -> NDArray:
        x, places = inputs
        count = len(self.windows)
        planes, chosen = as_planes(x, count), as_planes(places, count)
        out = scratch(chosen.shape, x.dtype)
        for block in _blocks(planes):
            index = _flat_index(self.windows, planes.shape[1:], chosen[block])
            out[block] = np.take(planes[block], index).reshape(chosen[block].shape)
        return out.reshape(places.shape)

    def lower(self, *inputs: Spec) -> Kernel | None:
        x, places = inputs
        number = places.dtype.name
        call = _native("take", self.windows, _spatial(x, self.windows), x, number=number)
        if call is None:
            return None
        return lambda out, x, places: call.run(in_c_order(x), out, in_c_order(places))

    def vjp(self, grad: Value, out: Value, *inputs: Value) -> tuple[Any, ...]:
        x, places = inputs
        spatial = x.shape[len(x.shape) - len(self.windows) :]
        return (WindowPut(self.windows, spatial)(grad, places), None)


@define
@final
@dataclass(frozen=True, slots=True)
class AvgPool(Op):
    """The sum of each window over the last axes, of sizes `spatial`, divided; or the transpose.

    The divisor is `divisor` if that is not 0, else the number of places of the window, padding
    counted or not.
    """

    name = "avg_pool"
    saves = ()
    windows: Windows
    spatial: Shape
    counts_padding: bool = True
    divisor: int = 0
    transposed: bool = False

    def infer(self, *inputs: Spec) -> Spec:
        (x,) = inputs
        if x.dtype.kind != "float":
            raise DTypeError(f"avg_pool: {x.dtype.name} given, expected a float; convert it first")
        spec = _pooled_spec(self, self.windows, x)
        if not self.transposed:
            return spec
        return Spec((*x.shape[: len(x.shape) - len(self.windows)], *self.spatial), x.dtype)

    def ref(self, *inputs: NDArray) -> NDArray:
        x = widened(inputs[0])
        axes = list(enumerate(self.windows, x.ndim - len(self.windows)))
        if self.transposed:
            x = x / self._divisors(x.dtype)
            for axis, window in reversed(axes):
                x = _unfold(x, axis, window, self.spatial[axis - x.ndim])
            return x
        for axis, window in axes:
            x = _fold(x, axis, window, np.add, 0)
        return np.divide(x, self._divisors(x.dtype), out=x)

    def _divisors(self, dtype: np.dtype[Any]) -> Any:
        if self.divisor:
            return dtype.type(self.divisor)
        total: Any = np.ones((), dtype)
        for window, length in zip(self.windows, self.spatial, strict=True):
            total = total[..., None] * _covered(window, length, self.counts_padding).astype(dtype)
        return total.flat[0] if total.size and (total == total.flat[0]).all() else total

    def lower(self, *inputs: Spec) -> Kernel | None:
        (x,) = inputs
        divisors = self._divisors_each()
        if not self.transposed:
            call = _native("mean", self.windows, self.spatial, x, divisors=divisors)
            return None if call is None else lambda out, x: call.run(in_c_order(x), out)
        wide = Spec(x.shape, wide_dtype(x.dtype))
        back = _native("spread", self.windows, self.spatial, wide, divisors=divisors)
        if back is None:
            return None

        def spread(out: Array, grad: Array) -> None:
            back.run(out, in_c_order(grad))

        return in_float32(spread) if is_half(x.dtype) else spread

    def _divisors_each(self) -> Divisors:
        """Return for each axis a number for each window, whose products are the divisors."""
        if self.divisor:
            last = (float(self.divisor),) * self.windows[-1].count
            return (*((1.0,) * w.count for w in self.windows[:-1]), last)
        return tuple(
            tuple(map(float, _covered(window, length, self.counts_padding).tolist()))
            for window, length in zip(self.windows, self.spatial, strict=True)
        )

    def vjp(self, grad: Value, out: Value, *inputs: Value) -> tuple[Any, ...]:
        return (replace(self, transposed=not self.transposed)(grad),)


def _spatial(x: Spec, windows: Windows) -> Shape:
    return x.shape[len(x.shape) - len(windows) :]


def _native(
    kind: str,
    windows: Windows,
    spatial: Shape,
    x: Spec,
    *,
    number: str = "uint8",
    divisors: Divisors = (),
) -> Pooling | None:
    """Return the native call for operands like `x`; None where there is nothing to do."""
    planes = prod(x.shape[: len(x.shape) - len(windows)])
    if planes == 0 or 0 in spatial or any(w.count == 0 for w in windows):
        return None
    axes = three_axes(
        [
            Along(n, w.count, w.size, w.stride, w.padding, w.dilation)
            for n, w in zip(spatial, windows, strict=True)
        ]
    )
    missing = ((1.0,),) * (3 - len(windows)) if divisors else ()
    return pooling(kind, x.dtype.name, number, planes, axes, (*missing, *divisors))


def as_planes(x: NDArray, count: int) -> NDArray:
    """Return `x` with all axes but the last `count` made one."""
    return x.reshape(prod(x.shape[: x.ndim - count]), *x.shape[x.ndim - count :])


def _blocks(planes: NDArray) -> Iterator[slice]:
    """Yield parts of the first axis, each small enough to stay in the cache."""
    bytes_each = max(prod(planes.shape[1:]) * planes.itemsize, 1)
    step = max(_BLOCK_BYTES // bytes_each, 1)
    for start in range(0, len(planes), step):
        yield slice(start, start + step)


def _number_type(windows: Windows) -> type[np.integer[Any]]:
    return np.uint8 if prod(w.size for w in windows) <= 256 else np.int32


def _flat_index(windows: Windows, spatial: Shape, places: NDArray) -> NDArray:
    """Return where in a C-ordered block of planes the place chosen in each window lies."""
    start: Any = np.zeros((), np.intp)
    shift: Any = np.zeros((), np.intp)
    for window, length in zip(windows, spatial, strict=True):
        begin = np.arange(window.count) * window.stride - window.padding
        start = start[..., None] * length + begin
        shift = shift[..., None] * length + np.arange(window.size) * window.dilation
    planes = np.arange(len(places)) * prod(spatial)
    first = planes.reshape(-1, *(1,) * len(spatial)) + start
    index: NDArray = np.take(shift.reshape(-1), places)
    index += first
    return index.reshape(-1)


def _covered(window: Window, length: int, counts_padding: bool) -> NDArray:
    """Return how many places each window has, along one axis."""
    starts = np.arange(window.count) * window.stride - window.padding
    ends = np.minimum(starts + window.size, length + window.padding)
    if not counts_padding:
        starts, ends = np.maximum(starts, 0), np.minimum(ends, length)
    return np.maximum(ends - starts, 1)


def _lowest(dtype: np.dtype[Any]) -> Any:
    return np.iinfo(dtype).min if dtype.kind in "iu" else -np.inf


def _fold(x: NDArray, axis: int, window: Window, combine: np.ufunc, start: Any) -> NDArray:
    """Return the places of each window along `axis` combined."""
    lead = (slice(None),) * axis
    shape = (*x.shape[:axis], window.count, *x.shape[axis + 1 :])
    parts = list(window.parts(x.shape[axis]))
    if window.count == 1 and window.dilation == 1 and parts:
        covered = slice(parts[0][2].start, parts[-1][2].start + 1)
        return combine.reduce(x[(*lead, covered)], axis=axis, dtype=x.dtype, keepdims=True)
    whole = [p for p in parts if p[1] == slice(0, window.count)]
    if len(whole) < 2:
        out = scratch_full(shape, x.dtype, start)
    else:
        first, second = whole[:2]
        parts = [p for p in parts if p not in (first, second)]
        out = scratch(shape, x.dtype)
        combine(x[(*lead, first[2])], x[(*lead, second[2])], out=out)
    for _, to, of in parts:
        target = out[(*lead, to)]
        combine(target, x[(*lead, of)], out=target)
    return out


def _unfold(x: NDArray, axis: int, window: Window, length: int) -> NDArray:
    """Return an axis of `length` with every window's value added to each of its places."""
    lead = (slice(None),) * axis
    out = scratch_full((*x.shape[:axis], length, *x.shape[axis + 1 :]), x.dtype, 0)
    for _, to, of in window.parts(length):
        out[(*lead, of)] += x[(*lead, to)]
    return out


def _offsets(windows: Windows, shape: Shape) -> Iterator[tuple[int, Any, Any]]:
    """Yield each place of a window: its number, the windows that have it, and where it lies."""
    lead = len(shape) - len(windows)
    along = [w.parts(n) for w, n in zip(windows, shape[lead:], strict=True)]
    for parts in product(*along):
        number = 0
        for window, (k, _, _) in zip(windows, parts, strict=True):
            number = number * window.size + k
        yield number, (..., *(to for _, to, _ in parts)), (..., *(of for _, _, of in parts))

"""Pooling: the greatest or the mean of windows over the spatial axes, which are the last ones.

`kernel` (or `size`) says by its length how many axes are spatial; a single number, all but two.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import final

import numpy as np

from lamina.errors import ArgumentError, ShapeError
from lamina.layout import Shape
from lamina.memory.array import NDArray
from lamina.ops.elementwise.arithmetic import power, where
from lamina.ops.layers.axis_map import AxisRule, Taps, map_axis
from lamina.ops.layers.spatial import Sizes, per_axis, reach, spatial_count
from lamina.ops.layers.windows import AvgPool, MaxPool, Window, WindowPlaces, Windows, WindowTake
from lamina.ops.registry import Value


def max_pool(
    x: Value,
    kernel: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    dilation: Sizes = 1,
    *,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Value:
    """Return the greatest element of each window; with `return_indices` also where it lies.

        out[…, p] = max_k x[…, p·stride + k·dilation − padding]

    `x` is (…, *S), `out` (…, *P) with P = ⌊(S + 2·padding − dilation·(K − 1) − 1) / stride⌋ + 1
    (⌈⌉ with `ceil_mode`); `stride` is `kernel` by default. An index counts the elements of the
    spatial axes in row-major order; the first of equal elements is taken. ShapeError where a window
    is larger than the padded input.

    >>> import lamina
    >>> max_pool(lamina.tensor([[[1.0, 3.0, 2.0, 0.0]]]), 2)
    Tensor([[[3., 2.]]])
    """
    windows = _windows("max_pool", x, kernel, stride, padding, dilation, ceil_mode=ceil_mode)
    out = MaxPool(windows)(x)
    return (out, _indices(x, out, windows, _plane(x, windows))) if return_indices else out


def avg_pool(
    x: Value,
    kernel: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    *,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Value:
    """Return the mean of each window: its sum over its number of places.

    `x` is (…, *S), the result as for `max_pool`. Zeros of the padding count as places unless
    `count_include_pad` is False; `divisor_override` replaces the number.

    >>> import lamina
    >>> avg_pool(lamina.tensor([[[1.0, 3.0, 2.0, 0.0]]]), 2)
    Tensor([[[2., 1.]]])
    """
    if divisor_override == 0:
        raise ArgumentError("avg_pool: divisor_override 0 given; expected another number or None")
    windows = _windows("avg_pool", x, kernel, stride, padding, 1, ceil_mode=ceil_mode)
    spatial = x.shape[len(x.shape) - len(windows) :]
    return AvgPool(windows, spatial, count_include_pad, divisor_override or 0)(x)


def lp_pool(
    x: Value,
    norm_type: float,
    kernel: Sizes,
    stride: Sizes | None = None,
    *,
    ceil_mode: bool = False,
) -> Value:
    """Return the p-norm of each window, (Σ xᵖ)^(1/p) with p = `norm_type`.

    Where the norm is 0 so is the gradient. With `ceil_mode` a window that reaches past the end
    counts its mean for the places it lacks.

    >>> import lamina
    >>> lp_pool(lamina.tensor([[[3.0, 4.0]]]), 2, 2)
    Tensor([[[5.]]])
    """
    if norm_type == 0:
        raise ArgumentError("lp_pool: norm_type 0 given; expected another number")
    windows = _windows("lp_pool", x, kernel, stride, 0, 1, ceil_mode=ceil_mode)
    spatial = x.shape[len(x.shape) - len(windows) :]
    mean = AvgPool(windows, spatial)(power(x, norm_type))
    is_flat = mean == 0
    total = where(is_flat, 1.0, mean * prod(w.size for w in windows))
    return where(is_flat, 0.0, power(total, 1 / norm_type))


def adaptive_avg_pool(x: Value, size: int | Sequence[int | None]) -> Value:
    """Return the means of windows chosen so that the spatial axes become `size`.

    Window i of m over n places is [⌊i·n/m⌋, ⌈(i + 1)·n/m⌉). None keeps the size of an axis.

    >>> import lamina
    >>> adaptive_avg_pool(lamina.tensor([[[1.0, 2.0, 3.0]]]), 2)
    Tensor([[[1.5, 2.5]]])
    """
    sizes = _adaptive_sizes("adaptive_avg_pool", x, size)
    spatial = x.shape[len(x.shape) - len(sizes) :]
    if _divides(spatial, sizes):
        return AvgPool(_equal_windows(spatial, sizes), spatial)(x)
    for axis, (source, target) in enumerate(zip(spatial, sizes), len(x.shape) - len(sizes)):
        x = map_axis(x, axis, Area(source, target))
    return x


def adaptive_max_pool(
    x: Value, size: int | Sequence[int | None], *, return_indices: bool = False
) -> Value:
    """Return the greatest elements of the windows of `adaptive_avg_pool`, and where they lie.

    >>> import lamina
    >>> adaptive_max_pool(lamina.tensor([[[1.0, 2.0, 3.0]]]), 2)
    Tensor([[[2., 3.]]])
    """
    sizes = _adaptive_sizes("adaptive_max_pool", x, size)
    lead = len(x.shape) - len(sizes)
    spatial = x.shape[lead:]
    plane = np.arange(prod(spatial)).reshape(spatial)
    if _divides(spatial, sizes):
        windows = _equal_windows(spatial, sizes)
    else:
        rules = [_apart(n, m) for n, m in zip(spatial, sizes, strict=True)]
        windows = tuple(Window(r.width, r.width, 0, 1, m) for r, m in zip(rules, sizes))
        for axis, rule in enumerate(rules):
            x = map_axis(x, lead + axis, rule)
            plane = np.take(plane, rule.taps().places[0], axis)
    out = MaxPool(windows)(x)
    return (out, _indices(x, out, windows, plane)) if return_indices else out


@final
@dataclass(frozen=True, slots=True)
class Area(AxisRule):
    """The mean of the places that each place of the target covers."""

    def taps(self) -> Taps:
        starts, ends = _bounds(self.source, self.target)
        lengths = ends - starts
        tap = np.arange(lengths.max(initial=0))[:, None]
        return Taps(np.minimum(starts + tap, ends - 1), (tap < lengths) / lengths)


@final
@dataclass(frozen=True, slots=True)
class WindowsApart(AxisRule):
    """Adaptive windows side by side, each `width` places: a shorter one repeats its last."""

    width: int

    def taps(self) -> Taps:
        starts, ends = _bounds(self.source, self.target // self.width)
        places = np.minimum(starts + np.arange(self.width)[:, None], ends - 1)
        return Taps(places.T.reshape(1, -1), None)


def _apart(source: int, target: int) -> WindowsApart:
    starts, ends = _bounds(source, target)
    width = int((ends - starts).max())
    return WindowsApart(source, target * width, width)


def _bounds(source: int, target: int) -> tuple[NDArray, NDArray]:
    """Return where each adaptive window starts, and where it ends."""
    place = np.arange(target)
    return place * source // target, -((-(place + 1) * source) // target)


def _divides(spatial: Shape, sizes: Shape) -> bool:
    return all(n % m == 0 for n, m in zip(spatial, sizes, strict=True))


def _equal_windows(spatial: Shape, sizes: Shape) -> Windows:
    steps = [n // m for n, m in zip(spatial, sizes, strict=True)]
    return tuple(Window(s, s, 0, 1, m) for s, m in zip(steps, sizes, strict=True))


def _plane(x: Value, windows: Windows) -> NDArray:
    """Return the number of each spatial place, in row-major order."""
    spatial = x.shape[len(x.shape) - len(windows) :]
    return np.arange(prod(spatial)).reshape(spatial)


def _indices(x: Value, out: Value, windows: Windows, plane: NDArray) -> Value:
    """Return what `plane` has at the place of each window's greatest element."""
    places = WindowPlaces(windows)(x, out)
    return WindowTake(windows)(np.broadcast_to(plane, x.shape), places)


def _adaptive_sizes(name: str, x: Value, size: int | Sequence[int | None]) -> Shape:
    wanted = (size,) if isinstance(size, int) else tuple(size)
    count = spatial_count((0,) * len(wanted), len(x.shape), name)
    if len(wanted) == 1:
        wanted *= count
    lead = len(x.shape) - count
    kept = tuple(n if m is None else m for n, m in zip(x.shape[lead:], wanted, strict=True))
    if 0 in x.shape[lead:]:
        raise ShapeError(f"{name}: spatial size {x.shape[lead:]} given; expected no empty axis")
    return per_axis(kept, count, f"{name}: size", least=1)


def _windows(
    name: str,
    x: Value,
    kernel: Sizes,
    stride: Sizes | None,
    padding: Sizes,
    dilation: Sizes,
    *,
    ceil_mode: bool,
) -> Windows:
    """Return the windows that the arguments ask for; raise where they do not fit `x`."""
    count = spatial_count(kernel, len(x.shape), name)
    sizes = per_axis(kernel, count, f"{name}: kernel", least=1)
    steps = per_axis(kernel if stride is None else stride, count, f"{name}: stride", least=1)
    pads = per_axis(padding, count, f"{name}: padding")
    gaps = per_axis(dilation, count, f"{name}: dilation", least=1)
    spatial = x.shape[len(x.shape) - count :]
    windows = []
    for n, k, s, p, d in zip(spatial, sizes, steps, pads, gaps, strict=True):
        room = n + 2 * p - reach(k, d)
        if room < 0 or n == 0:
            raise ShapeError(
                f"{name}: kernel {sizes} (dilation {gaps}) does not fit spatial size {spatial} "
                f"with padding {pads}; give a larger input or a smaller kernel"
            )
        if p > reach(k, d) // 2:
            raise ArgumentError(
                f"{name}: padding {pads} given with kernel {sizes}; expected at most half of it"
            )
        number = (-(-room // s) if ceil_mode else room // s) + 1
        # A window that starts behind the input would hold padding alone.
        if ceil_mode and (number - 1) * s >= n + p:
            number -= 1
        window = Window(k, s, p, d, number)
        if d > 1 and p and not window.all_reach(n):
            raise ShapeError(
                f"{name}: with padding {pads} and dilation {gaps} a window on spatial size "
                f"{spatial} holds padding alone; give less of either"
            )
        windows.append(window)
    return tuple(windows)

"""Resampling: spatial axes made longer or shorter, and channels folded into space."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import floor, prod
from typing import Any, Literal, final

import numpy as np

from lamina.errors import ArgumentError, ShapeError
from lamina.layout import Shape
from lamina.memory.array import NDArray
from lamina.ops.layers.axis_map import AxisRule, Taps, map_axis
from lamina.ops.layers.pooling import adaptive_avg_pool
from lamina.ops.layers.spatial import per_axis
from lamina.ops.registry import Value
from lamina.ops.shapes.movement import permute, reshape

Mode = Literal["nearest", "nearest-exact", "linear", "bilinear", "bicubic", "trilinear", "area"]
_RANKS = {"linear": 1, "bilinear": 2, "bicubic": 2, "trilinear": 3}
_CUBIC = -0.75
_CUBIC_ANTIALIAS = -0.5


@final
@dataclass(frozen=True, slots=True)
class Nearest(AxisRule):
    """The element at ⌊i·step⌋, or with `centred` at ⌊(i + ½)·step⌋."""

    step: float
    centred: bool

    def taps(self) -> Taps:
        # In float32, as PyTorch counts: which neighbour is nearer may hang on the rounding.
        place = np.arange(self.target, dtype=np.float32) + np.float32(0.5 * self.centred)
        places = np.floor(place * np.float32(self.step)).astype(np.intp)
        return Taps(np.minimum(places, self.source - 1)[None], None)


@final
@dataclass(frozen=True, slots=True)
class Linear(AxisRule):
    """The two neighbours of i·step + start, weighed by distance; ends continue flat."""

    step: float
    start: float

    def taps(self) -> Taps:
        place = np.clip(np.arange(self.target) * self.step + self.start, 0, None)
        left = np.minimum(np.floor(place).astype(np.intp), self.source - 1)
        right = np.minimum(left + 1, self.source - 1)
        share = np.clip(place - left, 0, 1)
        return Taps(np.stack([left, right]), np.stack([1 - share, share]))


@final
@dataclass(frozen=True, slots=True)
class Cubic(AxisRule):
    """The four neighbours of i·step + start by Keys' cubic kernel, a = −¾; ends continue flat."""

    step: float
    start: float

    def taps(self) -> Taps:
        place = np.arange(self.target) * self.step + self.start
        left = np.floor(place).astype(np.intp)
        shift = np.arange(-1, 3)[:, None]
        weights = _keys(np.abs(place - left - shift), _CUBIC)
        return Taps(np.clip(left + shift, 0, self.source - 1), weights)


@final
@dataclass(frozen=True, slots=True)
class Smoothed(AxisRule):
    """All neighbours within the kernel stretched by `step` > 1, so that nothing aliases."""

    step: float
    cubic: bool

    def taps(self) -> Taps:
        stretch = max(self.step, 1.0)
        support = stretch * (2 if self.cubic else 1)
        centre = (np.arange(self.target) + 0.5) * self.step
        first = np.maximum((centre - support + 0.5).astype(np.intp), 0)
        last = np.minimum((centre + support + 0.5).astype(np.intp), self.source)
        places = first + np.arange((last - first).max(initial=1))[:, None]
        distance = np.abs(places - centre + 0.5) / stretch
        kernel = _keys(distance, _CUBIC_ANTIALIAS) if self.cubic else np.maximum(1 - distance, 0)
        weights = np.where(places < last, kernel, 0)
        return Taps(np.minimum(places, last - 1), weights / weights.sum(axis=0))


def _keys(distance: NDArray, a: float) -> NDArray:
    """Return the cubic convolution kernel (Keys, 1981) at each distance."""
    near = ((a + 2) * distance - (a + 3)) * distance * distance + 1
    far = ((a * distance - 5 * a) * distance + 8 * a) * distance - 4 * a
    return np.where(distance <= 1, near, np.where(distance < 2, far, 0.0))


def interpolate(
    x: Value,
    size: int | Sequence[int] | None = None,
    scale_factor: float | Sequence[float] | None = None,
    mode: Mode = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> Value:
    """Return `x`, (N, C, *S), with its spatial axes resampled to `size`, or by `scale_factor`.

    Modes: "nearest", "nearest-exact", "area" for any number of spatial axes; "linear" for one,
    "bilinear" and "bicubic" for two, "trilinear" for three. `align_corners` puts the first and last
    elements of both grids on each other, else the outer edges. As in PyTorch a `scale_factor` is
    also the distance between samples, unless `recompute_scale_factor`. `antialias` widens the
    kernel when shrinking ("bilinear", "bicubic").

    >>> import lamina
    >>> interpolate(lamina.tensor([[[1.0, 3.0]]]), size=3, mode="linear", align_corners=True)
    Tensor([[[1., 2., 3.]]])
    """
    count = len(x.shape) - 2
    _check_mode(count, mode, align_corners, antialias, x.shape)
    sizes, factors = _target(x.shape[2:], size, scale_factor)
    if recompute_scale_factor:
        factors = None
    if mode == "area":
        return adaptive_avg_pool(x, sizes)
    for place, (source, target) in enumerate(zip(x.shape[2:], sizes, strict=True)):
        factor = factors[place] if factors else target / source
        rule = _rule(mode, source, target, factor, bool(align_corners), antialias)
        x = map_axis(x, place + 2, rule)
    return x


def _rule(
    mode: Mode, source: int, target: int, factor: float, align_corners: bool, antialias: bool
) -> AxisRule:
    if mode in ("nearest", "nearest-exact"):
        return Nearest(source, target, 1 / factor, mode == "nearest-exact")
    if align_corners:
        step, start = (source - 1) / (target - 1) if target > 1 else 0.0, 0.0
    else:
        step = 1 / factor
        start = 0.5 * step - 0.5
    if antialias:
        return Smoothed(source, target, step, mode == "bicubic")
    return (Cubic if mode == "bicubic" else Linear)(source, target, step, start)


def _check_mode(
    count: int, mode: Mode, align_corners: bool | None, antialias: bool, shape: Shape
) -> None:
    if mode not in ("nearest", "nearest-exact", "area", *_RANKS):
        raise ArgumentError(
            f"interpolate: mode {mode!r} given; expected nearest, nearest-exact, "
            "area, linear, bilinear, bicubic or trilinear"
        )
    if count < 1 or _RANKS.get(mode, count) != count:
        raise ShapeError(
            f"interpolate: {shape} given with mode {mode!r}; expected (N, C, …) with "
            f"{_RANKS.get(mode, 'some')} spatial axes"
        )
    if align_corners is not None and mode not in _RANKS:
        raise ArgumentError(
            f"interpolate: align_corners given with mode {mode!r}; it goes with {', '.join(_RANKS)}"
        )
    if antialias and (mode not in ("bilinear", "bicubic") or align_corners):
        raise ArgumentError(
            f"interpolate: antialias given with mode {mode!r}, align_corners={align_corners}; it "
            "goes with bilinear and bicubic without align_corners"
        )
    if 0 in shape[1:]:
        raise ShapeError(f"interpolate: {shape} given; expected no empty axis but the batch's")


def _target(
    spatial: Shape,
    size: int | Sequence[int] | None,
    scale_factor: float | Sequence[float] | None,
) -> tuple[Shape, tuple[float, ...] | None]:
    """Return the sizes asked for, and the factors where those were given."""
    if (size is None) == (scale_factor is None):
        raise ArgumentError(
            f"interpolate: size {size} and scale_factor {scale_factor} given; expected one of them"
        )
    if size is not None:
        return per_axis(size, len(spatial), "interpolate: size", least=1), None
    factors: tuple[Any, ...] = (scale_factor,) * len(spatial)
    if isinstance(scale_factor, Sequence):
        factors = tuple(scale_factor)
    sizes = tuple(floor(n * f) for n, f in zip(spatial, factors))
    if len(factors) != len(spatial) or min(sizes) < 1:
        raise ArgumentError(
            f"interpolate: scale_factor {scale_factor} given for sizes {spatial}; expected one, or "
            "one an axis, that leaves at least one place"
        )
    return sizes, tuple(float(f) for f in factors)


def pixel_shuffle(x: Value, upscale_factor: int) -> Value:
    """Return (…, C·r², H, W) as (…, C, H·r, W·r): channels folded into space, r = `upscale_factor`.

    Shi et al., "Real-Time Single Image and Video Super-Resolution" (2016).

    >>> import lamina
    >>> pixel_shuffle(lamina.tensor([[[1.0]], [[2.0]], [[3.0]], [[4.0]]]), 2)
    Tensor([[[1., 2.],
             [3., 4.]]])
    """
    r = upscale_factor
    if len(x.shape) < 3 or r < 1 or x.shape[-3] % (r * r):
        raise ShapeError(
            f"pixel_shuffle: {x.shape} given with upscale_factor {r}; expected (…, C·{r}², H, W)"
        )
    *lead, channels, height, width = x.shape
    split = reshape(x, (prod(lead), channels // (r * r), r, r, height, width))
    mixed = permute(split, (0, 1, 4, 2, 5, 3))
    return reshape(mixed, (*lead, channels // (r * r), height * r, width * r))


def pixel_unshuffle(x: Value, downscale_factor: int) -> Value:
    """Return (…, C, H·r, W·r) as (…, C·r², H, W): the inverse of `pixel_shuffle`.

    >>> import lamina
    >>> pixel_unshuffle(lamina.tensor([[[1.0, 2.0], [3.0, 4.0]]]), 2).shape
    (4, 1, 1)
    """
    r = downscale_factor
    if len(x.shape) < 3 or r < 1 or x.shape[-2] % r or x.shape[-1] % r:
        raise ShapeError(
            f"pixel_unshuffle: {x.shape} given with downscale_factor {r}; expected (…, C, H, W) "
            f"with H and W divisible by {r}"
        )
    *lead, channels, height, width = x.shape
    split = reshape(x, (prod(lead), channels, height // r, r, width // r, r))
    mixed = permute(split, (0, 1, 3, 5, 2, 4))
    return reshape(mixed, (*lead, channels * r * r, height // r, width // r))

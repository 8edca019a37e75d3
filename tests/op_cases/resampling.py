"""Resampling an axis: nearest, linear, cubic, smoothed; means and windows of unequal sizes."""

from math import ceil, floor
from typing import Any

import numpy as np

from lamina.ops.layers.axis_map import AxisMap, AxisRule
from lamina.ops.layers.pooling import Area, WindowsApart
from lamina.ops.layers.resampling import Cubic, Linear, Nearest, Smoothed

from .case import Case
from .drawing import normal
from .linear_maps import mapped, matrix_of


def interpolated(places: Any) -> Any:
    """Linear between elements, flat beyond the ends."""
    return lambda v: np.interp(np.float64(places), np.arange(len(v)), np.float64(v))


def convolved(places: Any, kernel: Any, reach: int) -> Any:
    """Every element weighed by a kernel of its distance; the ends go on beyond the edge."""

    def function(v: Any) -> Any:
        wide = np.pad(v, reach, "edge")
        at = np.arange(-reach, len(v) + reach)
        return np.array([(kernel(np.abs(at - p)) * wide).sum() for p in places])

    return function


def smoothed(places: Any, step: float, kernel: Any) -> Any:
    """The kernel stretched by `step`, over the elements there are, weights adding up to 1."""

    def function(v: Any) -> Any:
        weights = [kernel(np.abs(np.arange(len(v)) - p) / step) for p in places]
        return np.array([(w * v).sum() / w.sum() for w in weights])

    return function


def keys(a: float) -> Any:
    """Keys' cubic kernel in its expanded form."""

    def kernel(d: Any) -> Any:
        near = (a + 2) * d**3 - (a + 3) * d**2 + 1
        far = a * (d**3 - 5 * d**2 + 8 * d - 4)
        return np.where(d <= 1, near, np.where(d < 2, far, 0))

    return kernel


def tent(d: Any) -> Any:
    return np.maximum(1 - d, 0)


def means(target: int) -> Any:
    def function(v: Any) -> Any:
        n = len(v)
        return np.array(
            [v[floor(i * n / target) : ceil((i + 1) * n / target)].mean() for i in range(target)]
        )

    return function


def window_elements(target: int, width: int) -> Any:
    def function(v: Any) -> Any:
        n, found = len(v), []
        for i in range(target):
            window = list(v[floor(i * n / target) : ceil((i + 1) * n / target)])
            found += window + window[-1:] * (width - len(window))
        return np.array(found)

    return function


def centres(source: int, target: int) -> Any:
    """Where the middles of the target's places lie in the source's."""
    return (np.arange(target) + 0.5) * (source / target) - 0.5


MAPS: dict[str, tuple[AxisRule, Any]] = {
    "nearest": (Nearest(4, 7, 4 / 7, False), lambda v: v[[0, 0, 1, 1, 2, 2, 3]]),
    "nearest-exact": (Nearest(4, 7, 4 / 7, True), lambda v: v[[0, 0, 1, 2, 2, 3, 3]]),
    "linear": (Linear(4, 7, 4 / 7, 2 / 7 - 0.5), interpolated(centres(4, 7))),
    "linear-corners": (Linear(4, 7, 0.5, 0.0), interpolated(np.arange(7) * 0.5)),
    "linear-shrink": (Linear(7, 3, 7 / 3, 7 / 6 - 0.5), interpolated(centres(7, 3))),
    "cubic": (Cubic(4, 7, 4 / 7, 2 / 7 - 0.5), convolved(centres(4, 7), keys(-0.75), 4)),
    "smoothed": (Smoothed(7, 3, 7 / 3, False), smoothed(centres(7, 3), 7 / 3, tent)),
    "smoothed-cubic": (Smoothed(7, 3, 7 / 3, True), smoothed(centres(7, 3), 7 / 3, keys(-0.5))),
    "area": (Area(7, 3), means(3)),
    "area-more": (Area(4, 6), means(6)),
    "apart": (WindowsApart(7, 9, 3), window_elements(3, 3)),
}

CASES = [
    Case(
        AxisMap(1, rule, transposed=transposed),
        (normal(2, rule.target if transposed else rule.source, 3),),
        mapped(matrix_of(function, rule.source), 1, transposed=transposed),
        ulp=32 if "cubic" in name else 8,
        why="weights of float64, where the cubic's terms cancel, of at most 7 numbers added",
        scale=2,
        label=f"{name}-back" if transposed else name,
    )
    for name, (rule, function) in MAPS.items()
    for transposed in (False, True)
]

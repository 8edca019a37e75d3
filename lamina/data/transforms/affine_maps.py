"""Affine maps of pictures: turned, moved, scaled and sheared."""

import math
from dataclasses import dataclass
from typing import final

import numpy as np

from lamina.data.randomness import sample_generator
from lamina.data.transforms.pixels import picture, pixels_of
from lamina.errors import ArgumentError
from lamina.memory.array import NDArray
from lamina.tensor import Tensor

Range = tuple[float, float]


def affine(
    image: Tensor,
    *,
    angle: float = 0.0,
    translate: tuple[float, float] = (0.0, 0.0),
    scale: float = 1.0,
    shear: float = 0.0,
    fill: float = 0.0,
) -> Tensor:
    """Return the picture sheared, scaled, turned about its centre, then moved.

    `angle` and `shear` (along x) are in degrees, the angle counter-clockwise; `translate` is in
    pixels to the right and down. Pixels are interpolated linearly; beyond the edge lies `fill`.
    """
    pixels = pixels_of(image, "affine")
    if not scale > 0:
        raise ArgumentError(f"affine: scale={scale} given; expected a number above 0")
    height, width = pixels.shape[1:]
    centre = np.array([(width - 1) / 2, (height - 1) / 2])
    y, x = np.mgrid[:height, :width].reshape(2, -1)
    offsets = np.stack([x, y]) - (centre + translate)[:, None]
    source = np.linalg.solve(_matrix(angle, scale, shear), offsets) + centre[:, None]
    return picture(_sample(pixels, source, fill).reshape(pixels.shape))


def _matrix(angle: float, scale: float, shear: float) -> NDArray:
    turn, lean = math.radians(angle), math.tan(math.radians(shear))
    # The y axis points down, so a counter-clockwise turn has the sine below the diagonal negative.
    rotation = np.array([[math.cos(turn), math.sin(turn)], [-math.sin(turn), math.cos(turn)]])
    return np.asarray(rotation @ np.array([[1.0, lean], [0.0, 1.0]]) * scale)


def _sample(pixels: NDArray, places: NDArray, fill: float) -> NDArray:
    """Return the pixels at fractional places (x, y), each between its four neighbours."""
    framed = np.pad(pixels, ((0, 0), (1, 1), (1, 1)), constant_values=fill)
    # On the frame every value is `fill`, so places further out may be moved there.
    limits = np.array(framed.shape[:0:-1])[:, None] - 1
    # 1e-9 of a pixel: turns by 90° shall meet pixel centres exactly.
    inside = np.clip(np.round(places + 1, 9), 0, limits)
    corner = np.minimum(np.floor(inside).astype(np.int64), limits - 1)
    (x, y), (right, down) = corner, (inside - corner).astype(pixels.dtype)
    upper = framed[:, y, x] * (1 - right) + framed[:, y, x + 1] * right
    lower = framed[:, y + 1, x] * (1 - right) + framed[:, y + 1, x + 1] * right
    return np.asarray(upper * (1 - down) + lower * down)


@final
@dataclass(frozen=True, slots=True)
class RandomAffine:
    """A random affine map of the picture, see `affine`.

    The angle is drawn from ±`degrees` (or a range), the move from ±`translate` as shares of width
    and height, the scale from a range, the shear from ±`shear` degrees.
    """

    degrees: float | Range
    translate: tuple[float, float] | None = None
    scale: Range | None = None
    shear: float = 0.0
    fill: float = 0.0

    def __post_init__(self) -> None:
        if self.translate is not None and not all(0 <= t <= 1 for t in self.translate):
            raise ArgumentError(
                f"RandomAffine: translate={self.translate} given; expected shares from 0 to 1"
            )
        if self.scale is not None and not 0 < self.scale[0] <= self.scale[1]:
            raise ArgumentError(f"RandomAffine: scale={self.scale} given; expected a range above 0")

    def __call__(self, image: Tensor) -> Tensor:
        height, width = pixels_of(image, "RandomAffine").shape[1:]
        rng = sample_generator()
        low, high = self.degrees if isinstance(self.degrees, tuple) else _both_ways(self.degrees)
        across, along = self.translate or (0.0, 0.0)
        return affine(
            image,
            angle=rng.uniform(low, high),
            translate=(
                rng.uniform(*_both_ways(across * width)),
                rng.uniform(*_both_ways(along * height)),
            ),
            scale=rng.uniform(*(self.scale or (1.0, 1.0))),
            shear=rng.uniform(*_both_ways(self.shear)),
            fill=self.fill,
        )


def _both_ways(limit: float) -> Range:
    return -abs(limit), abs(limit)

"""Pictures resized, cropped and flipped."""

from dataclasses import dataclass
from functools import cache
from typing import Any, final

import numpy as np

from lamina.data.randomness import sample_generator
from lamina.data.transforms.pixels import picture, pixels_of
from lamina.errors import ArgumentError, ShapeError
from lamina.memory.array import NDArray
from lamina.tensor import Tensor

Size = int | tuple[int, int]


def pair_of(transform: str, size: Any) -> tuple[int, int]:
    """Return (height, width) from one size or two."""
    height, width = size if isinstance(size, tuple | list) and len(size) == 2 else (size, size)
    for n in (height, width):
        if isinstance(n, bool) or not isinstance(n, int) or n < 1:
            raise ArgumentError(f"{transform}: size {size!r} given; expected whole numbers ≥ 1")
    return height, width


@final
@dataclass(frozen=True, slots=True)
class Resize:
    """The picture at another size; a single number is the length of the shorter side.

    Bilinear, averaging over the pixels that shrink into one (a triangle filter), as Pillow does.
    """

    size: Size

    def __post_init__(self) -> None:
        pair_of("Resize", self.size)

    def __call__(self, image: Tensor) -> Tensor:
        pixels = pixels_of(image, "Resize")
        height, width = self._target(pixels.shape[1], pixels.shape[2])
        rows = triangle_weights(pixels.shape[1], height).astype(pixels.dtype)
        columns = triangle_weights(pixels.shape[2], width).astype(pixels.dtype)
        return picture(rows @ pixels @ columns.T)

    def _target(self, height: int, width: int) -> tuple[int, int]:
        if not isinstance(self.size, int):
            return self.size
        if height < width:
            return self.size, max(1, int(self.size * width / height))
        return max(1, int(self.size * height / width)), self.size


@cache
def triangle_weights(source: int, target: int) -> NDArray:
    """Return the matrix (target, source) that resamples a line."""
    scale = source / target
    centres = (np.arange(target) + 0.5) * scale
    distances = (np.arange(source) + 0.5 - centres[:, None]) / max(scale, 1.0)
    weights = np.clip(1 - np.abs(distances), 0, None)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


@final
@dataclass(frozen=True, slots=True)
class CenterCrop:
    """The middle of the picture."""

    size: Size

    def __post_init__(self) -> None:
        pair_of("CenterCrop", self.size)

    def __call__(self, image: Tensor) -> Tensor:
        pixels = pixels_of(image, "CenterCrop")
        size = pair_of("CenterCrop", self.size)
        top, left = ((n - m) // 2 for n, m in zip(pixels.shape[1:], size, strict=True))
        return _crop("CenterCrop", pixels, (top, left), size)


@final
@dataclass(frozen=True, slots=True)
class RandomCrop:
    """A part of the picture at a random place, `padding` zeros around it first."""

    size: Size
    padding: int = 0

    def __post_init__(self) -> None:
        pair_of("RandomCrop", self.size)
        if isinstance(self.padding, bool) or self.padding < 0:
            raise ArgumentError(f"RandomCrop: padding={self.padding!r} given; expected ≥ 0")

    def __call__(self, image: Tensor) -> Tensor:
        around = (self.padding, self.padding)
        pixels = np.pad(pixels_of(image, "RandomCrop"), ((0, 0), around, around))
        size = pair_of("RandomCrop", self.size)
        spare = [max(n - m, 0) for n, m in zip(pixels.shape[1:], size, strict=True)]
        rng = sample_generator()
        top, left = (int(rng.integers(n + 1)) for n in spare)
        return _crop("RandomCrop", pixels, (top, left), size)


def _crop(name: str, pixels: NDArray, corner: tuple[int, int], size: tuple[int, int]) -> Tensor:
    (top, left), (height, width) = corner, size
    if pixels.shape[1] < height or pixels.shape[2] < width:
        raise ShapeError(
            f"{name}: a picture of {pixels.shape[1]}×{pixels.shape[2]} is smaller than {height}×"
            f"{width}; resize or pad it first"
        )
    return picture(pixels[:, top : top + height, left : left + width])


@final
@dataclass(frozen=True, slots=True)
class RandomHorizontalFlip:
    """The picture, left and right exchanged with probability `p`."""

    p: float = 0.5

    def __post_init__(self) -> None:
        _check_probability("RandomHorizontalFlip", self.p)

    def __call__(self, image: Tensor) -> Tensor:
        pixels = pixels_of(image, "RandomHorizontalFlip")
        return picture(pixels[:, :, ::-1]) if sample_generator().random() < self.p else image


@final
@dataclass(frozen=True, slots=True)
class RandomVerticalFlip:
    """The picture, top and bottom exchanged with probability `p`."""

    p: float = 0.5

    def __post_init__(self) -> None:
        _check_probability("RandomVerticalFlip", self.p)

    def __call__(self, image: Tensor) -> Tensor:
        pixels = pixels_of(image, "RandomVerticalFlip")
        return picture(pixels[:, ::-1]) if sample_generator().random() < self.p else image


def _check_probability(name: str, p: float) -> None:
    if not 0 <= p <= 1:
        raise ArgumentError(f"{name}: p={p} given; expected a probability from 0 to 1")

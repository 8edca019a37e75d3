"""Pixels to tensors, their values normalised; transforms one after another."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np

from lamina.errors import ArgumentError, DTypeError, ShapeError
from lamina.memory import of_numpy
from lamina.memory.array import NDArray
from lamina.tensor import Tensor


def pixels_of(image: Any, transform: str) -> NDArray:
    """Return the elements of a float picture (C, H, W); a typed error for anything else."""
    if not isinstance(image, Tensor) or not image.dtype.is_floating_point:
        kind = image.dtype.name if isinstance(image, Tensor) else type(image).__name__
        raise DTypeError(f"{transform} was given {kind}; expected a float tensor: apply ToTensor()")
    if len(image.shape) != 3:
        raise ShapeError(
            f"{transform} was given shape {image.shape}; expected (channels, height, width)"
        )
    return image.array.numpy()


def picture(pixels: NDArray) -> Tensor:
    """Return pixels as a tensor, in C order."""
    return Tensor.of_array(of_numpy(np.ascontiguousarray(pixels)))


@final
@dataclass(frozen=True, slots=True)
class Compose:
    """Several transforms, one after another."""

    transforms: Sequence[Callable[[Any], Any]]

    def __call__(self, image: Any) -> Any:
        for transform in self.transforms:
            image = transform(image)
        return image


@final
@dataclass(frozen=True, slots=True)
class ToTensor:
    """uint8 pixels scaled to float32 from 0 to 1, channels first.

    Takes arrays and Pillow images (height, width) or (height, width, channels), and uint8 tensors
    (channels, height, width); float tensors pass unchanged.

    >>> ToTensor()(np.array([[0, 255], [51, 0]], np.uint8))
    Tensor([[[0. , 1. ],
             [0.2, 0. ]]])
    """

    def __call__(self, image: Any) -> Tensor:
        if isinstance(image, Tensor):
            if image.dtype.is_floating_point:
                return image
            pixels = image.array.numpy()
        else:
            pixels = np.asarray(image)
            pixels = pixels[None] if pixels.ndim == 2 else np.moveaxis(pixels, -1, 0)
        if pixels.dtype != np.uint8:
            raise DTypeError(f"ToTensor was given {pixels.dtype} pixels; expected uint8")
        if pixels.ndim != 3:
            raise ShapeError(f"ToTensor was given {pixels.ndim} axes; expected 2 or 3")
        return picture(pixels.astype(np.float32) / np.float32(255))


@final
@dataclass(frozen=True, slots=True)
class Normalize:
    """(x − mean) / std, channel by channel."""

    mean: Sequence[float]
    std: Sequence[float]

    def __post_init__(self) -> None:
        if len(self.mean) != len(self.std) or not all(s > 0 for s in self.std):
            raise ArgumentError(
                f"Normalize: mean={self.mean}, std={self.std} given; expected one number each a "
                "channel, std above 0"
            )

    def __call__(self, image: Tensor) -> Tensor:
        pixels = pixels_of(image, "Normalize")
        if len(pixels) != len(self.mean):
            raise ShapeError(
                f"Normalize for {len(self.mean)} channels was given {len(pixels)}; expected as many"
            )
        mean, std = (np.array(v, pixels.dtype)[:, None, None] for v in (self.mean, self.std))
        return picture((pixels - mean) / std)

"""Transforms of pictures: callables from a (channels, height, width) tensor to another.

Those called Random… draw from `lamina.data.sample_generator`, so within a loader what they do to a
sample depends on the loader's generator and the sample's place alone, never on the workers.
"""

from lamina.data.transforms.affine_maps import RandomAffine, affine
from lamina.data.transforms.geometry import (
    CenterCrop,
    RandomCrop,
    RandomHorizontalFlip,
    RandomVerticalFlip,
    Resize,
)
from lamina.data.transforms.pixels import Compose, Normalize, ToTensor

__all__ = [
    "CenterCrop",
    "Compose",
    "Normalize",
    "RandomAffine",
    "RandomCrop",
    "RandomHorizontalFlip",
    "RandomVerticalFlip",
    "Resize",
    "ToTensor",
    "affine",
]

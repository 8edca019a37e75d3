"""Handwritten digits that come with the package; digits.md says whose they are."""

from pathlib import Path

import numpy as np

from lamina.data.dataset import TensorDataset
from lamina.errors import ArgumentError
from lamina.tensor import from_numpy

FILE = Path(__file__).with_name("digits.npz")
BRIGHTEST = 16


def digits(split: str = "train") -> TensorDataset:
    """Return 8×8 images of handwritten digits and what they show: (N, 1, 8, 8) and (N,).

    Images are float32 from 0 to 1, labels int64 from 0 to 9. `split` is "train" (1,437 images),
    "test" (360 others, the same share of each digit) or "all" (both, in the order of the source).

    >>> images, labels = digits("test").tensors
    >>> images.shape, labels[:5]
    ((360, 1, 8, 8), Tensor([...]))
    """
    with np.load(FILE, allow_pickle=False) as file:
        images, labels, held_out = file["images"], file["labels"], file["held_out"]
    masks = {"train": ~held_out, "test": held_out, "all": np.ones(len(labels), bool)}
    if split not in masks:
        raise ArgumentError(f"digits: split={split!r} given; expected one of {', '.join(masks)}")
    chosen = masks[split]
    pixels = images[chosen, None].astype(np.float32) / np.float32(BRIGHTEST)
    return TensorDataset(from_numpy(pixels), from_numpy(labels[chosen].astype(np.int64)))

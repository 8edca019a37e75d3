"""Writes lamina/data/digits.npz from the copy of the data set that scikit-learn ships.

Run with a Python that has scikit-learn (made with 1.9.1):  python scripts/make_digits.py
"""

from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

HELD_OUT = 360
SEED = 0
TARGET = Path(__file__).parent.parent / "lamina" / "data" / "digits.npz"


def stratified(labels: np.ndarray, count: int, seed: int) -> np.ndarray:
    """A mask of `count` samples, of each class as near as can be to its share."""
    rng = np.random.Generator(np.random.PCG64(seed))
    classes, sizes = np.unique(labels, return_counts=True)
    shares = sizes * count / len(labels)
    taken = np.floor(shares).astype(int)
    largest_rests = np.argsort(taken - shares, kind="stable")[: count - taken.sum()]
    taken[largest_rests] += 1
    mask = np.zeros(len(labels), bool)
    for label, n in zip(classes, taken):
        mask[rng.permutation(np.flatnonzero(labels == label))[:n]] = True
    return mask


digits = load_digits()
held_out = stratified(digits.target, HELD_OUT, SEED)
np.savez_compressed(
    TARGET,
    images=digits.images.astype(np.uint8),
    labels=digits.target.astype(np.uint8),
    held_out=held_out,
)
print(f"{TARGET}: {TARGET.stat().st_size:,} bytes, {held_out.sum()} of {len(held_out)} held out")
print("held out of each class:", np.bincount(digits.target[held_out]))

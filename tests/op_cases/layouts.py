"""The same elements, laid out in memory in different ways."""

from collections.abc import Callable
from typing import Any

import numpy as np

Layout = Callable[[Any], Any]


def contiguous(array: Any) -> Any:
    return np.array(array, order="C")


def transposed(array: Any) -> Any:
    return np.array(array, order="F")


def sliced(array: Any) -> Any:
    """Every other place of a larger array, not from its start."""
    buffer = np.zeros(tuple(2 * n + 1 for n in array.shape), array.dtype)
    view = buffer[(*(slice(1, None, 2) for _ in array.shape), ...)]
    view[...] = array
    return view


def backwards(array: Any) -> Any:
    """Stored from the last place to the first."""
    every = (*(slice(None, None, -1) for _ in array.shape), ...)
    return np.array(array[every], order="C")[every]


def repeated(array: Any) -> Any:
    """The first slice at every place of the first axis of some length, by a stride of 0."""
    axis = next((a for a, n in enumerate(array.shape) if n > 1), None)
    if axis is None:
        return array
    first = np.array(np.take(array, [0], axis), order="C")
    return np.broadcast_to(first, array.shape)


SAME: tuple[Layout, ...] = (contiguous, transposed, sliced, backwards)

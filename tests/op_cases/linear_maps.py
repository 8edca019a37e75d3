"""Oracles for linear maps along an axis: by their matrix."""

from collections.abc import Callable
from typing import Any

import numpy as np


def matrix_of(function: Callable[[Any], Any], source: int) -> Any:
    """The matrix of a linear function of vectors, from its images of the unit vectors."""
    return np.stack([function(unit) for unit in np.eye(source, dtype=np.longdouble)], axis=1)


def mapped(matrix: Any, axis: int, *, transposed: bool) -> Any:
    """The matrix, or its transpose, applied along an axis."""
    used = matrix.T if transposed else matrix

    def oracle(x: Any) -> Any:
        return np.moveaxis(np.tensordot(used, x, (1, axis)), 0, axis)

    return oracle

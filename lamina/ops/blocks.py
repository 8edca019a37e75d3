"""Numpy formulas of many steps, a block of elements at a time."""

from collections.abc import Callable
from functools import wraps

import numpy as np

from lamina.memory.array import NDArray, scratch
from lamina.ops.halves import widened

BLOCK = 16384
"""Elements whose intermediate values stay in a second-level cache."""

Formula = Callable[[NDArray], NDArray]


def in_blocks(formula: Formula) -> Formula:
    """Return `formula`, of one array element by element, evaluated a block at a time.

    Each step of a formula passes over all its elements: through memory for a large array, through
    the cache for a block. 16-bit floats are computed as float32.
    """

    @wraps(formula)
    def run(x: NDArray) -> NDArray:
        flat = np.ascontiguousarray(x).reshape(-1)
        if flat.size <= BLOCK:
            return formula(widened(flat)).reshape(x.shape)
        out = scratch(flat.shape, flat.dtype)
        for start in range(0, flat.size, BLOCK):
            stop = start + BLOCK
            out[start:stop] = formula(widened(flat[start:stop]))
        return out.reshape(x.shape)

    return run

"""What a case of `memory_bound.py` is."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Call = Callable[[], object]
Maker = Callable[[int], Call]


@dataclass(frozen=True)
class Case:
    """A piece of work: given a number of elements, each maker returns the call to be timed."""

    name: str
    # Bytes that must be read and written for each element.
    bytes_each: float
    lamina: Maker
    numpy: Maker | None = None
    torch: Maker | None = None


def drawn(size: int, seed: int = 0) -> np.ndarray:
    """Return normal float32 numbers, the first of them where a cache line begins."""
    memory = np.empty(size + 16, np.float32)
    aligned = memory[-memory.ctypes.data % 64 // 4 :][:size]
    aligned[...] = np.random.default_rng(seed).standard_normal(size, dtype=np.float32)
    return aligned

"""Operands over numpy arrays, layouts to try, and memory that ends where it must not be crossed."""

import ctypes
import mmap
from dataclasses import dataclass
from typing import Any

import numpy as np

PAGE = mmap.PAGESIZE


@dataclass(frozen=True)
class DType:
    """A dtype's name, read once: numpy works it out on every access."""

    name: str


class ArrayOperand:
    """The operand that a numpy array is."""

    def __init__(self, array: Any) -> None:
        self.array = array
        self.address = array.ctypes.data
        self.shape = array.shape
        self.strides = tuple(stride // array.itemsize for stride in array.strides)
        self.dtype = DType(str(array.dtype))


def transposed(array: Any) -> Any:
    """The same values with the last two axes exchanged in memory."""
    return array.swapaxes(-1, -2).copy().swapaxes(-1, -2)


def reversed_(array: Any) -> Any:
    """The same values, stored backwards along the last two axes."""
    return array[..., ::-1, ::-1].copy()[..., ::-1, ::-1]


def sliced(array: Any) -> Any:
    """The same values, every third and second of a larger array."""
    shape = (*array.shape[:-2], array.shape[-2] * 3, array.shape[-1] * 2)
    view = np.zeros(shape, array.dtype)[..., ::3, ::2]
    view[...] = array
    return view


LAYOUTS = {
    "contiguous": np.ascontiguousarray,
    "transposed": transposed,
    "reversed": reversed_,
    "sliced": sliced,
}


class GuardedMemory:
    """An array between two pages that nothing may read or write: it touches the one on `side`."""

    def __init__(self, array: Any, side: str = "end") -> None:
        self.pages = -(-array.nbytes // PAGE)
        self.memory = mmap.mmap(-1, (self.pages + 2) * PAGE)
        self._protect_both(0)
        rest = self.pages * PAGE - array.nbytes if side == "end" else 0
        flat = np.frombuffer(self.memory, array.dtype, array.size, PAGE + rest)
        self.array = flat.reshape(array.shape)
        self.array[...] = array

    def _protect_both(self, protection: int) -> None:
        start = ctypes.addressof(ctypes.c_char.from_buffer(self.memory))
        _protect(start, protection)
        _protect(start + (self.pages + 1) * PAGE, protection)

    def release(self) -> None:
        """Make the guard pages harmless again, so that the mapping may be unmapped."""
        self._protect_both(mmap.PROT_READ | mmap.PROT_WRITE)


def _protect(address: int, protection: int) -> None:
    libc = ctypes.CDLL(None)
    result = libc.mprotect(ctypes.c_void_p(address), ctypes.c_size_t(PAGE), protection)
    assert result == 0


def error_in_roundings(got: Any, want: Any, magnitude: Any) -> float:
    """The largest error, in units of half an ULP of the sum of magnitudes."""
    if got.size == 0:
        return 0.0
    unit = np.finfo(got.dtype).eps / 2
    return float((np.abs(got - want) / (magnitude * unit + np.finfo(got.dtype).tiny)).max())

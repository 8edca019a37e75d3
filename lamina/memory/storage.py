"""Storage: the bytes under one or more tensors, whoever owns them."""

import mmap
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, final

import numpy as np

from lamina.errors import FileFormatError, LayoutError
from lamina.memory.files import check_is_file
from lamina.memory.pool import pool


@final
class Promise:
    """Stands for bytes that are not there yet: reading them raises what `refuse` makes."""

    __slots__ = ("refuse",)

    def __init__(self, refuse: Callable[[], Exception]) -> None:
        self.refuse = refuse


@final
class Storage:
    """A run of bytes: from the pool, from a numpy array, mapped from a file, or only promised.

    `version` counts the writes in place; the derivative engine compares it to find saved tensors
    that were overwritten. `buffer` exports the bytes and keeps their owner alive.
    """

    __slots__ = ("__weakref__", "_address", "buffer", "nbytes", "version", "writable")

    def __init__(
        self, buffer: Any, nbytes: int, writable: bool = True, address: int | None = None
    ) -> None:
        self.buffer = buffer
        self.nbytes = nbytes
        self.writable = writable
        self.version = 0
        self._address = address

    @property
    def address(self) -> int:
        """Address of the first byte."""
        if self._address is None:
            self.check_present()
            array = self.buffer if isinstance(self.buffer, np.ndarray) else _bytes_of(self.buffer)
            self._address = int(array.__array_interface__["data"][0])
        return self._address

    @property
    def is_present(self) -> bool:
        """Whether the bytes are there, and not only promised."""
        return not isinstance(self.buffer, Promise)

    def check_present(self) -> None:
        """Raise the error of a promise where the bytes are not there yet."""
        if isinstance(self.buffer, Promise):
            raise self.buffer.refuse()

    def check_writable(self) -> None:
        """Raise LayoutError where the bytes must not be written."""
        if not self.writable:
            raise LayoutError("this memory is read-only; write to a clone() of the tensor")


def _bytes_of(buffer: Any) -> np.ndarray[Any, np.dtype[np.uint8]]:
    return np.frombuffer(buffer, np.uint8)


class _Source(threading.local):
    """Where this thread's fresh storage comes from, if not from the pool."""

    allocate: Callable[[int], Storage] | None = None


_source = _Source()


@contextmanager
def allocating(source: Callable[[int], Storage] | None) -> Iterator[None]:
    """Let `allocate` ask `source` (None: the pool) in this thread, until the block ends."""
    before, _source.allocate = _source.allocate, source
    try:
        yield
    finally:
        _source.allocate = before


def allocate(nbytes: int) -> Storage:
    """Return fresh storage of at least `nbytes` from the pool, its content undefined."""
    if _source.allocate is not None:
        return _source.allocate(nbytes)
    block = pool.acquire(nbytes)
    slot: Any = block.base
    return Storage(block, nbytes, True, slot.address)


def map_file(path: str | os.PathLike[str], *, writable: bool = False) -> Storage:
    """Return the bytes of a file without reading them; pages arrive when they are touched."""
    check_is_file(path)
    access = mmap.ACCESS_WRITE if writable else mmap.ACCESS_READ
    with open(path, "r+b" if writable else "rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size == 0:
            raise FileFormatError(f"{path} is empty; expected at least one byte to map")
        region = mmap.mmap(file.fileno(), size, access=access)
    return Storage(region, size, writable=writable)

"""The tensor pool: aligned blocks in size classes, lent out and taken back by reference count.

A block is lent as a `Block`, a numpy byte array. Whatever views are made of it, here or by numpy,
hold it; when the last of them dies the memory returns to the free list of its class. Four classes a
doubling keep the waste under a quarter. Idle memory past `keep_bytes` goes back to the system.
"""

import mmap
import os
import threading
from collections import deque
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple, final

import numpy as np

from lamina.config import settings
from lamina.errors import ArgumentError, MemoryCapError

ALIGNMENT = 64
SLAB_BYTES = 1 << 20
HUGE_PAGE_BYTES = 2 << 20


class Place(NamedTuple):
    """Memory of one size class: `nbytes` of `region`, from `offset`."""

    region: mmap.mmap
    offset: int
    address: int
    nbytes: int


@final
class Block(np.ndarray[Any, np.dtype[np.uint8]]):
    """Bytes on loan from a pool; they return to it when the last view of them dies."""

    place: Place
    pool: "TensorPool"

    def __del__(self) -> None:
        # A view that numpy makes of this class inherits no place: only the loan itself returns.
        if "place" in self.__dict__:
            self.pool.take_back(self.place)


@dataclass(frozen=True, slots=True)
class PoolStats:
    """Bytes and counts of a pool since it was made (or since `reset_peak`).

    `live` bytes are on loan now, `peak` the most there were; `idle` wait for reuse. Of `acquired`
    loans `reused` came from a free list. `returned` bytes were handed back to the system.
    """

    live: int
    peak: int
    idle: int
    acquired: int
    reused: int
    returned: int


@cache
def size_class(nbytes: int) -> int:
    """Return the bytes a request of `nbytes` occupies.

    >>> size_class(1), size_class(1000), size_class(1 << 20)
    (64, 1024, 1048576)
    """
    if nbytes <= 4 * ALIGNMENT:
        return max(-(-nbytes // ALIGNMENT), 1) * ALIGNMENT
    quarter = 1 << ((nbytes - 1).bit_length() - 3)
    return -(-nbytes // quarter) * quarter


@final
class TensorPool:
    """Memory for tensors: lent by `acquire`, reused, bounded; safe to use from any thread."""

    def __init__(self, *, keep_bytes: int, cap_bytes: int | None = None) -> None:
        self.keep_bytes = keep_bytes
        self.cap_bytes = cap_bytes
        self._free: dict[int, deque[Place]] = {}
        # Reentrant: a block may die, and come back, while this very thread is inside the pool.
        self._lock = threading.RLock()
        self._live = self._peak = self._idle = 0
        self._acquired = self._reused = self._returned = 0
        os.register_at_fork(after_in_child=self._renew_lock)

    def acquire(self, nbytes: int) -> Block:
        """Return a block of at least `nbytes`, aligned to 64 bytes, its content undefined."""
        size = size_class(nbytes)
        with self._lock:
            place = self._reuse(size) or self._create(size)
            self._acquired += 1
            self._live += size
            if self._live > self._peak:
                self._peak = self._live
        block = Block((size,), np.uint8, place.region, place.offset)
        block.pool = self
        block.place = place
        return block

    def take_back(self, place: Place) -> None:
        """Accept memory whose last view has died; called by the block itself."""
        with self._lock:
            self._live -= place.nbytes
            if place.nbytes > SLAB_BYTES // 4 and self._idle + place.nbytes > self.keep_bytes:
                self._returned += place.nbytes
                return
            self._idle += place.nbytes
            self._free.setdefault(place.nbytes, deque()).append(place)

    def trim(self) -> int:
        """Return to the system all idle memory that has a region to itself; return its bytes."""
        with self._lock:
            gone = 0
            for size, places in self._free.items():
                if size > SLAB_BYTES // 4:
                    gone += size * len(places)
                    places.clear()
            self._idle -= gone
            self._returned += gone
            return gone

    def stats(self) -> PoolStats:
        """Return the pool's counters as they stand."""
        with self._lock:
            return PoolStats(
                *(self._live, self._peak, self._idle),
                *(self._acquired, self._reused, self._returned),
            )

    def reset_peak(self) -> None:
        """Let `peak` start again from what is live now."""
        with self._lock:
            self._peak = self._live

    def _reuse(self, size: int) -> Place | None:
        places = self._free.get(size)
        if not places:
            return None
        self._idle -= size
        self._reused += 1
        # Last in, first out: that memory is the likeliest to be in cache still.
        return places.pop()

    def _create(self, size: int) -> Place:
        if self.cap_bytes is not None and self._live + size > self.cap_bytes:
            raise MemoryCapError(
                f"{size} bytes were asked for with {self._live} live under a cap of "
                f"{self.cap_bytes}; free tensors, use smaller batches or raise the cap"
            )
        if size > SLAB_BYTES // 4:
            return Place(*_map_region(size), size)
        region, offset, address = _map_region(SLAB_BYTES)
        places = self._free.setdefault(size, deque())
        for start in range(size, SLAB_BYTES - size + 1, size):
            places.append(Place(region, offset + start, address + start, size))
            self._idle += size
        return Place(region, offset, address, size)

    def _renew_lock(self) -> None:
        self._lock = threading.RLock()


def _map_region(nbytes: int) -> tuple[mmap.mmap, int, int]:
    try:
        region = mmap.mmap(-1, nbytes)
    except (OSError, OverflowError):
        raise MemoryCapError(
            f"the system has no {nbytes} bytes left; free tensors or use smaller batches"
        ) from None
    if nbytes >= HUGE_PAGE_BYTES and hasattr(mmap, "MADV_HUGEPAGE"):
        region.madvise(mmap.MADV_HUGEPAGE)
    address = np.frombuffer(region, np.uint8).__array_interface__["data"][0]
    return region, 0, address


def set_cap(nbytes: int | None) -> None:
    """Allow tensors at most `nbytes` of live memory; None lifts the cap."""
    if nbytes is not None and nbytes < 0:
        raise ArgumentError(f"a cap of {nbytes} bytes was given; expected 0 or more, or None")
    pool.cap_bytes = nbytes


pool = TensorPool(keep_bytes=settings.pool_bytes)

"""The tensor pool: aligned blocks in size classes, lent out and taken back by reference count.

Memory is kept in slots. A loan is a `Block`, a numpy view of a slot; whatever views are made of
it, here or by numpy, hold it, and when the last of them dies the slot returns to the shelf of its
class. Four classes a doubling keep the waste under a quarter. Small slots are cut from slabs, large
ones have a region to themselves. What lay idle longest goes back to the system first.
"""

import mmap
import os
import threading
from collections import defaultdict, deque
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, final

import numpy as np

from lamina.config import settings
from lamina.errors import ArgumentError, MemoryCapError

ALIGNMENT = 64
SLAB_BYTES = 1 << 20
PENDING_BLOCKS = 64
HUGE_PAGE_BYTES = 2 << 20

Bytes = np.ndarray[Any, np.dtype[np.uint8]]


@final
class Region:
    """Memory mapped in one piece, cut into slots of one size as they are needed.

    It is unmapped when the last of them dies.
    """

    __slots__ = ("address", "memory", "pieces")

    def __init__(self, memory: Bytes) -> None:
        self.memory = memory
        self.address = int(memory.__array_interface__["data"][0])
        self.pieces = 0

    def cut(self, size: int) -> "Slot | None":
        """Return the next slot of `size` bytes; None where all of it is cut."""
        start = self.pieces * size
        if start + size > self.memory.size:
            return None
        self.pieces += 1
        slot = self.memory[start : start + size].view(Slot)
        slot.address = self.address + start
        slot.region = self
        return slot


@final
class Slot(Bytes):
    """Memory of one size class. A pool keeps it on a shelf, or has lent it out as a `Block`."""

    __slots__ = ("address", "idle_since", "pool", "region", "shelf")

    address: int
    idle_since: int
    pool: "TensorPool"
    region: Region
    shelf: list["Slot"]


@final
class Block(Bytes):
    """Bytes on loan from a pool; they return to it when the last view of them dies."""

    __slots__ = ()

    def __del__(self) -> None:
        slot = self.base
        # A view that numpy makes of a loan is a Block as well; only the loan rests on a slot.
        if type(slot) is Slot:
            slot.pool.take_back(slot)


@dataclass(frozen=True, slots=True)
class PoolStats:
    """Bytes and counts of a pool since it was made (`peak`: since `reset_peak`).

    `live` bytes are on loan now, `peak` the most there were; `idle` wait for reuse. Of `acquired`
    loans `reused` came from a shelf. `returned` bytes were handed back to the system.
    """

    live: int
    peak: int
    idle: int
    acquired: int
    reused: int
    returned: int


@lru_cache(maxsize=4096)
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
    """Memory for tensors: lent by `acquire`, reused, bounded; safe to use from any thread.

    At most `keep_bytes` lie idle. With `cap_bytes`, live and idle memory together stay under it.
    """

    def __init__(self, *, keep_bytes: int, cap_bytes: int | None = None) -> None:
        self.keep_bytes = keep_bytes
        self._cap_bytes = cap_bytes
        self._shelves: dict[int, list[Slot]] = {}
        # The region that slots of a size are cut from, if it is not used up.
        self._open: dict[int, Region] = {}
        # Blocks that died and are not on their shelf yet. A finalizer may run at any point of any
        # thread, inside this pool too, so it does no more than leave the slot here.
        self._pending: deque[Slot] = deque()
        self._lock = threading.RLock()
        self._live = self._peak = self._held = 0
        self._acquired = self._created = self._returned = 0
        # Held across a fork, so that the child finds no counter half changed by another thread.
        os.register_at_fork(
            before=self._lock.acquire,
            after_in_parent=self._lock.release,
            after_in_child=self._lock.release,
        )

    def acquire(self, nbytes: int) -> Block:
        """Return a block of at least `nbytes`, aligned to 64 bytes, its content undefined."""
        size = size_class(nbytes)
        with self._lock:
            if self._pending:
                self._settle()
            shelf = self._shelves.get(size)
            # Last in, first out: that memory is the likeliest to be in cache still.
            slot = shelf.pop() if shelf else self._create(size)
            self._acquired += 1
            live = self._live = self._live + size
            if live > self._peak:
                self._peak = live
            return slot.view(Block)

    def take_back(self, slot: Slot) -> None:
        """Accept memory whose last view has died; called by the block itself."""
        self._pending.append(slot)
        if slot.nbytes > SLAB_BYTES or len(self._pending) > PENDING_BLOCKS:
            with self._lock:
                self._settle()

    def _settle(self) -> None:
        """Put on their shelves the blocks that died."""
        while self._pending:
            slot = self._pending.popleft()
            self._live -= slot.nbytes
            slot.idle_since = self._acquired
            slot.shelf.append(slot)
        if self._held - self._live > self.keep_bytes:
            # Down to half, so that a pool at its limit does not come here at every return.
            self._shrink(self.keep_bytes // 2)

    def trim(self) -> int:
        """Hand all memory back to the system of which no part is on loan; return its bytes."""
        with self._lock:
            self._settle()
            return self._shrink(0)

    def set_cap(self, nbytes: int | None) -> None:
        """Allow the pool at most `nbytes`, live and idle together; None lifts the cap.

        What is on loan already stays so; a request that does not fit is a MemoryCapError.
        """
        if nbytes is not None and nbytes < 0:
            raise ArgumentError(f"a cap of {nbytes} bytes was given; expected 0 or more, or None")
        with self._lock:
            self._settle()
            self._cap_bytes = nbytes
            if nbytes is not None and self._held > nbytes:
                self._shrink(max(nbytes - self._live, 0))

    def stats(self) -> PoolStats:
        """Return the pool's counters as they stand."""
        with self._lock:
            self._settle()
            idle = self._held - self._live
            reused = self._acquired - self._created
            return PoolStats(self._live, self._peak, idle, self._acquired, reused, self._returned)

    def reset_peak(self) -> None:
        """Let `peak` start again from what is live now."""
        with self._lock:
            self._settle()
            self._peak = self._live

    def _create(self, size: int) -> Slot:
        region = self._open.get(size)
        slot = None if region is None else region.cut(size)
        if slot is None:
            wanted = size if size > SLAB_BYTES // 4 else SLAB_BYTES // size * size
            nbytes = self._room_for(size, wanted) // size * size
            region = self._open[size] = Region(_map_region(nbytes))
            self._held += nbytes
            slot = region.cut(size)
            assert slot is not None, "a region holds at least one slot"
        slot.pool = self
        slot.shelf = self._shelves.setdefault(size, [])
        self._created += 1
        return slot

    def _room_for(self, size: int, wanted: int) -> int:
        """Return how many of `wanted` bytes the cap allows; MemoryCapError if not even `size`."""
        cap = self._cap_bytes
        if cap is None or self._held + wanted <= cap:
            return wanted
        if self._held + size > cap:
            self._shrink(max(cap - size - self._live, 0))
        if self._held + size > cap:
            raise MemoryCapError(
                f"{size} bytes were asked for with {self._live} live under a cap of {cap}; "
                "free tensors, use smaller batches or raise the cap with lamina.memory.set_cap"
            )
        return min(wanted, cap - self._held)

    def _shrink(self, idle_bytes: int) -> int:
        """Hand back regions no part of which is on loan, until `idle_bytes` are left.

        Return the bytes handed back.
        """
        taken = [slot for shelf in list(self._shelves.values()) for slot in _emptied(shelf)]
        gone = _longest_idle(taken, self._held - self._live - idle_bytes)
        for slot in taken:
            if slot.region not in gone:
                slot.shelf.append(slot)
        self._open = {size: region for size, region in self._open.items() if region not in gone}
        freed = sum(region.memory.nbytes for region in gone)
        self._held -= freed
        self._returned += freed
        return freed


def _emptied(shelf: list[Slot]) -> list[Slot]:
    """Return all slots of a shelf, taken from it one by one: none can be lent meanwhile."""
    slots = []
    while shelf:
        slots.append(shelf.pop())
    return slots[::-1]


def _longest_idle(slots: list[Slot], nbytes: int) -> set[Region]:
    """Return regions of which every slot is among `slots`, longest idle first, up to `nbytes`."""
    idle: defaultdict[Region, list[Slot]] = defaultdict(list)
    for slot in slots:
        idle[slot.region].append(slot)
    whole = [region for region, cut in idle.items() if len(cut) == region.pieces]
    whole.sort(key=lambda region: max(slot.idle_since for slot in idle[region]))
    gone = set[Region]()
    for region in whole:
        if nbytes <= 0:
            break
        gone.add(region)
        nbytes -= region.memory.nbytes
    return gone


def no_memory(what: str, error: MemoryError) -> MemoryCapError:
    """Return the error for `what` when numpy found no memory for it; the pool's own as it is."""
    if isinstance(error, MemoryCapError):
        return error
    return MemoryCapError(
        f"{what}: more memory was asked for than the system has left; free tensors or use smaller "
        "sizes"
    )


def _map_region(nbytes: int) -> Bytes:
    # Private: after a fork parent and child must not write into each other's tensors.
    private = {"flags": mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS} if os.name == "posix" else {}
    try:
        region = mmap.mmap(-1, nbytes, **private)
    except (OSError, OverflowError):
        raise MemoryCapError(
            f"the system has no {nbytes} bytes left; free tensors or use smaller batches"
        ) from None
    if nbytes >= HUGE_PAGE_BYTES and hasattr(mmap, "MADV_HUGEPAGE"):
        region.madvise(mmap.MADV_HUGEPAGE)
    return np.frombuffer(region, np.uint8)


pool = TensorPool(keep_bytes=settings.pool_bytes)

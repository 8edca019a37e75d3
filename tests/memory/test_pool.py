"""The pool lends aligned memory, takes it back when the last view dies, and stays bounded."""

import gc
import threading
from collections.abc import Callable
from itertools import pairwise
from random import Random

import numpy as np
import pytest

from lamina.errors import ArgumentError, MemoryCapError
from lamina.memory.pool import ALIGNMENT, SLAB_BYTES, Block, TensorPool, size_class

MIB = 1 << 20


def make_pool(*, keep: int = 1 << 30, cap: int | None = None) -> TensorPool:
    return TensorPool(keep_bytes=keep, cap_bytes=cap)


def address_of(block: Block) -> int:
    return int(block.__array_interface__["data"][0])


def test_a_size_class_holds_the_request_and_wastes_less_than_a_quarter() -> None:
    for nbytes in (*range(1, 2000), 65_537, MIB - 1, MIB, MIB + 1, 10**9):
        size = size_class(nbytes)
        assert nbytes <= size < nbytes * 1.25 + ALIGNMENT
        assert size % ALIGNMENT == 0
        assert size_class(size) == size


def test_a_request_of_nothing_takes_the_smallest_class() -> None:
    assert size_class(0) == ALIGNMENT


@pytest.mark.parametrize("nbytes", [1, 64, 100, 4096, 300_000, MIB, 3 * MIB + 5])
def test_a_block_is_aligned_and_writable(nbytes: int) -> None:
    block = make_pool().acquire(nbytes)
    block[:] = 7
    assert block.size >= nbytes
    assert address_of(block) % ALIGNMENT == 0
    assert block.base.address == address_of(block)


@pytest.mark.parametrize("nbytes", [64, 5000, 300_000, 2 * MIB])
def test_memory_that_came_back_is_lent_again(nbytes: int) -> None:
    pool = make_pool()
    block = pool.acquire(nbytes)
    address = address_of(block)
    del block
    assert address_of(pool.acquire(nbytes)) == address
    assert pool.stats().reused == 1


def test_blocks_on_loan_never_overlap() -> None:
    pool = make_pool()
    blocks = [pool.acquire(1 + 997 * i % 70_000) for i in range(300)]
    spans = sorted((address_of(b), address_of(b) + b.size) for b in blocks)
    assert all(end <= start for (_, end), (start, _) in pairwise(spans))


VIEWS: dict[str, Callable[[Block], object]] = {
    "slice": lambda block: block[10:20],
    "array over it": lambda block: np.ndarray((4,), np.float32, block),
    "slice of an array over it": lambda block: np.ndarray((4,), np.float32, block)[1:],
    "plain view": lambda block: block.view(np.ndarray),
    "memoryview": memoryview,
    "reshaped": lambda block: block.reshape(2, -1).T,
    "strided": lambda block: np.lib.stride_tricks.as_strided(block, (3,), (2,)),
    "DLPack": lambda block: np.from_dlpack(block.view(np.ndarray)),
}


@pytest.mark.parametrize("make_view", VIEWS.values(), ids=VIEWS.keys())
def test_the_last_view_returns_the_block(make_view: Callable[[Block], object]) -> None:
    gc.disable()
    try:
        pool = make_pool()
        block = pool.acquire(MIB)
        view = make_view(block)
        del block
        assert pool.stats().live == MIB
        del view
        assert pool.stats().live == 0
    finally:
        gc.enable()


def test_the_counters_are_exact() -> None:
    pool = make_pool()
    first = pool.acquire(MIB)
    second = pool.acquire(2 * MIB)
    assert pool.stats().live == pool.stats().peak == 3 * MIB
    del first
    again = pool.acquire(MIB)
    del again, second
    stats = pool.stats()
    assert (stats.live, stats.peak, stats.idle) == (0, 3 * MIB, 3 * MIB)
    assert (stats.acquired, stats.reused, stats.returned) == (3, 1, 0)
    assert pool.trim() == 3 * MIB
    assert (pool.stats().idle, pool.stats().returned) == (0, 3 * MIB)
    pool.reset_peak()
    assert pool.stats().peak == 0


def test_a_slab_goes_back_only_when_all_of_it_is_idle() -> None:
    pool = make_pool()
    kept, dropped = pool.acquire(4096), pool.acquire(4096)
    del dropped
    assert pool.trim() == 0
    kept[:] = 1
    del kept
    assert pool.trim() == SLAB_BYTES
    assert pool.stats().idle == 0


def test_idle_memory_is_bounded_and_the_longest_idle_goes_first() -> None:
    pool = make_pool(keep=8 * MIB)
    blocks = [pool.acquire(MIB) for _ in range(9)]
    addresses = [address_of(b) for b in blocks]
    for _ in range(8):
        blocks.pop(0)
    assert pool.stats().idle == 8 * MIB
    blocks.pop()
    stats = pool.stats()
    assert (stats.idle, stats.returned) == (4 * MIB, 5 * MIB)
    remaining = {address_of(b) for b in [pool.acquire(MIB) for _ in range(4)]}
    assert remaining == set(addresses[5:])


def test_memory_stays_bounded_under_random_sizes() -> None:
    pool, random = make_pool(keep=4 * MIB), Random(0)
    for _ in range(1000):
        pool.acquire(int(10 ** random.uniform(0, 6)))
        assert pool.stats().idle <= 4 * MIB
    assert pool.stats().live == 0


def test_a_request_past_the_cap_leaves_everything_as_it_was() -> None:
    pool = make_pool(cap=4 * MIB)
    held = pool.acquire(3 * MIB)
    before = pool.stats()
    with pytest.raises(MemoryCapError, match=r"2097152 bytes .* 3145728 live .* cap of 4194304"):
        pool.acquire(2 * MIB)
    assert pool.stats() == before
    fits = pool.acquire(MIB)
    assert pool.stats().live == 4 * MIB
    del held, fits
    assert pool.stats().live == 0


def test_idle_memory_makes_room_before_the_cap_refuses() -> None:
    pool = make_pool(cap=4 * MIB)
    del (block := [pool.acquire(MIB) for _ in range(3)])[:]
    assert not block
    assert pool.stats().idle == 3 * MIB
    wanted = pool.acquire(4 * MIB)
    assert (pool.stats().live, pool.stats().idle) == (4 * MIB, 0)
    del wanted


def test_a_small_block_fits_under_a_cap_smaller_than_a_slab() -> None:
    pool = make_pool(cap=10_000)
    blocks = [pool.acquire(1024) for _ in range(9)]
    with pytest.raises(MemoryCapError):
        pool.acquire(1024)
    assert pool.stats().live == len(blocks) * 1024


def test_a_cap_of_nothing_refuses_everything() -> None:
    with pytest.raises(MemoryCapError):
        make_pool(cap=0).acquire(1)


def test_a_cap_set_later_hands_idle_memory_back() -> None:
    pool = make_pool()
    kept, idle = pool.acquire(MIB), pool.acquire(MIB)
    del idle
    pool.set_cap(MIB)
    assert (pool.stats().live, pool.stats().idle) == (MIB, 0)
    pool.set_cap(None)
    assert pool.acquire(64 * MIB).size == 64 * MIB
    del kept


def test_a_negative_cap_is_refused() -> None:
    with pytest.raises(ArgumentError, match="cap of -1"):
        make_pool().set_cap(-1)


def test_more_than_the_system_has_is_a_typed_error() -> None:
    with pytest.raises(MemoryCapError, match="the system has no"):
        make_pool().acquire(1 << 62)


def test_eight_threads_never_share_a_block() -> None:
    pool = make_pool(keep=2 * MIB)
    clashes: list[int] = []

    def hammer(mark: int) -> None:
        random, mine = Random(mark), []
        for _ in range(400):
            block = pool.acquire(random.choice((64, 700, 5000, 300_000)))
            block[:] = mark
            mine.append(block)
            if len(mine) > 4:
                clashes.extend(b.size for b in mine if (b != mark).any())
                del mine[: random.randrange(1, 5)]

    threads = [threading.Thread(target=hammer, args=(mark,)) for mark in range(1, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    stats = pool.stats()
    assert clashes == []
    assert (stats.live, stats.acquired) == (0, 8 * 400)
    pool.trim()
    assert pool.stats().idle == 0


def test_a_block_may_die_in_another_thread() -> None:
    pool = make_pool()
    box = [pool.acquire(MIB)]
    thread = threading.Thread(target=box.clear)
    thread.start()
    thread.join()
    assert pool.stats().live == 0


FORK = """
import os, threading, warnings
warnings.simplefilter("ignore", DeprecationWarning)  # of forking with threads: what is tested here
from lamina.memory import pool
import numpy as np

stop = threading.Event()
def churn():
    while not stop.is_set():
        pool.acquire(5000)
threads = [threading.Thread(target=churn) for _ in range(2)]
for thread in threads: thread.start()
block = pool.acquire(1 << 20)
block[:] = 1
for _ in range(20):
    child = os.fork()
    if child == 0:
        mine = [pool.acquire(1 << 20) for _ in range(3)]
        block[:] = 2
        for b in mine: b[:] = 3
        stats = pool.stats()
        os._exit(0 if (block == 2).all() and stats.live >= 4 << 20 else 1)
    _, status = os.waitpid(child, 0)
    assert status == 0, status
stop.set()
for thread in threads: thread.join()
assert (block == 1).all(), "the child wrote into the parent's memory"
del block
assert pool.stats().live == 0
print("sound")
"""


def test_a_fork_leaves_both_sides_a_sound_pool(run_python: Callable[[str], str]) -> None:
    assert run_python(FORK).strip() == "sound"

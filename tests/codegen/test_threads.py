"""The team: its size, forks, callers at once, errors."""

import ctypes
import os
import threading

import numpy as np
import pytest

from lamina.codegen import jit, threads
from lamina.codegen.builder import KernelModule
from lamina.codegen.types import Pointer, i8, i64
from lamina.errors import ArgumentError

CHUNKS = 1000


@pytest.fixture(autouse=True)
def size_is_put_back():
    before = threads.num_threads()
    yield
    threads.set_num_threads(before)


def emit_count(module: KernelModule) -> None:
    """Add 1 to the entry of each chunk that is claimed."""
    with module.function("run", {"args": Pointer(i64), "scratch": Pointer(i8)}) as (k, args, _):
        out = k.pointer_at(args[1], i64)
        number = k.cell(i64, k.claim(args))
        with k.repeat_while(lambda: number.get() < CHUNKS):
            out[number.get()] = out[number.get()] + 1
            number.set(k.claim(args))


def every_chunk_is_done_once():
    out = np.zeros(CHUNKS, "i8")
    block = (ctypes.c_int64 * 2)(0, out.ctypes.data)
    threads.run(jit.kernel(emit_count), ctypes.addressof(block), 64, threads=8)
    return bool((out == 1).all())


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_chunks_are_done_once(count):
    threads.set_num_threads(count)
    assert threads.num_threads() == count
    assert all(every_chunk_is_done_once() for _ in range(20))


def test_threads_that_are_not_wanted_end():
    threads.set_num_threads(6)
    every_chunk_is_done_once()
    threads.set_num_threads(1)
    every_chunk_is_done_once()
    for thread in threading.enumerate():
        if thread.name == "lamina":
            thread.join(5)
    assert not [thread for thread in threading.enumerate() if thread.name == "lamina"]


def test_several_callers_at_once():
    threads.set_num_threads(3)
    results = []
    callers = [
        threading.Thread(target=lambda: results.append(every_chunk_is_done_once()))
        for _ in range(8)
    ]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert results == [True] * 8


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_child_has_a_team_of_its_own():
    threads.set_num_threads(2)
    assert every_chunk_is_done_once()
    child = os.fork()
    if child == 0:
        os._exit(0 if every_chunk_is_done_once() else 1)
    assert os.waitpid(child, 0)[1] == 0


def test_scratch_is_aligned_and_grows():
    first = threads.workspace(100)
    assert first % 64 == 0
    assert threads.workspace(50) == first
    assert threads.workspace(1 << 20) % 64 == 0


def test_no_threads_is_an_error():
    with pytest.raises(ArgumentError, match=r"set_num_threads\(0\): expected a whole number"):
        threads.set_num_threads(0)

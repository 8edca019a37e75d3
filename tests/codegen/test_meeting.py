"""How threads meet inside a kernel: barriers of exact teams, stages of open ones."""

import ctypes
import threading

import numpy as np
import pytest

from lamina.codegen import jit, threads
from lamina.codegen.builder import KernelModule
from lamina.codegen.meeting import LINE, Meeting, Stage
from lamina.codegen.types import Pointer, i8, i64

PARAMETERS = {"args": Pointer(i64), "scratch": Pointer(i8)}
ROUNDS = 200
CHUNKS = 50
STAGES = 40
COUNTS = (1, 2, 3, 7)


@pytest.fixture(autouse=True)
def size_is_put_back():
    before = threads.num_threads()
    yield
    threads.set_num_threads(before)


def emit_rounds(module: KernelModule) -> None:
    """Write the round's number to one's own place; behind a barrier, add up all places."""
    with module.function("run", PARAMETERS) as (k, args, _):
        meeting = Meeting.join(k, args)
        places = k.pointer_at(args[Meeting.WORDS], i64)
        sums = k.pointer_at(args[Meeting.WORDS + 1], i64) + meeting.number * ROUNDS
        count = k.convert(meeting.count, i64)
        with k.loop(ROUNDS) as turn:
            places[meeting.number * LINE] = turn.index
            meeting.barrier()
            with k.loop(count, carry=[k.constant(i64, 0)]) as member:
                member.next = [member.carried[0] + places[member.index * LINE]]
            sums[turn.index] = member.results[0]
            meeting.barrier()


def rounds_together(count):
    """The sums that each participant found, one row for each."""
    places = np.zeros((count, LINE), "i8")
    sums = np.full((count, ROUNDS), -1, "i8")
    block = (ctypes.c_int64 * (Meeting.WORDS + 2))()
    block[Meeting.WORDS :] = [places.ctypes.data, sums.ctypes.data]
    entry = jit.kernel(emit_rounds)
    threads.run(entry, ctypes.addressof(block), 64, threads=count, together=True)
    return sums


@pytest.mark.parametrize("count", COUNTS)
def test_nobody_passes_a_barrier_before_the_last_has_come(count):
    threads.set_num_threads(count)
    for _ in range(3):
        assert (rounds_together(count) == count * np.arange(ROUNDS)).all()


def test_a_busy_team_leaves_the_caller_alone():
    threads.set_num_threads(2)
    found = []
    callers = [threading.Thread(target=lambda: found.append(rounds_together(2))) for _ in range(4)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    alone = np.stack([np.arange(ROUNDS), np.full(ROUNDS, -1)])
    both = np.stack([2 * np.arange(ROUNDS)] * 2)
    assert len(found) == 4
    assert all((sums == alone).all() or (sums == both).all() for sums in found)


def emit_stages(module: KernelModule) -> None:
    """In every stage, each chunk becomes the sum of all chunks of the stage before, plus 1."""
    with module.function("run", PARAMETERS) as (k, args, _):
        words = k.pointer_at(args[0], i64)
        table = k.pointer_at(args[1], i64)
        with k.loop(STAGES, start=1) as turn:
            stage = Stage(k, words + turn.index * Stage.WORDS)
            row = table + turn.index * CHUNKS
            with stage.chunks(k.constant(i64, CHUNKS)) as chunk:
                with k.loop(CHUNKS, carry=[k.constant(i64, 1)]) as other:
                    other.next = [other.carried[0] + row[other.index - CHUNKS]]
                row[chunk] = other.results[0] % 1009


@pytest.mark.parametrize("count", COUNTS)
def test_a_stage_begins_when_all_chunks_of_the_last_are_done(count):
    expected = 0
    threads.set_num_threads(count)
    for _ in range(STAGES - 1):
        expected = (1 + CHUNKS * expected) % 1009
    for _ in range(5):
        words = np.zeros((STAGES, Stage.WORDS), "i8")
        table = np.zeros((STAGES, CHUNKS), "i8")
        block = (ctypes.c_int64 * 2)(words.ctypes.data, table.ctypes.data)
        threads.run(jit.kernel(emit_stages), ctypes.addressof(block), 64, threads=count)
        assert (table[-1] == expected).all()

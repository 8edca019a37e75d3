"""The team: its size, forks, callers at once, signals, the end of the process, errors."""

import ctypes
import errno
import multiprocessing
import os
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from lamina.codegen import jit, native_thread, threads
from lamina.codegen.builder import KernelModule
from lamina.codegen.types import Pointer, i8, i64
from lamina.codegen.values import compare
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


def workers():
    """How many threads of this process are workers of the team."""
    names = []
    for place in Path("/proc/self/task").glob("*/comm"):
        try:
            names.append(place.read_text().strip())
        except OSError:  # the thread ended meanwhile
            continue
    return names.count("lamina")


def test_threads_that_are_not_wanted_end():
    threads.set_num_threads(6)
    every_chunk_is_done_once()
    assert workers() == 5
    threads.set_num_threads(3)
    assert workers() == 2
    every_chunk_is_done_once()
    threads.set_num_threads(1)
    assert every_chunk_is_done_once()
    assert workers() == 0


def test_a_team_that_waits_uses_no_processor_time():
    threads.set_num_threads(4)
    every_chunk_is_done_once()
    time.sleep(0.05)
    before = time.process_time()
    time.sleep(1)
    assert time.process_time() - before < 0.01


def test_helpers_are_blind_to_signals():
    """Signals are for the threads of Python: a worker that took one would interrupt nobody."""
    threads.set_num_threads(2)
    every_chunk_is_done_once()
    blocked = [
        int(line.split()[1], 16)
        for place in Path("/proc/self/task").glob("*/status")
        if (text := place.read_text()).startswith("Name:\tlamina\n")
        for line in text.splitlines()
        if line.startswith("SigBlk")
    ]
    interrupt, crash = (1 << number - 1 for number in (2, 11))
    assert [mask & (interrupt | crash) for mask in blocked] == [interrupt]


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


def test_the_size_may_change_while_others_work():
    finish = threading.Event()
    results = []

    def work():
        while not finish.is_set():
            results.append(every_chunk_is_done_once())

    callers = [threading.Thread(target=work) for _ in range(3)]
    for caller in callers:
        caller.start()
    for count in [2, 5, 1, 3, 4, 2, 1, 6] * 3:
        threads.set_num_threads(count)
    finish.set()
    for caller in callers:
        caller.join()
    assert results
    assert all(results)


def test_a_forked_child_has_a_team_of_its_own():
    threads.set_num_threads(2)
    assert every_chunk_is_done_once()
    child = os.fork()
    if child == 0:
        os._exit(0 if every_chunk_is_done_once() and workers() == 1 else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert every_chunk_is_done_once()
    assert workers() == 1


def serve(requests, answers):
    while requests.get():
        answers.put(every_chunk_is_done_once() and workers() == 2)


def test_a_server_that_computes_before_it_forks():
    """The master loads and computes, its workers do, and so does the master in between."""
    threads.set_num_threads(3)
    assert every_chunk_is_done_once()
    context = multiprocessing.get_context("fork")
    requests, answers = context.SimpleQueue(), context.SimpleQueue()
    servers = [context.Process(target=serve, args=(requests, answers)) for _ in range(3)]
    for server in servers:
        server.start()
        assert every_chunk_is_done_once()
    for _ in range(12):
        requests.put(True)
    assert [answers.get() for _ in range(12)] == [True] * 12
    for _ in servers:
        requests.put(False)
    for server in servers:
        server.join()
        assert server.exitcode == 0
    assert every_chunk_is_done_once()


# Python warns where its own threads are several; the child leaves at once.
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_fork_while_another_thread_works():
    threads.set_num_threads(3)
    finish = threading.Event()

    def work():
        while not finish.is_set():
            every_chunk_is_done_once()

    caller = threading.Thread(target=work)
    caller.start()
    children = [fork_and_compute() for _ in range(5)]
    finish.set()
    caller.join()
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * 5


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_fork_while_another_thread_compiles():
    """The child must not inherit a lock that nobody in it will give back."""
    compiling = threading.Event()

    def compile_slowly():
        with jit._lock:
            compiling.set()
            time.sleep(0.2)

    caller = threading.Thread(target=compile_slowly)
    caller.start()
    compiling.wait()
    child = fork_and_compute()
    caller.join()
    assert os.waitpid(child, 0)[1] == 0


def fork_and_compute():
    child = os.fork()
    if child == 0:
        os._exit(0 if every_chunk_is_done_once() else 1)
    return child


TEAM_AT_WORK = """
import ctypes, {imports}
import lamina
from lamina.codegen import jit, threads
from test_threads import emit_count, every_chunk_is_done_once

threads.set_num_threads(3)
assert every_chunk_is_done_once()
{code}
"""
ENDINGS = {
    "at once": ("sys", ""),
    "by exit": ("sys", "sys.exit(0)"),
    "with a daemon at work": (
        "threading",
        "def work():\n    while True: every_chunk_is_done_once()\n"
        "threading.Thread(target=work, daemon=True).start()",
    ),
    "working at exit": ("atexit", "atexit.register(every_chunk_is_done_once)"),
    "by Ctrl-C": (
        "os, signal, threading, time",
        # An interrupt that meets a finalizer is lost: it comes again until it is heard.
        "heard = threading.Event()\n"
        "def interrupt():\n    while not heard.wait(0.5): os.kill(os.getpid(), signal.SIGINT)\n"
        "threading.Thread(target=interrupt).start()\n"
        "try:\n    while True: every_chunk_is_done_once()\n"
        "except KeyboardInterrupt:\n    heard.set(); assert every_chunk_is_done_once()",
    ),
}


@pytest.mark.parametrize("ending", ENDINGS.values(), ids=ENDINGS.keys())
def test_the_process_ends_cleanly(ending, run_python, monkeypatch):
    imports, code = ending
    monkeypatch.syspath_prepend(Path(__file__).parent)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    run_python(TEAM_AT_WORK.format(imports=imports, code=code))


def test_a_system_that_gives_no_threads_is_told_of(monkeypatch):
    def refuse(function, argument):
        raise OSError(errno.EAGAIN, "Resource temporarily unavailable")

    threads.set_num_threads(1)
    threads.set_num_threads(3)
    monkeypatch.setattr(native_thread, "start", refuse)
    with pytest.warns(RuntimeWarning, match=r"the team has 1 of 3 threads: .*; raise"):
        assert every_chunk_is_done_once()
    assert threads.num_threads() == 1
    assert every_chunk_is_done_once()


def emit_mark_scratch(module: KernelModule) -> None:
    """Fill one's own scratch with the chunk's number and see that it stays."""
    with module.function("run", {"args": Pointer(i64), "scratch": Pointer(i8)}) as (
        k,
        args,
        scratch,
    ):
        mine, size = k.cast_pointer(scratch, i64), args[1]
        number = k.cell(i64, k.claim(args))
        with k.repeat_while(lambda: number.get() < 200):
            with k.loop(size) as turn:
                mine[turn.index] = number.get()
            with (
                k.loop(size) as turn,
                k.when(compare("!=", mine[turn.index], number.get())),
            ):
                args[2] = args[2] + 1
            number.set(k.claim(args))


def test_scratch_belongs_to_one_thread_at_a_time():
    threads.set_num_threads(4)
    wrong = []

    def work(size):
        block = (ctypes.c_int64 * 3)(0, size, 0)
        entry = jit.kernel(emit_mark_scratch)
        threads.run(entry, ctypes.addressof(block), 8 * size, threads=4)
        wrong.append(block[2])

    callers = [threading.Thread(target=work, args=(300 * size,)) for size in range(1, 9)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert wrong == [0] * 8


def test_scratch_is_aligned_and_grows():
    first = threads.workspace(100)
    assert first.address % 64 == 0
    assert threads.workspace(50) is first
    assert threads.workspace(1 << 20).address % 64 == 0
    kept = threads.workspace(0)
    large = threads.workspace(threads.KEPT_BYTES + 1)
    assert large.size > threads.KEPT_BYTES
    assert threads.workspace(0) is kept


def test_no_threads_is_an_error():
    with pytest.raises(ArgumentError, match=r"set_num_threads\(0\): expected a whole number"):
        threads.set_num_threads(0)
    with pytest.raises(ArgumentError, match="from 1 to 1024"):
        threads.set_num_threads(1 << 20)

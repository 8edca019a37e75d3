"""One team of threads per process; work is claimed in chunks, so a stalled thread holds nobody.

`run(entry, arguments, scratch_bytes, threads=n)` calls `entry(arguments, scratch)` on this thread
and on workers that are parked in native code (`team.py`). The kernel claims chunks from a counter
inside its arguments until none is left; how many threads come to help is open, and the bits do not
depend on it. A second caller that comes while the team works runs alone.

A forked child begins with a team of its own. Before the interpreter ends, the workers do.
"""

import atexit
import ctypes
import os
import threading
import warnings
from dataclasses import dataclass
from functools import cache

import numpy as np

from lamina.codegen import jit, native_thread
from lamina.codegen.cpu import usable_cores
from lamina.codegen.jit import Entry
from lamina.codegen.team import BLOCK_BYTES, BUSY_AT_BYTE, emit_team
from lamina.config import settings
from lamina.errors import ArgumentError

_ALIGN = 64
KEPT_BYTES = 64 << 20
"""Scratch memory that a thread keeps for its next call; more is given back at once."""
MOST_THREADS = 1024
# Words of a run that the team fills in.
_TEAM, _HELPERS_SCRATCH, _STRIDE = 0, 3, 4


class Memory:
    """Zeros that begin at a cache line; pages that nobody touches take no memory."""

    def __init__(self, size: int) -> None:
        self._bytes = np.zeros(size + _ALIGN, np.uint8)
        self.address = -(-self._bytes.ctypes.data // _ALIGN) * _ALIGN
        self.size = size


class _Scratch(threading.local):
    """Memory of one thread that kernels may use while they run; up to a cap it is kept."""

    memory = Memory(0)

    def reserve(self, size: int) -> Memory:
        """Return memory of at least `size` bytes, to be held as long as it is used."""
        if size <= self.memory.size:
            return self.memory
        memory = Memory(size)
        if size <= KEPT_BYTES:
            self.memory = memory
        return memory


_scratch = _Scratch()
_workspace = _Scratch()


@dataclass(frozen=True, slots=True)
class _HelpersScratch:
    """Memory for the workers of one job, `stride` bytes for each."""

    memory: Memory
    count: int
    stride: int


_NO_SCRATCH = _HelpersScratch(Memory(0), 0, 0)


class _Native:
    """The compiled half of the team."""

    def __init__(self) -> None:
        address, number = ctypes.c_void_p, ctypes.c_size_t
        job = (address, address, address, address, number, address, number)
        self.fork_join = ctypes.CFUNCTYPE(None, *job)(_address("fork_join"))
        self.fork_join_all = ctypes.CFUNCTYPE(None, *job)(_address("fork_join_all"))
        self.sequence = ctypes.CFUNCTYPE(None, address)(_address("sequence"))
        self.resize = ctypes.CFUNCTYPE(None, address, number, number)(_address("resize"))
        self.park = _address("park")


def _address(name: str) -> int:
    return jit.address(emit_team, name=name)


_native = cache(_Native)


class Team:
    """The threads that work beside the caller."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._workers: list[int] = []
        self._ready = 0  # how many of them the native half knows of
        self._arguments: list[ctypes.Array[ctypes.c_int64]] = []
        self._block = Memory(BLOCK_BYTES)
        self._scratch = _NO_SCRATCH
        self._changing = threading.Lock()
        self._is_open = True

    def run(
        self,
        entry: Entry,
        arguments: int | bytes,
        scratch_bytes: int,
        *,
        threads: int,
        together: bool,
    ) -> None:
        """Call `entry` on this thread and up to `threads` − 1 workers."""
        own = _scratch.reserve(scratch_bytes)
        helpers = max(0, min(threads, self.size) - 1)
        if helpers == 0 and not together:
            entry(arguments, own.address)
            return
        shared = self._prepared(helpers, scratch_bytes)
        native = _native()
        call = native.fork_join_all if together else native.fork_join
        memory, stride = shared.memory.address, shared.stride
        call(self._block.address, entry, arguments, own.address, helpers, memory, stride)

    def sequence(
        self, run: "ctypes.Array[ctypes.c_int64]", address: int, threads: int, nbytes: int
    ) -> None:
        """Make the calls of a run, each on this thread and as many workers as it says."""
        helpers = min(threads, self.size) - 1
        if helpers > 0:
            # Held until the call is over: another thread may make the team's memory larger.
            shared = self._prepared(helpers, nbytes)
            run[_TEAM] = self._block.address
            run[_HELPERS_SCRATCH], run[_STRIDE] = shared.memory.address, shared.stride
        _native().sequence(address)

    def _prepared(self, helpers: int, scratch_bytes: int) -> _HelpersScratch:
        """Return scratch for the helpers, who are there."""
        if helpers > self._ready and self._is_open:
            self._grow()
        shared = self._scratch
        if shared.count < helpers or shared.stride < scratch_bytes:
            shared = self._reserve(helpers, scratch_bytes)
        return shared

    def _reserve(self, helpers: int, scratch_bytes: int) -> _HelpersScratch:
        """Return scratch for the helpers; a job that still runs in the old one holds on to it."""
        with self._changing:
            count = max(helpers, self._scratch.count)
            stride = -(-max(scratch_bytes, self._scratch.stride) // _ALIGN) * _ALIGN
            self._scratch = _HelpersScratch(Memory(count * stride), count, stride)
            return self._scratch

    def _grow(self) -> None:
        """Start the threads that are missing."""
        with self._changing:
            if not self._is_open:
                return
            places, refused = self.size - 1, None
            _native().resize(self._block.address, places, self._ready)
            try:
                while len(self._workers) < places:
                    self._workers.append(self._started(len(self._workers)))
            except OSError as error:
                refused = error
            _native().resize(self._block.address, places, len(self._workers))
            self._ready = len(self._workers)
            self.size = self._ready + 1
        if refused is not None:
            warnings.warn(
                f"the team has {self.size} of {places + 1} threads: {refused}; raise the limit on "
                f"threads, or ask for fewer: set_num_threads({self.size})",
                RuntimeWarning,
                stacklevel=4,
            )

    def _started(self, number: int) -> int:
        """Return the handle of a new worker; what it reads lives as long as the team."""
        if number == len(self._arguments):
            self._arguments.append((ctypes.c_int64 * 2)(self._block.address, number))
        return native_thread.start(_native().park, ctypes.addressof(self._arguments[number]))

    def resize(self, size: int) -> None:
        """Change the size; threads that are no longer wanted end."""
        with self._changing:
            self.size = size
            self._end_workers(keep=size - 1)

    def rest(self) -> None:
        """End all threads, until there is work again; a team at work goes on."""
        if ctypes.c_int32.from_address(self._block.address + BUSY_AT_BYTE).value:
            return
        with self._changing:
            self._end_workers(keep=0)

    def close(self) -> None:
        """End all threads for good; who still has work does it alone."""
        with self._changing:
            self._is_open = False
            self._end_workers(keep=0)

    def _end_workers(self, *, keep: int) -> None:
        leaving = self._workers[keep:]
        if not leaving:
            return
        # Forgotten first: if Ctrl-C comes in between, a worker too many does no harm.
        del self._workers[keep:]
        self._ready = min(self._ready, keep)
        _native().resize(self._block.address, keep, keep)
        for worker in leaving:
            native_thread.join(worker)
        self._scratch = _NO_SCRATCH


_team = Team(settings.num_threads or usable_cores())


def _start_over() -> None:
    """Threads do not survive a fork: the child begins with a team of its own."""
    global _team
    _team = Team(_team.size)


if hasattr(os, "register_at_fork"):
    # The parent forks with no thread but Python's, and has its team back when there is work: Python
    # warns of a fork beside other threads.
    os.register_at_fork(before=lambda: _team.rest(), after_in_child=_start_over)
atexit.register(lambda: _team.close())


def num_threads() -> int:
    """Return how many threads kernels may use: LAMINA_NUM_THREADS, or affinity and cgroup quota.

    >>> num_threads() >= 1
    True
    """
    return _team.size


def set_num_threads(count: int) -> None:
    """Use `count` threads from now on; results stay the same.

    Raises ArgumentError for what is no whole number from 1 to 1024.
    """
    given: object = count
    if not isinstance(given, int) or not 1 <= given <= MOST_THREADS:
        raise ArgumentError(
            f"set_num_threads({count!r}): expected a whole number from 1 to {MOST_THREADS}"
        )
    _team.resize(count)


def run(
    entry: Entry,
    arguments: int | bytes,
    scratch_bytes: int,
    *,
    threads: int,
    together: bool = False,
) -> None:
    """Call `entry(arguments, scratch)` on up to `threads` threads of the team, the caller's
    included, and return when all are back.

    How many come is open: the kernel claims its work in chunks. Run `together`, exactly `threads`
    of them take part, or fewer where the team is smaller, or one where it works for another
    caller; the arguments then begin with `Meeting.WORDS` i64s for the kernel's `Meeting`.
    """
    _team.run(entry, arguments, scratch_bytes, threads=threads, together=together)


def sequence(
    run: "ctypes.Array[ctypes.c_int64]", address: int, *, threads: int, scratch_bytes: int
) -> None:
    """Make the calls of a program and return when all are done.

    `run`, which lies at `address`, begins with `RUN_WORDS` words, of which the second is the
    address of the program, the third that of scratch memory for this thread, and the others are
    filled in here (see `codegen.team`). `threads` is how many the call with the most of them wants,
    `scratch_bytes` the most that one of them needs.
    """
    _team.sequence(run, address, threads, scratch_bytes)


def workspace(size: int) -> Memory:
    """Return `size` bytes for data between two kernels, to be held as long as they are used; the
    thread's next call reuses them.
    """
    return _workspace.reserve(size)

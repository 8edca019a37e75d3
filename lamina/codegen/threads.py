"""One team of threads per process; work is claimed in chunks, so a stalled thread holds nobody.

`run(entry, arguments, scratch_bytes)` calls `entry(arguments, scratch)` on every thread of the
team. The kernel claims chunks from a counter inside its arguments until none is left. A second
caller that comes while the team works runs alone, with the same bits.
"""

import ctypes
import os
import threading
from dataclasses import dataclass, field

from lamina.codegen.cpu import usable_cores
from lamina.codegen.jit import Entry
from lamina.config import settings
from lamina.errors import ArgumentError

_ALIGN = 64


class _Scratch(threading.local):
    """Memory of one thread that kernels may use while they run; it only grows."""

    buffer: ctypes.Array[ctypes.c_char] | None = None
    address: int = 0
    size: int = 0

    def reserve(self, size: int) -> int:
        if size > self.size:
            self.buffer = ctypes.create_string_buffer(size + _ALIGN)
            self.address = -(-ctypes.addressof(self.buffer) // _ALIGN) * _ALIGN
            self.size = size
        return self.address


_scratch = _Scratch()
_workspace = _Scratch()


@dataclass(slots=True)
class _Worker:
    """One parked thread: `start` lets it run the team's job, `done` says that it has."""

    start: threading.Lock = field(default_factory=threading.Lock)
    done: threading.Lock = field(default_factory=threading.Lock)
    job: tuple[Entry, int, int] | None = None

    def __post_init__(self) -> None:
        self.start.acquire()
        self.done.acquire()
        threading.Thread(target=self._serve, name="lamina", daemon=True).start()

    def _serve(self) -> None:
        while True:
            self.start.acquire()
            if self.job is None:
                return
            entry, arguments, scratch_bytes = self.job
            entry(arguments, _scratch.reserve(scratch_bytes))
            self.done.release()

    def begin(self, job: tuple[Entry, int, int]) -> None:
        self.job = job
        self.start.release()

    def retire(self) -> None:
        self.job = None
        self.start.release()


class Team:
    """The threads that work beside the caller."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.busy = threading.Lock()
        self._workers: list[_Worker] = []

    def run(self, entry: Entry, arguments: int, scratch_bytes: int, *, threads: int) -> None:
        """Call `entry` on `threads` threads, the caller's among them, and wait for all."""
        scratch = _scratch.reserve(scratch_bytes)
        threads = min(threads, self.size)
        if threads < 2 or not self.busy.acquire(blocking=False):
            entry(arguments, scratch)
            return
        try:
            self._run_together(entry, arguments, scratch_bytes, threads)
        finally:
            self.busy.release()

    def _run_together(self, entry: Entry, arguments: int, scratch_bytes: int, threads: int) -> None:
        while len(self._workers) < threads - 1:
            self._workers.append(_Worker())
        helpers = self._workers[: threads - 1]
        for worker in helpers:
            worker.begin((entry, arguments, scratch_bytes))
        try:
            entry(arguments, _scratch.address)
        finally:
            _wait_for(helpers)

    def resize(self, size: int) -> None:
        """Change the size; threads that are no longer wanted end."""
        with self.busy:
            self.size = size
            for worker in self._workers[size - 1 :]:
                worker.retire()
            del self._workers[size - 1 :]


def _wait_for(workers: list[_Worker]) -> None:
    """Wait even where Ctrl-C comes meanwhile: workers write to memory of the caller."""
    waiting = list(workers)
    interruption: KeyboardInterrupt | None = None
    while waiting:
        try:
            waiting[-1].done.acquire()
            waiting.pop()
        except KeyboardInterrupt as error:
            interruption = error
    if interruption is not None:
        raise interruption


_team = Team(settings.num_threads or usable_cores())


def _start_over() -> None:
    """Threads do not survive a fork: the child begins with a team of its own."""
    global _team
    _team = Team(_team.size)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_start_over)


def num_threads() -> int:
    """Return how many threads kernels may use: LAMINA_NUM_THREADS, or affinity and cgroup quota.

    >>> num_threads() >= 1
    True
    """
    return _team.size


def set_num_threads(count: int) -> None:
    """Use `count` threads from now on; results stay the same. Raises ArgumentError below 1."""
    given: object = count
    if not isinstance(given, int) or given < 1:
        raise ArgumentError(f"set_num_threads({count!r}): expected a whole number of at least 1")
    _team.resize(count)


def run(entry: Entry, arguments: int, scratch_bytes: int, *, threads: int) -> None:
    """Call `entry(arguments, scratch)` on up to `threads` threads of the team, the caller's
    included.
    """
    _team.run(entry, arguments, scratch_bytes, threads=threads)


def workspace(size: int) -> int:
    """Return the address of `size` bytes for data between two kernels; the thread's next call
    reuses it.
    """
    return _workspace.reserve(size)

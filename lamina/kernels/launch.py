"""Kernel calls prepared in advance: what a shape fixes is worked out once, addresses come with the
call.
"""

import ctypes
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from struct import Struct
from typing import NamedTuple, Protocol

from lamina.codegen import threads
from lamina.codegen.jit import Entry
from lamina.kernels.operand import Shape

OUT, LEFT, RIGHT, WORKSPACE, FURTHER = range(5)
PLANS_KEPT = 2048
_WORD = Struct("q")
# About 80 µs of one core. A call with helpers that are awake pays from 15 µs on, one that must wake
# them from 60 to 80 under a hypervisor.
FLOPS_WORTH_A_THREAD = 8_000_000
BYTES_WORTH_A_THREAD = 2 << 20


def argument_block(*numbers: int) -> "ctypes.Array[ctypes.c_int64]":
    """Return the numbers as a kernel reads them."""
    return (ctypes.c_int64 * len(numbers))(*numbers)


def workers_for(*, flops: int = 0, nbytes: int = 0, chunks: int | None = None) -> int:
    """Return how many threads a kernel call is worth that computes `flops` or moves `nbytes`: one
    for each 80 µs, no more than the team has and no more than there are `chunks`.
    """
    worthwhile = 1 + max(flops // FLOPS_WORTH_A_THREAD, nbytes // BYTES_WORTH_A_THREAD)
    workers = min(threads.num_threads(), worthwhile)
    return workers if chunks is None else max(1, min(workers, chunks))


class Held(Protocol):
    """Memory that is there as long as this is held."""

    @property
    def address(self) -> int: ...


class Launch(NamedTuple):
    """One kernel call that is noted down instead of being made.

    `addresses` are (slot of the arguments, address); at each slot of `own` the kernel expects the
    address of the argument named beside it. `keeps` holds what other arguments point to.
    """

    entry: Entry
    arguments: bytes
    addresses: tuple[tuple[int, int], ...]
    scratch_bytes: int
    workers: int
    own: tuple[tuple[int, int], ...] = ()
    keeps: object = None


class _Notebook(threading.local):
    """Where this thread's kernel calls go; None: they are made."""

    launches: list[Launch] | None = None
    workspace: Callable[[int], Held] | None = None


notebook = _Notebook()


@contextmanager
def noting(launches: list[Launch], workspace: Callable[[int], Held]) -> Iterator[None]:
    """Add this thread's kernel calls to `launches` instead of making them, until the block ends.

    Memory between two of them is what `workspace` gives for a number of bytes.
    """
    before = notebook.launches, notebook.workspace
    notebook.launches, notebook.workspace = launches, workspace
    try:
        yield
    finally:
        notebook.launches, notebook.workspace = before


@dataclass(frozen=True, slots=True)
class Place:
    """An address as an offset in bytes from one of a call's operands, or from the workspace."""

    base: int
    offset: int

    def moved(self, count: int) -> "Place":
        """Return the place `count` bytes further."""
        return Place(self.base, self.offset + count)


@dataclass(frozen=True, slots=True)
class View:
    """A strided view of one of a call's operands, or of the workspace; strides count elements."""

    place: Place
    shape: Shape
    strides: Shape
    itemsize: int

    def moved(self, count: int) -> "View":
        """Return the same view, `count` elements further."""
        return replace(self, place=self.place.moved(count * self.itemsize))


@dataclass(frozen=True, slots=True)
class Step:
    """One kernel call: its arguments, of which those in `places` are addresses to be filled in.

    `keeps` holds what other arguments point to.
    """

    entry: Entry
    arguments: "ctypes.Array[ctypes.c_int64]"
    places: tuple[tuple[int, Place], ...]
    scratch_bytes: int
    workers: int
    keeps: object = None

    def run(self, bases: Sequence[int]) -> None:
        """Make the call with operands at the addresses `bases`."""
        if notebook.launches is not None:
            notebook.launches.append(self._launch(bases))
            return
        block = bytearray(self.arguments)
        for slot, place in self.places:
            _WORD.pack_into(block, slot * _WORD.size, bases[place.base] + place.offset)
        # Made for this call alone: the kernel may count in it.
        threads.run(self.entry, bytes(block), self.scratch_bytes, threads=self.workers)

    def _launch(self, bases: Sequence[int]) -> Launch:
        addresses = tuple((slot, bases[p.base] + p.offset) for slot, p in self.places)
        arguments = bytes(self.arguments)
        return Launch(
            self.entry, arguments, addresses, self.scratch_bytes, self.workers, keeps=self
        )


def workspace(size: int) -> Held:
    """Return `size` bytes for data between the kernel calls of one plan."""
    return threads.workspace(size) if notebook.workspace is None else notebook.workspace(size)


@dataclass(frozen=True, slots=True)
class Plan:
    """Kernel calls to make one after the other, and the workspace that they share."""

    steps: tuple[Step, ...]
    workspace_bytes: int = 0

    def run(self, out: int, left: int, right: int, *further: int) -> None:
        """Make the calls with operands at these addresses."""
        work = workspace(self.workspace_bytes)
        for step in self.steps:
            step.run((out, left, right, work.address, *further))

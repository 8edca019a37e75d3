"""Calls as tables that `codegen.team` walks: arguments, the addresses in them, and the order, with
jumps where a value decides how it goes on.
"""

import ctypes
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, final

import numpy as np

from lamina.codegen.team import JUMP_WORDS, PROGRAM_WORDS
from lamina.kernels.launch import Launch
from lamina.memory.array import NDArray

WORD = 8
# Arguments of different calls lie on different cache lines; in words.
_LINE = 8
ARGUMENTS, ARENA, OUTSIDE, GIVEN = range(4)
"""The bases that addresses are counted from; of what is given, one for each input and output."""
_NOWHERE: Any = None
# The byte that decides a jump that is always made: the word behind it, which is 0.
_ALWAYS = ((0, JUMP_WORDS),)


@final
@dataclass(frozen=True, slots=True, eq=False)
class Label:
    """A place among calls to go on at."""


@final
@dataclass(frozen=True, slots=True, eq=False)
class Jump:
    """Go on at `label` where the byte at the address `unless` is 0, or in any case."""

    unless: int | None
    label: Label


Step = Launch | Jump | Label


class Found(NamedTuple):
    """An address: which of the bases it is counted from, and how far."""

    base: int
    offset: int


@dataclass(frozen=True, slots=True)
class Tables:
    """A run of kernel calls as `codegen.team` reads them."""

    head: NDArray
    tables: tuple[NDArray, ...]
    address: int
    argument_bytes: int
    scratch_bytes: int
    threads: int


class _At(NamedTuple):
    """Where something stands: calls, words and addresses before it."""

    call: int
    word: int
    place: int


def tabled(steps: Sequence[Step], find: Callable[[int], Found]) -> Tables:
    """Return the tables of calls and jumps; `find` says what an address is counted from."""
    words: list[NDArray] = []
    places: list[tuple[int, int, int]] = []
    calls: list[tuple[int, int, int]] = []
    labels: dict[Label, _At] = {}
    jumps: list[tuple[Jump, _At]] = []
    start = 0
    for step in steps:
        at = _At(len(calls), start, len(places))
        if isinstance(step, Label):
            labels[step] = at
            continue
        if isinstance(step, Jump):
            jumps.append((step, at))
            step = _as_launch(step)
        given, entry = np.frombuffer(step.arguments, np.int64), _address_of(step.entry)
        size = -(-given.size // _LINE) * _LINE
        words.append(np.pad(given, (0, size - given.size)))
        places += [(start + slot, *find(address)) for slot, address in step.addresses]
        places += [(start + slot, ARGUMENTS, (start + to) * WORD) for slot, to in step.own]
        calls.append((entry, start, step.workers - 1))
        start += size
    table = np.concatenate(words)
    _aim(table, jumps, labels)
    return _together(table, _rows(places), _rows(calls), steps)


def _as_launch(jump: Jump) -> Launch:
    """Return a call of nothing, with room for where the jump goes."""
    decides = () if jump.unless is None else ((0, jump.unless),)
    own = _ALWAYS if jump.unless is None else ()
    return Launch(_NOWHERE, bytes((JUMP_WORDS + 1) * WORD), decides, 0, 1, own)


def _aim(words: NDArray, jumps: Iterable[tuple[Jump, _At]], labels: dict[Label, _At]) -> None:
    """Write to the arguments of jumps where they go, and what is filled anew on the way back."""
    for jump, here in jumps:
        there = labels[jump.label]
        again = there.call <= here.call
        ranges = (there.word, here.word, there.place, here.place) if again else (0, 0, 0, 0)
        words[here.word + 1 : here.word + JUMP_WORDS] = (there.call, *ranges)


def _together(words: NDArray, places: NDArray, calls: NDArray, steps: Sequence[Step]) -> Tables:
    launches = [step for step in steps if isinstance(step, Launch)]
    lies = [int(table.ctypes.data) for table in (calls, words, places)]
    head = np.array([len(calls), words.size, len(places), *lies], np.int64)
    assert head.size == PROGRAM_WORDS
    return Tables(
        head=head,
        tables=(words, places, calls),
        address=int(head.ctypes.data),
        argument_bytes=int(words.nbytes),
        scratch_bytes=max((launch.scratch_bytes for launch in launches), default=0),
        threads=max((launch.workers for launch in launches), default=1),
    )


def _rows(rows: Sequence[tuple[int, int, int]]) -> NDArray:
    return np.array(rows, np.int64).reshape(-1, 3)


def _address_of(entry: Any) -> int:
    return ctypes.cast(entry, ctypes.c_void_p).value or 0

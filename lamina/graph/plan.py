"""The memory plan: a place in one arena for everything that lives between two kernel calls."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, final

ALIGNMENT = 64


class Lifetime(NamedTuple):
    """How many bytes are needed from the first call that touches them to the last."""

    nbytes: int
    first: int
    last: int


@final
@dataclass(frozen=True, slots=True)
class Plan:
    """Where each lifetime's bytes begin, how long the arena is, and the least that it could be."""

    offsets: tuple[int, ...]
    nbytes: int
    most_alive: int

    @property
    def waste(self) -> float:
        """Size of the arena as a multiple of the most bytes that live at one time."""
        return self.nbytes / self.most_alive if self.most_alive else 1.0


def plan_memory(lifetimes: Sequence[Lifetime]) -> Plan:
    """Return a plan in which no two lifetimes that meet share a byte.

    The largest are placed first, each at the lowest place that is free for as long as it lives
    (Pisarchyk and Lee, "Efficient Memory Management for Deep Neural Net Inference", 2020).

    >>> plan_memory([Lifetime(64, 0, 1), Lifetime(128, 1, 2), Lifetime(64, 2, 3)]).offsets
    (128, 0, 128)
    """
    offsets = [0] * len(lifetimes)
    placed: list[tuple[int, int, int, int]] = []
    by_size = sorted(
        range(len(lifetimes)), key=lambda n: (-lifetimes[n].nbytes, lifetimes[n].first)
    )
    for number in by_size:
        size, first, last = _rounded(lifetimes[number].nbytes), *lifetimes[number][1:]
        start = 0
        for low, high, begins, ends in placed:
            if begins > last or ends < first or high <= start:
                continue
            if low >= start + size:
                break
            start = high
        offsets[number] = start
        placed.append((start, start + size, first, last))
        placed.sort()
    total = max((high for _, high, _, _ in placed), default=0)
    return Plan(tuple(offsets), total, _most_alive(lifetimes))


def _rounded(nbytes: int) -> int:
    return -(-nbytes // ALIGNMENT) * ALIGNMENT


def _most_alive(lifetimes: Sequence[Lifetime]) -> int:
    changes: dict[int, int] = {}
    for nbytes, first, last in lifetimes:
        size = _rounded(nbytes)
        changes[first] = changes.get(first, 0) + size
        changes[last + 1] = changes.get(last + 1, 0) - size
    alive = most = 0
    for time in sorted(changes):
        alive += changes[time]
        most = max(most, alive)
    return most

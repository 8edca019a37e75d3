"""The memory plan: a place in one arena for everything that lives between two kernel calls."""

from bisect import insort
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
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


# A plan is good enough that is larger than the least by one part in so many; else those lifetimes
# that reach highest are placed before all others, one after the other, this often.
_GOOD, _PROMOTIONS, _MOST_PLACED = 100, 64, 20_000


def plan_memory(lifetimes: Sequence[Lifetime]) -> Plan:
    """Return a plan in which no two lifetimes that meet share a byte.

    Each is placed at the lowest place that is free for as long as it lives: the largest first, or
    those that live longest, or in the order in which they begin, whichever makes the least arena
    (Pisarchyk and Lee, "Efficient Memory Management for Deep Neural Net Inference", 2020). Where
    that is not good enough, what reaches highest is placed first, again and again.

    >>> plan_memory([Lifetime(64, 0, 1), Lifetime(128, 1, 2), Lifetime(64, 2, 3)]).offsets
    (128, 0, 128)
    """
    least = _most_alive(lifetimes)
    orders = [_ordered(lifetimes, rank) for rank in _RANKS]
    best = _placed(lifetimes, orders[0], least)
    for order in orders[1:]:
        if best.nbytes > least:
            best = min(best, _placed(lifetimes, order, least), key=_size)
    for order in orders:
        for _ in range(min(_PROMOTIONS, _MOST_PLACED // max(1, len(lifetimes)))):
            if best.nbytes <= least + least // _GOOD:
                return best
            found = _placed(lifetimes, order, least)
            best = min(best, found, key=_size)
            highest = max(order, key=partial(_end, lifetimes, found))
            order.remove(highest)
            order.insert(0, highest)
    return best


def _size(plan: Plan) -> int:
    return plan.nbytes


def _end(lifetimes: Sequence[Lifetime], plan: Plan, number: int) -> int:
    return plan.offsets[number] + _rounded(lifetimes[number].nbytes)


def _ordered(
    lifetimes: Sequence[Lifetime], rank: Callable[[Lifetime], tuple[int, ...]]
) -> list[int]:
    """Return the numbers of the lifetimes in the order of a rank."""
    ranks = [rank(life) for life in lifetimes]
    return sorted(range(len(lifetimes)), key=ranks.__getitem__)


_RANKS: tuple[Callable[[Lifetime], tuple[int, ...]], ...] = (
    lambda life: (-life.nbytes, life.first),
    lambda life: (-life.nbytes * (life.last - life.first + 1), life.first),
    lambda life: (life.first - life.last, -life.nbytes),
    lambda life: (life.first, -life.nbytes),
)


def _placed(lifetimes: Sequence[Lifetime], order: Sequence[int], least: int) -> Plan:
    """Return the plan that comes of placing lifetimes in this order."""
    offsets = [0] * len(lifetimes)
    placed: list[tuple[int, int, int, int]] = []
    for number in order:
        size, first, last = _rounded(lifetimes[number].nbytes), *lifetimes[number][1:]
        start = 0
        for low, high, begins, ends in placed:
            if begins > last or ends < first or high <= start:
                continue
            if low >= start + size:
                break
            start = high
        offsets[number] = start
        insort(placed, (start, start + size, first, last))
    return Plan(tuple(offsets), max((high for _, high, _, _ in placed), default=0), least)


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

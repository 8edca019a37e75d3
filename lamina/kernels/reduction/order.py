"""The order in which terms are combined: it follows from how many there are, and from that alone.

Terms come in blocks of 128. In a block term i goes to partial result i mod 8, one after the other;
blocks are merged in pairs, then pairs of pairs, and the eight partial results at the very end. A
sum of n terms has passed through at most 16 + log₂(n / 128) + 4 roundings, and its error is no
more than so many times u · Σ|term|, u being half a unit in the last place. Whether the eight lie
in the lanes of one register (terms side by side) or in eight registers (one sum a lane), the bits
are the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lamina.codegen.builder import Builder
from lamina.codegen.types import i64
from lamina.codegen.values import Value

PARTIAL = 8
TURNS = 16
BLOCK = PARTIAL * TURNS
LEVELS = 48
"""Merging pairs of pairs this often passes through more blocks than memory holds."""

Combine = Callable[[Value, Value], Value]


@dataclass(frozen=True, slots=True)
class Tree:
    """Results of blocks on their way: one a level, of 2^level blocks, as in a binary counter.

    A result is `size` registers of `lanes` scalars; levels lie `stride` scalars apart.
    """

    k: Builder
    memory: Value
    lanes: int
    size: int
    stride: Value | int
    combine: Combine

    def push(self, number: Value, results: Sequence[Value], level: int = 0) -> None:
        """Take the results of part `number`, of 2^`level` blocks each, merging what is complete."""
        k = self.k
        full = k.trailing_zeros(~number)
        with k.loop(full, carry=results) as turn:
            turn.next = self._merged(turn.index + level, turn.carried)
        place = self.memory + (full + level) * self.stride
        for position, result in enumerate(turn.results):
            place.store(position * self.lanes, result)

    def collapse(self, blocks: Value, rest: Sequence[Value]) -> list[Value]:
        """Return all that was pushed, `blocks` in all, merged with the `rest` that came last."""
        k = self.k
        bits = 64 - k.convert(k.leading_zeros(blocks), i64)
        with k.loop(bits, carry=rest) as turn:
            is_there = ((blocks >> turn.index) & 1).equals(1)
            pairs = zip(self._merged(turn.index, turn.carried), turn.carried, strict=True)
            turn.next = [k.select(is_there, merged, before) for merged, before in pairs]
        return turn.results

    def _merged(self, level: Value, later: Sequence[Value]) -> list[Value]:
        place = self.memory + level * self.stride
        return [
            self.combine(place.load(position * self.lanes, lanes=self.lanes), result)
            for position, result in enumerate(later)
        ]


def folded(parts: Sequence[Value], combine: Combine) -> Value:
    """Return registers combined into one: always the first half with the second half.

    The order of `Builder.fold_lanes`, for partial results that lie in registers of their own.
    """
    parts = list(parts)
    while len(parts) > 1:
        half = len(parts) // 2
        parts = [combine(parts[i], parts[i + half]) for i in range(half)]
    return parts[0]

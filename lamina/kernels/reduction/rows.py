"""Statements over terms that lie in the lanes: one result at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from lamina.codegen.builder import Builder
from lamina.codegen.target import Target
from lamina.codegen.types import Pointer, Scalar, Vector, element_of, f32
from lamina.codegen.values import Value, splat
from lamina.kernels.expression import Expression, emit
from lamina.kernels.reduction.arguments import Way
from lamina.kernels.reduction.order import BLOCK, LEVELS, PARTIAL, Combine, Tree
from lamina.kernels.reduction.program import Phase
from lamina.kernels.walk import Axes

TOGETHER = 4
UNIT = TOGETHER * BLOCK
"""Terms of the four blocks that are folded side by side, for the sake of the adders."""


@dataclass(frozen=True, slots=True)
class Terms:
    """An operand along the terms of one result.

    Scattered ones are brought together in `buffer`, which takes those of a unit.
    """

    k: Builder
    pointer: Value
    way: Way
    axes: Axes
    operand: int
    buffer: Value | None

    def moved(self, offset: Value) -> Terms:
        """Return the operand `offset` elements further."""
        return replace(self, pointer=self.pointer + offset)

    def at(self, start: Value, count: Value) -> Value:
        """Return the address of `count` terms, a unit at most, that lie side by side.

        Where one element is all terms, return that.
        """
        if self.way == "along":
            return self.pointer + start
        if self.buffer is None:
            return computed(self.k, self.pointer[0])
        buffer, axes = self.buffer, self.axes
        step = axes.inner_stride(self.operand)

        def along(done: Value, length: Value, offsets: list[Value]) -> None:
            target, source = buffer + done, self.pointer + offsets[self.operand]
            with self.k.loop(length) as turn:
                target[turn.index] = source[turn.index * step]

        axes.lines(start, start + count, along)
        return buffer


def computed(k: Builder, value: Value) -> Value:
    """Return elements as they are computed with: 16-bit floats widened."""
    return k.convert(value, f32) if element_of(value.type).is_half else value


def loaded(k: Builder, source: Value, lanes: int, left: Value | None = None) -> Value:
    """Return `lanes` elements at an address; of the last ones `left`, others as 0.

    What is no address is the element for all lanes.
    """
    if not isinstance(source.type, Pointer):
        return source
    value = source.load(0, lanes=lanes) if left is None else k.load_first(source, left, lanes)
    return computed(k, value)


def further(source: Value, count: Value) -> Value:
    """Return an address `count` elements further; what is no address as it is."""
    return source + count if isinstance(source.type, Pointer) else source


def spread(value: Value, lanes: int) -> Value:
    """Return a vector: itself, or a scalar in every lane."""
    return value if isinstance(value.type, Vector) else splat(value, lanes)


def partial_lanes(target: Target, phase: Phase) -> int:
    """Return how many partial results there are: more than eight where the order is free."""
    return PARTIAL if phase.is_ordered else max(PARTIAL, target.lanes(phase.scalar))


@dataclass(frozen=True, slots=True)
class RowFold:
    """Emits a phase over terms that lie side by side."""

    k: Builder
    phase: Phase
    parameters: Sequence[Value]

    @property
    def lanes(self) -> int:
        return partial_lanes(self.k.target, self.phase)

    @property
    def combine(self) -> Combine:
        return self.phase.combined(self.k)

    def identity(self) -> Value:
        """Return the partial results of no terms."""
        return self.k.constant(Vector(self.phase.scalar, self.lanes), self.phase.identity)

    def tree(self) -> Tree:
        """Return an empty tree of partial results."""
        memory = self.k.stack(self.phase.scalar, LEVELS * self.lanes)
        return Tree(self.k, memory, self.lanes, 1, self.lanes, self.combine)

    def over(self, sources: Sequence[Terms], first: Value, count: Value, tree: Tree) -> Value:
        """Return the partial results of `count` terms from the `first` on."""
        k = self.k
        units = count // UNIT
        with k.loop(units) as turn:
            start = first + turn.index * UNIT
            unit = self._unit([s.at(start, k.integer(UNIT)) for s in sources])
            tree.push(turn.index, [unit], 2)
        left = count - units * UNIT
        pointers = [s.at(first + units * UNIT, left) for s in sources]
        blocks = left // BLOCK
        with k.loop(blocks) as turn:
            here = [further(p, turn.index * BLOCK) for p in pointers]
            block = self._turns(here, [self.identity()], k.integer(BLOCK))
            tree.push(units * TOGETHER + turn.index, block)
        last = [further(p, blocks * BLOCK) for p in pointers]
        rest = self._last(last, left - blocks * BLOCK)
        return tree.collapse(units * TOGETHER + blocks, [rest])[0]

    def _unit(self, pointers: Sequence[Value]) -> Value:
        first, second, third, fourth = self._turns(
            pointers, [self.identity()] * TOGETHER, self.k.integer(BLOCK)
        )
        return self.combine(self.combine(first, second), self.combine(third, fourth))

    def _turns(self, pointers: Sequence[Value], start: list[Value], count: Value) -> list[Value]:
        """Return the partial results of as many blocks as there are in `start`, `count` terms of
        each.
        """
        with self.k.loop(count, step=self.lanes, carry=start) as turn:
            turn.next = [
                self.combine(before, self._term(pointers, turn.index + b * BLOCK))
                for b, before in enumerate(turn.carried)
            ]
        return turn.results

    def _last(self, pointers: Sequence[Value], count: Value) -> Value:
        """Return the partial results of a block of fewer terms than others."""
        k, lanes = self.k, self.lanes
        whole = count // lanes * lanes
        (before,) = self._turns(pointers, [self.identity()], whole)
        left = count - whole
        term = self._term(pointers, whole, left)
        mask = k.lanes_below(self.phase.scalar, left, lanes)
        return k.select(mask, self.combine(before, term), before)

    def _term(self, pointers: Sequence[Value], place: Value, left: Value | None = None) -> Value:
        inputs = [loaded(self.k, further(p, place), self.lanes, left) for p in pointers]
        return spread(emit(self.k, self.phase.term, [*inputs, *self.parameters]), self.lanes)

    def finish(self, partial: Value) -> Value:
        """Return what becomes of the partial results: a scalar."""
        total = self.k.fold_lanes(partial, self.combine)
        return emit(self.k, self.phase.finish, [total, *self.parameters])


def write_row(
    k: Builder,
    value: Expression,
    scalar: Scalar,
    out: Value,
    sources: Sequence[Value],
    parameters: Sequence[Value],
    count: Value,
    *,
    adds: bool = False,
) -> None:
    """Write `value` to `count` places from `out` on, or add it to what is there."""
    lanes = k.target.lanes(scalar)

    def register(place: Value, left: Value | None) -> None:
        inputs = [loaded(k, further(s, place), lanes, left) for s in sources]
        result = spread(emit(k, value, [*inputs, *parameters]), lanes)
        target = out + place
        if adds:
            result = loaded(k, target, lanes, left) + result
        result = k.convert(result, element_of(out.type))
        if left is None:
            target.store(0, result)
        else:
            k.store_first(target, result, left)

    whole = count // lanes * lanes
    with k.loop(whole, step=lanes) as turn:
        register(turn.index, None)
    if lanes > 1:
        with k.when(whole < count):
            register(whole, count - whole)

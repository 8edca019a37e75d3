"""Lanes changing places: shuffles, transposes, and sums over lanes in a fixed order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from lamina.codegen import llvm
from lamina.codegen.emission import Emission
from lamina.codegen.types import Scalar, Type, Vector, element_of
from lamina.codegen.values import Value
from lamina.errors import CompileError

_SEGMENT_BYTES = 16


class Shuffles(Emission):
    """Emits moves of lanes."""

    def lane(self, vector: Value, number: int) -> Value:
        """Return one lane as a scalar."""
        place = llvm.ir.Constant(llvm.ir.IntType(32), number)
        ir = self.emit.extract_element(vector.ir, place)
        return Value(self.emit, ir, element_of(vector.type))

    def with_lane(self, vector: Value, number: int, scalar: Value) -> Value:
        """Return `vector` with `scalar` in one lane."""
        place = llvm.ir.Constant(llvm.ir.IntType(32), number)
        return Value(self.emit, self.emit.insert_element(vector.ir, scalar.ir, place), vector.type)

    def iota(self, scalar: Scalar, lanes: int | None = None) -> Value:
        """Return 0, 1, 2 … in the lanes of a register of `scalar`."""
        count = self.target.lanes(scalar) if lanes is None else lanes
        kind = Vector(scalar, count)
        numbers = [float(n) if scalar.is_float else n for n in range(count)]
        return Value(self.emit, llvm.ir.Constant(kind.llvm_type(), numbers), kind)

    def fold_lanes(self, vector: Value, combine: Callable[[Value, Value], Value]) -> Value:
        """Return the lanes combined into a scalar: always the low half with the high half.

        The order depends on the number of lanes alone: (x₀ ∘ x₂) ∘ (x₁ ∘ x₃) for four of them.
        """
        lanes = vector.type.lanes if isinstance(vector.type, Vector) else 1
        while lanes > 1:
            lanes //= 2
            low, high = range(lanes), range(lanes, 2 * lanes)
            vector = combine(self.shuffle(vector, vector, low), self.shuffle(vector, vector, high))
        return self.lane(vector, 0) if isinstance(vector.type, Vector) else vector

    def sum_lanes(self, vector: Value) -> Value:
        """Return the sum of the lanes, in the order of `fold_lanes`."""
        return self.fold_lanes(vector, lambda a, b: a + b)

    def shuffle(self, a: Value, b: Value, lanes: Sequence[int]) -> Value:
        """Return the lanes numbered `lanes` of `a` followed by `b`."""
        mask_type = llvm.ir.VectorType(llvm.ir.IntType(32), len(lanes))
        mask = llvm.ir.Constant(mask_type, list(lanes))
        kind = Vector(element_of(a.type), len(lanes))
        return Value(self.emit, self.emit.shuffle_vector(a.ir, b.ir, mask), kind)

    def transpose(self, rows: Sequence[Value]) -> list[Value]:
        """Return the columns of a square of registers."""
        size = len(rows)
        low, high = range(size // 2), range(size // 2, size)

        def halves(a: int, b: int, half: int) -> Value:
            lanes = high if half else low
            return self.shuffle(rows[a], rows[b], [*lanes, *(lane + size for lane in lanes)])

        return list(self._transposed(rows[0].type, halves)) if size > 1 else list(rows)

    def load_transposed(self, sources: Sequence[Value]) -> Iterator[Value]:
        """Give the columns of the square whose rows start at `sources`, one after the other.

        Halves of rows are loaded to where they belong, which saves a round of shuffles.
        """
        size = len(sources)
        kind = Vector(element_of(sources[0].type), size)
        if size == 1:
            yield sources[0].load(0, lanes=1)
            return

        def halves(a: int, b: int, half: int) -> Value:
            first, second = (
                sources[row].load(half * (size // 2), lanes=size // 2) for row in (a, b)
            )
            return self.shuffle(first, second, range(size))

        yield from self._transposed(kind, halves)

    def _transposed(self, kind: Type, halves: Callable[[int, int, int], Value]) -> Iterator[Value]:
        """Bring segments of 128 bits to their place, then transpose within them: most processors
        shuffle faster there than across.

        `halves(a, b, half)` is a register of the same half of rows a and b.
        """
        if not isinstance(kind, Vector):
            raise CompileError(f"transpose: {kind} given; expected registers")
        segment = min(kind.lanes, _SEGMENT_BYTES // kind.element.bytes)
        count = kind.lanes // segment
        for half in (0, 1):
            if count == 1:
                yield from self._half_columns(kind.lanes, half, halves)
                continue
            groups: list[list[Value]] = [[] for _ in range(count // 2)]
            for row in range(segment):
                places = range(row, kind.lanes, 2 * segment)
                pairs = [halves(place, place + segment, half) for place in places]
                for group, register in zip(groups, self._in_order(pairs, segment), strict=True):
                    group.append(register)
            for group in groups:
                yield from self._transpose_segments(group, segment)

    def _half_columns(
        self, size: int, half: int, halves: Callable[[int, int, int], Value]
    ) -> Iterator[Value]:
        """Give half of the columns of a square of registers that have one segment."""
        pairs = [halves(row, row + 1, half) for row in range(0, size, 2)]
        if size == 2:
            yield pairs[0]
            return
        for lanes in (range(0, 2 * size, 2), range(1, 2 * size, 2)):
            yield self.shuffle(pairs[0], pairs[1], lanes)

    def _in_order(self, pairs: list[Value], segment: int) -> list[Value]:
        """Return a register for each segment of half a row, from registers of two half rows."""
        if len(pairs) == 1:
            return pairs
        a, b = pairs
        starts = range(0, 8 * segment, 2 * segment)
        return [
            self.shuffle(a, b, [start + lane for start in starts for lane in places])
            for places in (range(segment), range(segment, 2 * segment))
        ]

    def _transpose_segments(self, rows: list[Value], segment: int) -> list[Value]:
        """Transpose the squares that segments make, in log2(segment) rounds of interleaving."""
        lanes = rows[0].type.lanes if isinstance(rows[0].type, Vector) else 1
        half = segment // 2
        starts = range(0, lanes, segment)
        low = [start + lane // 2 + lane % 2 * lanes for start in starts for lane in range(segment)]
        high = [lane + half for lane in low]
        for _ in range(segment.bit_length() - 1):
            pairs = [(rows[i], rows[i + half]) for i in range(half)]
            rows = [self.shuffle(a, b, order) for a, b in pairs for order in (low, high)]
        return rows

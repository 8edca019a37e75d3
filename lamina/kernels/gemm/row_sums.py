"""What the products of few rows share, and the way that reads a matrix along its columns."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import final

from lamina.codegen.builder import Builder, KernelModule
from lamina.codegen.values import Value
from lamina.kernels.gemm.arithmetic import Recipe, arithmetic_of
from lamina.kernels.gemm.finish import Ending, Further
from lamina.kernels.scalars import STORED

FIELDS = (
    "counter", "chunks", "out", "a", "b", "n", "k", "out_row", "out_column", "a_row", "a_column",
    "b_row", "b_column", "k_block", "n_chunk", "n_chunks",
)  # fmt: skip
SLOT = {name: place for place, name in enumerate(FIELDS)}
BATCH_AXES = len(FIELDS)


class Sums:
    """What both ways have in common: the step of the sums, and what becomes of them."""

    def __init__(self, k: Builder, recipe: Recipe, height: int, args: Value) -> None:
        self.k = k
        self.recipe = recipe
        self.total = arithmetic_of(recipe).total
        self.height = height
        self.args = args
        self.lanes = k.target.lanes(self.total)

    def get(self, name: str) -> Value:
        return self.args[SLOT[name]]

    def zeros(self, registers: int) -> list[Value]:
        return [self.k.zeros(self.total)] * (registers * self.height)

    def b(self, place: Value, left: Value | None = None) -> Value:
        """Return a register of b as it is added up; past the first `left` elements it holds 0."""
        k, lanes = self.k, self.lanes
        x = place.load(0, lanes=lanes) if left is None else k.load_first(place, left, lanes)
        return k.convert(x, self.total)

    def columns_of(self, sources: list[Value]) -> list[Value]:
        """Return the columns of the square of b whose rows start at `sources`."""
        if STORED[self.recipe.b] == self.total:
            return list(self.k.load_transposed(sources))
        return self.k.transpose([self.b(source) for source in sources])

    def step(self, sums: list[Value], at: int, row: list[Value], a: list[Value]) -> list[Value]:
        """Return the sums after k `at`, whose registers of b are `row`."""
        done: list[Value] = []
        for line, left in enumerate(a):
            factor = self.k.splat(left[at])
            first = line * len(row)
            done += [self.add(sums[first + v], factor, right) for v, right in enumerate(row)]
        return done

    def add(self, total: Value, left: Value, right: Value) -> Value:
        return self.k.fma(left, right, total) if self.total.is_float else total + left * right

    def keep(self, sums: list[Value], running: Value, adds: Value) -> None:
        """Add the sums of a block, registers of a row side by side, to those of the ones before."""
        k, registers = self.k, len(sums) // self.height
        with k.either(adds > 0) as branches:
            for branch, is_later in zip(branches, (True, False), strict=True):
                with branch:
                    for number, total in enumerate(sums):
                        row, register = divmod(number, registers)
                        place = running + (register * self.height + row) * self.lanes
                        before = place.load(0, lanes=self.lanes) if is_later else None
                        place.store(0, total if before is None else before + total)

    def finish(self, place: "Work", running: Value, column: Value, stop: Value) -> None:
        """Store what the sums become, of the columns `column` to `stop`."""
        k, lanes, out_column = self.k, self.lanes, self.get("out_column")
        with k.loop(self.height) as row, k.loop(stop - column, step=lanes) as turn:
            start, left = column + turn.index, stop - column - turn.index
            sums = (running + (turn.index * self.height + row.index * lanes)).load(0, lanes=lanes)
            further = [x.moved(row.index, start) for x in place.further]
            out = place.out + (row.index * self.get("out_row") + start * out_column)
            ending = Ending(k, self.recipe)
            side_by_side = out_column.equals(1)
            with k.either(k.both(side_by_side, left >= lanes)) as (whole, others):
                with whole:
                    ending.store(out, sums, lanes, further, None)
                with others, k.either(side_by_side) as (part, apart):
                    with part:
                        ending.store(out, sums, lanes, further, left)
                    with apart:
                        ending.store(out, sums, lanes, further, left, every=out_column)


@dataclass(frozen=True, slots=True)
class Work:
    """Where a chunk works: its batch of out, b and further operands, the rows of a side by side."""

    out: Value
    a: Value
    a_pitch: Value
    b: Value
    further: list[Further]


class Columns(ABC):
    """Emits the work on some columns of one batch."""

    # How many registers of columns a chunk is a multiple of.
    wide: int

    @abstractmethod
    def __init__(self, module: KernelModule, recipe: Recipe, height: int, is_far: bool) -> None:
        """Define the functions that the work calls."""

    @abstractmethod
    def run(self, sums: Sums, place: Work, first: Value, stop: Value) -> None:
        """Write the results of columns `first` to `stop`."""


@final
class AlongColumns(Columns):
    """Columns lie side by side: every k is a row of registers.

    A few k at a time are read along many columns, as streams that processors follow, and sums wait
    in the first cache. Between two k they are the same numbers there as in a register.
    """

    wide = 32
    _ROWS = 4
    _MOST_REGISTERS, _MOST_SUMS = 128, 512

    def __init__(self, module: KernelModule, recipe: Recipe, height: int, is_far: bool) -> None:
        self.together = min(self._MOST_REGISTERS, self._MOST_SUMS // height)

    def run(self, sums: Sums, place: Work, first: Value, stop: Value) -> None:
        k, lanes = sums.k, sums.lanes
        whole = first + (stop - first) // lanes * lanes
        size = max(2, self.together * sums.height * lanes)
        waiting, running = k.stack(sums.total, size), k.stack(sums.total, size)
        with k.loop(whole, start=first, step=self.together * lanes) as turn:
            end = k.minimum(turn.index + self.together * lanes, whole)
            self._all_blocks(sums, place, turn.index, end, waiting, running)
        with k.when(whole < stop):
            self._last_register(sums, place, whole, stop, running)

    def _all_blocks(
        self, sums: Sums, place: Work, column: Value, stop: Value, waiting: Value, running: Value
    ) -> None:
        k, block, lanes = sums.k, sums.get("k_block"), sums.lanes
        with k.loop(k.maximum(sums.get("k"), 1), step=block) as turn:
            count = k.minimum(block, sums.get("k") - turn.index)
            many = count // self._ROWS * self._ROWS
            with k.loop((stop - column) * sums.height, step=lanes) as clear:
                (waiting + clear.index).store(0, k.zeros(sums.total))
            for rows, start, end in ((self._ROWS, 0, many), (1, many, count)):
                with k.loop(end, start=start, step=rows) as along:
                    at = turn.index + along.index
                    self._some_rows(sums, place, column, stop, waiting, at, rows)
            with k.loop(stop - column, step=lanes) as kept:
                offset = kept.index * sums.height
                new = [
                    (waiting + (offset + row * lanes)).load(0, lanes=lanes)
                    for row in range(sums.height)
                ]
                sums.keep(new, running + offset, turn.index)
        sums.finish(place, running, column, stop)

    def _some_rows(
        self, sums: Sums, place: Work, column: Value, stop: Value, waiting: Value, at: Value,
        rows: int,
    ) -> None:  # fmt: skip
        """Add `rows` k from `at` on to the sums of the columns that wait."""
        k, lanes, height = sums.k, sums.lanes, sums.height
        factors = [
            [k.splat((place.a + (place.a_pitch * row + at))[number]) for number in range(rows)]
            for row in range(height)
        ]
        start = place.b + (at * sums.get("b_row") + column)
        sources = [start + sums.get("b_row") * number for number in range(rows)]
        with k.loop(stop - column, step=lanes) as turn:
            content = [sums.b(source + turn.index) for source in sources]
            for row in range(height):
                here = waiting + (turn.index * height + row * lanes)
                total = here.load(0, lanes=lanes)
                for factor, right in zip(factors[row], content, strict=True):
                    total = sums.add(total, factor, right)
                here.store(0, total)

    def _last_register(
        self, sums: Sums, place: Work, column: Value, stop: Value, running: Value
    ) -> None:
        """Write the results of fewer columns than a register holds."""
        k, block = sums.k, sums.get("k_block")
        with k.loop(k.maximum(sums.get("k"), 1), step=block) as turn:
            count = k.minimum(block, sums.get("k") - turn.index)
            b = place.b + (turn.index * sums.get("b_row") + column)
            a = [place.a + (place.a_pitch * row + turn.index) for row in range(sums.height)]
            with k.loop(count, carry=[b, *sums.zeros(1)]) as along:
                here, *totals = along.carried
                row = [sums.b(here, stop - column)]
                left = [line + along.index for line in a]
                along.next = [here + sums.get("b_row"), *sums.step(totals, 0, row, left)]
            sums.keep(along.results[1:], running, turn.index)
        sums.finish(place, running, column, stop)

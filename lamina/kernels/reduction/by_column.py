"""The kernel that works on many results side by side, one a lane: their terms lie apart.

Results are taken a tile at a time, so wide that of each row several cache lines are read, and so
narrow that the partial results stay in the caches.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lamina.codegen.builder import Builder, KernelModule
from lamina.codegen.types import Pointer, element_of, i8, i64
from lamina.codegen.values import Value
from lamina.kernels.expression import Expression, emit
from lamina.kernels.reduction.arguments import Arguments, Form
from lamina.kernels.reduction.order import BLOCK, PARTIAL, Combine, Tree, folded
from lamina.kernels.reduction.program import Gather, Phase, Result, Write
from lamina.kernels.reduction.rows import computed, loaded, spread

TOGETHER = 4
"""Rows that are added to partial results in memory before those are written back."""

# What is done with a register of columns: where in the tile they are, and how many are left.
Body = Callable[[Value, Value | None], None]


@dataclass(frozen=True, slots=True)
class Column:
    """An operand at the first column of a tile: its step from term to term, and whether all columns
    share its elements.
    """

    pointer: Value
    step: Value
    is_one: bool

    def after(self, rows: Value) -> Column:
        """Return the operand `rows` terms further."""
        return Column(self.pointer + rows * self.step, self.step, self.is_one)

    def at(self, k: Builder, place: Value, lanes: int, left: Value | None) -> Value:
        """Return a register of columns, or the element that they share."""
        if self.is_one:
            return computed(k, self.pointer[0])
        return loaded(k, self.pointer + place, lanes, left)


@dataclass(frozen=True, slots=True)
class Tile:
    """Columns that go together: how many, and the scratch memory for what becomes of them.

    It holds eight lines of partial results, the trees of one group of terms and of the groups, and
    the results of phases.
    """

    k: Builder
    given: Arguments
    width: Value
    scratch: Value

    @property
    def size(self) -> Value:
        """How many partial results there are."""
        return self.given["tile"] * PARTIAL

    def tree(self, which: int, place: Value, lanes: int, combine: Combine) -> Tree:
        """Return the tree of one group of terms (0) or of the groups (1) at a partial result."""
        first = self.size if which == 0 else self.size * (self.given["levels"] + 1)
        return Tree(self.k, self.scratch + (first + place), lanes, 1, self.size, combine)

    def parameter(self, number: int) -> Value:
        """Return where a parameter of each column is kept."""
        levels = self.given["levels"] + self.given["outer_levels"] + 1
        return self.scratch + (self.size * levels + self.given["tile"] * number)

    def parameters(self, count: int, place: Value, lanes: int) -> list[Value]:
        """Return the numbers, and the first `count` other parameters of the columns at `place`."""
        kept = [(self.parameter(number) + place).load(0, lanes=lanes) for number in range(count)]
        return [*self.given.numbers(), *kept]

    def across(self, lanes: int, body: Body) -> None:
        """Emit `body` for all columns, a register at a time."""
        whole = self.width // lanes * lanes
        with self.k.loop(whole, step=lanes) as turn:
            body(turn.index, None)
        if lanes > 1:
            with self.k.when(whole < self.width):
                body(whole, self.width - whole)


@dataclass(frozen=True, slots=True)
class ColumnFold:
    """Emits one phase of a reduction of a tile."""

    k: Builder
    phase: Phase
    number: int
    tile: Tile

    @property
    def lanes(self) -> int:
        return self.k.target.lanes(self.phase.scalar)

    @property
    def combine(self) -> Combine:
        return self.phase.combined(self.k)

    def identity(self) -> Value:
        """Return a register of partial results of no terms."""
        return self.k.constant(self.k.vector(self.phase.scalar), self.phase.identity)

    def over(self, inputs: Sequence[Column]) -> None:
        """Leave the partial results of the terms that start at `inputs` in the first lines."""
        k, count = self.k, self.tile.given["terms"]
        blocks = count // BLOCK
        with k.loop(blocks) as turn:
            self._block([x.after(turn.index * BLOCK) for x in inputs], k.integer(BLOCK))
            with k.loop(self.tile.size, step=self.lanes) as part:
                self._tree(0, part.index).push(turn.index, [self.partial(part.index)])
        self._block([x.after(blocks * BLOCK) for x in inputs], count - blocks * BLOCK)
        with k.loop(self.tile.size, step=self.lanes) as part:
            all_of_it = self._tree(0, part.index).collapse(blocks, [self.partial(part.index)])
            self.tile.scratch.store(part.index, all_of_it[0])

    def push(self, group: Value) -> None:
        """Put what `over` has left into the tree of the groups."""
        with self.k.loop(self.tile.size, step=self.lanes) as part:
            self._tree(1, part.index).push(group, [self.partial(part.index)])

    def end_groups(self, groups: Value) -> None:
        """Leave the partial results of all groups in the first lines."""
        with self.k.loop(self.tile.size, step=self.lanes) as part:
            all_of_it = self._tree(1, part.index).collapse(groups, [self.identity()])
            self.tile.scratch.store(part.index, all_of_it[0])

    def partial(self, place: Value) -> Value:
        """Return a register of the first lines."""
        return (self.tile.scratch + place).load(0, lanes=self.lanes)

    def _tree(self, which: int, place: Value) -> Tree:
        return self.tile.tree(which, place, self.lanes, self.combine)

    def _block(self, inputs: Sequence[Column], count: Value) -> None:
        """Fold a block of at most 128 rows into the eight lines of partial results."""
        k, scratch = self.k, self.tile.scratch
        with k.loop(self.tile.size, step=self.lanes) as part:
            scratch.store(part.index, self.identity())
        with k.loop(k.minimum(count, PARTIAL)) as line:
            parts = scratch + line.index * self.tile.given["tile"]
            rows = (count - line.index + (PARTIAL - 1)) // PARTIAL
            whole = rows // TOGETHER * TOGETHER
            for start, stop, together in ((k.integer(0), whole, TOGETHER), (whole, rows, 1)):
                with k.loop(stop, start=start, step=together) as turn:
                    row = turn.index * PARTIAL + line.index
                    self._add([x.after(row) for x in inputs], parts, together)

    def _add(self, inputs: Sequence[Column], parts: Value, together: int) -> None:
        """Fold rows, each the eighth after the one before, into a line of partial results."""
        k, lanes = self.k, self.lanes
        rows = [[x.after(k.integer(PARTIAL * row)) for x in inputs] for row in range(together)]

        def register(place: Value, left: Value | None) -> None:
            parameters = self.tile.parameters(self.number, place, lanes)
            value = (parts + place).load(0, lanes=lanes)
            for row in rows:
                here = [x.at(k, place, lanes, left) for x in row]
                term = emit(k, self.phase.term, [*here, *parameters])
                value = self.combine(value, spread(term, lanes))
            (parts + place).store(0, value)

        self.tile.across(lanes, register)


def emit_columns(module: KernelModule, form: Form) -> None:
    """Define `run(arguments, scratch)`: claim tiles of results and work on them."""
    with module.function("run", {"args": Pointer(i64), "scratch": Pointer(i8)}) as (
        k,
        args,
        scratch,
    ):
        given = Arguments(k, args, form)
        memory = k.cast_pointer(scratch, form.program.scalar)

        with k.claimed(args, given["chunks"]) as number:
            tiles, tile = given["tiles"], given["tile"]
            line, start = number // tiles, number % tiles * tile
            width = k.minimum(tile, given.column.inner_size - start)
            offsets = given.kept.locate(line)
            operands = []
            for place, (pointer, at) in enumerate(zip(given.pointers(), offsets, strict=True)):
                is_one = form.ways[place] == "one"
                here = pointer + (at if is_one else at + start)
                operands.append(Column(here, given.run.inner_stride(place), is_one))
            _Columns(Tile(k, given, width, memory), operands).run()


@dataclass(frozen=True, slots=True)
class _Columns:
    """Emits the statements for a tile."""

    tile: Tile
    operands: Sequence[Column]

    @property
    def lanes(self) -> int:
        return self.tile.k.target.lanes(self.tile.given.form.program.scalar)

    def run(self) -> None:
        """Emit all of them."""
        number = 0
        program = self.tile.given.form.program
        for statement in program.statements:
            match statement:
                case Phase():
                    fold = ColumnFold(self.tile.k, statement, number, self.tile)
                    self._fold(fold)
                    self._finish(fold)
                    number += 1
                case Result(output, value):
                    self._result(output, value, number)
                case Write(output, value) | Gather(output, value):
                    self._write(output, value, number)

    def _fold(self, fold: ColumnFold) -> None:
        """Leave the partial results of all terms in the first lines of the scratch memory."""
        given = self.tile.given
        inputs = self.operands[given.form.program.outputs :]
        if not given.form.outer:
            fold.over(inputs)
            return
        with fold.k.loop(given["outer"]) as turn:
            fold.over(self._moved(turn.index)[given.form.program.outputs :])
            fold.push(turn.index)
        fold.end_groups(given["outer"])

    def _moved(self, group: Value) -> list[Column]:
        """Return the operands where a group of terms begins."""
        offsets = self.tile.given.outer.locate(group)
        return [
            Column(x.pointer + at, x.step, x.is_one)
            for x, at in zip(self.operands, offsets, strict=True)
        ]

    def _finish(self, fold: ColumnFold) -> None:
        """Keep what becomes of the partial results as a parameter."""
        k, tile, lanes = fold.k, self.tile, fold.lanes
        with k.loop(tile.width, step=lanes) as turn:
            places = [tile.given["tile"] * line + turn.index for line in range(PARTIAL)]
            total = folded([fold.partial(place) for place in places], fold.combine)
            parameters = tile.parameters(fold.number, turn.index, lanes)
            value = emit(k, fold.phase.finish, [total, *parameters])
            (tile.parameter(fold.number) + turn.index).store(0, value)

    def _result(self, output: int, value: Expression, count: int) -> None:
        tile, k, out = self.tile, self.tile.k, self.operands[output]
        step = tile.given.column.inner_stride(output)

        def register(place: Value, left: Value | None) -> None:
            found = emit(k, value, tile.parameters(count, place, self.lanes))
            _store(k, out.pointer, step, place, left, found)

        tile.across(self.lanes, register)

    def _write(self, output: int, value: Expression, count: int) -> None:
        """Write an element for every term."""
        tile, k, lanes = self.tile, self.tile.k, self.lanes
        outputs = tile.given.form.program.outputs

        def rows(operands: Sequence[Column]) -> None:
            with k.loop(tile.given["terms"]) as row:
                here = [x.after(row.index) for x in operands]
                target = here[output].pointer

                def register(place: Value, left: Value | None) -> None:
                    inputs = [x.at(k, place, lanes, left) for x in here[outputs:]]
                    found = emit(k, value, [*inputs, *tile.parameters(count, place, lanes)])
                    found = k.convert(spread(found, lanes), element_of(target.type))
                    if left is None:
                        target.store(place, found)
                    else:
                        k.store_first(target + place, found, left)

                tile.across(lanes, register)

        if not tile.given.form.outer:
            rows(self.operands)
            return
        with k.loop(tile.given["outer"]) as turn:
            rows(self._moved(turn.index))


def _store(
    k: Builder, out: Value, step: Value, place: Value, left: Value | None, value: Value
) -> None:
    """Write results `step` apart."""
    value = k.convert(value, element_of(out.type))
    with k.either(step.equals(1)) as (side_by_side, apart):
        with side_by_side:
            if left is None:
                out.store(place, value)
            else:
                k.store_first(out + place, value, left)
        with apart:
            count = k.integer(1 << 30) if left is None else left
            k.store_spread(out + place * step, value, step, count)

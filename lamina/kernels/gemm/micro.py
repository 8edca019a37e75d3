"""The micro-kernel: C (+)= A·B for one register tile, one function for each tile height."""

from collections.abc import Callable
from dataclasses import dataclass

from lamina.codegen.builder import Builder, Function, KernelModule
from lamina.codegen.types import Pointer, Type, element_of, i64
from lamina.codegen.values import Value
from lamina.kernels.gemm.arithmetic import Arithmetic, Recipe, arithmetic_of
from lamina.kernels.gemm.finish import (
    APART,
    SIDE_BY_SIDE,
    Ending,
    Further,
    further_of,
    further_parameters,
)
from lamina.kernels.gemm.tiles import Tile
from lamina.kernels.scalars import STORED

Accumulators = list[Value]
_MOST_ROWS_APART = 10
_LINE_BYTES = 64


def _step(
    k: Builder, arithmetic: Arithmetic, sums: Accumulators, a: list[Value], b: Value, vectors: int
) -> Accumulators:
    """Return the sums after one more unit of k: one of each row times `vectors` registers."""
    lanes = k.target.lanes(element_of(b.type))
    row = [b.load(v * lanes, lanes=lanes) for v in range(vectors)]
    done: Accumulators = []
    for i, place in enumerate(a):
        left = k.splat(place[0])
        for v, right in enumerate(row):
            done.append(arithmetic.add_product(k, sums[i * vectors + v], left, right))
    return done


def _sum_over_k(
    k: Builder, arithmetic: Arithmetic, count: Value, a: Value, a_row: Value | None, b: Value,
    pitch: Value, height: int, tile: Tile,
) -> Accumulators:  # fmt: skip
    start = [k.zeros(arithmetic.total)] * (height * tile.vectors)
    # Where there are few registers left for addresses of rows, LLVM takes them one row at a time
    # for several k, and spills the elements that it loaded too early.
    unroll = tile.unroll if a_row is None or height <= _MOST_ROWS_APART else 1
    whole = count // unroll

    def turns(values: list[Value], times: int) -> list[Value]:
        left, right, *sums = values
        for number in range(times):
            if a_row is None:
                rows = [left + (number * height + row) for row in range(height)]
            else:
                rows = [(left + a_row * row) + number for row in range(height)]
            sums = _step(k, arithmetic, sums, rows, right, tile.vectors)
            right = right + pitch
        return [left + times * (height if a_row is None else 1), right, *sums]

    with k.loop(whole, carry=[a, b, *start]) as turn:
        turn.next = turns(turn.carried, unroll)
    with k.loop(count, start=whole * unroll, carry=turn.results) as rest:
        rest.next = turns(rest.carried, 1)
    return rest.results[2:]


def _write(
    k: Builder, sums: Accumulators, c: Value, pitch: Value, vectors: int, write: "_Writer"
) -> None:
    """Write each register of sums to its place in C with `write(place, sums, row, column)`."""
    lanes = k.target.lanes(element_of(c.type))
    for number, total in enumerate(sums):
        row, column = number // vectors, number % vectors * lanes
        write((c + pitch * row) + column, total, row, column)


_Writer = Callable[[Value, Value, int, int], None]


@dataclass(frozen=True, slots=True)
class _Results:
    """Emits what becomes of the sums of a tile: they replace what is in C or are added to it, and
    wait there, or become what is stored.
    """

    k: Builder
    recipe: Recipe
    further: list[Further]

    def waiting(self, adds: bool) -> _Writer:
        """Return how sums are written that are stored as they are, for now or for good."""

        def write(place: Value, total: Value, row: int, column: int) -> None:
            place.store(0, self._total(place, total, adds))

        return write

    def ending(self, adds: bool) -> _Writer:
        """Return how sums are written that go through the epilogue."""

        def write(place: Value, total: Value, row: int, column: int) -> None:
            k, lanes = self.k, self.k.target.lanes(element_of(place.type))
            here = [operand.moved(k.integer(row), k.integer(column)) for operand in self.further]
            sums = self._total(place, total, adds)
            Ending(k, self.recipe).store(place, sums, lanes, here, None)

        return write

    def _total(self, place: Value, total: Value, adds: bool) -> Value:
        lanes = self.k.target.lanes(element_of(place.type))
        return place.load(0, lanes=lanes) + total if adds else total


def ask_for_part(k: Builder, start: Value, count: Value, part: Value, parts: Value) -> None:
    """Ask for one of so many parts of the `count` numbers from `start` on: of the panel that comes
    next, whose weights seldom lie near.
    """
    line = _LINE_BYTES // element_of(start.type).bytes
    size = (count + (line * parts - 1)) // (line * parts) * line
    with k.loop(size, step=line) as turn:
        k.prefetch(start + (part * size + turn.index))


def _prefetch_rows(k: Builder, operand: Further, height: int, last: int) -> None:
    """Ask for a tile of an operand that the epilogue reads, if it is a matrix."""
    if operand.lies == SIDE_BY_SIDE:
        for row in range(height):
            k.prefetch((operand.pointer + operand.row * row) + last)


def ends_in_registers(recipe: Recipe) -> bool:
    """Return whether whole tiles go through the epilogue in registers: sums of several blocks of k
    can wait where the results go, and further operands lie along the columns.
    """
    waits_in_place = STORED[recipe.out] == arithmetic_of(recipe).total
    return (
        recipe.epilogue is not None
        and waits_in_place
        and all(lies != APART for _, lies in recipe.inputs)
    )


def emit_micro(
    module: KernelModule,
    recipe: Recipe,
    tile: Tile,
    height: int,
    *,
    packed: bool,
    prefix: str = "_micro",
) -> Function:
    """Define `_micro(count, a, a_row, b, b_pitch, c, c_pitch, adds)` of one height and return it.

    `count` is of units. `a` has `height` units for each where it is packed; else rows, `a_row`
    apart, whose units lie side by side. `b` has a row of `vectors` registers for each, `b_pitch`
    units apart; `adds` is 1 where the sums are added to C and 0 where they replace it. Where whole
    tiles end in registers, theirs has `ends`, 1 where the sums are complete, and the further
    operands of the epilogue behind these.
    """
    arithmetic = arithmetic_of(recipe)
    unit = Pointer(arithmetic.unit)
    parameters: dict[str, Type] = {
        "count": i64, "a": unit, "a_row": i64, "b": unit, "b_pitch": i64,
        "c": Pointer(arithmetic.total), "c_pitch": i64, "adds": i64,
    }  # fmt: skip
    ends_here = height == tile.rows and ends_in_registers(recipe)
    if ends_here:
        parameters |= {"ends": i64, **further_parameters(recipe)}
    last = tile.vectors * module.target.lanes(arithmetic.total) - 1
    name = f"{prefix}_{height}_{'packed' if packed else 'in_place'}"
    with module.function(name, parameters, inline="never") as opened:
        k, count, a, a_row, b, b_pitch, c, c_pitch, adds, *ending = opened
        # Where a row crosses a cache line, the first one came with the panel before.
        for i in range(height):
            k.prefetch((c + c_pitch * i) + last)
        further = further_of(recipe, ending[1:]) if ends_here else []
        for operand in further:
            _prefetch_rows(k, operand, height, last)
        row = None if packed else a_row
        sums = _sum_over_k(k, arithmetic, count, a, row, b, b_pitch, height, tile)
        results = _Results(k, recipe, further)

        def write(writer: Callable[[bool], _Writer]) -> None:
            with k.either(adds.equals(1)) as branches:
                for branch, is_added in zip(branches, (True, False), strict=True):
                    with branch:
                        _write(k, sums, c, c_pitch, tile.vectors, writer(is_added))

        if ends_here:
            with k.either(ending[0].equals(1)) as (complete, partial):
                with complete:
                    write(results.ending)
                with partial:
                    write(results.waiting)
        else:
            write(results.waiting)
        handle: Function = k.handle
    return handle

"""The micro-kernel: C (+)= A·B for one register tile, one function for each tile height."""

from lamina.codegen.builder import Builder, Function, KernelModule
from lamina.codegen.types import Pointer, Type, element_of, i64
from lamina.codegen.values import Value
from lamina.kernels.gemm.arithmetic import Arithmetic
from lamina.kernels.gemm.tiles import Tile

Accumulators = list[Value]
_MOST_ROWS_APART = 10


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
    k: Builder, sums: Accumulators, c: Value, pitch: Value, adds: Value, vectors: int
) -> None:
    lanes = k.target.lanes(element_of(c.type))
    places = [(c + pitch * (i // vectors)) + (i % vectors) * lanes for i in range(len(sums))]
    with k.either(adds.equals(1)) as (then, otherwise):
        with then:
            for place, total in zip(places, sums, strict=True):
                place.store(0, place.load(0, lanes=lanes) + total)
        with otherwise:
            for place, total in zip(places, sums, strict=True):
                place.store(0, total)


def emit_micro(
    module: KernelModule, arithmetic: Arithmetic, tile: Tile, height: int, *, packed: bool
) -> Function:
    """Define `_micro(count, a, a_row, b, b_pitch, c, c_pitch, adds)` of one height and return it.

    `count` is of units. `a` has `height` units for each where it is packed; else rows, `a_row`
    apart, whose units lie side by side. `b` has a row of `vectors` registers for each, `b_pitch`
    units apart; `adds` is 1 where the sums are added to C and 0 where they replace it.
    """
    unit = Pointer(arithmetic.unit)
    parameters: dict[str, Type] = {
        "count": i64, "a": unit, "a_row": i64, "b": unit, "b_pitch": i64,
        "c": Pointer(arithmetic.total), "c_pitch": i64, "adds": i64,
    }  # fmt: skip
    last = tile.vectors * module.target.lanes(arithmetic.total) - 1
    name = f"_micro_{height}_{'packed' if packed else 'in_place'}"
    with module.function(name, parameters, inline="never") as opened:
        k, count, a, a_row, b, b_pitch, c, c_pitch, adds = opened
        # Where a row crosses a cache line, the first one came with the panel before.
        for i in range(height):
            k.prefetch((c + c_pitch * i) + last)
        row = None if packed else a_row
        sums = _sum_over_k(k, arithmetic, count, a, row, b, b_pitch, height, tile)
        _write(k, sums, c, c_pitch, adds, tile.vectors)
        handle: Function = k.handle
    return handle

"""The micro-kernel: C (+)= A·B for one register tile, one function for each tile height."""

from lamina.codegen.builder import Builder, Function, KernelModule
from lamina.codegen.types import Pointer, Scalar, Type, element_of, i64
from lamina.codegen.values import Value
from lamina.kernels.gemm.tiles import Tile

Accumulators = list[Value]


def _step(
    k: Builder, sums: Accumulators, a: Value, b: Value, height: int, vectors: int
) -> Accumulators:
    """Return the sums after one more k: `height` scalars times `vectors` registers."""
    lanes = k.target.lanes(element_of(a.type))
    row = [b.load(v * lanes, lanes=lanes) for v in range(vectors)]
    done: Accumulators = []
    for i in range(height):
        left = k.splat(a[i])
        done += [k.fma(left, row[v], sums[i * vectors + v]) for v in range(vectors)]
    return done


def _sum_over_k(
    k: Builder, count: Value, a: Value, b: Value, pitch: Value, height: int, tile: Tile
) -> Accumulators:
    scalar = element_of(a.type)
    start = [k.zeros(scalar)] * (height * tile.vectors)
    whole = count // tile.unroll
    with k.loop(whole, carry=[a, b, *start]) as turn:
        left, right, *sums = turn.carried
        for _ in range(tile.unroll):
            sums = _step(k, sums, left, right, height, tile.vectors)
            left, right = left + height, right + pitch
        turn.next = [left, right, *sums]
    with k.loop(count, start=whole * tile.unroll, carry=turn.results) as rest:
        left, right, *sums = rest.carried
        sums = _step(k, sums, left, right, height, tile.vectors)
        rest.next = [left + height, right + pitch, *sums]
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


def emit_micro(module: KernelModule, scalar: Scalar, tile: Tile, height: int) -> Function:
    """Define `_micro_<height>(count, a, b, b_pitch, c, c_pitch, adds)` and return it.

    `a` is packed, `height` scalars for each k; `b` has a row of `vectors` registers for each k,
    `b_pitch` scalars apart; `adds` is 1 where the sums are added to C and 0 where they replace it.
    """
    pointer = Pointer(scalar)
    parameters: dict[str, Type] = {
        "count": i64, "a": pointer, "b": pointer, "b_pitch": i64, "c": pointer, "c_pitch": i64,
        "adds": i64,
    }  # fmt: skip
    with module.function(f"_micro_{height}", parameters, inline="never") as opened:
        k, count, a, b, b_pitch, c, c_pitch, adds = opened
        for i in range(height):
            for v in range(tile.vectors):
                k.prefetch((c + c_pitch * i) + v * k.target.lanes(scalar), to_write=True)
        sums = _sum_over_k(k, count, a, b, b_pitch, height, tile)
        _write(k, sums, c, c_pitch, adds, tile.vectors)
        handle: Function = k.handle
    return handle

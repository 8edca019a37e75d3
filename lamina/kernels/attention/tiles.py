"""How attention is cut, and the product of two tiles that all of it is made of."""

from dataclasses import dataclass
from typing import Any

from lamina.codegen.builder import Builder, Function, KernelModule
from lamina.codegen.target import Target
from lamina.codegen.types import Pointer, Scalar, Type, i64
from lamina.codegen.values import Value

_ROWS = {32: 8, 16: 6, 0: 3}  # by number of vector registers
_ROWS_WITHOUT_FMA = 4
_VECTORS = 2
_UNROLL = 4
_KEYS = 64
# The panels of a chunk share each block of keys that was packed.
_QUERIES = 128


@dataclass(frozen=True, slots=True)
class Tiles:
    """A tile of `rows` × `width` sums stays in registers; `keys` are a block, `queries` a chunk."""

    rows: int
    width: int
    keys: int
    queries: int
    lanes: int

    def padded(self, count: Any) -> Any:
        """Return the length of a row in scratch memory that holds `count` numbers."""
        return (count + (self.width - 1)) // self.width * self.width


def tiles_for(target: Target, scalar: Scalar) -> Tiles:
    """Return the tiles of a target."""
    rows = _ROWS[target.registers if target.vector_bytes else 0]
    if target.vector_bytes and not target.has_fma:
        # Products want a register of their own before they are added.
        rows = min(rows, _ROWS_WITHOUT_FMA)
    lanes = target.lanes(scalar)
    return Tiles(rows, _VECTORS * lanes, _KEYS // rows * rows, _QUERIES, lanes)


def emit_product(
    module: KernelModule, scalar: Scalar, tiles: Tiles, name: str, *, adds: bool = False,
    scales: bool = False,
) -> Function:  # fmt: skip
    """Define `_name(count, a, a_row, a_step, b, b_pitch, c, c_pitch, factors)` and return it.

    c[r, w] = Σ a[r·a_row + t·a_step] · b[t·b_pitch + w] for a tile of r and w, over t < `count`; to
    be added to what c holds where it `adds`, or to that times factors[w] where it `scales`.
    """
    numbers = Pointer(scalar)
    parameters: dict[str, Type] = {
        "count": i64, "a": numbers, "a_row": i64, "a_step": i64, "b": numbers, "b_pitch": i64,
        "c": numbers, "c_pitch": i64, "factors": numbers,
    }  # fmt: skip
    lanes = tiles.lanes
    with module.function(f"_{name}", parameters, inline="never") as opened:
        k, count, a, a_row, a_step, b, b_pitch, c, c_pitch, factors = opened
        rows = [a + a_row * row for row in range(tiles.rows)]
        sums = _sums(k, scalar, count, rows, a_step, b, b_pitch, lanes)
        for row in range(tiles.rows):
            place = c + c_pitch * row
            for vector in range(_VECTORS):
                total = sums[row * _VECTORS + vector]
                if adds:
                    total = place.load(vector * lanes, lanes=lanes) + total
                if scales:
                    before = place.load(vector * lanes, lanes=lanes)
                    total = k.fma(before, factors.load(vector * lanes, lanes=lanes), total)
                place.store(vector * lanes, total)
        handle: Function = k.handle
    return handle


def _sums(
    k: Builder, scalar: Scalar, count: Value, rows: list[Value], a_step: Value, b: Value,
    b_pitch: Value, lanes: int,
) -> list[Value]:  # fmt: skip
    start = [k.zeros(scalar)] * (len(rows) * _VECTORS)
    whole = count // _UNROLL

    def turns(values: list[Value], times: int) -> list[Value]:
        offset, right, *sums = values
        for _ in range(times):
            registers = [right.load(v * lanes, lanes=lanes) for v in range(_VECTORS)]
            lefts = [k.splat((row + offset)[0]) for row in rows]
            sums = [
                k.fma(left, register, sums[i * _VECTORS + v])
                for i, left in enumerate(lefts)
                for v, register in enumerate(registers)
            ]
            offset, right = offset + a_step, right + b_pitch
        return [offset, right, *sums]

    with k.loop(whole, carry=[k.integer(0), b, *start]) as turn:
        turn.next = turns(turn.carried, _UNROLL)
    with k.loop(count, start=whole * _UNROLL, carry=turn.results) as rest:
        rest.next = turns(rest.carried, 1)
    return rest.results[2:]

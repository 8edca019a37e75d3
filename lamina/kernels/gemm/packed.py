"""Operands packed in advance: weights that many products share are laid out once."""

from dataclasses import dataclass
from functools import lru_cache

from lamina.codegen import jit
from lamina.codegen.builder import KernelModule
from lamina.codegen.target import host_target
from lamina.codegen.types import Pointer, i8, i64
from lamina.errors import ShapeError
from lamina.kernels.gemm.arithmetic import Recipe, arithmetic_of
from lamina.kernels.gemm.pack_b import STRIP, emit_pack_b
from lamina.kernels.gemm.tiles import columns, k_block, tile_for
from lamina.kernels.launch import LEFT, OUT, PLANS_KEPT, Place, Step, argument_block
from lamina.kernels.offsets import emit_table
from lamina.kernels.operand import AXES, Named, Operand, Shape, flat
from lamina.kernels.scalars import STORED
from lamina.memory import Storage, allocate

_FIELDS = ("out", "b", "n", "k", "k_block", "padded")
_COLUMN_AXES = len(_FIELDS)
_SUM_AXES = _COLUMN_AXES + 3 * AXES


@dataclass(frozen=True, slots=True)
class PackedRight:
    """The right operand of products, packed for this processor; it keeps what was packed, not b."""

    storage: Storage
    shape: Shape
    dtype: Named
    # Of the first panel.
    address: int

    @property
    def strides(self) -> Shape:
        """Steps in b, as if it lay row by row; panels have none of their own."""
        return (self.shape[-1], 1)


def emit_pack_right(module: KernelModule, recipe: Recipe) -> None:
    """Define `run(arguments, scratch)`: every panel of b, block of k by block."""
    arithmetic, table = arithmetic_of(recipe), emit_table(module)
    width = columns(tile_for(module.target), module.target, arithmetic.unit)
    pack = emit_pack_b(module, STORED[recipe.b], arithmetic, width)
    with module.function("run", {"args": Pointer(i64), "scratch": Pointer(i8)}) as (
        k,
        args,
        scratch,
    ):
        out, b, n, depth, block, padded = (args[place] for place in range(len(_FIELDS)))
        target, source = k.pointer_at(out, arithmetic.unit), k.pointer_at(b, STORED[recipe.b])
        start = k.cast_pointer(scratch, i64)
        k_tables = [start + block * number for number in range(4)]
        n_tables = [start + (block * 4 + padded * number) for number in range(4)]
        one, zero = k.integer(1), k.integer(0)
        k.call(table, args + _COLUMN_AXES, zero, n, one, *n_tables)
        with k.loop(padded, start=n) as rest:
            n_tables[2][rest.index] = n_tables[2][rest.index // width * width]
        with k.loop(depth, step=block) as turn:
            count = k.minimum(block, depth - turn.index)
            k.call(table, args + _SUM_AXES, turn.index, count, one, *k_tables)
            first = target + turn.index // arithmetic.group * padded
            with k.loop(n, step=STRIP * width) as strip:
                place = strip.index
                k.call(
                    pack, first + place * arithmetic.units(count), source, count,
                    k.minimum(n - place, STRIP * width), zero, one, one, *k_tables[2:],
                    n_tables[2] + place, n_tables[3] + place,
                )  # fmt: skip


def packed_size(shape: Shape, dtype: str) -> int:
    """Return how many elements of `dtype` have room for a packed operand (k, n)."""
    depth, n = shape
    arithmetic, target = arithmetic_of(Recipe.of(dtype)), host_target()
    width = columns(tile_for(target), target, arithmetic.unit)
    padded, units = -(-n // width) * width, -(-depth // arithmetic.group)
    slack = target.lanes(arithmetic.unit) * width
    return -(-(units * padded + slack) * arithmetic.unit.bytes // STORED[dtype].bytes)


def pack_right(b: Operand, out: Operand | None = None) -> PackedRight:
    """Return b packed for `gemm(out, a, packed)`, with the bits of `gemm(out, a, b)`.

    b is (k, n), of any dtype that `gemm` takes; 16-bit floats take the room of float32, bytes that
    of 16-bit integers. `out` is memory for it, `packed_size` elements side by side. ShapeError for
    other ranks.
    """
    if len(b.shape) != 2:
        raise ShapeError(f"pack_right: {b.shape} given; expected a matrix (k, n)")
    dtype = b.dtype.name
    size = packed_size(b.shape, dtype)
    if out is not None and (out.shape, out.strides) != ((size,), (1,)):
        raise ShapeError(f"pack_right: out {out.shape} given; expected ({size},), side by side")
    storage = allocate(size * STORED[dtype].bytes)
    address = storage.address if out is None else out.address
    if 0 not in b.shape:
        packing(b.shape, b.strides, dtype, Place(OUT, 0), Place(LEFT, 0)).run((address, b.address))
    return PackedRight(storage, b.shape, b.dtype, address)


@lru_cache(maxsize=PLANS_KEPT)
def packing(shape: Shape, strides: Shape, dtype: str, target: Place, source: Place) -> Step:
    """Return the call that packs a matrix (k, n) from `source` to `target`."""
    depth, n = shape
    recipe = Recipe.of(dtype)
    arithmetic, machine = arithmetic_of(recipe), host_target()
    tile = tile_for(machine)
    width, block = columns(tile, machine, arithmetic.unit), k_block(depth, tile)
    padded = -(-n // width) * width
    arguments = argument_block(
        0, 0, n, depth, block, padded,
        *flat([(n, 0, strides[1])], 2), *flat([(depth, 0, strides[0])], 2),
    )  # fmt: skip
    return Step(
        entry=jit.kernel(emit_pack_right, recipe),
        arguments=arguments,
        places=((0, target), (1, source)),
        scratch_bytes=4 * (block + padded) * i64.bytes,
        workers=1,
    )

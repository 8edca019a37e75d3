"""Operands packed in advance: weights that many products share are laid out once."""

import ctypes
from dataclasses import dataclass

from lamina.codegen import jit, threads
from lamina.codegen.builder import KernelModule
from lamina.codegen.target import host_target
from lamina.codegen.types import Pointer, i8, i64
from lamina.errors import ShapeError
from lamina.kernels.gemm.arithmetic import Recipe, arithmetic_of
from lamina.kernels.gemm.pack_b import STRIP
from lamina.kernels.gemm.parts import emit_parts
from lamina.kernels.gemm.tiles import columns, k_block, tile_for
from lamina.kernels.launch import argument_block
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

    @property
    def address(self) -> int:
        """Address of the first panel."""
        return self.storage.address

    @property
    def strides(self) -> Shape:
        """Steps in b, as if it lay row by row; panels have none of their own."""
        return (self.shape[-1], 1)


def emit_pack_right(module: KernelModule, recipe: Recipe) -> None:
    """Define `run(arguments, scratch)`: every panel of b, block of k by block."""
    parts = emit_parts(module, recipe)
    arithmetic, width = parts.arithmetic, parts.width
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
        k.call(parts.table, args + _COLUMN_AXES, zero, n, one, *n_tables)
        with k.loop(padded, start=n) as rest:
            n_tables[2][rest.index] = n_tables[2][rest.index // width * width]
        with k.loop(depth, step=block) as turn:
            count = k.minimum(block, depth - turn.index)
            k.call(parts.table, args + _SUM_AXES, turn.index, count, one, *k_tables)
            first = target + turn.index // arithmetic.group * padded
            with k.loop(n, step=STRIP * width) as strip:
                place = strip.index
                k.call(
                    parts.pack_b, first + place * arithmetic.units(count), source, count,
                    k.minimum(n - place, STRIP * width), zero, one, one, *k_tables[2:],
                    n_tables[2] + place, n_tables[3] + place,
                )  # fmt: skip


def pack_right(b: Operand) -> PackedRight:
    """Return b packed for `gemm(out, a, packed)`, with the bits of `gemm(out, a, b)`.

    b is (k, n), of any dtype that `gemm` takes; 16-bit floats take the room of float32, bytes that
    of 16-bit integers. ShapeError for other ranks.
    """
    if len(b.shape) != 2:
        raise ShapeError(f"pack_right: {b.shape} given; expected a matrix (k, n)")
    depth, n = b.shape
    recipe = Recipe.of(b.dtype.name)
    arithmetic, target = arithmetic_of(recipe), host_target()
    tile = tile_for(target)
    width, block = columns(tile, target, arithmetic.unit), k_block(depth, tile)
    padded, units = -(-n // width) * width, -(-depth // arithmetic.group)
    slack = target.lanes(arithmetic.unit) * width
    storage = allocate((units * padded + slack) * arithmetic.unit.bytes)
    arguments = argument_block(
        storage.address, b.address, n, depth, block, padded,
        *flat([(n, 0, b.strides[1])], 2), *flat([(depth, 0, b.strides[0])], 2),
    )  # fmt: skip
    if n and depth:
        scratch = 4 * (block + padded) * i64.bytes
        entry = jit.kernel(emit_pack_right, recipe)
        threads.run(entry, ctypes.addressof(arguments), scratch, threads=1)
    return PackedRight(storage, b.shape, b.dtype)

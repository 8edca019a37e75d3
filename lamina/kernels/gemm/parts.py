"""What the loops of the matrix kernel are built from: functions, and the layout of the scratch."""

from dataclasses import dataclass
from itertools import accumulate

from lamina.codegen.builder import Builder, Function, KernelModule
from lamina.codegen.target import Target
from lamina.codegen.types import i64
from lamina.codegen.values import Value
from lamina.kernels.gemm.arithmetic import Arithmetic, Recipe, arithmetic_of
from lamina.kernels.gemm.finish import emit_finish, emit_scatter
from lamina.kernels.gemm.micro import emit_micro
from lamina.kernels.gemm.pack_a import emit_pack_a
from lamina.kernels.gemm.pack_b import emit_pack_b
from lamina.kernels.gemm.pack_lines import emit_pack_lines
from lamina.kernels.gemm.tiles import Tile, columns, tile_for
from lamina.kernels.offsets import emit_table
from lamina.kernels.scalars import STORED

_ALIGN = 64


@dataclass(frozen=True, slots=True)
class Scratch:
    """Where the parts of a thread's scratch memory start, in bytes; the last ones grow with the
    chunk.
    """

    tile_a: int
    tile_c: int
    k_tables: int
    n_tables: int

    def size(self, n_chunk: int, sums: int, units: int) -> int:
        """Return how many bytes it takes in all: tables of `n_chunk` columns, `sums`, and `units`
        of packed B, in bytes.
        """
        return self.n_tables + 4 * n_chunk * i64.bytes + sums + units


def scratch_for(tile: Tile, target: Target, arithmetic: Arithmetic) -> Scratch:
    """Return how the scratch memory of a thread is divided."""
    unit, total = arithmetic.unit, arithmetic.total
    lanes, width = target.lanes(unit), columns(tile, target, unit)
    packed_a = (tile.m_tiles * tile.pitch + lanes * tile.rows) * unit.bytes
    sizes = (packed_a, tile.rows * width * total.bytes, 4 * tile.k_block * i64.bytes)
    return Scratch(*accumulate((-(-size // _ALIGN) * _ALIGN for size in sizes), initial=0))


@dataclass(frozen=True, slots=True)
class Parts:
    """The functions that the chunk's loops call, and the sizes that they were emitted for."""

    recipe: Recipe
    arithmetic: Arithmetic
    tile: Tile
    width: int
    scratch: Scratch
    table: Function
    pack_a: Function
    pack_lines: Function
    pack_b: Function
    scatter: Function
    finish: Function
    micro: dict[bool, dict[int, Function]]

    def compiled_height(self, k: Builder, rows: Value) -> Value:
        """Return the smallest compiled tile height that holds `rows`."""
        height = k.integer(self.tile.rows)
        for number in reversed(self.tile.heights[:-1]):
            height = k.select(rows <= number, k.integer(number), height)
        return height


def emit_parts(module: KernelModule, recipe: Recipe) -> Parts:
    """Define the functions that chunks call."""
    target, arithmetic = module.target, arithmetic_of(recipe)
    tile = tile_for(target)
    width = columns(tile, target, arithmetic.unit)

    def micro(height: int, *, packed: bool) -> Function:
        return emit_micro(module, recipe, tile, height, packed=packed)

    return Parts(
        recipe=recipe,
        arithmetic=arithmetic,
        tile=tile,
        width=width,
        scratch=scratch_for(tile, target, arithmetic),
        table=emit_table(module),
        pack_a=emit_pack_a(module, STORED[recipe.a], arithmetic),
        pack_lines=emit_pack_lines(module, STORED[recipe.a], arithmetic, tile),
        pack_b=emit_pack_b(module, STORED[recipe.b], arithmetic, width),
        scatter=emit_scatter(module, arithmetic.total, width),
        finish=emit_finish(module, recipe, width),
        micro={
            packed: {height: micro(height, packed=packed) for height in tile.heights}
            for packed in (True, False)
        },
    )

"""The one matrix kernel: a batched product whose axes may each be several strided axes.

    out[z, m, n] = Σ_k a[z, m, k] · b[z, k, n]

n and k stand for up to four axes each (a convolution's pixels, channels and taps), z for up to
four batch axes. Work is cut into chunks of the output; a chunk packs what it needs itself, so that
threads meet nowhere, and sums over all of k, in blocks of a length that only k decides: the same
bits come out however the output is cut. The loops are those of Goto and van de Geijn, "Anatomy of
high-performance matrix multiplication" (2008). Operands that the caches hold as they are stay in
place, unpacked.
"""

from dataclasses import dataclass
from functools import lru_cache

from lamina.codegen import jit
from lamina.codegen.builder import KernelModule
from lamina.codegen.target import host_target
from lamina.codegen.types import Pointer, i8, i64
from lamina.kernels.gemm.arithmetic import Arithmetic, Recipe, arithmetic_of
from lamina.kernels.gemm.chunk import SLOT, Chunks, further_slot
from lamina.kernels.gemm.pack_b import STRIP
from lamina.kernels.gemm.parts import Scratch, emit_parts, scratch_for
from lamina.kernels.gemm.tiles import Tile, columns, k_block, m_tiles_in_cache, tile_for
from lamina.kernels.launch import PLANS_KEPT, Place, Step, argument_block, workers_for
from lamina.kernels.operand import Axes, flat, product
from lamina.kernels.scalars import STORED

_CHUNKS_A_THREAD = 4
_PANELS_A_CHUNK = 4
_PACKED_BYTES = 2 << 20
# Sums that wait for the next block of k should not leave the second cache far behind.
_WAITING_BYTES = 1 << 20
# An operand of at most this size stays in the first cache while the other passes by.
_IN_PLACE_BYTES = 16 << 10
# Rows of A this near to each other lie well in the caches; packing them pays for many columns.
_ROW_BYTES, _FEW_COLUMNS = 2048, 512


def emit_contraction(module: KernelModule, recipe: Recipe) -> None:
    """Define `run(arguments, scratch)`: claim chunks and work on them until none is left."""
    parts = emit_parts(module, recipe)
    with module.function("run", {"args": Pointer(i64), "scratch": Pointer(i8)}) as (
        k,
        args,
        scratch,
    ):
        chunks = Chunks(k, parts, args, scratch)
        with k.claimed(args, chunks.get("chunks")) as number:
            chunks.run(number)


@dataclass(frozen=True, slots=True)
class _Engine:
    """What the callers of the kernel of one recipe have to know."""

    recipe: Recipe
    arithmetic: Arithmetic
    tile: Tile
    block_tiles: int
    width: int
    lanes: int
    scratch: Scratch


@lru_cache(maxsize=PLANS_KEPT)
def _engine(recipe: Recipe) -> _Engine:
    target, arithmetic = host_target(), arithmetic_of(recipe)
    tile = tile_for(target)
    return _Engine(
        recipe=recipe,
        arithmetic=arithmetic,
        tile=tile,
        block_tiles=m_tiles_in_cache(tile, arithmetic.unit),
        width=columns(tile, target, arithmetic.unit),
        lanes=target.lanes(arithmetic.unit),
        scratch=scratch_for(tile, target, arithmetic),
    )


@dataclass(frozen=True, slots=True)
class FurtherOperand:
    """An operand of the epilogue: where it lies, its steps to the next row and column."""

    place: Place
    row: int
    column: int


@dataclass(frozen=True, slots=True)
class Contraction:
    """One product to compute; axes are (size, stride, stride …), outermost first.

    `columns` have strides in out and b, `sums` in a and b, `batch` in out, a, b and each further
    operand. `slack` says that two registers may be read past the end of b.
    """

    recipe: Recipe
    out: Place
    a: Place
    b: Place
    m: int
    out_row: int
    a_row: int
    columns: Axes
    sums: Axes
    batch: Axes
    slack: bool = False
    further: tuple[FurtherOperand, ...] = ()

    def step(self) -> Step:
        """Return the kernel call that computes it."""
        engine = _engine(self.recipe)
        n, k, z = (product(axes) for axes in (self.columns, self.sums, self.batch))
        workers = workers_for(flops=2 * self.m * n * k * z)
        rows = _Rows.of(self.m, engine.tile)
        count = k_block(k, engine.tile)
        m_chunk, n_chunk = _cut(rows.tiles, n, z, k, engine, workers)
        m_chunks, n_chunks = -(-rows.tiles // m_chunk), -(-n // n_chunk)
        chunks = m_chunks * n_chunks * z
        block = -(-m_chunk // -(-m_chunk // engine.block_tiles))
        b_row = self.sums[-1][2] if self.sums else 0
        step, inputs = _step(self.columns, self.slack), len(self.further)
        arguments = argument_block(
            0, chunks, 0, 0, 0, self.m, n, k, self.out_row, self.a_row, b_row,
            rows.tiles, rows.whole, rows.border, m_chunk, n_chunk, m_chunks, n_chunks,
            block, count, self._a_in_place(engine), self._b_in_place(engine, step),
            self.slack, step, _step(self.sums, self.slack),
            *flat(self.columns, 2), *flat(self.sums, 2), *flat(self.batch, 3 + inputs),
            *(number for x in self.further for number in (0, x.row, x.column)),
        )  # fmt: skip
        places = [(SLOT["out"], self.out), (SLOT["a"], self.a), (SLOT["b"], self.b)]
        places += [(further_slot(inputs, i), x.place) for i, x in enumerate(self.further)]
        scratch = _scratch_bytes(engine, m_chunk, n_chunk, k)
        entry = jit.kernel(emit_contraction, self.recipe)
        return Step(entry, arguments, tuple(places), scratch, min(workers, chunks))

    def _a_in_place(self, engine: _Engine) -> bool:
        """Return whether the micro-kernel reads a where it lies: there is little of it."""
        if len(self.sums) != 1 or self.sums[0][1] != 1 or not _is_unit(engine, self.recipe.a):
            return False
        row_bytes = abs(self.a_row) * engine.arithmetic.unit.bytes
        is_near = row_bytes <= _ROW_BYTES and product(self.columns) <= _FEW_COLUMNS
        return is_near or self._bytes(engine, self.m, self.a_row, 1) <= _IN_PLACE_BYTES

    def _b_in_place(self, engine: _Engine, step: int) -> bool:
        """Return whether the micro-kernel reads b where it lies: few rows, or little of it."""
        if len(self.sums) > 1 or step != 1 or not _is_unit(engine, self.recipe.b):
            return False
        is_small = self._bytes(engine, product(self.columns), 1, 2) <= _IN_PLACE_BYTES
        return is_small or self.m <= 2 * engine.tile.rows

    def _bytes(self, engine: _Engine, lines: int, line: int, which: int) -> int:
        """Return how many bytes there are from the first to the last element of a matrix."""
        size, step = (self.sums[0][0], self.sums[0][which]) if self.sums else (1, 0)
        elements = (lines - 1) * abs(line) + (size - 1) * abs(step) + 1
        return elements * engine.arithmetic.unit.bytes


def _is_unit(engine: _Engine, dtype: str) -> bool:
    return STORED[dtype] == engine.arithmetic.unit


def _scratch_bytes(engine: _Engine, m_chunk: int, n_chunk: int, k: int) -> int:
    """Return how much scratch memory a thread needs for chunks of this size."""
    count, arithmetic = k_block(k, engine.tile), engine.arithmetic
    columns_kept = 0 if engine.recipe.is_packed else n_chunk
    if m_chunk <= engine.block_tiles:
        columns_kept = min(columns_kept, STRIP * engine.width)
    units = -(-count // arithmetic.group) * columns_kept + engine.lanes * engine.width
    waits = not engine.recipe.is_plain and k > count
    sums = m_chunk * engine.tile.rows * n_chunk if waits else 0
    return engine.scratch.size(
        n_chunk, sums * arithmetic.total.bytes, units * arithmetic.unit.bytes
    )


@dataclass(frozen=True, slots=True)
class _Rows:
    """How m rows fall into tiles: `whole` ones of full height, the last from `border` on."""

    tiles: int
    whole: int
    border: int

    @staticmethod
    def of(m: int, tile: Tile) -> "_Rows":
        """Return the tiles of m rows; a last one of under a third shares with the one before."""
        full = tile.rows
        tiles, rest = -(-m // full), m % full
        if 0 < rest < full // 3 and m > full:
            return _Rows(tiles, tiles - 2, m - rest - full + (rest + full + 2) // 4 * 2)
        return _Rows(tiles, m // full, (tiles - 1) * full)


def _step(axes: Axes, slack: bool) -> int:
    """Return how far apart in b the elements are that count as a run along `axes`."""
    return 2 if slack and axes and axes[-1][2] == 2 else 1


def _cut(m_tiles: int, n: int, z: int, k: int, engine: _Engine, workers: int) -> tuple[int, int]:
    """Return the tiles of rows and the columns of a chunk: a few chunks a thread, near square."""
    wanted = 1 if workers == 1 else -(-_CHUNKS_A_THREAD * workers // z)
    rows, width, count = engine.tile.rows, engine.width, k_block(k, engine.tile)
    panels = -(-n // width)
    most_panels = max(1, _PACKED_BYTES // (count * width * engine.arithmetic.unit.bytes))
    n_parts, m_parts = -(-panels // most_panels), 1
    if not engine.recipe.is_plain and k > count:
        waiting = m_tiles * rows * n * engine.arithmetic.total.bytes
        wanted = max(wanted, -(-waiting // _WAITING_BYTES))
    while m_parts * n_parts < wanted:
        is_tall = m_tiles * rows * n_parts >= n * m_parts
        if is_tall and m_tiles >= 4 * m_parts:
            m_parts *= 2
        elif panels >= 2 * _PANELS_A_CHUNK * n_parts:
            n_parts *= 2
        elif m_tiles >= 4 * m_parts:
            m_parts *= 2
        else:
            break
    return -(-m_tiles // m_parts), -(-panels // n_parts) * width

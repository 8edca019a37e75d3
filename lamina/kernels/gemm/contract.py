"""The one matrix kernel: a batched product whose axes may each be several strided axes.

    out[z, m, n] = Σ_k a[z, m, k] · b[z, k, n]

n and k stand for up to four axes each (a convolution's pixels, channels and taps), z for up to
four batch axes. Work is cut into chunks of the output; a chunk packs what it needs itself, so that
threads meet nowhere, and sums over all of k, in blocks of a length that only k decides: the same
bits come out however the output is cut. The loops are those of Goto and van de Geijn, "Anatomy of
high-performance matrix multiplication" (2008), with B's panel packed just before it is used.
"""

import ctypes
from dataclasses import dataclass
from functools import cache
from itertools import accumulate

from lamina.codegen import jit, threads
from lamina.codegen.builder import Builder, Function, KernelModule
from lamina.codegen.target import host_target
from lamina.codegen.types import Pointer, Scalar, Type, element_of, i8, i64
from lamina.codegen.values import Value
from lamina.kernels.gemm.micro import emit_micro
from lamina.kernels.gemm.pack import emit_pack_a, emit_pack_b
from lamina.kernels.gemm.tiles import Tile, columns, k_block, m_tiles_in_cache, tile_for
from lamina.kernels.launch import Place, Step
from lamina.kernels.offsets import emit_table
from lamina.kernels.operand import AXES, Axes, flat, product
from lamina.kernels.scalars import SCALARS

_FIELDS = (
    "counter", "chunks", "out", "a", "b", "m", "n", "k", "out_row", "a_row", "b_row",
    "m_chunk", "n_chunk", "m_chunks", "n_chunks", "k_block", "direct", "slack",
    "step", "k_step",
)  # fmt: skip
_SLOT = {name: place for place, name in enumerate(_FIELDS)}
_COLUMN_AXES = len(_FIELDS)
_SUM_AXES = _COLUMN_AXES + 3 * AXES
_BATCH_AXES = _SUM_AXES + 3 * AXES
_ARGUMENTS = _BATCH_AXES + 4 * AXES
_ArgumentBlock = ctypes.c_int64 * _ARGUMENTS
_FLOPS_WORTH_A_THREAD = 40_000_000
_CHUNKS_A_THREAD = 4
_PANELS_A_CHUNK = 4


@dataclass(frozen=True, slots=True)
class _Scratch:
    """Where the parts of a thread's scratch memory start, in bytes."""

    tile_a: int
    panel_b: int
    tile_c: int
    k_tables: int
    n_tables: int
    size: int


def _scratch(tile: Tile, scalar: Scalar, width: int, lanes: int) -> _Scratch:
    packed_a = (tile.m_tiles * tile.rows * tile.k_block + lanes * tile.rows) * scalar.bytes
    packed_b = (tile.k_block * width + lanes * width) * scalar.bytes
    sizes = (
        packed_a, packed_b, tile.rows * width * scalar.bytes, 4 * tile.k_block * 8, 4 * width * 8,
    )  # fmt: skip
    return _Scratch(*accumulate((-(-size // 64) * 64 for size in sizes), initial=0))


class _Chunk:
    """Emits the work on one chunk: the loops around the micro-kernels."""

    def __init__(
        self, k: Builder, scalar: Scalar, parts: "_Parts", args: Value, scratch: Value
    ) -> None:
        self.k = k
        self.scalar = scalar
        self.parts = parts
        self.args = args
        self.tile = parts.tile
        self.width = parts.width
        layout = parts.scratch
        self.tile_a, self.panel_b, self.tile_c = (
            k.cast_pointer(scratch + start, scalar)
            for start in (layout.tile_a, layout.panel_b, layout.tile_c)
        )
        self.k_tables = _tables(k, scratch + layout.k_tables, self.tile.k_block)
        self.n_tables = _tables(k, scratch + layout.n_tables, self.width)

    def get(self, name: str) -> Value:
        return self.args[_SLOT[name]]

    def run(self, number: Value) -> None:
        """Work on chunk `number`: its batch, its rows, its columns; then k block after k block."""
        k = self.k
        m_chunks, n_chunks = self.get("m_chunks"), self.get("n_chunks")
        batch = number // (m_chunks * n_chunks)
        row = number // n_chunks % m_chunks * self.get("m_chunk")
        column = number % n_chunks * self.get("n_chunk")
        self.rows = k.minimum(self.get("m_chunk"), self.get("m") - row)
        self.column, self.stop = column, k.minimum(column + self.get("n_chunk"), self.get("n"))
        self._locate(batch, row)
        blocks = k.maximum(_ceil_div(self.get("k"), self.get("k_block")), 1)
        with k.loop(blocks) as turn:
            start = turn.index * self.get("k_block")
            self.count = k.minimum(self.get("k_block"), self.get("k") - start)
            self.adds = k.select(turn.index > 0, k.integer(1), k.integer(0))
            sum_axes = self.args + _SUM_AXES
            k.call(
                self.parts.table, sum_axes, start, self.count, self.get("k_step"), *self.k_tables
            )
            self._pack_a()
            self._columns()

    def _locate(self, batch: Value, row: Value) -> None:
        offsets = [row * self.get("out_row"), row * self.get("a_row"), self.k.integer(0)]
        for axis in reversed(range(AXES)):
            size = self.args[_BATCH_AXES + axis]
            digit = batch % size
            batch = batch // size
            for which in range(3):
                stride = self.args[_BATCH_AXES + (which + 1) * AXES + axis]
                offsets[which] = offsets[which] + digit * stride
        self.out, self.a, self.b = (
            self.k.pointer_at(self.get(name), self.scalar) + offset
            for name, offset in zip(("out", "a", "b"), offsets, strict=True)
        )

    def _tile_rows(self, index: Value) -> tuple[Value, Value]:
        """Return the first row of tile `index` and its number of rows.

        A last tile of under a third would leave the FMA units waiting: it shares with the one
        before.
        """
        k, full = self.k, self.tile.rows
        rest = self.rows % full
        shares = k.both(k.both(rest > 0, rest < full // 3), self.rows > full)
        half = (rest + full + 2) // 4 * 2
        border = self.rows - rest - full + half
        split = k.select(shares, border, self.rows)
        start = k.minimum(index * full, split)
        following = k.minimum((index + 1) * full, split)
        is_last = k.both(shares, (index + 1) * full > self.rows)
        return k.select(is_last, border, start), k.select(
            is_last, self.rows - border, following - start
        )

    def _pack_a(self) -> None:
        k = self.k
        with k.loop(_ceil_div(self.rows, self.tile.rows)) as turn:
            row, rows = self._tile_rows(turn.index)
            height = self.parts.compiled_height(k, rows)
            stride = self.get("a_row")
            source = self.a + row * stride
            k.call(
                self.parts.pack_a, self._packed(turn.index), source, stride, rows, height,
                self.count, self.k_tables[0], self.k_tables[1],
            )  # fmt: skip

    def _packed(self, index: Value) -> Value:
        return self.tile_a + index * (self.tile.rows * self.tile.k_block)

    def _columns(self) -> None:
        with self.k.loop(self.stop, start=self.column, step=self.width) as turn:
            self.valid = self.k.minimum(self.stop - turn.index, self.width)
            self.k.call(
                self.parts.table, self.args + _COLUMN_AXES, turn.index, self.valid,
                self.get("step"), *self.n_tables,
            )  # fmt: skip
            self._clamp_columns()
            self._panel()

    def _clamp_columns(self) -> None:
        offsets = self.n_tables[2]
        with self.k.loop(self.width, start=self.valid) as turn:
            offsets[turn.index] = offsets[0]

    def _panel(self) -> None:
        k = self.k
        offsets, runs = self.n_tables[2:]
        is_whole = k.both(runs[0] >= self.width, self.valid.equals(self.width))
        is_direct = k.both(is_whole, self.get("direct").equals(1))
        pitch = k.select(is_direct, self.get("b_row"), k.integer(self.width))
        direct = self.b + (self.k_tables[2][0] + offsets[0])
        panel = k.select(is_direct, direct, self.panel_b)
        with k.when(k.both(is_direct.equals(0), self.count > 0)):
            k.call(
                self.parts.pack_b, self.panel_b, self.b, self.count, self.valid, self.get("slack"),
                self.get("step"), self.get("k_step"),
                self.k_tables[2], self.k_tables[3], offsets, runs,
            )  # fmt: skip
        with k.loop(_ceil_div(self.rows, self.tile.rows)) as turn:
            self._tile(turn.index, panel, pitch)

    def _tile(self, index: Value, panel: Value, pitch: Value) -> None:
        k = self.k
        row, rows = self._tile_rows(index)
        height = self.parts.compiled_height(k, rows)
        place = self.out + row * self.get("out_row")
        fits = k.both(self.n_tables[1][0] >= self.width, self.valid.equals(self.width))
        fits = k.both(fits, rows.equals(height))
        a = self._packed(index)
        with k.either(fits) as (whole, part):
            with whole:
                c = place + self.n_tables[0][0]
                self._micro(height, a, panel, pitch, c, self.get("out_row"), self.adds)
            with part:
                zero = k.integer(0)
                self._micro(height, a, panel, pitch, self.tile_c, k.integer(self.width), zero)
                k.call(
                    self.parts.scatter, place, self.get("out_row"), self.tile_c, rows, self.valid,
                    self.adds, self.n_tables[0], self.n_tables[1],
                )  # fmt: skip

    def _micro(self, height: Value, a: Value, b: Value, pitch: Value, c: Value, row: Value,
               adds: Value) -> None:  # fmt: skip
        for number, function in self.parts.micro.items():
            with self.k.when(height.equals(number)):
                self.k.call(function, self.count, a, b, pitch, c, row, adds)


@dataclass(frozen=True, slots=True)
class _Parts:
    """The functions that the chunk's loops call, and the sizes that they were emitted for."""

    tile: Tile
    width: int
    scratch: _Scratch
    table: Function
    pack_a: Function
    pack_b: Function
    scatter: Function
    micro: dict[int, Function]

    def compiled_height(self, k: Builder, rows: Value) -> Value:
        """Return the smallest compiled tile height that holds `rows`."""
        height = k.integer(self.tile.rows)
        for number in reversed(self.tile.heights[:-1]):
            height = k.select(rows <= number, k.integer(number), height)
        return height


def _ceil_div(a: Value, b: Value | int) -> Value:
    return (a + (b - 1)) // b


def _tables(k: Builder, start: Value, length: int) -> list[Value]:
    first = k.cast_pointer(start, i64)
    return [first + number * length for number in (0, 1, 2, 3)]


def _emit_scatter(module: KernelModule, scalar: Scalar, width: int) -> Function:
    """Define `_scatter(out, row, tile, rows, valid, adds, offsets, runs)`: a tile to any place."""
    pointer, index = Pointer(scalar), Pointer(i64)
    parameters: dict[str, Type] = {
        "out": pointer, "row": i64, "tile": pointer, "rows": i64, "valid": i64, "adds": i64,
        "offsets": index, "runs": index,
    }  # fmt: skip
    with module.function("_scatter", parameters, inline="never") as opened:
        k, out, row, tile, rows, valid, adds, offsets, runs = opened
        with k.loop(rows) as line:
            here, there = tile + line.index * width, out + line.index * row
            with k.either(runs[0] > 1) as (runs_on, scattered):
                with runs_on:
                    _scatter_runs(k, there, here, valid, adds, offsets, runs)
                with scattered:
                    _scatter_scalars(k, there, here, valid, adds, offsets)
        handle: Function = k.handle
    return handle


def _scatter_runs(
    k: Builder, out: Value, tile: Value, valid: Value, adds: Value, offsets: Value, runs: Value
) -> None:
    at = k.cell(i64, 0)
    with k.repeat_while(lambda: at.get() < valid):
        begin = at.get()
        run = k.minimum(runs[begin], valid - begin)
        _scatter_run(k, out + offsets[begin], tile + begin, run, adds)
        at.set(begin + run)


def _scatter_scalars(
    k: Builder, out: Value, tile: Value, valid: Value, adds: Value, offsets: Value
) -> None:
    for number in (0, 1):
        with k.when(adds.equals(number)), k.loop(valid) as turn:
            place, content = offsets[turn.index], tile[turn.index]
            out[place] = out[place] + content if number else content


def _scatter_run(k: Builder, out: Value, tile: Value, run: Value, adds: Value) -> None:
    lanes = k.target.lanes(element_of(out.type))
    with k.loop(run, step=lanes) as turn:
        place, left = out + turn.index, run - turn.index
        content = (tile + turn.index).load(0, lanes=lanes)
        with k.either(adds.equals(1)) as (then, otherwise):
            with then:
                k.store_first(place, k.load_first(place, left) + content, left)
            with otherwise:
                k.store_first(place, content, left)


def emit_contraction(module: KernelModule, dtype: str) -> None:
    """Define `run(arguments, scratch)`: claim chunks and work on them until none is left."""
    scalar = SCALARS[dtype]
    tile = tile_for(module.target)
    width = columns(tile, module.target, scalar)
    parts = _Parts(
        tile=tile,
        width=width,
        scratch=_scratch(tile, scalar, width, module.target.lanes(scalar)),
        table=emit_table(module),
        pack_a=emit_pack_a(module, scalar),
        pack_b=emit_pack_b(module, scalar, width),
        scatter=_emit_scatter(module, scalar, width),
        micro={height: emit_micro(module, scalar, tile, height) for height in tile.heights},
    )
    with module.function("run", {"args": Pointer(i64), "scratch": Pointer(i8)}) as (
        k,
        args,
        scratch,
    ):
        chunk = _Chunk(k, scalar, parts, args, scratch)
        number = k.cell(i64, k.claim(args))
        with k.repeat_while(lambda: number.get() < chunk.get("chunks")):
            chunk.run(number.get())
            number.set(k.claim(args))


@dataclass(frozen=True, slots=True)
class _Engine:
    """The compiled kernel of one dtype, and what its callers have to know."""

    entry: jit.Entry
    tile: Tile
    m_tiles: int
    width: int
    scratch_bytes: int


@cache
def _engine(dtype: str) -> _Engine:
    target, scalar = host_target(), SCALARS[dtype]
    tile = tile_for(target)
    width = columns(tile, target, scalar)
    scratch = _scratch(tile, scalar, width, target.lanes(scalar))
    entry = jit.kernel(emit_contraction, dtype)
    return _Engine(entry, tile, m_tiles_in_cache(tile, scalar), width, scratch.size)


@dataclass(frozen=True, slots=True)
class Contraction:
    """One product to compute; axes are (size, stride, stride …), outermost first.

    `columns` have strides in out and b, `sums` in a and b, `batch` in out, a and b. `slack` says
    that two registers may be read past the end of b.
    """

    dtype: str
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

    def step(self) -> Step:
        """Return the kernel call that computes it."""
        engine = _engine(self.dtype)
        tile = engine.tile
        n, k, z = (product(axes) for axes in (self.columns, self.sums, self.batch))
        worthwhile = 1 + 2 * self.m * n * k * z // _FLOPS_WORTH_A_THREAD
        workers = min(threads.num_threads(), worthwhile)
        m_chunk, n_chunk = _cut(self.m, n, z, engine, workers)
        m_chunks, n_chunks = -(-self.m // m_chunk), -(-n // n_chunk)
        b_row = self.sums[-1][2] if self.sums else 0
        step = _step(self.columns, self.slack)
        direct = len(self.sums) < 2 and self.m <= 2 * tile.rows and step == 1
        chunks = m_chunks * n_chunks * z
        arguments = _ArgumentBlock(
            0, chunks, 0, 0, 0, self.m, n, k,
            self.out_row, self.a_row, b_row, m_chunk, n_chunk, m_chunks, n_chunks,
            k_block(k, tile), direct, self.slack, step, _step(self.sums, self.slack),
            *flat(self.columns, 2), *flat(self.sums, 2), *flat(self.batch, 3),
        )  # fmt: skip
        places = ((_SLOT["out"], self.out), (_SLOT["a"], self.a), (_SLOT["b"], self.b))
        return Step(engine.entry, arguments, places, engine.scratch_bytes, min(workers, chunks))


def _step(axes: Axes, slack: bool) -> int:
    """Return how far apart in b the elements are that count as a run along `axes`."""
    return 2 if slack and axes and axes[-1][2] == 2 else 1


def _cut(m: int, n: int, z: int, engine: _Engine, workers: int) -> tuple[int, int]:
    """Return rows and columns of a chunk: whole tiles, a few chunks a thread."""
    wanted = 1 if workers == 1 else -(-_CHUNKS_A_THREAD * workers // z)
    rows, width = engine.tile.rows, engine.width
    m_tiles, panels = -(-m // rows), -(-n // width)
    m_parts = -(-m_tiles // engine.m_tiles)
    n_parts = max(1, min(-(-wanted // m_parts), panels // _PANELS_A_CHUNK))
    m_parts = max(m_parts, min(-(-wanted // n_parts), m_tiles // 2))
    return -(-m_tiles // m_parts) * rows, -(-panels // n_parts) * width

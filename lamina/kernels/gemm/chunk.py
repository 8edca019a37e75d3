"""The loops around the micro-kernels: the work on one chunk of the output, block of k by block."""

from dataclasses import dataclass
from itertools import accumulate

from lamina.codegen.builder import Builder, Function, KernelModule
from lamina.codegen.target import Target
from lamina.codegen.types import Scalar, i64
from lamina.codegen.values import Value
from lamina.kernels.gemm.finish import emit_scatter
from lamina.kernels.gemm.micro import emit_micro
from lamina.kernels.gemm.pack import STRIP, emit_pack_a, emit_pack_b
from lamina.kernels.gemm.tiles import Tile, columns, tile_for
from lamina.kernels.offsets import emit_table, locate
from lamina.kernels.operand import AXES

FIELDS = (
    "counter", "chunks", "out", "a", "b", "m", "n", "k", "out_row", "a_row", "b_row",
    "tiles", "whole_tiles", "border", "m_chunk", "n_chunk", "m_chunks", "n_chunks", "block_tiles",
    "k_block", "a_in_place", "b_in_place", "slack", "step", "k_step",
)  # fmt: skip
SLOT = {name: place for place, name in enumerate(FIELDS)}
COLUMN_AXES = len(FIELDS)
SUM_AXES = COLUMN_AXES + 3 * AXES
BATCH_AXES = SUM_AXES + 3 * AXES
ARGUMENTS = BATCH_AXES + 4 * AXES
_ALIGN = 64


@dataclass(frozen=True, slots=True)
class Scratch:
    """Where the parts of a thread's scratch memory start, in bytes."""

    tile_a: int
    tile_c: int
    k_tables: int
    n_tables: int

    def size(self, n_chunk: int, count: int, width: int, lanes: int, scalar: Scalar) -> int:
        """Return how many bytes a chunk of `n_chunk` columns and blocks of `count` k take."""
        packed = (count * n_chunk + lanes * width) * scalar.bytes
        return self.n_tables + 4 * n_chunk * i64.bytes + packed


def scratch_for(tile: Tile, target: Target, scalar: Scalar) -> Scratch:
    """Return how the scratch memory of a thread is divided."""
    lanes, width = target.lanes(scalar), columns(tile, target, scalar)
    packed_a = (tile.m_tiles * tile.rows * tile.k_block + lanes * tile.rows) * scalar.bytes
    sizes = (packed_a, tile.rows * width * scalar.bytes, 4 * tile.k_block * i64.bytes)
    return Scratch(*accumulate((-(-size // _ALIGN) * _ALIGN for size in sizes), initial=0))


@dataclass(frozen=True, slots=True)
class Parts:
    """The functions that the chunk's loops call, and the sizes that they were emitted for."""

    tile: Tile
    width: int
    scratch: Scratch
    table: Function
    pack_a: Function
    pack_b: Function
    scatter: Function
    micro: dict[bool, dict[int, Function]]

    def compiled_height(self, k: Builder, rows: Value) -> Value:
        """Return the smallest compiled tile height that holds `rows`."""
        height = k.integer(self.tile.rows)
        for number in reversed(self.tile.heights[:-1]):
            height = k.select(rows <= number, k.integer(number), height)
        return height


def emit_parts(module: KernelModule, scalar: Scalar) -> Parts:
    """Define the functions that chunks call."""
    tile = tile_for(module.target)
    width = columns(tile, module.target, scalar)
    return Parts(
        tile=tile,
        width=width,
        scratch=scratch_for(tile, module.target, scalar),
        table=emit_table(module),
        pack_a=emit_pack_a(module, scalar),
        pack_b=emit_pack_b(module, scalar, width),
        scatter=emit_scatter(module, scalar, width),
        micro={
            True: {h: emit_micro(module, scalar, tile, h, packed=True) for h in tile.heights},
            False: {tile.rows: emit_micro(module, scalar, tile, tile.rows, packed=False)},
        },
    )


def _ceil_div(a: Value, b: Value | int) -> Value:
    return (a + (b - 1)) // b


class Chunks:
    """Emits the work on a chunk. What a thread keeps from one chunk to the next is in cells."""

    def __init__(
        self, k: Builder, scalar: Scalar, parts: Parts, args: Value, scratch: Value
    ) -> None:
        self.k = k
        self.scalar = scalar
        self.parts = parts
        self.args = args
        self.tile = parts.tile
        self.width = parts.width
        layout = parts.scratch
        self.tile_a = k.cast_pointer(scratch + layout.tile_a, scalar)
        self.tile_c = k.cast_pointer(scratch + layout.tile_c, scalar)
        k_tables = k.cast_pointer(scratch + layout.k_tables, i64)
        n_tables = k.cast_pointer(scratch + layout.n_tables, i64)
        n_chunk = self.get("n_chunk")
        self.k_tables = [k_tables + number * self.tile.k_block for number in range(4)]
        self.n_tables = [n_tables + n_chunk * number for number in range(4)]
        self.panels = k.cast_pointer(n_tables + n_chunk * 4, scalar)
        self.columns_in_table = k.cell(i64, -1)
        self.sums_in_table = k.cell(i64, -1)

    def get(self, name: str) -> Value:
        return self.args[SLOT[name]]

    def run(self, number: Value) -> None:
        """Work on chunk `number`: its batch, its rows, its columns; then k block after k block."""
        k = self.k
        m_chunks, n_chunks = self.get("m_chunks"), self.get("n_chunks")
        batch = number // (m_chunks * n_chunks)
        self.first_tile = number // n_chunks % m_chunks * self.get("m_chunk")
        self.stop_tile = k.minimum(self.first_tile + self.get("m_chunk"), self.get("tiles"))
        self.column = number % n_chunks * self.get("n_chunk")
        self.columns = k.minimum(self.get("n_chunk"), self.get("n") - self.column)
        starts = locate(k, self.args, BATCH_AXES, batch, 3)
        self.out, self.a, self.b = (
            k.pointer_at(self.get(name), self.scalar) + start
            for name, start in zip(("out", "a", "b"), starts, strict=True)
        )
        self._column_tables()
        blocks = k.maximum(_ceil_div(self.get("k"), self.get("k_block")), 1)
        with k.loop(blocks) as turn:
            start = turn.index * self.get("k_block")
            self.count = k.minimum(self.get("k_block"), self.get("k") - start)
            self.adds = k.select(turn.index > 0, k.integer(1), k.integer(0))
            self._sum_tables(start)
            step = self.get("block_tiles")
            with k.loop(self.stop_tile, start=self.first_tile, step=step) as block:
                self._block(block.index, k.minimum(block.index + step, self.stop_tile))

    def _column_tables(self) -> None:
        k = self.k
        with k.when(self.columns_in_table.get().equals(self.column).equals(0)):
            self.columns_in_table.set(self.column)
            k.call(
                self.parts.table, self.args + COLUMN_AXES, self.column, self.columns,
                self.get("step"), *self.n_tables,
            )  # fmt: skip
            offsets = self.n_tables[2]
            padded = _ceil_div(self.columns, self.width) * self.width
            with k.loop(padded, start=self.columns) as turn:
                offsets[turn.index] = offsets[turn.index // self.width * self.width]

    def _sum_tables(self, start: Value) -> None:
        k = self.k
        with k.when(self.sums_in_table.get().equals(start).equals(0)):
            self.sums_in_table.set(start)
            k.call(
                self.parts.table, self.args + SUM_AXES, start, self.count, self.get("k_step"),
                *self.k_tables,
            )  # fmt: skip

    def _panel_of_b(
        self, place: Value, valid: Value, tables: list[Value], first: Value
    ) -> tuple[Value, Value]:
        """Return where a panel of B starts, in place or packed, and the pitch of its rows.

        A strip of panels is packed just before the first block of A needs it, and stays packed for
        the others. Where there are none, all strips share one place, which stays in a near cache.
        """
        k = self.k
        is_whole = k.both(tables[3][0] >= self.width, valid.equals(self.width))
        may_stay = self.get("b_in_place").equals(1)
        in_place = k.both(is_whole, may_stay)
        direct = self.b + (self.k_tables[2][0] + tables[2][0])
        alone = self.stop_tile - self.first_tile <= self.get("block_tiles")
        strip = k.select(may_stay, k.integer(self.width), k.integer(STRIP * self.width))
        packed = self.panels + k.select(alone, place % strip, place) * self.count
        is_due = k.both(first.equals(self.first_tile), (place % strip).equals(0))
        with k.when(k.both(k.both(in_place.equals(0), is_due), self.count > 0)):
            columns = k.minimum(self.columns - place, strip)
            k.call(
                self.parts.pack_b, packed, self.b, self.count, columns, self.get("slack"),
                self.get("step"), self.get("k_step"), self.k_tables[2], self.k_tables[3],
                tables[2], tables[3],
            )  # fmt: skip
        pitch = k.select(in_place, self.get("b_row"), k.integer(self.width))
        return k.select(in_place, direct, packed), pitch

    def _first_row(self, tile: Value) -> Value:
        """Return the first row of a tile, or the number of rows for the one after the last.

        A last tile of under a third would leave the FMA units waiting: it shares with the one
        before, and `border` lies between them.
        """
        k, full = self.k, self.tile.rows
        start = k.minimum(tile * full, self.get("m"))
        is_last = tile.equals(self.get("tiles") - 1)
        return k.select(is_last, self.get("border"), start)

    def _tile_rows(self, tile: Value) -> tuple[Value, Value]:
        """Return the first row of a tile and its number of rows."""
        first = self._first_row(tile)
        return first, self._first_row(tile + 1) - first

    def _packed(self, first: Value, tile: Value) -> Value:
        return self.tile_a + (tile - first) * (self.tile.rows * self.tile.k_block)

    def _in_place(self, row: Value) -> Value:
        return self.a + (row * self.get("a_row") + self.k_tables[0][0])

    def _pack_a(self, first: Value, stop: Value, whole: Value) -> None:
        k = self.k
        start = k.select(self.get("a_in_place").equals(1), whole, first)
        with k.loop(stop, start=start) as turn:
            row, rows = self._tile_rows(turn.index)
            stride = self.get("a_row")
            k.call(
                self.parts.pack_a, self._packed(first, turn.index), self.a + row * stride, stride,
                rows, self.parts.compiled_height(k, rows), self.count, self.k_tables[0],
                self.k_tables[1],
            )  # fmt: skip

    def _block(self, first: Value, stop: Value) -> None:
        """Multiply a block of A, the tiles from `first` to `stop`, with every panel of B."""
        k = self.k
        whole = k.maximum(k.minimum(self.get("whole_tiles"), stop), first)
        self._pack_a(first, stop, whole)
        with k.loop(self.columns, step=self.width) as turn:
            valid = k.minimum(self.columns - turn.index, self.width)
            tables = [table + turn.index for table in self.n_tables]
            b, pitch = self._panel_of_b(turn.index, valid, tables, first)
            fits = k.both(tables[1][0] >= self.width, valid.equals(self.width))
            split = k.select(fits, whole, first)
            self._whole_tiles(first, split, b, pitch, tables)
            with k.loop(stop, start=split) as rest:
                self._part_of_tile(first, rest.index, b, pitch, valid, tables)

    def _whole_tiles(
        self, first: Value, stop: Value, b: Value, pitch: Value, tables: list[Value]
    ) -> None:
        k, height = self.k, self.tile.rows
        row = first * height
        out = self.out + (row * self.get("out_row") + tables[0][0])
        loose = self.get("a_in_place").equals(1)
        with k.either(loose) as (in_place, packed):
            with in_place:
                self._run_tiles(False, first, stop, self._in_place(row), out, b, pitch)
            with packed:
                self._run_tiles(True, first, stop, self.tile_a, out, b, pitch)

    def _run_tiles(
        self, packed: bool, first: Value, stop: Value, a: Value, out: Value, b: Value, pitch: Value
    ) -> None:
        k, height = self.k, self.tile.rows
        a_row, out_row = self.get("a_row"), self.get("out_row")
        apart = k.integer(self.tile.k_block) if packed else a_row
        with k.loop(stop, start=first, carry=[a, out]) as turn:
            here, c = turn.carried
            micro = self.parts.micro[packed][height]
            k.call(micro, self.count, here, a_row, b, pitch, c, out_row, self.adds)
            turn.next = [here + apart * height, c + out_row * height]

    def _part_of_tile(
        self, first: Value, tile: Value, b: Value, pitch: Value, valid: Value, tables: list[Value]
    ) -> None:
        """Compute a tile at an edge of the output, or one whose columns lie apart there."""
        k = self.k
        row, rows = self._tile_rows(tile)
        height = self.parts.compiled_height(k, rows)
        # What is read in place has no rows to spare: a tile that is not full is packed.
        loose = k.both(self.get("a_in_place").equals(1), rows.equals(self.tile.rows))
        width, zero = k.integer(self.width), k.integer(0)
        numbers = (b, pitch, self.tile_c, width, zero)
        with k.either(loose) as (in_place, packed):
            with in_place:
                function = self.parts.micro[False][self.tile.rows]
                k.call(function, self.count, self._in_place(row), self.get("a_row"), *numbers)
            with packed:
                a = self._packed(first, tile)
                for number, function in self.parts.micro[True].items():
                    with k.when(height.equals(number)):
                        k.call(function, self.count, a, zero, *numbers)
        place = self.out + row * self.get("out_row")
        k.call(
            self.parts.scatter, place, self.get("out_row"), self.tile_c, rows, valid, self.adds,
            tables[0], tables[1],
        )  # fmt: skip

"""The loops around the micro-kernels: the work on one chunk of the output, block of k by block."""

from lamina.codegen.builder import Builder, Function
from lamina.codegen.types import i64
from lamina.codegen.values import Value
from lamina.kernels.gemm.finish import Further
from lamina.kernels.gemm.micro import ask_for_part, ends_in_registers
from lamina.kernels.gemm.pack_b import STRIP
from lamina.kernels.gemm.pack_lines import LINES
from lamina.kernels.gemm.parts import Parts
from lamina.kernels.offsets import locate
from lamina.kernels.operand import AXES
from lamina.kernels.scalars import STORED

FIELDS = (
    "counter", "chunks", "out", "a", "b", "m", "n", "k", "out_row", "a_row", "b_row",
    "tiles", "whole_tiles", "border", "m_chunk", "n_chunk", "m_chunks", "n_chunks", "block_tiles",
    "k_block", "a_in_place", "b_in_place", "slack", "step", "k_step",
)  # fmt: skip
SLOT = {name: place for place, name in enumerate(FIELDS)}
COLUMN_AXES = len(FIELDS)
SUM_AXES = COLUMN_AXES + 3 * AXES
BATCH_AXES = SUM_AXES + 3 * AXES


def further_slot(inputs: int, number: int) -> int:
    """Return where the address, row and column stride of a further operand start in the arguments;
    they follow the batch axes, which have strides in out, a, b and each of these.
    """
    return BATCH_AXES + (4 + inputs) * AXES + 3 * number


def _ceil_div(a: Value, b: Value | int) -> Value:
    return (a + (b - 1)) // b


class Chunks:
    """Emits the work on a chunk. What a thread keeps from one chunk to the next is in cells."""

    def __init__(self, k: Builder, parts: Parts, args: Value, scratch: Value) -> None:
        self.k, self.parts, self.args = k, parts, args
        self.recipe, self.arithmetic, self.tile = parts.recipe, parts.arithmetic, parts.tile
        self.width, self.lanes = parts.width, k.target.lanes(parts.arithmetic.unit)
        layout = parts.scratch
        self.tile_a = k.cast_pointer(scratch + layout.tile_a, self.arithmetic.unit)
        self.tile_c = k.cast_pointer(scratch + layout.tile_c, self.arithmetic.total)
        k_tables = k.cast_pointer(scratch + layout.k_tables, i64)
        n_tables = k.cast_pointer(scratch + layout.n_tables, i64)
        n_chunk = self.get("n_chunk")
        self.k_tables = [k_tables + number * self.tile.k_block for number in range(4)]
        self.n_tables = [n_tables + n_chunk * number for number in range(4)]
        sums = n_tables + n_chunk * 4
        # Where sums wait for the next block of k, unless the output holds them.
        self.sums = k.cast_pointer(sums, self.arithmetic.total)
        waiting = self.get("m_chunk") * self.tile.rows * n_chunk
        panels = sums if self.recipe.is_plain else self.sums + self._if_many_blocks(waiting)
        self.panels = k.cast_pointer(panels, self.arithmetic.unit)
        self.columns_in_table = k.cell(i64, -1)
        self.sums_in_table = k.cell(i64, -1)

    def get(self, name: str) -> Value:
        return self.args[SLOT[name]]

    def _if_many_blocks(self, value: Value) -> Value:
        many = self.get("k") > self.get("k_block")
        return self.k.select(many, value, self.k.integer(0))

    def run(self, number: Value) -> None:
        """Work on chunk `number`: its batch, its rows, its columns; then k block after k block."""
        k = self.k
        m_chunks, n_chunks = self.get("m_chunks"), self.get("n_chunks")
        batch = number // (m_chunks * n_chunks)
        self.first_tile = number // n_chunks % m_chunks * self.get("m_chunk")
        self.stop_tile = k.minimum(self.first_tile + self.get("m_chunk"), self.get("tiles"))
        self.column = number % n_chunks * self.get("n_chunk")
        self.columns = k.minimum(self.get("n_chunk"), self.get("n") - self.column)
        self._locate(batch)
        self._column_tables()
        blocks = k.maximum(_ceil_div(self.get("k"), self.get("k_block")), 1)
        with k.loop(blocks) as turn:
            self.start = turn.index * self.get("k_block")
            self.count = k.minimum(self.get("k_block"), self.get("k") - self.start)
            self.units = self.arithmetic.units(self.count)
            self.adds = k.select(turn.index > 0, k.integer(1), k.integer(0))
            self.is_last = (turn.index + 1).equals(blocks)
            self._sum_tables(self.start)
            step = self.get("block_tiles")
            with k.loop(self.stop_tile, start=self.first_tile, step=step) as block:
                self._block(block.index, k.minimum(block.index + step, self.stop_tile))

    def _locate(self, batch: Value) -> None:
        k, recipe = self.k, self.recipe
        starts = locate(k, self.args, BATCH_AXES, batch, 3 + len(recipe.inputs))
        self.out, self.a, self.b = (
            k.pointer_at(self.get(name), STORED[dtype]) + start
            for name, dtype, start in zip(("out", "a", "b"), recipe[:3], starts, strict=False)
        )
        self.further: list[Further] = []
        for number, (dtype, lies) in enumerate(recipe.inputs):
            slot = further_slot(len(recipe.inputs), number)
            address, row, column = (self.args[slot + place] for place in range(3))
            pointer = k.pointer_at(address, STORED[dtype]) + starts[3 + number]
            self.further.append(Further(dtype, lies, pointer, row, column))

    def _column_tables(self) -> None:
        k = self.k
        with k.when(self.columns_in_table.get().differs(self.column)):
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
        with k.when(self.sums_in_table.get().differs(start)):
            self.sums_in_table.set(start)
            k.call(
                self.parts.table, self.args + SUM_AXES, start, self.count, self.get("k_step"),
                *self.k_tables,
            )  # fmt: skip

    def _ready_panel(self, place: Value) -> Value:
        """Return where a panel of an operand starts that was packed in advance."""
        padded = _ceil_div(self.get("n"), self.width) * self.width
        block = self.start // self.arithmetic.group * padded
        packed = self.k.cast_pointer(self.b, self.arithmetic.unit)
        return packed + (block + (self.column + place) * self.units)

    def _panel_of_b(
        self, place: Value, valid: Value, tables: list[Value], first: Value
    ) -> tuple[Value, Value]:
        """Return where a panel of B starts, in place or packed, and the pitch of its rows.

        A strip of panels is packed just before the first block of A needs it, and stays packed for
        the others. Where there are none, all strips share one place, which stays in a near cache.
        """
        k = self.k
        if self.recipe.is_packed:
            return self._ready_panel(place), k.integer(self.width)
        is_whole = k.both(tables[3][0] >= self.width, valid.equals(self.width))
        may_stay = self.get("b_in_place").equals(1)
        in_place = k.both(is_whole, may_stay)
        alone = self.stop_tile - self.first_tile <= self.get("block_tiles")
        strip = k.select(may_stay, k.integer(self.width), k.integer(STRIP * self.width))
        packed = self.panels + k.select(alone, place % strip, place) * self.units
        is_due = k.both(first.equals(self.first_tile), (place % strip).equals(0))
        with k.when(k.both(k.both(in_place.equals(0), is_due), self.count > 0)):
            columns = k.minimum(self.columns - place, strip)
            k.call(
                self.parts.pack_b, packed, self.b, self.count, columns, self.get("slack"),
                self.get("step"), self.get("k_step"), self.k_tables[2], self.k_tables[3],
                tables[2], tables[3],
            )  # fmt: skip
        direct = k.cast_pointer(self.b + (self.k_tables[2][0] + tables[2][0]), self.arithmetic.unit)
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
        return self.tile_a + (tile - first) * self.tile.pitch

    def _in_place(self, row: Value) -> Value:
        place = self.a + (row * self.get("a_row") + self.k_tables[0][0])
        return self.k.cast_pointer(place, self.arithmetic.unit)

    def _pack_a(self, first: Value, stop: Value, whole: Value) -> None:
        k = self.k
        stays = self.get("a_in_place").equals(1)
        lined, done = self._pack_lines(first, whole)
        with k.loop(stop, start=k.select(stays, whole, first)) as turn:
            row, rows = self._tile_rows(turn.index)
            height, stride = self.parts.compiled_height(k, rows), self.get("a_row")
            start = k.select(turn.index < lined, done, k.integer(0))
            # What is read in place has no rows to spare.
            is_due = k.both(stays, rows.equals(height)).equals(0)
            with k.when(k.both(is_due, start < self.count)):
                k.call(
                    self.parts.pack_a, self._packed(first, turn.index), self.a + row * stride,
                    stride, rows, height, start, self.count, *self.k_tables[:2],
                )  # fmt: skip

    def _pack_lines(self, first: Value, whole: Value) -> tuple[Value, Value]:
        """Pack whole tiles together whose rows lie side by side; return the tile after the last of
        them, and how many k of theirs are packed.
        """
        k, rows, lanes = self.k, self.tile.rows, self.lanes
        # The last register of a tile must not end past the last row.
        spare = self.get("m") - (first * rows + (-(-rows // lanes) * lanes - rows))
        tiles = k.minimum(k.maximum(spare, 0) // rows, whole - first)
        is_lined = k.both(self.get("a_row").equals(1), self.get("a_in_place").equals(0))
        tiles = k.select(is_lined, tiles, k.integer(0))
        at_once = LINES * self.arithmetic.group
        done = self.count // at_once * at_once
        with k.when(k.both(tiles > 0, done > 0)):
            k.call(
                self.parts.pack_lines, self.tile_a, self.a + first * rows, tiles, done,
                self.k_tables[0],
            )  # fmt: skip
        return first + tiles, done

    def _block(self, first: Value, stop: Value) -> None:
        """Multiply a block of A, the tiles from `first` to `stop`, with every panel of B."""
        k = self.k
        self.block_tiles = stop - first
        whole = k.maximum(k.minimum(self.get("whole_tiles"), stop), first)
        self._pack_a(first, stop, whole)
        with k.loop(self.columns, step=self.width) as turn:
            self.place = turn.index
            self.valid = k.minimum(self.columns - turn.index, self.width)
            self.tables = [table + turn.index for table in self.n_tables]
            b = self._panel_of_b(turn.index, self.valid, self.tables, first)
            split = first
            if self.recipe.is_plain:
                fits = k.both(self.tables[1][0] >= self.width, self.valid.equals(self.width))
                split = k.select(fits, whole, first)
                self._whole_tiles(first, split, *b)
            with k.loop(stop, start=split) as rest:
                self._any_tile(first, rest.index, *b)

    def _whole_tiles(self, first: Value, stop: Value, b: Value, pitch: Value) -> None:
        """Compute tiles that go to the output straight from the registers."""
        k, height = self.k, self.tile.rows
        row = first * height
        out = self.out + (row * self.get("out_row") + self.tables[0][0])
        with k.either(self.get("a_in_place").equals(1)) as (in_place, packed):
            with in_place:
                self._run_tiles(False, first, stop, self._in_place(row), out, b, pitch)
            with packed:
                self._run_tiles(True, first, stop, self.tile_a, out, b, pitch)

    def _run_tiles(
        self, packed: bool, first: Value, stop: Value, a: Value, out: Value, b: Value, pitch: Value
    ) -> None:
        k, height = self.k, self.tile.rows
        a_row, out_row = self.get("a_row"), self.get("out_row")
        apart = k.integer(self.tile.pitch) if packed else a_row * height
        with k.loop(stop, start=first, carry=[a, out]) as turn:
            here, c = turn.carried
            micro = self.parts.micro[packed][height]
            k.call(micro, self.units, here, a_row, b, pitch, c, out_row, self.adds)
            self._ask_for_next_panel(first, turn.index, b)
            turn.next = [here + apart, c + out_row * height]

    def _any_tile(self, first: Value, tile: Value, b: Value, pitch: Value) -> None:
        """Compute a tile at an edge of the output, or one whose sums are not what is stored."""
        if not self.recipe.is_plain:
            self._sum_and_finish(first, tile, b, pitch)
            return
        k = self.k
        row, rows = self._tile_rows(tile)
        out, out_row = self.out + row * self.get("out_row"), self.get("out_row")
        fits = k.both(self.tables[1][0] >= self.width, self.valid.equals(self.width))
        fits = k.both(fits, rows.equals(self.parts.compiled_height(k, rows)))
        c = k.select(fits, out + self.tables[0][0], self.tile_c)
        c_row = k.select(fits, out_row, k.integer(self.width))
        self._sum(first, tile, b, pitch, c, c_row, k.select(fits, self.adds, k.integer(0)))
        with k.when(fits.equals(0)):
            k.call(
                self.parts.scatter, out, out_row, self.tile_c, rows, self.valid, self.adds,
                *self.tables[:2],
            )  # fmt: skip

    def _sum_and_finish(self, first: Value, tile: Value, b: Value, pitch: Value) -> None:
        """Add up and go on with the sums: in the registers if the tile is whole or, at the edges of
        the output and where sums and results are of two dtypes, in a place of this thread's own,
        after the last block.
        """
        k = self.k
        row, rows = self._tile_rows(tile)
        many = self.get("k") > self.get("k_block")
        n_chunk = self.get("n_chunk")
        waiting = (tile - self.first_tile) * self.tile.rows * n_chunk + self.place
        c = k.select(many, self.sums + waiting, self.tile_c)
        c_pitch = k.select(many, n_chunk, k.integer(self.width))
        out, out_row = self.out + row * self.get("out_row"), self.get("out_row")
        ending, is_due = self._ending(row), self.is_last
        if ends_in_registers(self.recipe):
            fits = k.both(self.tables[1][0] >= self.width, self.valid.equals(self.width))
            fits = k.both(fits, rows.equals(self.tile.rows))
            c = k.select(fits, out + self.tables[0][0], c)
            c_pitch = k.select(fits, out_row, c_pitch)
            ends = k.select(k.both(fits, self.is_last), k.integer(1), k.integer(0))
            self._sum(first, tile, b, pitch, c, c_pitch, self.adds, ends, *ending)
            is_due = k.both(is_due, fits.equals(0))
        else:
            self._sum(first, tile, b, pitch, c, c_pitch, self.adds)
        with k.when(is_due):
            k.call(
                self.parts.finish, out, out_row, c, c_pitch, rows, self.valid, *self.tables[:2],
                *ending,
            )  # fmt: skip

    def _ending(self, row: Value) -> list[Value]:
        """Return the further operands of the epilogue, from `row` and the panel's column on."""
        values: list[Value] = []
        for operand in self.further:
            here = operand.moved(row, self.column + self.place)
            values += [here.pointer, here.row, here.column]
        return values

    def _ask_for_next_panel(self, first: Value, tile: Value, b: Value) -> None:
        """Ask for this tile's part of the panel that comes next."""
        if self.recipe.is_packed:
            size = self.units * self.width
            ask_for_part(self.k, b + size, size, tile - first, self.block_tiles)

    def _sum(
        self, first: Value, tile: Value, b: Value, pitch: Value, c: Value, c_pitch: Value,
        adds: Value, *ending: Value,
    ) -> None:  # fmt: skip
        """Run the micro-kernel of the tile's height."""
        k = self.k
        self._ask_for_next_panel(first, tile, b)
        row, rows = self._tile_rows(tile)
        height = self.parts.compiled_height(k, rows)
        loose = k.both(self.get("a_in_place").equals(1), rows.equals(height))
        a = k.select(loose, self._in_place(row), self._packed(first, tile))
        given = (self.units, a, self.get("a_row"), b, pitch, c, c_pitch, adds)
        with k.either(loose) as branches:
            for branch, packed in zip(branches, (False, True), strict=True):
                with branch:
                    self._run_micro(self.parts.micro[packed], height, given, ending)

    def _run_micro(
        self, functions: dict[int, Function], height: Value, given: tuple[Value, ...],
        ending: tuple[Value, ...],
    ) -> None:  # fmt: skip
        """Call the function of `height`: nearly always that of whole tiles, which can end."""
        k, full = self.k, self.tile.rows
        with k.either(height.equals(full)) as (whole, lower):
            with whole:
                k.call(functions[full], *given, *ending)
            with lower:
                for number, function in functions.items():
                    if number < full:
                        with k.when(height.equals(number)):
                            k.call(function, *given)

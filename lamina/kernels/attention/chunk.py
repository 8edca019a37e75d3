"""What both passes share: their numbers, a thread's memory, and how matrices get there."""

from typing import Any

from lamina.codegen.builder import Builder, Function, KernelModule
from lamina.codegen.values import Value
from lamina.kernels.attention.frame import Frame, Recipe
from lamina.kernels.attention.packing import emit_pack_columns, emit_pack_rows, emit_unpack
from lamina.kernels.attention.scores import Sight
from lamina.kernels.attention.tiles import emit_product, tiles_for
from lamina.kernels.scalars import SCALARS, STORED


class Functions:
    """What chunks call."""

    def __init__(self, module: KernelModule, recipe: Recipe) -> None:
        self.scalar = scalar = SCALARS[recipe.dtype]
        self.tiles = tiles = tiles_for(module.target, scalar)
        self.pack_rows = emit_pack_rows(module, scalar, tiles)
        self.pack_columns = emit_pack_columns(module, scalar, tiles)
        self.unpack = emit_unpack(module, scalar, tiles)
        self.product = emit_product(module, scalar, tiles, "product")


class Chunk:
    """Emits work on one batch index: the sizes, the operands and the parts of a thread's memory."""

    def __init__(
        self, k: Builder, recipe: Recipe, functions: Functions, operands: tuple[str, ...],
        args: Value,
    ) -> None:  # fmt: skip
        self.k, self.recipe, self.functions = k, recipe, functions
        self.tiles, self.scalar = functions.tiles, functions.scalar
        scalars = dict.fromkeys((name for name in operands if name != "mask"), self.scalar)
        if recipe.mask is not None:
            scalars["mask"] = STORED[recipe.mask]
        self.frame = Frame(k, args, scalars)
        self.queries, self.keys, self.features, self.values = map(
            self.frame.get, ("queries", "keys", "features", "values")
        )
        self.wide, self.deep = (self.tiles.padded(n) for n in (self.features, self.values))
        self.one, self.scale = k.constant(self.scalar, 1), self.frame.scale(self.scalar)
        self.parts: dict[str, Value] = {}

    def lay_out(self, scratch: Value, needed: dict[str, Any]) -> None:
        """Put parts of so many numbers each one after the other into a thread's memory."""
        place = self.k.cast_pointer(scratch, self.scalar)
        for name, count in needed.items():
            self.parts[name] = place
            place = place + count

    def open(self, batch: Value) -> None:
        """Turn to the matrices at a batch index."""
        self.matrices = self.frame.matrices(batch)
        self.sight = Sight(
            self.k, self.recipe, self.scalar, self.tiles, self.matrices.get("mask"), self.queries
        )

    def panel(self, pointer: Value) -> Value:
        """Return what a panel of queries has at `pointer`: registers that go through each step
        together, and hide much of each other's waiting.
        """
        return pointer.load(0, lanes=self.tiles.width)

    def fill(self, part: str, count: Value, number: float) -> None:
        """Set the first `count` numbers of a part, and perhaps more in the same register."""
        with self.k.loop(count, step=self.tiles.lanes) as turn:
            value = self.k.splat(self.k.constant(self.scalar, number))
            self.parts[part].store(turn.index, value)

    def seen_keys(self) -> Value:
        """Return how many keys the chunk's queries see at most."""
        if not self.recipe.is_causal:
            return self.keys
        return self.k.minimum(self.keys, self.first + self.count)

    def open_queries(self, first: Value) -> None:
        """Turn to the chunk's queries from `first` on."""
        self.first = first
        self.count = self.k.minimum(self.queries - first, self.tiles.queries)

    def open_keys(self, key: Value, seen: Value) -> None:
        """Turn to the block of keys from `key` on, and pack it with its values."""
        rows = self.tiles.rows
        self.key = key
        self.block = self.k.minimum(seen - key, self.tiles.keys)
        # A tile may read one row further.
        padded = (self.block + (rows - 1)) // rows * rows + 1
        for name in ("key", "value"):
            self.pack_rows(name, name, key, self.block, padded, self.one)

    def width(self, name: str) -> tuple[Value, Value]:
        """Return how many columns an operand has, and in a thread's memory."""
        if name in ("query", "key"):
            return self.features, self.wide
        return self.values, self.deep

    def pack_rows(
        self, part: str, name: str, first: Value, count: Value, rows: Value, factor: Value
    ) -> None:
        """Copy `count` rows of an operand from `first` on, times `factor`; zeros up to `rows`."""
        matrix, (width, pitch) = self.matrices[name], self.width(name)
        self.k.call(
            self.functions.pack_rows, self.parts[part], pitch, matrix.at(first), matrix.row,
            matrix.column, count, rows, width, factor,
        )  # fmt: skip

    def pack_panels(self, part: str, name: str, factor: Value) -> None:
        """Turn the rows of the chunk's queries to columns, panel by panel."""
        k, matrix, (width, pitch) = self.k, self.matrices[name], self.width(name)
        with k.loop(self.count, step=self.tiles.width) as panel:
            k.call(
                self.functions.pack_columns, self.parts[part] + panel.index * pitch,
                matrix.at(self.first + panel.index), matrix.row, matrix.column,
                k.minimum(self.count - panel.index, self.tiles.width), width, factor,
            )  # fmt: skip

    def first_panel(self, row: Value | int = 0) -> Value:
        """Return the first panel of the chunk that sees key `row` of the block."""
        if not self.recipe.is_causal:
            return self.k.integer(0)
        before = self.k.maximum(self.key + row - self.first, 0)
        return before // self.tiles.width * self.tiles.width

    def open_panel(self, panel: Value) -> None:
        """Turn to the panel of queries that starts at `panel` within the chunk."""
        self.query = self.first + panel
        self.met = self.block
        if self.recipe.is_causal:
            rows, seen = self.tiles.rows, self.query + self.tiles.width - self.key
            self.met = self.k.minimum(self.block, (seen + (rows - 1)) // rows * rows)

    def meet(self, keys: str, queries: Value, target: Value, pitch: Value) -> None:
        """Write the products of all packed rows of `keys` with a panel of packed columns."""
        k = self.k
        width, packed = self.width(keys)
        with k.loop(self.met, step=self.tiles.rows) as row:
            k.call(
                self.functions.product, width, self.parts[keys] + row.index * packed, packed,
                k.integer(1), queries, k.integer(self.tiles.width), target + row.index * pitch,
                pitch, target,
            )  # fmt: skip

    def gather(
        self, function: Function, keys: str, weights: Value, pitch: Value, target: Value,
        factors: Value,
    ) -> None:  # fmt: skip
        """Sum up, for each query of a panel, the packed rows of `keys` times its weights."""
        k, tiles = self.k, self.tiles
        width, packed = self.width(keys)
        with k.loop(width, step=tiles.rows) as row:
            k.call(
                function, self.met, self.parts[keys] + row.index, k.integer(1), packed, weights,
                pitch, target + row.index * tiles.width, k.integer(tiles.width), factors,
            )  # fmt: skip

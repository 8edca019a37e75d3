"""The gradients of attention. With weights P, recomputed from the logarithms of their sums:

    v̄ = Pᵀ·g,  D = rowsum(g ∘ out) − ḡ,  S̄ = P ∘ (g·vᵀ − D),  q̄ = scale · S̄·k,  k̄ = scale · S̄ᵀ·q

g being the gradient of the output and ḡ that of the logarithms.
"""

from math import inf
from typing import Any

from lamina.codegen import mathlib
from lamina.codegen.builder import Function, KernelModule
from lamina.codegen.types import Pointer, Scalar, Type, i8, i64
from lamina.codegen.values import Value
from lamina.kernels.attention.chunk import Chunk, Functions
from lamina.kernels.attention.frame import Recipe
from lamina.kernels.attention.packing import ROWS_AHEAD
from lamina.kernels.attention.tiles import Tiles, emit_product

OPERANDS = (
    "query_grad", "key_grad", "value_grad", "grad", "sums_grad", "query", "key", "value", "out",
    "sums", "mask",
)  # fmt: skip


def sizes(tiles: Tiles, features: Any, values: Any) -> dict[str, Any]:
    """Return how many numbers each part of a thread's memory has."""
    wide, deep = tiles.padded(features), tiles.padded(values)
    return {
        "query": wide * tiles.queries,
        "query_rows": wide * tiles.queries,
        "query_grad": (wide + tiles.rows) * tiles.queries,
        "grad": deep * tiles.queries,
        "grad_rows": deep * tiles.queries,
        "key": wide * (tiles.keys + 1),
        "value": deep * (tiles.keys + 1),
        "weights": tiles.keys * tiles.queries,
        "slopes": tiles.keys * tiles.queries,
        "key_sums": wide * tiles.keys,
        "value_sums": deep * tiles.keys,
        "shares": tiles.queries,
        "logs": tiles.queries,
        "factors": tiles.width,
    }


def emit_backward(module: KernelModule, recipe: Recipe) -> None:
    """Define `run(arguments, scratch)`: claim batch indices, one chunk each."""
    functions = Functions(module, recipe)
    scalar, tiles = functions.scalar, functions.tiles
    grown = emit_product(module, scalar, tiles, "grown", adds=True)
    put_rows = _emit_put_rows(module, scalar, tiles)
    with module.function("run", {"args": Pointer(i64), "scratch": Pointer(i8)}) as opened:
        k, args, scratch = opened
        chunk = _Backward(k, recipe, functions, OPERANDS, args)
        chunk.lay_out(scratch, sizes(tiles, chunk.features, chunk.values))
        with k.claimed(args, chunk.frame.get("chunks")) as number:
            chunk.run(number, grown, put_rows)


def _emit_put_rows(module: KernelModule, scalar: Scalar, tiles: Tiles) -> Function:
    """Define `_put_rows(target, row, source, pitch, count, width, adds)` and return it.

    target[r·row + c] = source[r·pitch + c] for r < `count` and c < `width`, added to what is there
    where `adds` is 1.
    """
    numbers, lanes = Pointer(scalar), tiles.lanes
    parameters: dict[str, Type] = {
        "target": numbers, "row": i64, "source": numbers, "pitch": i64, "count": i64, "width": i64,
        "adds": i64,
    }  # fmt: skip
    with module.function("_put_rows", parameters, inline="never") as opened:
        k, target, row, source, pitch, count, width, adds = opened
        whole = width // lanes * lanes
        for is_sum in (False, True):
            with k.when(adds.equals(int(is_sum))), k.loop(count) as line:
                here, there = target + line.index * row, source + line.index * pitch
                with k.loop(whole, step=lanes) as turn:
                    k.prefetch(here + (turn.index + row * ROWS_AHEAD), to_write=True)
                    total = there.load(turn.index, lanes=lanes)
                    if is_sum:
                        total = here.load(turn.index, lanes=lanes) + total
                    here.store(turn.index, total)
                with k.loop(width, start=whole) as turn:
                    total = there[turn.index]
                    here[turn.index] = here[turn.index] + total if is_sum else total
        handle: Function = k.handle
    return handle


class _Backward(Chunk):
    """Emits the work on a batch index: chunk by chunk of queries, block by block of keys."""

    def run(self, batch: Value, grown: Function, put_rows: Function) -> None:
        """Compute the gradients of one batch index."""
        k, tiles = self.k, self.tiles
        self.grown, self.put_rows = grown, put_rows
        self.open(batch)
        self.open_queries(k.integer(0))
        self._clear_from(k.select(self.count > 0, self.seen_keys(), k.integer(0)))
        with k.loop(self.queries, step=tiles.queries) as part:
            self.open_queries(part.index)
            self._start()
            seen = self.seen_keys()
            with k.loop(seen, step=tiles.keys) as block:
                self.open_keys(block.index, seen)
                with k.loop(self.count, start=self.first_panel(), step=tiles.width) as panel:
                    self.open_panel(panel.index)
                    self._see(panel.index)
                self._collect("value_grad", "weights", "grad_rows", "value_sums")
                self._collect("key_grad", "slopes", "query_rows", "key_sums")
            with k.loop(self.count, step=tiles.width) as panel:
                self._finish(panel.index)

    def _clear_from(self, key: Value) -> None:
        """Write zeros for the keys from `key` on, to which the first chunk of queries adds nothing;
        what it has for those before it writes.
        """
        k = self.k
        for name, width in (("key_grad", self.features), ("value_grad", self.values)):
            with k.loop(self.keys, start=key) as row:
                here = self.matrices[name].at(row.index)
                with k.loop(width, step=self.tiles.lanes) as turn:
                    k.store_first(here + turn.index, k.zeros(self.scalar), width - turn.index)

    def _start(self) -> None:
        """Pack the chunk's queries and gradients both ways; find what each query needs once."""
        k, tiles = self.k, self.tiles
        self.pack_panels("query", "query", self.scale)
        self.pack_panels("grad", "grad", self.one)
        self.pack_rows("query_rows", "query", self.first, self.count, self.count, self.scale)
        self.pack_rows("grad_rows", "grad", self.first, self.count, self.count, self.one)
        whole = (self.count + (tiles.width - 1)) // tiles.width * tiles.width
        self.fill("query_grad", (self.wide + tiles.rows) * whole, 0)
        self.fill("logs", whole, inf)
        self.fill("shares", whole, 0)
        for start in range(0, tiles.width, tiles.lanes):
            self.parts["factors"].store(start, k.splat(self.scale))
        with k.loop(self.count) as query:
            self._measure(query.index)

    def _measure(self, query: Value) -> None:
        """Note D of a query, and the logarithm of its sum: +∞ where it sees nothing."""
        k, lanes = self.k, self.tiles.lanes
        place = self.first + query
        out = self.matrices["out"].at(place)
        grad = self.parts["grad_rows"] + query * self.deep
        with k.loop(self.values, step=lanes, carry=[k.zeros(self.scalar)]) as turn:
            k.prefetch(out + (turn.index + self.matrices["out"].row * ROWS_AHEAD))
            values = k.load_first(out + turn.index, self.values - turn.index)
            turn.next = [k.fma(values, grad.load(turn.index, lanes=lanes), turn.carried[0])]
        total = k.sum_lanes(turn.results[0])
        self.parts["shares"][query] = total - self.matrices["sums_grad"].at(place)[0]
        log = self.matrices["sums"].at(place)[0]
        nothing = k.constant(self.scalar, inf)
        self.parts["logs"][query] = k.select(log.equals(-inf), nothing, log)

    def _see(self, panel: Value) -> None:
        """Find weights and slopes of a panel, and what they add to its queries' gradients."""
        pitch = self.k.integer(self.tiles.queries)
        weights, slopes = (self.parts[name] + panel for name in ("weights", "slopes"))
        self.meet("key", self.parts["query"] + panel * self.wide, weights, pitch)
        self.meet("value", self.parts["grad"] + panel * self.deep, slopes, pitch)
        self.sight.hide(weights, pitch, self.query, self.key, self.met)
        self._weigh(panel, weights, slopes)
        grad = self._query_grad(panel)
        self.gather(self.grown, "key", slopes, pitch, grad, grad)

    def _query_grad(self, panel: Value) -> Value:
        return self.parts["query_grad"] + panel * (self.wide + self.tiles.rows)

    def _weigh(self, panel: Value, weights: Value, slopes: Value) -> None:
        """Make weights of scores, and slopes of the gradients of the weights."""
        k = self.k
        log, share = (self.panel(self.parts[name] + panel) for name in ("logs", "shares"))
        with k.loop(self.met) as turn:
            here, there = (p + turn.index * self.tiles.queries for p in (weights, slopes))
            weight = mathlib.exp_of_deficit(k, self.panel(here) - log)
            there.store(0, weight * (self.panel(there) - share))
            here.store(0, weight)

    def _collect(self, target: str, weights: str, rows: str, sums: str) -> None:
        """Add the queries' rows times its weights to the gradient of each key of the block, or
        write that where these are the first queries.
        """
        k, tiles = self.k, self.tiles
        width, pitch = self.width(rows.removesuffix("_rows"))
        with (
            k.loop(self.block, step=tiles.rows) as row,
            k.loop(width, step=tiles.width) as column,
        ):
            start = self.first_panel(row.index)
            place = self.parts[sums] + (row.index * pitch + column.index)
            k.call(
                self.functions.product, self.count - start,
                self.parts[weights] + (row.index * tiles.queries + start),
                k.integer(tiles.queries), k.integer(1),
                self.parts[rows] + (start * pitch + column.index), pitch, place, pitch, place,
            )  # fmt: skip
        matrix = self.matrices[target]
        adds = k.select(self.first > 0, k.integer(1), k.integer(0))
        k.call(
            self.put_rows, matrix.at(self.key), matrix.row, self.parts[sums], pitch, self.block,
            width, adds,
        )  # fmt: skip

    def _finish(self, panel: Value) -> None:
        """Write the gradients of a panel's queries."""
        k, target = self.k, self.matrices["query_grad"]
        valid = k.minimum(self.count - panel, self.tiles.width)
        k.call(
            self.functions.unpack, target.at(self.first + panel), target.row, valid,
            self.features, self._query_grad(panel), self.parts["factors"],
        )  # fmt: skip

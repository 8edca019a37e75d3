"""Attention forward: softmax(q·kᵀ·scale + mask)·v, one block of keys after the other."""

from math import inf
from typing import Any

from lamina.codegen import mathlib
from lamina.codegen.builder import Function, KernelModule
from lamina.codegen.types import Pointer, i8, i64
from lamina.codegen.values import Value
from lamina.kernels.attention.chunk import Chunk, Functions
from lamina.kernels.attention.frame import Recipe
from lamina.kernels.attention.tiles import Tiles, emit_product

OPERANDS = ("out", "sums", "query", "key", "value", "mask")


def sizes(tiles: Tiles, features: Any, values: Any) -> dict[str, Any]:
    """Return how many numbers each part of a thread's memory has."""
    wide, deep = tiles.padded(features), tiles.padded(values)
    return {
        "query": wide * tiles.queries,
        "out": (deep + tiles.rows) * tiles.queries,
        "key": wide * (tiles.keys + 1),
        "value": deep * (tiles.keys + 1),
        "scores": tiles.keys * tiles.width,
        "peaks": tiles.queries,
        "totals": tiles.queries,
        "factors": tiles.width,
    }


def emit_forward(module: KernelModule, recipe: Recipe) -> None:
    """Define `run(arguments, scratch)`: claim chunks, which are queries of one batch index."""
    functions = Functions(module, recipe)
    scaled_sum = emit_product(module, functions.scalar, functions.tiles, "scaled_sum", scales=True)
    with module.function("run", {"args": Pointer(i64), "scratch": Pointer(i8)}) as opened:
        k, args, scratch = opened
        chunk = _Forward(k, recipe, functions, OPERANDS, args)
        chunk.lay_out(scratch, sizes(functions.tiles, chunk.features, chunk.values))
        with k.claimed(args, chunk.frame.get("chunks")) as number:
            chunk.run(number, scaled_sum)


class _Forward(Chunk):
    """Emits the work on a chunk: panels of queries meet block after block of keys."""

    def run(self, number: Value, scaled_sum: Function) -> None:
        """Compute the rows of one chunk."""
        k, tiles, parts = self.k, self.tiles, self.frame.get("parts")
        self.open(number // parts)
        # Later queries look back on more keys: the long chunks come first.
        self.open_queries((parts - 1 - number % parts) * tiles.queries)
        self.pack_panels("query", "query", self.scale)
        whole = (self.count + (tiles.width - 1)) // tiles.width * tiles.width
        self.fill("out", (self.deep + tiles.rows) * whole, 0)
        self.fill("totals", whole, 0)
        self.fill("peaks", whole, -inf)
        seen = self.seen_keys()
        with k.loop(seen, step=tiles.keys) as block:
            self.open_keys(block.index, seen)
            with k.loop(self.count, start=self.first_panel(), step=tiles.width) as panel:
                self.open_panel(panel.index)
                self._see(panel.index, scaled_sum)
        with k.loop(self.count, step=tiles.width) as panel:
            self._finish(panel.index)

    def _out(self, panel: Value) -> Value:
        return self.parts["out"] + panel * (self.deep + self.tiles.rows)

    def _see(self, panel: Value, scaled_sum: Function) -> None:
        """Let the queries of a panel see the block of keys."""
        scores, width = self.parts["scores"], self.k.integer(self.tiles.width)
        self.meet("key", self.parts["query"] + panel * self.wide, scores, width)
        self.sight.hide(scores, width, self.query, self.key, self.met)
        self._weigh(panel)
        self.gather(scaled_sum, "value", scores, width, self._out(panel), self.parts["factors"])

    def _weigh(self, panel: Value) -> None:
        """Make weights e^(score − peak) of scores. What was summed up so far is to be scaled by
        `factors`, as the peak may have grown.
        """
        k = self.k
        peaks, totals = self.parts["peaks"] + panel, self.parts["totals"] + panel
        before = self.panel(peaks)
        after = self._peak(before)
        # Where nothing has been seen yet, any finite number will do.
        nothing = k.constant(before.type, 0)
        base = k.select(after.equals(-inf), nothing, after)
        with k.loop(self.met, carry=[nothing]) as turn:
            place = self.parts["scores"] + turn.index * self.tiles.width
            weight = mathlib.exp_of_deficit(k, self.panel(place) - base)
            place.store(0, weight)
            turn.next = [turn.carried[0] + weight]
        factor = mathlib.exp_of_deficit(k, before - base)
        self.parts["factors"].store(0, factor)
        peaks.store(0, after)
        totals.store(0, k.fma(self.panel(totals), factor, turn.results[0]))

    def _peak(self, before: Value) -> Value:
        """Return the greatest score of each query so far."""
        k = self.k
        with k.loop(self.met, carry=[before]) as turn:
            scores = self.panel(self.parts["scores"] + turn.index * self.tiles.width)
            turn.next = [k.maximum(scores, turn.carried[0])]
        return turn.results[0]

    def _finish(self, panel: Value) -> None:
        """Write outputs, divided by their sums of weights, and the logarithms of these sums."""
        k, lanes = self.k, self.tiles.lanes
        valid = k.minimum(self.count - panel, self.tiles.width)
        out, sums, factors = self.matrices["out"], self.matrices["sums"], self.parts["factors"]
        for start in range(0, self.tiles.width, lanes):
            peak, total = (
                self.parts[name].load(panel + start, lanes=lanes) for name in ("peaks", "totals")
            )
            rate = k.select(total.equals(0), k.zeros(self.scalar), self.one / total)
            factors.store(start, rate)
            place = sums.at(self.first + panel + start)
            k.store_first(place, peak + mathlib.log(k, total), valid - start)
        k.call(
            self.functions.unpack, out.at(self.first + panel), out.row, valid, self.values,
            self._out(panel), factors,
        )  # fmt: skip

"""Attention of one query, as when a text grows by a word: softmax(q·kᵀ·scale + mask)·v.

Lanes are features here, of which there are many, not queries. Keys and values are read once, where
they lie if their rows are dense. A block of keys gives scores, as many keys at a time as a register
has lanes; their products with the query are summed up lane by lane, then over a turned square.
"""

from functools import partial
from math import inf
from typing import Any

from lamina.codegen import mathlib
from lamina.codegen.builder import Cell, KernelModule
from lamina.codegen.types import Pointer, i8, i64
from lamina.codegen.values import Value
from lamina.kernels.attention.chunk import Chunk, Functions
from lamina.kernels.attention.forward import OPERANDS
from lamina.kernels.attention.frame import Recipe
from lamina.kernels.attention.tiles import Tiles

_KEYS = 128
# Registers of the output that are summed up together.
_TOGETHER = (8, 4, 2, 1)


def sizes(tiles: Tiles, features: Any, values: Any) -> dict[str, Any]:
    """Return how many numbers each part of a thread's memory has."""
    wide, deep = tiles.padded(features), tiles.padded(values)
    return {
        "query": wide,
        "out": deep,
        "key": wide * _KEYS,
        "value": deep * _KEYS,
        "weights": _KEYS + tiles.lanes,
    }


def emit_one_query(module: KernelModule, recipe: Recipe) -> None:
    """Define `run(arguments, scratch)`: claim batch indices, one chunk each."""
    functions = Functions(module, recipe)
    with module.function("run", {"args": Pointer(i64), "scratch": Pointer(i8)}) as opened:
        k, args, scratch = opened
        chunk = _OneQuery(k, recipe, functions, OPERANDS, args)
        chunk.lay_out(scratch, sizes(functions.tiles, chunk.features, chunk.values))
        with k.claimed(args, chunk.frame.get("chunks")) as number:
            chunk.run(number)


class _OneQuery(Chunk):
    """Emits the work on a batch index: block by block of keys."""

    def run(self, batch: Value) -> None:
        """Compute the row of one batch index."""
        k, zero, one = self.k, self.k.integer(0), self.k.integer(1)
        self.open(batch)
        self.pack_rows("query", "query", zero, one, one, self.scale)
        self.fill("out", self.deep, 0)
        self.peak, self.total = k.cell(self.scalar, -inf), k.cell(self.scalar, 0)
        with k.loop(self.keys, step=_KEYS) as block:
            count = k.minimum(self.keys - block.index, _KEYS)
            best = self._scores(block.index, count)
            factor = self._weigh(best, count)
            self._gather(block.index, count, factor)
        self._finish()

    def _rows(self, name: str, key: Value, count: Value) -> tuple[Value, Value, Value]:
        """Return where the rows of a block start, how far they lie apart, and how many numbers each
        has in whole registers: in place, or packed.
        """
        k, matrix, (width, padded) = self.k, self.matrices[name], self.width(name)
        is_whole = (width // self.tiles.lanes * self.tiles.lanes).equals(width)
        stays = k.both(is_whole, matrix.column.equals(1))
        with k.when(stays.equals(0)):
            self.pack_rows(name, name, key, count, count, self.one)
        return (
            k.select(stays, matrix.at(key), self.parts[name]),
            k.select(stays, matrix.row, padded),
            k.select(stays, width, padded),
        )

    def _scores(self, key: Value, count: Value) -> Value:
        """Write the scores of a block of keys, and return the greatest."""
        k, lanes = self.k, self.tiles.lanes
        rows, pitch, width = self._rows("key", key, count)
        nothing = k.splat(k.constant(self.scalar, -inf))
        with k.loop(count, step=lanes, carry=[nothing]) as turn:
            left = count - turn.index
            places = [
                rows + k.minimum(turn.index + lane, count - 1) * pitch for lane in range(lanes)
            ]
            with k.loop(width, step=lanes, carry=[k.zeros(self.scalar)] * lanes) as along:
                query = self.parts["query"].load(along.index, lanes=lanes)
                along.next = [
                    k.fma(query, place.load(along.index, lanes=lanes), total)
                    for place, total in zip(places, along.carried, strict=True)
                ]
            score = self._masked(_in_pairs(k.transpose(along.results)), key + turn.index, left)
            (self.parts["weights"] + turn.index).store(0, score)
            turn.next = [k.maximum(score, turn.carried[0])]
        return k.fold_lanes(turn.results[0], k.maximum)

    def _masked(self, score: Value, key: Value, left: Value) -> Value:
        """Return the scores of keys from `key` on, −∞ for those not seen or past the last."""
        k, lanes, mask = self.k, self.tiles.lanes, self.matrices.get("mask")
        nothing = k.splat(k.constant(self.scalar, -inf))
        if mask is not None:
            found = k.load_spread(mask.pointer + key * mask.column, mask.column, left, lanes)
            if self.recipe.mask == "bool":
                score = k.select(found.differs(0), score, nothing)
            else:
                score = score + k.convert(found, self.scalar)
        return k.select(k.lanes_below(self.scalar, left), score, nothing)

    def _weigh(self, best: Value, count: Value) -> Value:
        """Make weights of a block's scores; return the factor of what was summed up before."""
        k, lanes, before = self.k, self.tiles.lanes, self.peak.get()
        peak = k.maximum(best, before)
        # Where nothing has been seen yet, any finite number will do.
        base = k.select(peak.equals(-inf), k.constant(self.scalar, 0), peak)
        with k.loop(count, step=lanes, carry=[k.zeros(self.scalar)]) as turn:
            here = self.parts["weights"] + turn.index
            weight = mathlib.exp_of_deficit(k, here.load(0, lanes=lanes) - k.splat(base))
            here.store(0, weight)
            turn.next = [turn.carried[0] + weight]
        factor = mathlib.exp_of_deficit(k, before - base)
        self.peak.set(peak)
        self.total.set(k.fma(self.total.get(), factor, k.sum_lanes(turn.results[0])))
        return factor

    def _gather(self, key: Value, count: Value, factor: Value) -> None:
        """Add the values of a block, times their weights, to `factor` times what was before."""
        k, lanes = self.k, self.tiles.lanes
        rows, pitch, width = self._rows("value", key, count)
        rate, at = k.splat(factor), k.cell(i64, 0)
        for registers in _TOGETHER:
            size = registers * lanes
            columns = range(0, size, lanes)
            last = width - size
            with k.repeat_while(partial(_is_at_most, at, last)):
                out, start = self.parts["out"] + at.get(), rows + at.get()
                before = [out.load(column, lanes=lanes) * rate for column in columns]
                with k.loop(count, carry=before) as turn:
                    weight = k.splat(self.parts["weights"][turn.index])
                    row = start + turn.index * pitch
                    turn.next = [
                        k.fma(weight, row.load(column, lanes=lanes), total)
                        for column, total in zip(columns, turn.carried, strict=True)
                    ]
                for column, total in zip(columns, turn.results, strict=True):
                    out.store(column, total)
                at.set(at.get() + size)

    def _finish(self) -> None:
        """Write the output, divided by the sum of the weights, and the logarithm of that."""
        k, lanes, total = self.k, self.tiles.lanes, self.total.get()
        rate = k.select(total.equals(0), k.constant(self.scalar, 0), self.one / total)
        out, zero = self.matrices["out"].pointer, k.integer(0)
        with k.loop(self.values, step=lanes) as turn:
            row = self.parts["out"].load(turn.index, lanes=lanes) * k.splat(rate)
            k.store_first(out + turn.index, row, self.values - turn.index)
        self.matrices["sums"].at(zero)[0] = self.peak.get() + mathlib.log(k, total)


def _is_at_most(cell: Cell, value: Value) -> Value:
    return cell.get() <= value


def _in_pairs(values: list[Value]) -> Value:
    """Return the sum of a power of two of values: of neighbours, and so on."""
    while len(values) > 1:
        values = [a + b for a, b in zip(values[::2], values[1::2], strict=True)]
    return values[0]

"""Which keys a query sees: masks over the scores of a panel of queries with a block of keys."""

from dataclasses import dataclass
from math import inf

from lamina.codegen.builder import Builder
from lamina.codegen.types import Scalar, i64
from lamina.codegen.values import Value, splat
from lamina.kernels.attention.frame import Matrix, Recipe
from lamina.kernels.attention.tiles import Tiles


@dataclass(frozen=True, slots=True)
class Sight:
    """Masks scores: rows of keys, with one of `queries` queries in each lane."""

    k: Builder
    recipe: Recipe
    scalar: Scalar
    tiles: Tiles
    mask: Matrix | None
    queries: Value

    def hide(self, scores: Value, pitch: Value, query: Value, key: Value, count: Value) -> None:
        """Add the mask to the scores of queries from `query` on with `count` keys from `key` on;
        −∞ is what is not seen.
        """
        if self.mask is None and not self.recipe.is_causal:
            return
        k, lanes = self.k, self.tiles.lanes
        # Keys up to the first query are seen by all of them.
        start = k.integer(0) if self.mask is not None else k.maximum(query + 1 - key, 0)
        with k.loop(count, start=start) as turn:
            place = scores + turn.index * pitch
            for first in range(0, self.tiles.width, lanes):
                score = place.load(first, lanes=lanes)
                place.store(first, self._masked(score, query + first, key + turn.index))

    def _masked(self, score: Value, query: Value, key: Value) -> Value:
        k = self.k
        nothing = k.splat(k.constant(self.scalar, -inf))
        if self.mask is not None:
            found = self._read(self.mask, query, key)
            if self.recipe.mask == "bool":
                score = k.select(found.differs(0), score, nothing)
            else:
                score = score + k.convert(found, self.scalar)
        if self.recipe.is_causal:
            score = k.select(k.lanes_below(self.scalar, key - query), nothing, score)
        return score

    def _read(self, mask: Matrix, query: Value, key: Value) -> Value:
        """Return what the mask has for each lane; those past the last query repeat its number."""
        k, lanes = self.k, self.tiles.lanes
        places = k.iota(i64, lanes) + query
        last = splat(self.queries - 1, lanes)
        rows = k.select(places < last, places, last)
        return k.gather(mask.pointer + key * mask.column, rows * mask.row)

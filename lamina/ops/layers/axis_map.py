"""Sparse linear maps along one axis: what padding, resampling and adaptive pooling are made of."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, NamedTuple, final

import numpy as np

from lamina.errors import ShapeError
from lamina.layout import Shape
from lamina.memory import Spec
from lamina.memory.array import NDArray, scratch, scratch_full
from lamina.ops.halves import widened
from lamina.ops.registry import Op, Value, define

TABLES_KEPT = 256


class Taps(NamedTuple):
    """For each place of the result up to `len(places)` places of the source, and their weights.

    Both are (taps, target); weights of None are all 1. Places that count for nothing weigh 0.
    """

    places: NDArray
    weights: NDArray | None


@dataclass(frozen=True, slots=True)
class AxisRule(ABC):
    """How an axis of `source` places becomes one of `target`."""

    source: int
    target: int

    @abstractmethod
    def taps(self) -> Taps:
        """Return the rows of the map, which is (target, source)."""


@define
@final
@dataclass(frozen=True, slots=True)
class AxisMap(Op):
    """out[…, i, …] = Σ_t weights[t, i] · x[…, places[t, i], …] along `axis`, or its transpose."""

    name = "axis_map"
    saves = ()

    axis: int
    rule: AxisRule
    transposed: bool = False

    def infer(self, *inputs: Spec) -> Spec:
        (x,) = inputs
        sizes = (self.rule.source, self.rule.target)
        has, gives = reversed(sizes) if self.transposed else sizes
        if not self.axis < len(x.shape) or x.shape[self.axis] != has:
            raise ShapeError(
                f"axis_map: {x.shape} given, expected size {has} along axis {self.axis}"
            )
        return Spec((*x.shape[: self.axis], gives, *x.shape[self.axis + 1 :]), x.dtype)

    def ref(self, *inputs: NDArray) -> NDArray:
        (x,) = inputs
        places, weights = _table(self.rule, self.transposed)
        if weights is None and len(places) == 1:
            shape = (*x.shape[: self.axis], places.shape[1], *x.shape[self.axis + 1 :])
            # Every place is inside; "wrap" spares numpy its own check and a buffer.
            out = scratch(shape, x.dtype)
            return np.take(x, places[0], self.axis, out=out, mode="wrap")
        return _weighted(widened(x), self.axis, places, weights)

    def vjp(self, grad: Value, out: Value, *inputs: Value) -> tuple[Any, ...]:
        return (replace(self, transposed=not self.transposed)(grad),)


def _weighted(x: NDArray, axis: int, places: NDArray, weights: NDArray | None) -> NDArray:
    shape = (*x.shape[:axis], places.shape[1], *x.shape[axis + 1 :])
    out = scratch_full(shape, x.dtype, 0)
    column: Shape = (-1, *(1,) * (x.ndim - axis - 1))
    for tap, row in enumerate(places):
        part = np.take(x, row, axis)
        if weights is not None:
            part *= weights[tap].astype(x.dtype).reshape(column)
        out += part
    if weights is not None and not weights.any(axis=0).all():
        # Nothing comes here, not even 0·∞.
        out[(*(slice(None),) * axis, ~weights.any(axis=0))] = 0
    return out


@lru_cache(maxsize=TABLES_KEPT)
def _table(rule: AxisRule, transposed: bool) -> Taps:
    taps = rule.taps()
    return _turned(taps, rule.source) if transposed else taps


def _turned(taps: Taps, source: int) -> Taps:
    """Return the taps of the transposed map: for each source place, the targets that read it."""
    count, target = taps.places.shape
    place = taps.places.T.reshape(-1)
    weight = np.ones(place.size) if taps.weights is None else taps.weights.T.reshape(-1)
    reader = np.repeat(np.arange(target), count)
    live = weight != 0
    place, weight, reader = place[live], weight[live], reader[live]
    order = np.argsort(place, kind="stable")
    place, weight, reader = place[order], weight[order], reader[order]
    readers = np.bincount(place, minlength=source)
    first = np.cumsum(readers) - readers
    rank = np.arange(place.size) - first[place]
    places = np.zeros((max(int(readers.max(initial=0)), 1), source), np.intp)
    weights = np.zeros(places.shape)
    # Unused taps read what the first tap of their row reads, and weigh 0.
    places[:, place] = reader[first[place]]
    places[rank, place] = reader
    weights[rank, place] = weight
    return Taps(places, weights)


def map_axis(x: Value, axis: int, rule: AxisRule) -> Value:
    """Return `x` with `rule` applied along `axis`, counted from the front."""
    return AxisMap(axis, rule)(x)

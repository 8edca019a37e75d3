"""Reductions."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from lamina.ops.reductions import extremes, sums
from lamina.ops.reductions.folding import Reduction

from .case import ALL, COMPLEX, FLOATS, NUMBERS, Case
from .drawing import Draw, away, distinct, normal, with_zeros

SHAPE = (2, 3, 4)
TERMS = "two dozen terms"

Formula = Callable[..., Any]


def over(formula: Formula, op: Reduction) -> Formula:
    return lambda x: formula(x, axis=op.axes, keepdims=op.keepdims)


def rows(
    kind: Callable[..., Reduction],
    formula: Formula,
    draw: Callable[..., Any] = normal,
    *,
    label: str = "",
    **options: Any,
) -> list[Case]:
    """A reduction over one axis; over two, kept; over all; of a 0-d tensor; of no elements."""
    name = f"{label}-" if label else ""

    def row(axes: tuple[int, ...], keepdims: bool, shape: tuple[int, ...], what: str) -> Case:
        op = kind(axes, keepdims)
        return Case(op, (draw(*shape),), over(formula, op), label=f"{name}{what}", **options)

    return [
        row((1,), False, SHAPE, "one"),
        row((0, 2), True, SHAPE, "kept"),
        row((0, 1, 2), False, SHAPE, "all"),
        row((), False, (), "0-d"),
        row((1,), False, (0, 3), "empty"),
    ]


def folded(x: Any, axis: tuple[int, ...]) -> int:
    return math.prod(x.shape[a] for a in axis)


def mean(x: Any, axis: Any, keepdims: bool) -> Any:
    return np.sum(x, axis=axis, keepdims=keepdims) / folded(x, axis)


def variance(x: Any, axis: Any, keepdims: bool, correction: float = 0) -> Any:
    squares = np.sum(x * x, axis=axis, keepdims=keepdims)
    total = np.sum(x, axis=axis, keepdims=keepdims)
    return (squares - total * total / folded(x, axis)) / (folded(x, axis) - correction)


def corrected(x: Any, axis: Any, keepdims: bool) -> Any:
    return variance(x, axis, keepdims, 1)


def deviation(x: Any, axis: Any, keepdims: bool) -> Any:
    return np.sqrt(np.maximum(corrected(x, axis, keepdims), 0))


def norm_of(order: float) -> Formula:
    def norm(x: Any, axis: Any, keepdims: bool) -> Any:
        return np.sum(np.abs(x) ** order, axis=axis, keepdims=keepdims) ** (1 / order)

    return norm


def logsumexp(x: Any, axis: Any, keepdims: bool) -> Any:
    return np.log(np.sum(np.exp(x), axis=axis, keepdims=keepdims))


def by_sorting(place: int) -> Formula:
    """The least (0) or greatest (−1) element, by sorting."""

    def extreme(x: Any, axis: Any, keepdims: bool) -> Any:
        kept = [a for a in range(x.ndim) if a not in axis]
        rows = np.transpose(x, (*kept, *axis)).reshape(*(x.shape[a] for a in kept), folded(x, axis))
        found = np.sort(rows, axis=-1)[..., place]
        return np.expand_dims(found, tuple(axis)) if keepdims else found

    return extreme


def first_place(sign: int) -> Formula:
    """The place of the first least element of sign·x, by Python's `min`."""

    def place(x: Any, axis: Any, keepdims: bool) -> Any:
        def of_row(row: Any) -> int:
            return min(range(len(row)), key=lambda i: sign * float(row[i]))

        found = np.apply_along_axis(of_row, axis[0], x)
        return np.expand_dims(found, axis[0]) if keepdims else found

    return place


def along_one(kind: Callable[..., Reduction], formula: Formula) -> list[Case]:
    ops = [kind((1,), False), kind((2,), True)]
    return [
        Case(op, (normal(*SHAPE),), over(formula, op), dtypes=NUMBERS, label=label)
        for op, label in zip(ops, ("one", "kept"), strict=True)
    ]


def cubic(axes: tuple[int, ...], keepdims: bool) -> Reduction:
    return sums.Norm(axes, keepdims, 3.0)


def manhattan(axes: tuple[int, ...], keepdims: bool) -> Reduction:
    return sums.Norm(axes, keepdims, 1.0)


def sample_variance(axes: tuple[int, ...], keepdims: bool) -> Reduction:
    return sums.Variance(axes, keepdims, 1.0)


def sample_deviation(axes: tuple[int, ...], keepdims: bool) -> Reduction:
    return sums.Deviation(axes, keepdims, 1.0)


def non_zero(*shape: int) -> Draw:
    return away(0.0, shape=shape)


WIDE: dict[str, Any] = {"why": TERMS, "half_ulp": 0.6}
SUMS = [
    *rows(sums.Sum, np.sum, ulp=4, scale=4, dtypes=NUMBERS, **WIDE),
    *rows(sums.Mean, mean, ulp=4, scale=1, **WIDE),
    *rows(sums.Product, np.prod, with_zeros, ulp=12, dtypes=(*FLOATS, "int64"), **WIDE),
    *rows(sums.Variance, variance, ulp=8, scale=0.5, **WIDE),
    *rows(sample_variance, corrected, ulp=8, scale=0.5, label="corrected", **WIDE)[:3],
    *rows(sample_deviation, deviation, ulp=8, scale=0.5, **WIDE)[:3],
    *rows(sums.Norm, norm_of(2), non_zero, ulp=4, **WIDE),
    *rows(cubic, norm_of(3), non_zero, ulp=8, label="cubic", **WIDE),
    *rows(manhattan, norm_of(1), non_zero, ulp=4, label="manhattan", **WIDE),
    *rows(sums.LogSumExp, logsumexp, ulp=4, scale=2, **WIDE),
]
CHOICES = [
    *rows(extremes.Max, by_sorting(-1), distinct, dtypes=ALL),
    *rows(extremes.Min, by_sorting(0), distinct, dtypes=ALL),
    *along_one(extremes.ArgMax, first_place(-1)),
    *along_one(extremes.ArgMin, first_place(1)),
    *rows(extremes.Some, lambda x, **how: np.sum(x != 0, **how) > 0, with_zeros, dtypes=ALL),
    *rows(extremes.Every, lambda x, **how: np.sum(x == 0, **how) == 0, with_zeros, dtypes=ALL),
]
COMPLEX_ROWS = [
    Case(op, (normal(2, 3),), over(formula, op), ulp=8, why=TERMS, dtypes=COMPLEX, label="complex")
    for op, formula in (
        (sums.Sum((0,)), np.sum),
        (sums.Mean((1,)), mean),
        (sums.Product((1,)), np.prod),
        (sums.Norm((0, 1)), norm_of(2)),
        (sums.Variance((0,)), lambda x, **how: variance(x.real, **how) + variance(x.imag, **how)),
    )
]

CASES = [*SUMS, *CHOICES, *COMPLEX_ROWS]

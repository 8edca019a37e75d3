"""Running sums, products, extremes and recurrences."""

from collections.abc import Callable
from typing import Any

import numpy as np

from lamina.ops.reductions import scan as ops

from .case import FLOATS, NUMBERS, Case
from .drawing import distinct, normal, with_zeros

SHAPE = (2, 3, 4)
EMPTY = (((2, 0, 4),), ((0, 3, 4),))


def step_by_step(step: Callable[..., Any], axis: int) -> Callable[..., Any]:
    """out[i] = step(out[i − 1], x[i], …), starting from the first places."""

    def run(first: Any, *others: Any) -> Any:
        rows = [np.moveaxis(x, axis, 0) for x in (first, *others)]
        out = np.array(rows[0])
        for place in range(1, len(out)):
            out[place] = step(out[place - 1], *(row[place] for row in rows))
        return np.moveaxis(out, 0, axis)

    return run


def running_extreme(wins_over: Any, axis: int) -> Callable[[Any], Any]:
    """By comparing every element with the extreme before it: the last of equals."""

    def run(x: Any) -> Any:
        rows = np.moveaxis(x, axis, 0)
        values, places = np.array(rows), np.zeros(rows.shape, np.int64)
        for place in range(1, len(rows)):
            wins = wins_over(rows[place], values[place - 1])
            values[place] = np.where(wins, rows[place], values[place - 1])
            places[place] = np.where(wins, place, places[place - 1])
        return np.moveaxis(values, 0, axis), np.moveaxis(places, 0, axis)

    return run


def recurrence(a: Any, b: Any) -> Any:
    return step_by_step(lambda last, b, a: a * last + b, 1)(b, a)


CASES = [
    Case(
        ops.CumulativeSum(1),
        (normal(*SHAPE),),
        step_by_step(lambda last, x: last + x, 1),
        ulp=2,
        why="three additions",
        scale=4,
        half_ulp=0.6,
        dtypes=NUMBERS,
        shapes=EMPTY,
    ),
    Case(
        ops.CumulativeSum(0),
        (normal(5, 40),),
        step_by_step(lambda last, x: last + x, 0),
        ulp=4,
        why="four additions",
        scale=4,
        half_ulp=0.6,
        label="lanes",
    ),
    Case(
        ops.CumulativeProduct(2),
        (with_zeros(*SHAPE),),
        step_by_step(lambda last, x: last * x, 2),
        ulp=2,
        why="three products",
        half_ulp=0.6,
        dtypes=(*FLOATS, "int64"),
        shapes=(((2, 3, 0),), ((2, 1, 1),)),
    ),
    Case(
        ops.Recurrence(1),
        (normal(*SHAPE), normal(*SHAPE)),
        recurrence,
        ulp=4,
        why="three products and sums",
        scale=2,
        half_ulp=0.6,
        shapes=(((2, 0, 4), (2, 0, 4)), ((2, 1, 4), (2, 1, 4))),
    ),
    Case(
        ops.CumulativeExtreme(1, "max"),
        (distinct(*SHAPE),),
        running_extreme(np.greater_equal, 1),
        dtypes=NUMBERS,
        label="max",
        shapes=EMPTY,
    ),
    Case(
        ops.CumulativeExtreme(0, "min"),
        (distinct(*SHAPE),),
        running_extreme(np.less_equal, 0),
        dtypes=NUMBERS,
        label="min",
    ),
]

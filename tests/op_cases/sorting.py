"""Sorting, by Python's stable `sorted`."""

import bisect
from collections.abc import Callable
from typing import Any

import numpy as np

from lamina.ops.orders import sorting as ops

from .case import ALL, NUMBERS, Case
from .drawing import fixed, uniform, whole

SHAPE = (3, 7, 2)
EMPTY = (((3, 0, 2),), ((0, 7, 2),))
# Few different values, so that there are ties.
TIED = whole(-3, 4, *SHAPE, dtype=None)


def places(axis: int, *, descending: bool, count: int | None = None) -> Callable[[Any], Any]:
    """The places of each row in sorted order; equal elements keep theirs."""

    def of_row(row: Any) -> Any:
        values = row.tolist()
        sign = -1 if descending else 1
        return sorted(range(len(values)), key=lambda i: sign * values[i])[:count]

    def run(x: Any) -> Any:
        rows = np.moveaxis(x, axis, -1)
        found = [of_row(row) for row in rows.reshape(-1, rows.shape[-1])] if x.size else []
        size = rows.shape[-1] if count is None else count
        out = np.array(found, np.int64).reshape(*rows.shape[:-1], size)
        return np.moveaxis(out, -1, axis)

    return run


def insertion_places(side: str) -> Callable[[Any, Any], Any]:
    find = bisect.bisect_left if side == "left" else bisect.bisect_right

    def run(rows: Any, values: Any) -> Any:
        if rows.ndim == 1:
            found = [find(rows.tolist(), v) for v in values.reshape(-1).tolist()]
            return np.array(found, np.int64).reshape(values.shape)
        return np.array([run(r, v) for r, v in zip(rows, values, strict=True)])

    return run


def distinct_elements(x: Any) -> Any:
    flat = x.reshape(-1).tolist()
    values = sorted(set(flat))
    first = [flat.index(v) for v in values]
    inverse = [values.index(v) for v in flat]
    counts = [flat.count(v) for v in values]
    return np.array(values), np.array(first), np.array(inverse).reshape(x.shape), np.array(counts)


ASCENDING = fixed([-1.5, -1.0, -1.0, 0.0, 0.5, 0.5, 2.0])

CASES = [
    Case(ops.ArgSort(1), (TIED,), places(1, descending=False), dtypes=ALL, shapes=EMPTY),
    Case(ops.ArgSort(0, True), (TIED,), places(0, descending=True), dtypes=ALL, label="descending"),
    Case(
        ops.TopPlaces(3, 1),
        (TIED,),
        places(1, descending=True, count=3),
        dtypes=ALL,
        shapes=(((0, 7, 2),), ((1, 3, 1),)),
    ),
    Case(
        ops.TopPlaces(2, 0, largest=False),
        (TIED,),
        places(0, descending=False, count=2),
        dtypes=ALL,
        label="least",
    ),
    Case(
        ops.SearchSorted("left"),
        (ASCENDING, uniform(-2, 3, 4, 2)),
        insertion_places("left"),
        dtypes=("float64", "float32", "float16", "bfloat16", "int32", "uint8"),
        shapes=(((7,), ()), ((7,), (0,))),
        repeatable=False,
    ),
    Case(
        ops.SearchSorted("right"),
        (fixed([[0.0, 0.5, 1.0], [-1.0, 0.5, 0.5]]), fixed([[0.5, 1.5], [0.5, -2.0]])),
        insertion_places("right"),
        dtypes=("float64", "bfloat16"),
        label="rows",
        repeatable=False,
    ),
    Case(
        ops.Unique(),
        (whole(-3, 4, 3, 5, dtype=None),),
        distinct_elements,
        dtypes=NUMBERS,
        is_shape_known=False,
    ),
]

"""Copies: joined, tiled, repeated, rolled, cut to a triangle."""

from typing import Any

import numpy as np

from lamina.ops.shapes import copying as ops

from .case import ALL, Case
from .drawing import normal
from .movement import from_places

SHAPE = (2, 3, 4)


def joined(axis: int) -> Any:
    def run(*parts: Any) -> Any:
        rows = [row for part in parts for row in np.moveaxis(part, axis, 0)]
        return np.moveaxis(np.array(rows), 0, axis)

    return run


def triangle(side: str, offset: int) -> Any:
    def run(x: Any) -> Any:
        i, j = np.indices(x.shape[-2:])
        kept = j - i <= offset if side == "lower" else j - i >= offset
        return x * kept

    return run


CASES = [
    Case(ops.copy, (normal(*SHAPE),), lambda x: x, dtypes=ALL),
    Case(
        ops.Concat(1),
        (normal(2, 3), normal(2, 1), normal(2, 2)),
        joined(1),
        dtypes=ALL,
        shapes=(((2, 0), (2, 1), (2, 0)),),
        repeatable=False,
    ),
    Case(
        ops.Joined(1),
        (normal(2, 3), normal(2, 1), normal(2, 2)),
        joined(1),
        dtypes=("float64", "float32"),
        shapes=(((2, 0), (2, 1), (2, 0)),),
        repeatable=False,
    ),
    Case(ops.Triangle("lower", 1), (normal(2, 3, 4),), triangle("lower", 1), label="lower"),
    Case(ops.Triangle("upper", -1), (normal(2, 4, 3),), triangle("upper", -1), label="upper"),
    Case(
        ops.Tile((2, 1, 3)),
        (normal(1, 3, 2),),
        from_places((2, 3, 6), lambda i, j, k: (0, j, k % 2)),
        dtypes=ALL,
    ),
    Case(
        ops.Repeat(2, 1), (normal(2, 3),), from_places((2, 6), lambda i, j: (i, j // 2)), dtypes=ALL
    ),
    Case(
        ops.Roll((1, -2), (0, 1)),
        (normal(3, 4),),
        from_places((3, 4), lambda i, j: ((i - 1) % 3, (j + 2) % 4)),
        dtypes=ALL,
    ),
]

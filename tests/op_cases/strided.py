"""Reading, adding and writing through a layout, one element at a time."""

from itertools import product
from typing import Any

import numpy as np

from lamina.layout import Layout
from lamina.ops.shapes import strided as ops

from .case import ALL, NUMBERS, Case
from .drawing import normal

# Overlapping rows, read backwards: 5 − 3i + j, where some places are read twice.
OVERLAPPING = Layout((2, 3), (-2, 1), 5)
APART = Layout((2, 3), (-4, 1), 6)
STILL = Layout((3, 2), (0, 3), 1)


def spots(layout: Layout) -> Any:
    """The index of each element with its place in the flat array."""
    for place in product(*map(range, layout.shape)):
        yield place, layout.offset + sum(i * s for i, s in zip(place, layout.strides, strict=True))


def read(layout: Layout) -> Any:
    def run(x: Any) -> Any:
        out = np.empty(layout.shape, x.dtype)
        for place, spot in spots(layout):
            out[place] = x.reshape(-1)[spot]
        return out

    return run


def add(layout: Layout, shape: tuple[int, ...]) -> Any:
    def run(x: Any) -> Any:
        out = np.zeros(shape, x.dtype)
        for place, spot in spots(layout):
            out.reshape(-1)[spot] += x[place]
        return out

    return run


def write(layout: Layout) -> Any:
    def run(x: Any, value: Any) -> Any:
        out = np.array(x, order="C")
        for place, spot in spots(layout):
            out.reshape(-1)[spot] = value[place]
        return out

    return run


SUMS = {"ulp": 2, "why": "two or three terms meet", "scale": 2, "half_ulp": 2}

CASES = [
    Case(ops.StridedRead(OVERLAPPING), (normal(3, 4),), read(OVERLAPPING), dtypes=ALL),
    Case(
        ops.StridedAdd(OVERLAPPING, (3, 4)),
        (normal(2, 3),),
        add(OVERLAPPING, (3, 4)),
        dtypes=NUMBERS,
        **SUMS,
    ),
    Case(ops.StridedAdd(STILL, (8,)), (normal(3, 2),), add(STILL, (8,)), label="stride-0", **SUMS),
    Case(ops.StridedWrite(APART), (normal(3, 4), normal(2, 3)), write(APART), dtypes=ALL),
]

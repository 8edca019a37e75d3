"""Views: other shapes, orders and parts of the same elements, by indexing arithmetic."""

from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np

from lamina.ops.shapes import movement as ops

from .case import ALL, Case
from .drawing import normal

SHAPE = (2, 3, 4)


def from_places(
    shape: tuple[int, ...], source: Callable[..., tuple[int, ...]]
) -> Callable[[Any], Any]:
    """out[i…] = x[source(i…)], one element at a time."""

    def run(x: Any) -> Any:
        out = np.empty(shape, x.dtype)
        for place in product(*map(range, shape)):
            out[place] = x[source(*place)]
        return out

    return run


def unflattened(number: int, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The index of an element counted in C order."""
    place = []
    for size in reversed(shape):
        number, rest = divmod(number, size)
        place.append(rest)
    return tuple(reversed(place))


def row(op: Any, shape: tuple[int, ...], source: Any, given: tuple[int, ...] = SHAPE) -> Case:
    return Case(op, (normal(*given),), from_places(shape, source), dtypes=ALL)


CASES = [
    # A transposed input is no view in another shape: reshape copies there.
    row(ops.Reshape((4, -1)), (4, 6), lambda i, j: unflattened(6 * i + j, SHAPE)),
    row(ops.Permute((2, 0, 1)), (4, 2, 3), lambda i, j, k: (j, k, i)),
    row(ops.Expand((2, 3, 4)), SHAPE, lambda i, j, k: (j, 0), given=(3, 1)),
    row(ops.Flip((0, 2)), SHAPE, lambda i, j, k: (1 - i, j, 3 - k)),
    row(ops.InsertAxis(1), (2, 1, 3, 4), lambda i, _, j, k: (i, j, k)),
    row(ops.DropAxes((1,)), (2, 3), lambda i, j: (i, 0, j), given=(2, 1, 3)),
    row(ops.Windows(1, 3, 2, 2), (2, 2, 3), lambda i, w, t: (i, 2 * w + 2 * t), given=(2, 7)),
    row(ops.Diagonal(1, 0, 2), (3, 2), lambda j, d: (d, j, d + 1)),
]

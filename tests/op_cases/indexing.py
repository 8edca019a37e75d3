"""Reading, writing and adding where indices point."""

from typing import Any

import numpy as np

from lamina.ops.indices.gathering import (
    Argwhere,
    ArrayAdd,
    ArrayIndex,
    ArrayPut,
    Embedding,
    Gather,
    GatherAdd,
    Scatter,
)
from lamina.ops.indices.selection import BasicIndex, Step

from .case import ALL, FLOATS, NUMBERS, Case
from .drawing import fixed, normal, whole

BLOCK = (4, 3, 5)
EVERY = slice(None)
ADDED: dict[str, Any] = {"ulp": 2, "scale": 4.0, "why": "up to four numbers added in turn"}


def put(x: Any, index: Any, values: Any) -> Any:
    out = x.copy()
    out[index] = values
    return out


def added(shape: tuple[int, ...], index: Any, values: Any) -> Any:
    out = np.zeros(shape, values.dtype)
    np.add.at(out, index, values)
    return out


def last_of(places: Any) -> Any:
    """Whether no later place, in C order, is the same."""
    rows = np.stack([p.reshape(-1) for p in np.broadcast_arrays(*places)], 1).tolist()
    found = [row not in rows[i + 1 :] for i, row in enumerate(rows)]
    return np.reshape(found, np.broadcast_shapes(*(p.shape for p in places)))


def along(index: Any, axis: int) -> tuple[Any, ...]:
    """An index tuple whose places along `axis` are `index`, and its own elsewhere."""
    grid = list(np.indices(index.shape, sparse=True))
    grid[axis] = index
    return tuple(grid)


CASES = [
    Case(
        BasicIndex((Step("slice", 2, -1, 3), Step("new"), Step("pick", 1), Step("slice", 0, 2, 3))),
        (normal(*BLOCK),),
        lambda x: x[2::-1, None, 1, ::2],
        dtypes=ALL,
    ),
    Case(
        ArrayIndex((0,), 0),
        (normal(*BLOCK), whole(-4, 4, 2, 3)),
        lambda x, i: x[i],
        dtypes=ALL,
        shapes=(((4, 0), (3,)), ((4,), ()), ((4, 2), (0, 3)), ((4, 3), (2, 2))),
    ),
    Case(
        ArrayIndex((1,), 1),
        (normal(*BLOCK), whole(0, 3, 4, dtype="uint8")),
        lambda x, i: x[:, i],
        label="inside",
    ),
    Case(
        ArrayIndex((1, 2), 1),
        (normal(*BLOCK), whole(-3, 3, 2, 1), whole(-5, 5, 3)),
        lambda x, i, j: x[:, i, j],
        label="two axes",
    ),
    Case(
        ArrayIndex((0, 2), 0),
        (normal(*BLOCK), whole(-4, 4, 6), whole(-5, 5, 6)),
        lambda x, i, j: x[i, :, j],
        label="apart",
    ),
    Case(
        ArrayIndex((2,), 0),
        (normal(*BLOCK), whole(-5, 5, 3)),
        lambda x, i: np.moveaxis(x[:, :, i], 2, 0),
        label="in front",
    ),
    Case(
        ArrayIndex((0, 1), 0, once=True),
        (normal(*BLOCK), whole(0, 2, 6), whole(0, 2, 6)),
        lambda x, i, j: x[i, j] * last_of((i, j))[:, None],
        label="once",
    ),
    Case(
        ArrayAdd((0,), 0, (4, 5)),
        (normal(2, 3, 5), whole(-4, 4, 2, 3)),
        lambda v, i: added((4, 5), i, v),
        dtypes=NUMBERS,
        **ADDED,
    ),
    Case(
        ArrayAdd((0,), 0, (2, 3)),
        (normal(40, 3), whole(0, 2, 40)),
        lambda v, i: added((2, 3), i, v),
        label="many",
        ulp=16,
        scale=16.0,
        why="some twenty numbers added in turn",
    ),
    Case(
        ArrayAdd((0, 1), 1, (3, 2, 4)),
        (normal(4, 6), whole(-3, 3, 6), whole(-2, 2, 6)),
        lambda v, i, j: added((3, 2, 4), (i, j), v.T),
        label="in place one",
        **ADDED,
    ),
    Case(
        ArrayAdd((1,), 1, (2, 3)),
        (normal(2, 7), whole(-3, 3, 7)),
        lambda v, i: added((2, 3), (EVERY, i), v),
        label="columns",
        **ADDED,
    ),
    Case(
        ArrayAdd((0,), 0, (5,)),
        (normal(8), whole(0, 5, 8, dtype="int32")),
        lambda v, i: added((5,), i, v),
        label="single",
        **ADDED,
    ),
    Case(
        ArrayPut((0,), 0),
        (normal(*BLOCK), normal(2, 3, 3, 5), whole(-4, 4, 2, 3)),
        lambda x, v, i: put(x, i, v),
        dtypes=ALL,
    ),
    Case(
        ArrayPut((0, 2), 0),
        (normal(*BLOCK), normal(6, 3), whole(-4, 4, 6), whole(-5, 5, 6)),
        lambda x, v, i, j: put(x, (i, EVERY, j), v),
        label="apart",
    ),
    Case(
        ArrayPut((1,), 1),
        (normal(4, 3), normal(4, 5), whole(-3, 3, 5)),
        lambda x, v, i: put(x, (EVERY, i), v),
        label="columns",
    ),
    Case(
        Gather(1),
        (normal(*BLOCK), whole(-3, 3, 2, 4, 5)),
        lambda x, i: x[along(i, 1)],
        dtypes=ALL,
        shapes=(((3, 0), (2, 0)), ((2, 3), (2, 0))),
    ),
    Case(Gather(0), (normal(6), whole(0, 6, 4)), lambda x, i: x[i], label="of one axis"),
    Case(
        Gather(1, once=True),
        (normal(3, 4), whole(0, 2, 3, 5)),
        lambda x, i: x[along(i, 1)] * last_of(along(i, 1)),
        label="once",
    ),
    Case(
        GatherAdd(1, (3, 4)),
        (normal(2, 5), whole(-4, 4, 2, 5)),
        lambda v, i: added((3, 4), along(i, 1), v),
        dtypes=NUMBERS,
        **ADDED,
    ),
    Case(
        Scatter(0),
        (normal(4, 3), normal(5, 2), whole(-4, 4, 5, 2)),
        lambda x, v, i: put(x, along(i, 0), v),
        dtypes=ALL,
    ),
    Case(
        Embedding(),
        (normal(6, 3), whole(0, 6, 2, 4)),
        lambda table, i: table[i],
        dtypes=FLOATS,
    ),
    Case(
        Embedding(2),
        (normal(6, 3), whole(0, 6, 9)),
        lambda table, i: table[i],
        label="padded",
        order=0,
        why_order="the row of the padding is held still; see test_indexing",
    ),
    Case(
        Argwhere(),
        (fixed([[0, 2, 0], [0, 0, 0], [1, 0, -3]]),),
        np.argwhere,
        dtypes=ALL,
        is_shape_known=False,
        shapes=(((0, 3),), ((),)),
    ),
]

"""Pooling: the greatest and the mean of windows, and where the greatest lies."""

from itertools import product
from typing import Any

import numpy as np

from lamina.ops.layers.windows import AvgPool, MaxPool, Window, WindowPlaces, WindowPut, WindowTake

from .case import FLOATS, NUMBERS, Case
from .drawing import distinct, normal, whole

Windows = tuple[Window, ...]

PLAIN = (Window(2, 2, 0, 1, 2), Window(2, 2, 0, 1, 3))
PADDED = (Window(3, 2, 1, 1, 2), Window(2, 1, 1, 2, 6))
OVERLAPPING = (Window(3, 2, 0, 1, 2), Window(2, 1, 0, 2, 4))
WHOLE = (Window(4, 4, 0, 1, 1), Window(6, 6, 0, 1, 1))
RAGGED = (Window(3, 2, 1, 1, 3), Window(3, 2, 1, 1, 4))
LINE = (Window(3, 2, 1, 1, 3),)


def contents(windows: Windows, spatial: tuple[int, ...]) -> Any:
    """Each window's place, and the (number, source) of its elements inside the axes."""
    for at in product(*(range(w.count) for w in windows)):
        held = []
        for number, taps in enumerate(product(*(range(w.size) for w in windows))):
            source = tuple(
                p * w.stride + k * w.dilation - w.padding
                for p, k, w in zip(at, taps, windows, strict=True)
            )
            if all(0 <= s < n for s, n in zip(source, spatial, strict=True)):
                held.append((number, source))
        yield at, held


def shape_of(windows: Windows, lead: tuple[int, ...]) -> tuple[int, ...]:
    return (*lead, *(w.count for w in windows))


def greatest(windows: Windows) -> Any:
    def oracle(x: Any) -> Any:
        lead = x.shape[: x.ndim - len(windows)]
        out = np.zeros(shape_of(windows, lead), x.dtype)
        for at, held in contents(windows, x.shape[len(lead) :]):
            out[(..., *at)] = np.max([x[(..., *source)] for _, source in held], axis=0)
        return out

    return oracle


def averaged(op: AvgPool) -> Any:
    """The mean; or, transposed, what each element gets back from its windows."""

    def oracle(x: Any) -> Any:
        lead = x.shape[: x.ndim - len(op.windows)]
        shape = (*lead, *op.spatial) if op.transposed else shape_of(op.windows, lead)
        out = np.zeros(shape, x.dtype)
        for at, held in contents(op.windows, op.spatial):
            share = 1 / np.longdouble(divisor(op, at, len(held)))
            for _, source in held:
                to, of = (source, at) if op.transposed else (at, source)
                out[(..., *to)] += x[(..., *of)] * share
        return out

    return oracle


def divisor(op: AvgPool, at: tuple[int, ...], held: int) -> int:
    if op.divisor or not op.counts_padding:
        return op.divisor or held
    covered = 1
    for place, window, length in zip(at, op.windows, op.spatial, strict=True):
        start = place * window.stride - window.padding
        covered *= min(start + window.size, length + window.padding) - start
    return covered


def first_equal(windows: Windows) -> Any:
    def oracle(x: Any, wanted: Any) -> Any:
        last = int(np.prod([w.size for w in windows])) - 1
        out = np.full(wanted.shape, last, np.uint8)
        for at, held in contents(windows, x.shape[x.ndim - len(windows) :]):
            for number, source in reversed(held):
                hit = x[(..., *source)] == wanted[(..., *at)]
                out[(..., *at)] = np.where(hit, number, out[(..., *at)])
        return out

    return oracle


def put(windows: Windows, spatial: tuple[int, ...]) -> Any:
    def oracle(values: Any, places: Any) -> Any:
        out = np.zeros((*values.shape[: values.ndim - len(windows)], *spatial), values.dtype)
        for at, held in contents(windows, spatial):
            for number, source in held:
                out[(..., *source)] += values[(..., *at)] * (places[(..., *at)] == number)
        return out

    return oracle


def taken(windows: Windows) -> Any:
    def oracle(x: Any, places: Any) -> Any:
        out = np.zeros(places.shape, x.dtype)
        for at, held in contents(windows, x.shape[x.ndim - len(windows) :]):
            for number, source in held:
                out[(..., *at)] += x[(..., *source)] * (places[(..., *at)] == number)
        return out

    return oracle


def maximum(label: str, windows: Windows, *shape: int) -> Case:
    return Case(
        MaxPool(windows), (distinct(*shape),), greatest(windows), label=label, dtypes=NUMBERS
    )


def mean(label: str, windows: Windows, *shape: int, **options: Any) -> Case:
    lead = shape[: len(shape) - len(windows)]
    op = AvgPool(windows, shape[len(lead) :], **options)
    given = shape_of(windows, lead) if op.transposed else shape
    why = "a sum of at most 24 numbers below 3, divided"
    return Case(op, (normal(*given),), averaged(op), ulp=4, why=why, scale=2, label=label)


CASES = [
    maximum("plain", PLAIN, 2, 4, 6),
    maximum("padded", PADDED, 1, 2, 4, 6),
    maximum("overlapping", OVERLAPPING, 5, 6),
    maximum("whole", WHOLE, 2, 4, 6),
    maximum("line", LINE, 2, 1, 5),
    mean("plain", PLAIN, 2, 4, 6),
    mean("ragged", RAGGED, 2, 5, 6),
    mean("inside", RAGGED, 2, 5, 6, counts_padding=False),
    mean("divisor", PLAIN, 2, 4, 6, divisor=3),
    mean("whole", WHOLE, 2, 4, 6),
    mean("transposed", RAGGED, 2, 5, 6, transposed=True),
    mean("transposed-inside", RAGGED, 2, 5, 6, counts_padding=False, transposed=True),
    *(
        Case(
            WindowPlaces(windows),
            (whole(0, 3, 2, *shape, dtype=None), whole(0, 3, *shape_of(windows, (2,)), dtype=None)),
            first_equal(windows),
            label=label,
            dtypes=NUMBERS,
        )
        for label, windows, shape in (("plain", PLAIN, (4, 6)), ("padded", PADDED, (4, 6)))
    ),
    Case(
        WindowPut(OVERLAPPING, (5, 6)),
        (normal(2, 2, 4), whole(0, 6, 2, 2, 4, dtype="uint8")),
        put(OVERLAPPING, (5, 6)),
        ulp=2,
        why="up to 4 numbers added",
        scale=1,
        dtypes=FLOATS,
    ),
    Case(
        WindowTake(OVERLAPPING),
        (normal(2, 5, 6), whole(0, 6, 2, 2, 4, dtype="uint8")),
        taken(OVERLAPPING),
        dtypes=NUMBERS,
    ),
]

"""Rows read from places and added to places: exact, in order, on any number of threads."""

import itertools
from typing import Any

import numpy as np
import pytest
from kernels.operands import GuardedMemory

from lamina.codegen import threads
from lamina.kernels.gather import _adding, add_rows, read_rows

WIDTHS = (1, 3, 8, 9, 33, 300)


def drawn(*shape: int) -> Any:
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype("float32")


def places(size: int, rows: int) -> Any:
    return np.random.default_rng(rows).integers(0, size, rows)


@pytest.mark.usefixtures("each_target")
@pytest.mark.parametrize("place", ["end", "start"])
def test_reads_and_sums_within_the_operands(place: str) -> None:
    for width, (size, rows) in itertools.product(WIDTHS, ((1, 5), (40, 7), (6, 90))):
        where = GuardedMemory(places(size, rows), place)
        table = GuardedMemory(drawn(size, width), place)
        values = GuardedMemory(drawn(rows, width), place)
        at = where.array.ctypes.data
        read_rows(
            values.array.ctypes.data, table.array.ctypes.data, at,
            shape=(1, size, rows, width), itemsize=4,
        )  # fmt: skip
        assert np.array_equal(values.array, table.array[where.array])
        values.array[...] = drawn(rows, width)
        wanted = np.zeros((size, width), "float32")
        for row, target in enumerate(where.array):
            wanted[target] += values.array[row]
        add_rows(
            table.array.ctypes.data, values.array.ctypes.data, at,
            shape=(size, rows, width), dtype="float32",
        )  # fmt: skip
        assert np.array_equal(table.array, wanted)
        for memory in (where, table, values):
            memory.release()


@pytest.mark.parametrize("dtype", ["uint8", "float16", "int32", "float64"])
def test_reads_elements_of_any_size(dtype: str) -> None:
    table, where = (drawn(3, 20, 5) * 9).astype(dtype), places(20, 31)
    out = np.empty((3, 31, 5), dtype)
    read_rows(
        out.ctypes.data, table.ctypes.data, where.ctypes.data,
        shape=(3, 20, 31, 5), itemsize=table.itemsize,
    )  # fmt: skip
    assert np.array_equal(out, table[:, where])


@pytest.mark.usefixtures("team")
def test_threads_change_no_bit() -> None:
    values, where = drawn(3000, 700), places(50, 3000)
    results = []
    for count in (1, 2, 3, 7):
        threads.set_num_threads(count)
        _adding.cache_clear()
        out = np.empty((50, 700), "float32")
        add_rows(
            out.ctypes.data, values.ctypes.data, where.ctypes.data,
            shape=(50, 3000, 700), dtype="float32",
        )  # fmt: skip
        results.append(out)
    assert all(np.array_equal(out, results[0]) for out in results)

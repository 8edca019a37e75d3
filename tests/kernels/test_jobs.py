"""Many sets of operands in one call: each becomes what the expressions say, all else is kept."""

import numpy as np
import pytest
from kernels.operands import GuardedMemory

from lamina.codegen import threads
from lamina.codegen.target import host_target
from lamina.codegen.types import f32
from lamina.kernels import jobs
from lamina.kernels.elementwise import Recipe
from lamina.kernels.expression import Input, apply
from lamina.kernels.jobs import Job, run_jobs

X, STATE, G, RATE = (Input(place) for place in range(4))
KEPT = STATE * 0.5 + apply("to_float32", G)
RECIPE = Recipe(
    expressions=(X - KEPT * RATE, KEPT),
    outputs=("float32", "float32"),
    inputs=("float32", "float32", "float16", "float32"),
    numbers=(False, False, False, True),
)


def drawn(size, seed, dtype="f4"):
    return np.random.default_rng(seed).standard_normal(size).astype(dtype)


def wanted(x, state, g, rate):
    kept = state * np.float32(0.5) + g.astype("f4")
    return x - kept * rate, kept


def job(arrays, rate):
    x, state, g = (array.ctypes.data for array in arrays)
    return Job(arrays[0].size, (x, state, x, state, g, rate.ctypes.data))


@pytest.mark.usefixtures("each_target")
@pytest.mark.parametrize("side", ["start", "end"])
def test_jobs_of_every_length_in_place(side, monkeypatch):
    monkeypatch.setattr(jobs, "CHUNK", 64)
    lanes = host_target().lanes(f32)
    sizes = [lanes + 1, 0, 1, 4 * lanes - 1, 64, 65, 4 * lanes + 1, 200, 0, max(lanes - 1, 1)]
    rates = [np.array([0.25 + place], "f4") for place in range(len(sizes))]
    given = [(drawn(n, 0), drawn(n, 1), drawn(n, 2, "f2")) for n in sizes]
    memory = [[GuardedMemory(array, side) for array in arrays] for arrays in given]
    run_jobs(RECIPE, [job([m.array for m in row], r) for row, r in zip(memory, rates, strict=True)])
    for row, arrays, rate in zip(memory, given, rates, strict=True):
        for found, expected in zip(row, wanted(*arrays, rate), strict=False):
            np.testing.assert_array_equal(found.array, expected)
        for guarded in row:
            guarded.release()


@pytest.mark.usefixtures("team")
def test_threads_share_the_chunks_of_all_jobs(monkeypatch):
    monkeypatch.setattr(jobs, "CHUNK", 32)
    rate = np.array([0.5], "f4")
    for count in (1, 2, 4):
        threads.set_num_threads(count)
        given = [(drawn(n, n), drawn(n, 1), drawn(n, 2, "f2")) for n in (1000, 3, 500, 31, 0)]
        expected = [wanted(*arrays, rate) for arrays in given]
        run_jobs(RECIPE, [job(arrays, rate) for arrays in given])
        for arrays, (x, state) in zip(given, expected, strict=True):
            np.testing.assert_array_equal(arrays[0], x)
            np.testing.assert_array_equal(arrays[1], state)


@pytest.mark.parametrize("given", [[], [Job(0, (0,) * 6)]], ids=["no job", "no elements"])
def test_where_nothing_is_to_do_no_address_is_read(given):
    # Reading address 0 would end the process.
    assert run_jobs(RECIPE, given) is None

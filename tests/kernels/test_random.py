"""Counted random numbers: numpy's Philox is the oracle, to the bit."""

from typing import NamedTuple

import numpy as np
import pytest
from kernels.operands import GuardedMemory

from lamina.codegen import threads
from lamina.codegen.target import host_target
from lamina.codegen.types import f32
from lamina.kernels import random
from lamina.kernels.random import TILE, counted, run_random


class Draw(NamedTuple):
    seed: int
    draw: int

    def address(self):
        return KEPT.setdefault(self, counted(*self)).ctypes.data


KEPT = {}
STATES = [Draw(0, 0), Draw((1 << 64) - 1, 7), Draw(1 << 63, (1 << 40) + 3)]


def numpys(state):
    counter = np.array([0, 0, state.draw, 0], np.uint64)
    return np.random.Philox(key=state.seed, counter=counter)


def sizes():
    lanes = host_target().lanes(f32)
    edges = {0, 1, lanes - 1, lanes, lanes + 1, 4 * lanes - 1, 4 * lanes, 4 * lanes + 1}
    return sorted(edges | {TILE - 1, TILE, TILE + 1, 5 * TILE + 9})


@pytest.mark.usefixtures("each_target")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_uniform_numbers_are_numpys(dtype):
    for state, size in zip(STATES * 4, sizes(), strict=False):
        memory = GuardedMemory(np.zeros(size, dtype))
        run_random(random.uniform(dtype), size, state.address(), [memory.array.ctypes.data])
        wanted = np.random.Generator(numpys(state)).random(size, dtype=dtype)
        np.testing.assert_array_equal(memory.array, wanted)
        memory.release()


def dropped(x, state, p):
    """The definition: element i is kept if 32-bit word i is at least p·2³²."""
    raw = numpys(state).random_raw((x.size + 1) // 2).astype("<u8").view("<u4")[: x.size]
    wide = np.float64 if x.dtype == np.float64 else np.float32
    factor = np.where(raw >= np.uint32(round(p * 2**32)), wide(1 / (1 - p)), wide(0))
    return (factor * x.astype(wide)).astype(x.dtype)


def drop(x, state, p):
    wide = np.float64 if x.dtype == np.float64 else np.float32
    numbers = np.array([round(p * 2**32)], np.uint32), np.array([1 / (1 - p)], wide)
    out = np.empty_like(x)
    addresses = [a.ctypes.data for a in (out, x, *numbers)]
    run_random(random.dropout(str(x.dtype)), x.size, state.address(), addresses)
    return out


@pytest.mark.usefixtures("each_target")
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
def test_dropout_keeps_what_its_words_say(dtype):
    for state, size in zip(STATES * 4, sizes(), strict=False):
        x = np.random.default_rng(size).standard_normal(size).astype(dtype)
        np.testing.assert_array_equal(drop(x, state, 0.3), dropped(x, state, 0.3))


@pytest.mark.usefixtures("team")
def test_threads_change_no_bit(monkeypatch):
    monkeypatch.setattr(random, "_OPERATIONS_EACH", 1 << 20)
    x = np.arange(9 * TILE + 5, dtype=np.float32)
    found = []
    for count in (1, 2, 5):
        threads.set_num_threads(count)
        found.append(drop(x, STATES[1], 0.5).tobytes())
    assert found == [dropped(x, STATES[1], 0.5).tobytes()] * 3

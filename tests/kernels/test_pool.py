"""Pooling kernels: the formula, any threads, and nothing beyond the operands."""

import itertools
from typing import Any

import numpy as np
import pytest
from kernels.operands import ArrayOperand, GuardedMemory

from lamina.codegen import threads
from lamina.kernels.pool import pooling, three_axes
from lamina.kernels.pool_planes import Along

CASES = {
    "halves": (Along(6, 3, 2, 2, 0, 1), Along(8, 4, 2, 2, 0, 1)),
    "halves, not all": (Along(7, 3, 2, 2, 0, 1), Along(35, 17, 2, 2, 0, 1)),
    "overlapping": (Along(7, 4, 3, 2, 1, 1), Along(19, 10, 3, 2, 1, 1)),
    "one by one": (Along(5, 5, 3, 1, 1, 1), Along(33, 33, 3, 1, 1, 1)),
    "apart": (Along(7, 2, 2, 3, 0, 2), Along(40, 12, 3, 3, 1, 2)),
    "line": (Along(30, 15, 3, 2, 1, 1),),
    "solid": (Along(4, 2, 2, 2, 0, 1), Along(4, 4, 2, 1, 1, 2), Along(9, 9, 3, 1, 1, 1)),
}


def drawn(*shape: int) -> Any:
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype("float32")


def windows(axes: tuple[Along, ...]) -> Any:
    """Each window and the (number, place) of its taps inside the plane."""
    for at in itertools.product(*(range(a.windows) for a in axes)):
        held = []
        for number, taps in enumerate(itertools.product(*(range(a.taps) for a in axes))):
            place = tuple(
                p * a.stride + k * a.dilation - a.padding
                for p, k, a in zip(at, taps, axes, strict=True)
            )
            if all(0 <= s < a.size for s, a in zip(place, axes, strict=True)):
                held.append((number, place))
        yield at, held


@pytest.mark.usefixtures("each_target")
@pytest.mark.parametrize("name", CASES)
def test_every_kind(name: str) -> None:
    axes = CASES[name]
    sizes, counts = [a.size for a in axes], [a.windows for a in axes]
    x, grad = drawn(2, *sizes), drawn(2, *counts)
    greatest, mean, put, back = (np.zeros((2, *s)) for s in (counts, counts, sizes, sizes))
    places = np.zeros((2, *counts), np.uint8)
    for at, held in windows(axes):
        values = np.stack([x[(slice(None), *place)] for _, place in held])
        best = values.argmax(0)
        greatest[(slice(None), *at)] = values.max(0)
        mean[(slice(None), *at)] = values.astype(float).sum(0) / 2
        for plane in (0, 1):
            number, place = held[best[plane]]
            places[(plane, *at)] = number
            put[(plane, *place)] += grad[(plane, *at)]
            for _, place in held:
                back[(plane, *place)] += grad[(plane, *at)] / 2
    divisors = ((1.0,),) * (3 - len(axes)) + tuple((1.0,) * n for n in counts[:-1])
    divisors = (*divisors, (2.0,) * counts[-1])

    def call(kind: str, first: Any, *others: Any) -> None:
        made = pooling(kind, "float32", "uint8", 2, three_axes(axes), divisors)
        made.run(ArrayOperand(first), *map(ArrayOperand, others))

    out = np.full((2, *counts), 7, "float32")
    call("max", x, out)
    assert np.array_equal(out, greatest)
    found = np.full((2, *counts), 99, np.uint8)
    call("places", x, out, found)
    assert np.array_equal(found, places)
    taken = np.full_like(out, 7)
    call("take", x, taken, found)
    assert np.array_equal(taken, out)
    call("mean", x, out)
    np.testing.assert_allclose(out, mean, rtol=1e-5, atol=1e-6)
    wide = np.full_like(x, 7)
    for kind, wanted, given in (("put", put, (grad, found)), ("spread", back, (grad,))):
        call(kind, wide, *given)
        np.testing.assert_allclose(wide, wanted, rtol=1e-5, atol=1e-6)


@pytest.mark.usefixtures("each_target")
def test_nothing_beyond_the_operands_is_touched_at_either_end() -> None:
    for name, place in itertools.product(("overlapping", "one by one"), ("end", "start")):
        axes = CASES[name]
        shape = tuple(a.size for a in axes)
        x = GuardedMemory(drawn(1, *shape), place)
        out = GuardedMemory(drawn(1, *(a.windows for a in axes)), place)
        divisors = ((1.0,), *((1.0,) * a.windows for a in axes))
        for kind in ("max", "mean", "spread"):
            made = pooling(kind, "float32", "uint8", 1, three_axes(axes), divisors)
            made.run(ArrayOperand(x.array), ArrayOperand(out.array))
        for memory in (x, out):
            memory.release()


@pytest.mark.usefixtures("team")
def test_threads_and_batch_change_no_bit() -> None:
    axes = three_axes(CASES["overlapping"])
    shape, counts = (64, 7, 19), (64, 4, 10)
    x, grad = drawn(*shape), drawn(*counts)
    divisors = ((1.0,), (1.0,) * 4, (3.0,) * 10)
    expected: dict[str, Any] = {}
    for count, batch in ((1, 64), (2, 64), (3, 5), (7, 1)):
        threads.set_num_threads(count)
        pooling.cache_clear()
        for kind in ("mean", "spread"):
            first, second = x[:batch].copy(), grad[:batch].copy()
            made = pooling(kind, "float32", "uint8", batch, axes, divisors)
            made.run(ArrayOperand(first), ArrayOperand(second))
            found = second if kind == "mean" else first
            wanted = expected.setdefault(kind, found)
            assert np.array_equal(found, wanted[:batch]), (kind, count, batch)

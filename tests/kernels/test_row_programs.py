"""Softmax and normalisation: near the formula, and the same bits in any batch, on any threads."""

import itertools
from typing import Any

import numpy as np
import pytest
from kernels.operands import ArrayOperand, GuardedMemory

from lamina.codegen import threads
from lamina.kernels.normalize import normalize_gradient_program, normalize_program
from lamina.kernels.reduction.plan import GATHERED_TOGETHER, plan, run
from lamina.kernels.softmax import gradient_program, log_softmax_program, softmax_program

LENGTHS = (1, 7, 8, 9, 31, 33, 130, 600)


def drawn(*shape: int) -> Any:
    return np.random.default_rng(len(shape) * 1000 + sum(shape)).standard_normal(shape) * 3


def along(program: Any, axis: int, arrays: list[Any], numbers: tuple[float, ...] = ()) -> None:
    """Run a program on arrays, outputs first, that stretch to the last."""
    shape = arrays[-1].shape
    strides = []
    for array in arrays:
        steps = ArrayOperand(array).strides
        strides.append(tuple(0 if n == 1 else s for n, s in zip(array.shape, steps, strict=True)))
    run(program, shape, ((axis,),), [ArrayOperand(a) for a in arrays], strides, numbers)


def softmax(x: Any, axis: int) -> Any:
    out = np.empty_like(x)
    program = softmax_program(x.dtype.name, empty_is_zero=False, is_scaled=False)
    along(program, axis, [out, x, out])
    return out


@pytest.mark.usefixtures("each_target")
def test_softmax_of_rows_and_columns() -> None:
    for n in LENGTHS:
        for shape, axis in (((5, n), 1), ((n, 11), 0)):
            x = drawn(*shape).astype("float32")
            wide = np.exp(x.astype(np.longdouble))
            wanted = wide / wide.sum(axis, keepdims=True)
            # exp makes an error of x − max relative: half an ULP of up to 24 is 24 · 2⁻²⁴.
            np.testing.assert_allclose(softmax(x, axis), wanted, rtol=3e-6)
            out = np.empty_like(x)
            along(log_softmax_program("float32"), axis, [out, x])
            np.testing.assert_allclose(out, np.log(wanted), rtol=1e-6, atol=4e-6)


def test_a_row_has_the_same_bits_alone_and_as_a_column() -> None:
    for n in LENGTHS:
        x = drawn(20, n).astype("float32")
        expected = softmax(x, 1)
        assert np.array_equal(softmax(x[3:4], 1), expected[3:4])
        assert np.array_equal(softmax(np.ascontiguousarray(x.T), 0).T, expected)


def layer_norm(x: Any, grad: Any, weight: Any) -> list[Any]:
    """The output, and the gradients of x, weight and bias."""
    numbers = (float(x.shape[1]), 1e-5)
    out, by_x = np.empty_like(x), np.empty_like(x)
    by_weight, by_bias = np.empty_like(weight), np.empty_like(weight)
    dtype = x.dtype.name
    forward = normalize_program(dtype, centred=True, has_weight=True, has_bias=True)
    shape = x.shape

    def full(array: Any) -> tuple[int, ...]:
        return (0, 1) if array.shape[0] == 1 else (shape[1], 1)

    for program, arrays in (
        (forward, (out, x, weight, weight)),
        (
            normalize_gradient_program(dtype, "terms", centred=True),
            (by_x, by_weight, by_bias, grad, x, weight),
        ),
    ):
        operands = [ArrayOperand(a) for a in arrays]
        run(program, shape, ((1,),), operands, [full(a) for a in arrays], numbers)
    return [out, by_x, by_weight, by_bias]


@pytest.mark.usefixtures("each_target")
def test_layer_norm_and_its_gradients() -> None:
    for rows, n in itertools.product((1, GATHERED_TOGETHER + 1, 150), (1, 9, 130)):
        x, grad, weight = (
            a.astype("float32") for a in (drawn(rows, n), drawn(rows, n), drawn(1, n))
        )
        found = layer_norm(x, grad, weight)
        wide = x.astype(np.longdouble)
        apart = wide - wide.mean(1, keepdims=True)
        rate = 1 / np.sqrt((apart**2).mean(1, keepdims=True) + 1e-5)
        hat, inner = apart * rate, grad.astype(np.longdouble) * weight
        moment = (inner * hat).mean(1, keepdims=True)
        wanted = [
            hat * weight + weight,
            rate * (inner - inner.mean(1, keepdims=True) - hat * moment),
            (grad * hat).sum(0, keepdims=True),
            grad.astype(np.longdouble).sum(0, keepdims=True),
        ]
        for place, (one, other) in enumerate(zip(found, wanted, strict=True)):
            scale = float(rate.max()) * 10 if place == 1 else 10 * np.sqrt(rows)
            np.testing.assert_allclose(one, other, rtol=2e-5, atol=2e-6 * scale)


@pytest.mark.usefixtures("team")
def test_layer_norm_has_the_same_bits_on_any_threads_and_in_any_batch() -> None:
    x, grad, weight = (
        a.astype("float32") for a in (drawn(700, 600), drawn(700, 600), drawn(1, 600))
    )
    expected = layer_norm(x, grad, weight)
    for count in (1, 2, 3, 7):
        threads.set_num_threads(count)
        plan.cache_clear()
        for one, other in zip(layer_norm(x, grad, weight), expected, strict=True):
            assert np.array_equal(one, other), count
    for batch in (1, 2, 5, 64):
        part = layer_norm(x[9 : 9 + batch], grad[9 : 9 + batch], weight)[:2]
        for one, other in zip(part, expected[:2], strict=True):
            assert np.array_equal(one, other[9 : 9 + batch]), batch


@pytest.mark.usefixtures("each_target")
def test_nothing_beyond_the_operands_is_touched_at_either_end() -> None:
    for (shape, axis), place in itertools.product((((3, 9), 1), ((9, 3), 0)), ("end", "start")):
        x = drawn(*shape).astype("float32")
        memories = [GuardedMemory(a, place) for a in (np.empty_like(x), x, x)]
        along(gradient_program("float32", is_log=False), axis, [m.array for m in memories])
        wanted = x * (x - (x * x).sum(axis, keepdims=True))
        np.testing.assert_allclose(memories[0].array, wanted, rtol=1e-4, atol=1e-4)
        for memory in memories:
            memory.release()

"""The matrix product of 16-bit floats and of bytes, with and without an epilogue."""

from itertools import product as product_of

import ml_dtypes
import numpy as np
import pytest
from kernels.operands import LAYOUTS, ArrayOperand, GuardedMemory, error_in_roundings

from lamina.codegen import threads
from lamina.errors import DTypeError, LayoutError, ShapeError
from lamina.kernels.elementwise import compute
from lamina.kernels.expression import Expression, Input, apply
from lamina.kernels.gemm import Epilogue, gemm, pack_right

HALVES = ("float16", "bfloat16")
SHAPES = ((1, 33, 300), (13, 49, 31), (30, 70, 520))


def numbers(shape, dtype, seed=0):
    random = np.random.default_rng(seed)
    kind = np.dtype(getattr(ml_dtypes, dtype, dtype))
    if kind.kind in "iu":
        info = np.iinfo(kind)
        return random.integers(info.min, info.max + 1, shape).astype(kind)
    return random.standard_normal(shape).astype(kind)


def product(a, b, dtype, **fused):
    shape = (*np.broadcast_shapes(a.shape[:-2], b.shape[:-2]), a.shape[-2], b.shape[-1])
    out = np.full(shape, 77, np.dtype(getattr(ml_dtypes, dtype, dtype)))
    gemm(ArrayOperand(out), ArrayOperand(a), ArrayOperand(b), **fused)
    return out


@pytest.mark.parametrize("dtype", HALVES)
@pytest.mark.parametrize("shape", SHAPES)
def test_halves_have_the_bits_of_float32(each_target, shape, dtype):
    m, n, k = shape
    a, b = numbers((m, k), dtype), numbers((k, n), dtype, 1)
    wide = product(a.astype("f4"), b.astype("f4"), "float32")
    exact = a.astype("f8") @ b.astype("f8")
    magnitude = np.abs(a.astype("f8")) @ np.abs(b.astype("f8"))
    # k products and k − 1 sums in a row, each rounded once at most
    assert error_in_roundings(wide, exact, magnitude) <= 2 * k + 2
    rounded = wide.astype(getattr(ml_dtypes, dtype, dtype))
    for first in LAYOUTS.values():
        for second in LAYOUTS.values():
            assert product(first(a), second(b), dtype).tobytes() == rounded.tobytes()


def test_halves_meet_float32(each_target):
    a, b = numbers((9, 300), "float32"), numbers((300, 50), "bfloat16", 1)
    wide = product(a, b.astype("f4"), "float32")
    assert product(a, b, "float32").tobytes() == wide.tobytes()


def check_bytes(kinds):
    for m, n, k in SHAPES:
        a, b = numbers((m, k), kinds[0]), numbers((k, n), kinds[1], 1)
        want = a.astype("i8") @ b.astype("i8")
        for first in LAYOUTS.values():
            for second in LAYOUTS.values():
                assert (product(first(a), second(b), "int32") == want).all()


def test_bytes_are_exact(each_target):
    check_bytes(("uint8", "int8"))


@pytest.mark.parametrize("kinds", [("int8", "int8"), ("uint8", "uint8"), ("int8", "uint8")])
def test_bytes_of_any_signs(kinds):
    check_bytes(kinds)


def test_bytes_at_their_extremes():
    a, b = np.full((10, 4096), -128, "i1"), np.full((4096, 40), -128, "i1")
    assert (product(a, b, "int32") == 4096 * 128 * 128).all()


@pytest.mark.parametrize("dtype", [*HALVES, "int8"])
@pytest.mark.parametrize("shape", [(1, 33, 17), (14, 35, 15)])
def test_nothing_outside_is_touched(each_target, dtype, shape):
    m, n, k = shape
    out = "int32" if dtype == "int8" else dtype
    for turned, side in product_of((False, True), ("start", "end")):
        arrays = numbers((m, k), dtype), numbers((k, n), dtype), numbers((m, n), out)
        guards = [GuardedMemory(array.T if turned else array, side) for array in arrays]
        a, b, c = (guard.array.T if turned else guard.array for guard in guards)
        gemm(*map(ArrayOperand, (c, a, b)))
        assert c.tobytes() == product(arrays[0], arrays[1], out).tobytes()
        for guard in guards:
            guard.release()


SUM, FIRST, SECOND = Input(0), Input(1), Input(2)
EPILOGUES = {
    "relu": (apply("maximum", 0.0, SUM * 0.125 + FIRST + SECOND), ["row", "matrix"]),
    "scale": (SUM * FIRST + SECOND, ["column", "sliced"]),
}


def further(kinds, m, n):
    shapes = {"row": (n,), "column": (m, 1), "matrix": (m, n), "sliced": (m, n)}
    arrays = [numbers(shapes[kind], "float32", place + 5) for place, kind in enumerate(kinds)]
    return [
        LAYOUTS["sliced"](array) if kind == "sliced" else array
        for array, kind in zip(arrays, kinds, strict=True)
    ]


def check_epilogue(name):
    expression, kinds = EPILOGUES[name]
    for m, n, k in SHAPES:
        a, b = numbers((m, k), "float32"), numbers((k, n), "float32", 1)
        inputs = [ArrayOperand(array) for array in further(kinds, m, n)]
        apart = product(a, b, "float32")
        want = np.empty_like(apart)
        compute([expression], [ArrayOperand(want)], [ArrayOperand(apart), *inputs])
        for layout in (LAYOUTS["contiguous"], LAYOUTS["transposed"]):
            got = layout(np.zeros_like(want))
            operands = (ArrayOperand(got), ArrayOperand(a), ArrayOperand(layout(b)))
            gemm(*operands, epilogue=Epilogue(expression), inputs=inputs)
            assert got.tobytes() == want.tobytes()


def test_an_epilogue_has_the_bits_of_the_same_expression(each_target):
    check_epilogue("relu")


def test_an_epilogue_of_strided_inputs():
    check_epilogue("scale")


def requantised() -> Expression:
    whole = apply("round", apply("to_float32", SUM) * FIRST)
    return apply("maximum", -128.0, apply("minimum", 127.0, whole))


def test_requantise(each_target):
    for m, n, k in SHAPES:
        a, b = numbers((m, k), "uint8"), numbers((k, n), "int8", 1)
        scale = (np.arange(1, n + 1) / (k * 4000)).astype("f4")
        got = product(a, b, "int8", epilogue=Epilogue(requantised()), inputs=[ArrayOperand(scale)])
        want = np.rint((a.astype("i4") @ b.astype("i4")).astype("f4") * scale).clip(-128, 127)
        assert (got == want).all()


def test_a_batch_with_an_epilogue(team):
    a, b = numbers((3, 4, 20, 300), "float32"), numbers((300, 40), "float32", 1)
    bias, residual = numbers((40,), "float32", 2), numbers((3, 4, 20, 40), "float32", 3)
    inputs = [ArrayOperand(bias), ArrayOperand(residual)]
    results = []
    for count in (1, 3):
        threads.set_num_threads(count)
        b_there = np.broadcast_to(b, (3, 4, 300, 40))
        fused = Epilogue(SUM + FIRST + SECOND)
        results.append(product(a, b_there, "float32", epilogue=fused, inputs=inputs))
    assert results[0].tobytes() == results[1].tobytes()
    want = product(a, np.broadcast_to(b, (3, 4, 300, 40)), "float32") + bias + residual
    assert results[0].tobytes() == want.tobytes()


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "int8"])
def test_packed_in_advance_has_the_same_bits(dtype):
    out = "int32" if dtype == "int8" else dtype
    for m, n, k in ((1, 33, 300), (30, 150, 520)):
        a, b = numbers((2, m, k), dtype), numbers((k, n), dtype, 1)
        there = np.broadcast_to(b, (2, k, n))
        want = product(a, there, out)
        for layout in (LAYOUTS["contiguous"], LAYOUTS["transposed"]):
            packed = pack_right(ArrayOperand(layout(b)))
            got = np.zeros_like(want)
            gemm(ArrayOperand(got), ArrayOperand(a), packed)
            assert got.tobytes() == want.tobytes()


def test_packing_takes_a_matrix():
    with pytest.raises(ShapeError, match="expected a matrix"):
        pack_right(ArrayOperand(numbers((2, 3, 4), "float32")))


def test_what_does_not_meet():
    a, b = numbers((3, 5), "float32"), numbers((5, 4), "float32")
    with pytest.raises(DTypeError, match="do not meet"):
        product(a, b.astype("i1"), "float32")
    with pytest.raises(DTypeError, match="epilogue that converts"):
        product(a, b, "int8")
    with pytest.raises(ShapeError, match="it reads 1"):
        product(a, b, "float32", epilogue=Epilogue(SUM + FIRST))
    inputs = [ArrayOperand(numbers((3,), "float32"))]
    with pytest.raises(ShapeError, match="expected to broadcast"):
        product(a, b, "float32", epilogue=Epilogue(SUM + FIRST), inputs=inputs)


def test_shared_memory_is_refused_before_anything_is_written():
    memory = numbers((8, 24), "float32")
    before = memory.copy()
    a, b, inside, between = memory[:, :8], memory[:, 8:16], memory[:, 4:12], memory[:, 16:]
    with pytest.raises(LayoutError, match="shares memory"):
        gemm(*map(ArrayOperand, (inside, a, b)))
    with pytest.raises(LayoutError, match="several elements in one place"):
        gemm(*map(ArrayOperand, (np.broadcast_to(memory[:1, :8], (8, 8)), a, b)))
    assert memory.tobytes() == before.tobytes()
    gemm(*map(ArrayOperand, (between, a, b)))
    assert between.tobytes() == product(a.copy(), b.copy(), "float32").tobytes()

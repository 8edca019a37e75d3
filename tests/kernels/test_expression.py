"""Scalar expressions: what they print, share and mean; numpy is the oracle of the functions."""

import ctypes
import itertools

import numpy as np
import pytest

from lamina.codegen import jit, mathlib
from lamina.codegen.builder import KernelModule
from lamina.codegen.target import SCALAR, host_target
from lamina.codegen.types import Pointer, f32, i1, i64, u8
from lamina.errors import CompileError
from lamina.kernels.expression import Apply, Constant, Input, apply, emit, emit_all
from lamina.kernels.functions import FUNCTIONS
from lamina.kernels.scalars import COMPUTED, STORED

X, Y, Z = Input(0), Input(1), Input(2)


def emit_probe(module, expression, dtypes, result):
    """Define `run((count, out, inputs …), _)`: one element at a time, then a register at a time.

    The first half of the elements is computed as scalars and the second as vectors.
    """
    with module.function("run", {"args": Pointer(i64), "_": Pointer(u8)}) as (k, args, _):
        pointers = [k.pointer_at(args[2 + n], STORED[dtype]) for n, dtype in enumerate(dtypes)]
        out = k.pointer_at(args[1], STORED[result])
        lanes, half = k.target.lanes(f32), args[0]
        for first, count in ((0, None), (half, lanes)):
            with k.loop(half, step=count or 1) as turn:
                place = turn.index + first
                loaded = [p.load(place, lanes=count) for p in pointers]
                values = [
                    v.differs(0) if COMPUTED[dtype] == i1 else v
                    for v, dtype in zip(loaded, dtypes, strict=True)
                ]
                out.store(place, k.convert(emit(k, expression, values), STORED[result]))


def evaluate(expression, *arrays, result=None):
    """The expression over a grid of all pairs, computed both as scalars and as vectors."""
    grid = np.broadcast_arrays(*np.meshgrid(*arrays, indexing="ij"))
    flat = [np.ascontiguousarray(g).ravel() for g in grid]
    lanes = 16
    padding = -len(flat[0]) % lanes
    padded = [np.tile(np.concatenate([f, f[:1].repeat(padding)]), 2) for f in flat]
    dtypes = tuple(str(a.dtype) for a in arrays)
    out = np.empty(len(padded[0]), result or dtypes[-1])
    entry = jit.kernel(emit_probe, expression, dtypes, str(out.dtype))
    addresses = [a.ctypes.data for a in (out, *padded)]
    block = (ctypes.c_int64 * (1 + len(addresses)))(len(out) // 2, *addresses)
    entry(ctypes.addressof(block), 0)
    scalar, vector = np.split(out, 2)
    np.testing.assert_array_equal(scalar, vector)
    return scalar[: len(flat[0])], flat


NUMBERS = [np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, -1.0, 0.5, -2.5, 2.5, 1e-40, -3e38]
WHOLE = {
    "int8": [0, 1, -1, 2, -3, 7, 8, 100, -128, 127],
    "uint8": [0, 1, 2, 3, 7, 8, 9, 128, 255],
    "int32": [0, 1, -1, 5, -7, 31, 32, 33, 2**31 - 1, -(2**31)],
}
SAMPLES = {
    "float32": np.array(NUMBERS, np.float32),
    "float64": np.array(NUMBERS, np.float64),
    "bool": np.array([False, True]),
    **{dtype: np.array(values, dtype) for dtype, values in WHOLE.items()},
}
FLOATS, INTEGERS, BOOL = ("float32", "float64"), ("int8", "uint8", "int32"), ("bool",)
ALL = (*FLOATS, *INTEGERS, *BOOL)
# Each function with numpy's of the same meaning, and the dtypes that it is for.
OF_TWO = {
    "add": (np.add, ALL),
    "subtract": (np.subtract, (*FLOATS, *INTEGERS)),
    "multiply": (np.multiply, ALL),
    "divide": (np.divide, FLOATS),
    "floor_divide": (np.floor_divide, INTEGERS),
    "remainder": (np.remainder, INTEGERS),
    "fmod": (np.fmod, INTEGERS),
    "copysign": (np.copysign, FLOATS),
    "maximum": (np.maximum, ALL),
    "minimum": (np.minimum, ALL),
    **{
        name: (getattr(np, name), ALL)
        for name in (
            *("equal", "not_equal", "less", "less_equal", "greater", "greater_equal"),
            *("logical_and", "logical_or", "logical_xor"),
        )
    },
    "bitwise_and": (np.bitwise_and, (*INTEGERS, *BOOL)),
    "bitwise_or": (np.bitwise_or, (*INTEGERS, *BOOL)),
    "bitwise_xor": (np.bitwise_xor, (*INTEGERS, *BOOL)),
    "bitwise_left_shift": (np.left_shift, INTEGERS),
    "bitwise_right_shift": (np.right_shift, INTEGERS),
}
OF_ONE = {
    **{
        name: (getattr(np, name), (*FLOATS, *INTEGERS))
        for name in ("negative", "absolute", "sign", "square", "floor", "ceil", "trunc")
    },
    "round": (np.rint, FLOATS),
    "finite": (lambda x: np.clip(x, np.finfo(x.dtype).min, np.finfo(x.dtype).max), FLOATS),
    "sqrt": (np.sqrt, FLOATS),
    "reciprocal": (np.reciprocal, FLOATS),
    "rsqrt": (lambda x: 1 / np.sqrt(x), FLOATS),
    "isnan": (np.isnan, FLOATS),
    "isinf": (np.isinf, FLOATS),
    "isfinite": (np.isfinite, FLOATS),
    "signbit": (np.signbit, FLOATS),
    "logical_not": (np.logical_not, ALL),
    "bitwise_invert": (np.invert, (*INTEGERS, *BOOL)),
}
CASES = [
    (name, dtype, function)
    for table in (OF_ONE, OF_TWO)
    for name, (function, dtypes) in table.items()
    for dtype in dtypes
]


@pytest.mark.parametrize(("name", "dtype", "function"), CASES)
def test_functions_mean_what_numpys_mean(name, dtype, function):
    count = 2 if name in OF_TWO else 1
    with np.errstate(all="ignore"):
        wanted = function(*np.meshgrid(*[SAMPLES[dtype]] * count, indexing="ij")).ravel()
    places = [Input(n) for n in range(count)]
    found, _ = evaluate(apply(name, *places), *[SAMPLES[dtype]] * count, result=wanted.dtype)
    np.testing.assert_array_equal(found, wanted)
    if wanted.dtype.kind == "f" and name not in ("maximum", "minimum"):
        nan = np.isnan(wanted)
        np.testing.assert_array_equal(np.signbit(found)[~nan], np.signbit(wanted)[~nan])


@pytest.mark.parametrize(
    ("source", "target"),
    [
        pair
        for pair in itertools.product((*FLOATS, "int8", "uint8", "int32", "bool"), STORED)
        if pair[0] != pair[1] and pair[1] != "bfloat16"
    ],
)
def test_conversions_are_numpys(source, target):
    values = SAMPLES[source]
    if values.dtype.kind == "f":
        least = 0 if target[0] == "u" else -1
        kept = [v for v in NUMBERS if target[0] == "f" or (least <= v <= 100)]
        values = np.array([*kept, 70.49, 99.5], source)
    with np.errstate(all="ignore"):
        wanted = values.astype(target)
    found, _ = evaluate(apply(f"to_{target}", X), values, result=target)
    np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("target", ["int8", "uint8", "int16", "uint16", "int32", "int64", "uint64"])
def test_floats_beyond_an_integer_type_saturate(target):
    info = np.iinfo(target)
    for dtype in FLOATS:
        near = [float(info.min) - 0.9, info.min, info.max + 0.9, info.max, 2.0**31, 2.0**31 - 200]
        values = np.array([np.nan, np.inf, -np.inf, 3e38, -3e38, 1.9, -0.9, *near], dtype)
        found, _ = evaluate(apply(f"to_{target}", X), values, result=target)
        wanted = [0 if v != v else int(np.clip(v, -(2.0**70), 2.0**70)) for v in values.tolist()]
        assert found.tolist() == [min(max(w, info.min), info.max) for w in wanted]


def test_multiply_add_is_rounded_once_where_the_target_can():
    values = np.array([1 + 2.0**-12, -1.5, 3.0], np.float32)
    found, (x, y, z) = evaluate(apply("multiply_add", X, Y, Z), values, values, -values)
    wide = x.astype(np.float64) * y + z
    twice = x * y + z
    wanted = wide.astype(np.float32) if host_target().has_fma else twice
    np.testing.assert_array_equal(found, wanted)


def test_float64_becomes_float16_in_one_rounding():
    halves = np.array([1.0, 1.0009765625, 65504, 6.1e-5, 5.960464477539063e-08], np.float16)
    ties = (halves[:-1].astype("f8") + np.nextafter(halves[:-1], np.float16(0)).astype("f8")) / 2
    just = np.concatenate([ties, np.nextafter(ties, 0), np.nextafter(ties, np.inf)])
    values = np.concatenate([just, -just, [np.nan, np.inf, -np.inf, 1e300, 65520.0, 0.0, -0.0]])
    found, _ = evaluate(apply("to_float16", X), values, result="float16")
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(found, values.astype(np.float16))


def test_numbers_take_the_type_beside_them():
    found, (x,) = evaluate(apply("where", X > 0, 1.0, X * 0.5) + 2, SAMPLES["float32"])
    np.testing.assert_array_equal(found, np.where(x > 0, 1, x * np.float32(0.5)) + 2)


def test_a_choice_between_two_numbers_names_their_dtype():
    one, zero = Constant(1.0, "float64"), Constant(0.0)
    found, (x,) = evaluate(apply("where", X > 0, one, zero), SAMPLES["float32"], result="float64")
    np.testing.assert_array_equal(found, np.where(x > 0, 1.0, 0.0))
    with pytest.raises(CompileError, match="write Constant"):
        jit.build(emit_probe, SCALAR, apply("where", X > 0, 1.0, 0.0), ("float32",), "float32")


def test_half_floats_are_computed_with_as_float32():
    values = np.array([1.0, 2.5, 1e-7, 60000, np.inf], np.float16)
    found, (x, y) = evaluate(X * Y + X, values, values)
    with np.errstate(all="ignore"):
        wide = x.astype(np.float32) * y.astype(np.float32) + x.astype(np.float32)
        np.testing.assert_array_equal(found, wide.astype(np.float16))


def test_scalars_beside_vectors_count_for_every_lane():
    module = KernelModule(host_target())
    with module.function("f", {"x": Pointer(f32)}) as (k, x):
        vector, scalar = x.load(0, lanes=8), x[0]
        results = emit_all(k, (X * Y + 1.0, apply("where", Y > 0, X, 0.0)), [vector, scalar])
        assert [r.type for r in results] == [vector.type] * 2


def test_what_occurs_twice_is_emitted_once():
    module = KernelModule(SCALAR)
    with module.function("f", {"x": f32, "out": Pointer(f32)}) as (k, x, out):
        root = apply("sqrt", X * X)
        out[0], out[1] = emit_all(k, (root + root, root * 2.0), [x])
    assert str(module).count(" * ") == 2
    assert str(module).count("sqrt") == 1


def test_an_expression_is_a_key_and_prints_compactly():
    root = apply("where", X > 0, X, Y * 2.5 - 1)
    assert root == apply("where", Input(0) > 0, Input(0), Input(1) * 2.5 - 1)
    assert hash(root) == hash(apply("where", Input(0) > 0, Input(0), Input(1) * 2.5 - 1))
    assert repr(root) == "where(greater(x0,0),x0,subtract(multiply(x1,2.5),1))"
    assert repr(2.0 / -Z) == "divide(2.0,negative(x2))"
    assert repr(Constant(1, "int8")) == "1:int8"


def test_constants_are_told_apart_by_sign_and_nan_is_itself():
    assert Constant(0.0) != Constant(-0.0)
    assert hash(Constant(float("nan"))) == hash(Constant(float("nan")))
    assert Constant(float("nan")) == Constant(float("nan"))
    for zero in (0.0, -0.0):
        found, _ = evaluate(X * zero, np.array([1.0, 2.0], np.float32))
        assert np.signbit(found).tolist() == [np.signbit(zero)] * 2


def test_a_tree_that_shares_much_stays_small():
    root: Apply = X + Y
    for _ in range(200):
        root = root * root + 1.0
    assert len(repr(root)) < 20_000
    assert hash(root) != hash(root + 1.0)


def test_a_function_that_is_not_there():
    with pytest.raises(CompileError, match="no function is named 'sine'"):
        apply("sine", X)
    with pytest.raises(CompileError, match="no whole division of f32s"):
        jit.build(emit_probe, SCALAR, apply("remainder", X, Y), ("float32",) * 2, "float32")


def test_every_function_is_tested():
    conversions = {f"to_{dtype}" for dtype in STORED}
    others = {"where", "multiply_add"} | mathlib.FUNCTIONS.keys()
    assert FUNCTIONS.keys() == conversions | OF_ONE.keys() | OF_TWO.keys() | others

"""Rounding, conversions and lanes of the kernel language against numpy, on every usable target."""

import ctypes

import ml_dtypes
import numpy as np
import pytest
from usable_targets import USABLE

from lamina.codegen import jit
from lamina.codegen.builder import KernelModule
from lamina.codegen.types import (
    Pointer,
    Scalar,
    bf16,
    f16,
    f32,
    f64,
    i8,
    i16,
    i32,
    i64,
    u8,
    u16,
    u32,
    u64,
)
from lamina.errors import CompileError

WHOLE = {"args": Pointer(i64), "scratch": Pointer(i8)}
NUMPY = {
    "f16": np.float16, "bf16": ml_dtypes.bfloat16, "f32": np.float32, "f64": np.float64,
    "i8": np.int8, "i16": np.int16, "i32": np.int32, "i64": np.int64,
    "u8": np.uint8, "u16": np.uint16, "u32": np.uint32, "u64": np.uint64,
}  # fmt: skip


@pytest.fixture(params=USABLE, ids=lambda target: target.name)
def target(request):
    return request.param


def emit_map(module: KernelModule, function: str, given: Scalar, result: Scalar) -> None:
    with module.function("run", WHOLE) as (k, args, _):
        x, out, n = k.pointer_at(args[0], given), k.pointer_at(args[1], result), args[2]
        lanes = max(k.target.lanes(given), k.target.lanes(result))
        with k.loop(n, step=lanes) as turn:
            left = n - turn.index
            value = k.load_first(x + turn.index, left, lanes)
            k.store_first(out + turn.index, MAPS[function](k, value, result), left)


MAPS = {
    "convert": lambda k, x, scalar: k.convert(x, scalar),
    "floor": lambda k, x, _: k.floor(x),
    "ceil": lambda k, x, _: k.ceil(x),
    "truncate": lambda k, x, _: k.truncate(x),
    "round_even": lambda k, x, _: k.round_even(x),
    "absolute": lambda k, x, _: k.absolute(x),
    "negative": lambda k, x, _: -x,
    "sqrt": lambda k, x, _: k.sqrt(x),
    "shift": lambda k, x, _: x >> 3,
}


def mapped(function, x, given, result, target):
    out = np.full(x.size + 1, 7).astype(NUMPY[result.name])
    block = (ctypes.c_int64 * 3)(x.ctypes.data, out.ctypes.data, x.size)
    entry = jit.kernel(emit_map, function, given, result, target=target)
    entry(ctypes.addressof(block), 0)
    assert out[-1] == 7
    return out[:-1]


def halves(name):
    return np.arange(1 << 16, dtype=np.uint16).view(NUMPY[name])


@pytest.mark.parametrize("half", [f16, bf16], ids=lambda scalar: scalar.name)
def test_every_half_becomes_the_float_it_is(target, half):
    x = halves(half.name)
    np.testing.assert_array_equal(mapped("convert", x, half, f32, target), x.astype(np.float32))


def floats_around_halves(name):
    """Every finite half, the middle to the next, the floats beside that; more at the end."""
    exact = np.sort(halves(name).astype(np.float32))
    exact = exact[np.isfinite(exact)]
    middle = ((exact[1:].astype(np.float64) + exact[:-1]) / 2).astype(np.float32)
    beside = [np.nextafter(middle, np.float32(sign * np.inf)) for sign in (1, -1)]
    special = np.array([np.nan, np.inf, -np.inf, 65519, 65520, 7e4, 3.4e38, 1e-45, 1e-8], "f4")
    return np.concatenate([exact, middle, *beside, special])


@pytest.mark.parametrize("half", [f16, bf16], ids=lambda scalar: scalar.name)
def test_floats_round_to_the_nearest_half(target, half):
    x = floats_around_halves(half.name)
    with np.errstate(over="ignore"):
        want = x.astype(NUMPY[half.name])
    got = mapped("convert", x, f32, half, target)
    number = ~np.isnan(x)
    assert (got[number].view(np.uint16) == want[number].view(np.uint16)).all()
    assert np.isnan(got[~number].astype("f4")).all()


CASTS = [
    (i8, i32), (u8, i32), (u8, f32), (i8, f64), (i32, f32), (i64, f64), (u64, f32), (i32, u8),
    (i64, i16), (u16, u32), (f64, f32), (f32, f64), (f32, i32), (f64, i64), (f32, u8), (i16, bf16),
]  # fmt: skip


@pytest.mark.parametrize(("given", "result"), CASTS, ids=lambda scalar: scalar.name)
def test_conversions_are_numpy_s(target, given, result):
    random = np.random.default_rng(0)
    kind = NUMPY[given.name]
    if given.is_float:
        bounds = (0, 250) if not result.is_signed else (-3e4, 3e4)
        x = random.uniform(*bounds, 77).astype(kind)
    else:
        info = np.iinfo(kind)
        x = random.integers(info.min, info.max, 77, kind, endpoint=True)
    want = x.astype(NUMPY[result.name])
    np.testing.assert_array_equal(mapped("convert", x, given, result, target), want)


def test_floats_past_an_integer_are_saturated(target):
    x = np.array([np.nan, np.inf, -np.inf, 3e9, -3e9, 0.9, -0.9], "f4")
    least, greatest = -(2**31), 2**31 - 1
    want = [0, greatest, least, greatest, least, 0, 0]
    assert mapped("convert", x, f32, i32, target).tolist() == want


ROUNDINGS = {
    "floor": np.floor, "ceil": np.ceil, "truncate": np.trunc, "round_even": np.rint,
    "absolute": np.abs, "negative": np.negative, "sqrt": np.sqrt,
}  # fmt: skip


@pytest.mark.parametrize("scalar", [f32, f64], ids=lambda scalar: scalar.name)
@pytest.mark.parametrize("name", ROUNDINGS)
def test_rounding_keeps_signs_and_special_values(target, name, scalar):
    kind = NUMPY[scalar.name]
    edges = [
        0.5,
        1.5,
        2.5,
        0.49999997,
        0.9999999,
        2**22 + 0.5,
        2**23 - 0.5,
        2**24 + 2,
        1e30,
        5e-324,
    ]
    ends = [
        0.0,
        np.inf,
        np.nan,
        1e-45,
        2**51 + 0.5,
        2**52 + 1,
        1e15 + 0.5,
        6291457.0,
        3 * 2**50 + 1,
    ]
    x = np.array([*edges, *ends], kind)
    x = np.concatenate([x, -x])
    with np.errstate(invalid="ignore"):
        want = ROUNDINGS[name](x)
    got = mapped(name, x, scalar, scalar, target)
    np.testing.assert_array_equal(got, want)
    number = ~np.isnan(want)
    assert (np.signbit(got) == np.signbit(want))[number].all()


@pytest.mark.parametrize("scalar", [i32, u32, i8, u8, i64, u64], ids=lambda scalar: scalar.name)
def test_shifts_keep_the_sign_of_signed_numbers(target, scalar):
    kind = NUMPY[scalar.name]
    x = np.array([np.iinfo(kind).min, 0, 1, 8, np.iinfo(kind).max], kind)
    assert (mapped("shift", x, scalar, scalar, target) == x >> 3).all()


def emit_lanes(module: KernelModule) -> None:
    with module.function("run", WHOLE) as (k, args, _):
        x, out, count = k.pointer_at(args[0], f32), k.pointer_at(args[1], f32), args[2]
        lanes = 4
        backwards = (k.iota(i32, lanes) - (lanes - 1)) * -1
        four = k.gather(x, backwards)
        out.store(0, four)
        out[4] = k.sum_lanes(four)
        k.scatter(out + 5, k.iota(i32, lanes) * 2, four)
        out.store(12, k.load_spread(x, k.integer(3), count, lanes))
        out[16] = k.select(k.any(four > 3.5), k.constant(f32, 1), k.constant(f32, 0))


@pytest.mark.parametrize("count", [0, 1, 4, 9])
def test_lanes_are_gathered_scattered_and_summed(target, count):
    x, out = np.arange(1, 20, dtype="f4"), np.zeros(17, "f4")
    block = (ctypes.c_int64 * 3)(x.ctypes.data, out.ctypes.data, count)
    jit.kernel(emit_lanes, target=target)(ctypes.addressof(block), 0)
    spread = [1, 4, 7, 10][:count] + [0] * (4 - count)
    want = [4, 3, 2, 1, 10, 4, 0, 3, 0, 2, 0, 1, *spread, 1]
    assert out.tolist() == want


def test_halves_have_no_arithmetic_of_their_own():
    with pytest.raises(CompileError, match="convert it to f32"):
        jit.build(emit_half_sum, USABLE[-1])


def emit_half_sum(module: KernelModule) -> None:
    with module.function("run", WHOLE) as (k, args, _):
        x = k.pointer_at(args[0], f16)
        x[0] = x[0] + x[1]

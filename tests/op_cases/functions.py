"""Elementary functions."""

import math
import statistics
from collections.abc import Callable
from typing import Any

import numpy as np

from lamina.codegen.mathlib.accuracy import ERRORS
from lamina.codegen.target import compiles_here
from lamina.ops.elementwise import functions as ops
from lamina.ops.pointwise import Elementwise
from lamina.ops.registry import OPS

from .case import COMPLEX, Case
from .drawing import DEFAULT, Draw, away, normal, uniform
from .oracles import by_element, floats_or

LOOPS = "numpy's vector loops stay within 4 ULP, kernels within what mathlib states"
PAIR = (normal(*DEFAULT), normal(*DEFAULT))


def row(op: Elementwise, draw: Draw, oracle: Callable[..., Any], *, half_ulp: float = 1) -> Case:
    stated = ERRORS[op.name] if compiles_here() else {}
    kernel_ulp = {scalar.replace("f", "float"): ulp for scalar, ulp in stated.items()}
    return Case(op, (draw,), oracle, ulp=4, why=LOOPS, half_ulp=half_ulp, kernel_ulp=kernel_ulp)


REAL_LINE = normal(*DEFAULT)
POSITIVE = uniform(0.2, 5)
OPEN_INTERVAL = uniform(-0.9, 0.9)

OF_ONE = [
    row(ops.exp, REAL_LINE, np.exp),
    row(ops.exp2, REAL_LINE, np.exp2),
    row(ops.expm1, REAL_LINE, np.expm1),
    row(ops.log, POSITIVE, np.log),
    row(ops.log1p, uniform(-0.8, 3), np.log1p),
    row(ops.log2, POSITIVE, np.log2),
    row(ops.log10, POSITIVE, np.log10),
    Case(ops.sqrt, (POSITIVE,), np.sqrt),
    Case(ops.rsqrt, (POSITIVE,), lambda x: 1 / np.sqrt(x), ulp=1.5, why="two roundings"),
    Case(ops.reciprocal, (away(0.0),), lambda x: 1 / x),
    Case(ops.square, (REAL_LINE,), lambda x: x * x),
    row(ops.sin, REAL_LINE, np.sin),
    row(ops.cos, REAL_LINE, np.cos),
    row(ops.tan, uniform(-1.2, 1.2), np.tan),
    row(ops.asin, OPEN_INTERVAL, np.arcsin),
    row(ops.acos, OPEN_INTERVAL, np.arccos),
    row(ops.atan, REAL_LINE, np.arctan),
    row(ops.sinh, REAL_LINE, np.sinh),
    row(ops.cosh, REAL_LINE, np.cosh),
    row(ops.tanh, REAL_LINE, np.tanh),
    row(ops.asinh, REAL_LINE, np.arcsinh),
    row(ops.acosh, uniform(1.3, 4), np.arccosh),
    row(ops.atanh, OPEN_INTERVAL, np.arctanh),
    row(ops.sigmoid, uniform(-9, 9), lambda x: 1 / (1 + np.exp(-x))),
]

normal_quantile = statistics.NormalDist().inv_cdf
ERROR_FUNCTION = [
    Case(ops.erf, (uniform(-4, 4),), by_element(math.erf), ulp=4, why="Cody's erfc near 0.5"),
    Case(
        ops.erfc,
        (uniform(-4, 4),),
        by_element(math.erfc),
        ulp=7,
        why="the exponential of a square, and Cody's rational",
        half_ulp=1,
    ),
    Case(
        ops.erfinv,
        (uniform(-0.95, 0.95),),
        by_element(lambda y: normal_quantile((y + 1) / 2) * math.sqrt(0.5)),
        ulp=8,
        why="the oracle cancels near 0",
        scale=0.5,
        half_ulp=1,
        special=False,
    ),
]

STEPS = [
    Case(ops.floor, (away(*range(-9, 10)),), np.floor),
    Case(ops.ceil, (away(*range(-9, 10)),), np.ceil),
    Case(
        ops.round,
        (away(*(n + 0.5 for n in range(-9, 10))),),
        floats_or(lambda x: x, by_element(lambda x: float(round(x)) if math.isfinite(x) else x)),
        signed_zeros=False,
    ),
]


def next_float(x: Any, y: Any) -> Any:
    """By the bits of float32 numbers: neighbours differ by one, counted away from 0."""
    a, b = np.broadcast_arrays(x.astype(np.float32), y.astype(np.float32))
    least = np.copysign(np.float32(2.0**-149), b)
    outwards = (np.abs(b) > np.abs(a)) & (np.signbit(a) == np.signbit(b))
    moved = (a.view(np.int32) + np.where(outwards, 1, -1).astype(np.int32)).view(np.float32)
    return np.where(a == b, b, np.where(a == 0, least, moved))


OF_TWO = [
    Case(ops.atan2, (away(0.0), away(0.0)), np.arctan2, ulp=4, why=LOOPS),
    Case(ops.hypot, PAIR, by_element(math.hypot), ulp=2, why="libm"),
    Case(ops.logaddexp, PAIR, np.logaddexp, ulp=4, why="log1p of exp", scale=1.0),
    Case(ops.copysign, (away(0.0), away(0.0)), by_element(math.copysign)),
    Case(ops.nextafter, PAIR, next_float, dtypes=("float32",), special=False),
    Case(
        ops.nextafter,
        PAIR,
        by_element(math.nextafter),
        dtypes=("float64",),
        label="double",
    ),
    Case(
        OPS["clip"],
        (away(-1.0, 1.0), uniform(-1.05, -0.95), uniform(0.95, 1.05)),
        lambda x, low, high: np.where(
            (x != x) | (low != low) | (high != high),
            np.nan,
            np.where(np.where(x < low, low, x) > high, high, np.where(x < low, low, x)),
        ),
        signed_zeros=False,
    ),
]

COMPLEX_PARTS = [
    Case(OPS["real"], PAIR[:1], np.real, dtypes=COMPLEX),
    Case(OPS["imag"], PAIR[:1], np.imag, dtypes=COMPLEX),
    Case(OPS["conj"], PAIR[:1], np.conj, dtypes=COMPLEX),
]
OF_COMPLEX = [
    Case(op, (draw,), oracle, ulp=8, why="parts cancel", dtypes=COMPLEX, label="complex")
    for op, draw, oracle in (
        (ops.exp, REAL_LINE, np.exp),
        (ops.expm1, REAL_LINE, lambda x: np.exp(x) - 1),
        (ops.log, POSITIVE, np.log),
        (ops.log1p, POSITIVE, lambda x: np.log(1 + x)),
        (ops.sqrt, POSITIVE, np.sqrt),
        (ops.square, REAL_LINE, lambda x: x * x),
        (ops.reciprocal, away(0.0), lambda x: 1 / x),
        (ops.sin, REAL_LINE, np.sin),
        (ops.cos, REAL_LINE, np.cos),
        (ops.tanh, REAL_LINE, np.tanh),
        (ops.asinh, REAL_LINE, np.arcsinh),
        (ops.atan, OPEN_INTERVAL, np.arctan),
        (ops.round, REAL_LINE, lambda x: np.rint(x.real) + 1j * np.rint(x.imag)),
    )
]

CASES = [*OF_ONE, *ERROR_FUNCTION, *STEPS, *OF_TWO, *COMPLEX_PARTS, *OF_COMPLEX]

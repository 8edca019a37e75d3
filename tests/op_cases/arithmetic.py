"""Arithmetic, comparison, logic, casts and choices."""

import math
import operator
from typing import Any

import numpy as np

from lamina import dtypes
from lamina.ops.elementwise import arithmetic as ops
from lamina.ops.elementwise import powers
from lamina.ops.pointwise import Elementwise

from .case import ALL, COMPLEX, FLOATS, Case
from .drawing import DEFAULT, away, normal, truth, uniform, whole
from .oracles import by_element, floats_or

PAIR = (normal(*DEFAULT), normal(*DEFAULT))
APART = (uniform(-3, 0), uniform(0.2, 3))


def complex_row(op: Elementwise, oracle: np.ufunc, inputs: int = 2) -> Case:
    why = "products cancel"
    return Case(op, PAIR[:inputs], oracle, ulp=4, why=why, dtypes=COMPLEX, label="complex")


WHOLE = {1: 0.501, -1: 0.501, -2: 2, 3: 2, 4: 3, -3: 4, 5: 4, 8: 4}


def multiplied(exponent: int) -> Any:
    """The product of |exponent| factors, or 1 over it."""

    def oracle(x: Any) -> Any:
        product = math.prod([x] * abs(exponent))
        return product if exponent > 0 else 1 / product

    return oracle


def outdone(is_outdone: Any, a: Any, b: Any) -> Any:
    """`b` where it outdoes `a`, else `a`; NaN where either is."""
    return np.where((a != a) | (b != b), np.nan, np.where(is_outdone, b, a))


ARITHMETIC = [
    Case(ops.add, PAIR, operator.add),
    Case(ops.subtract, PAIR, operator.sub),
    Case(ops.multiply, PAIR, operator.mul),
    Case(ops.divide, (normal(*DEFAULT), away(0.0)), operator.truediv),
    complex_row(ops.add, np.add),
    complex_row(ops.multiply, np.multiply),
    complex_row(ops.divide, np.divide),
    Case(ops.sign, (away(0.0),), np.sign),
    Case(ops.trunc, (away(*range(-9, 10)),), np.trunc),
    Case(
        ops.floor_divide,
        (uniform(-3, 3), away(0.0)),
        floats_or(np.floor_divide, lambda a, b: np.floor(a / b)),
    ),
    Case(
        ops.remainder,
        (uniform(-3, 3), uniform(1.1, 1.3)),
        floats_or(np.remainder, by_element(lambda a, b: a % b)),
    ),
    Case(
        ops.fmod,
        (uniform(-3, 3), uniform(1.1, 1.3)),
        floats_or(np.fmod, by_element(math.fmod)),
    ),
    Case(
        ops.power,
        (uniform(0.5, 3), uniform(0.5, 3)),
        np.power,
        ulp=4,
        why="numpy's vector loop",
        half_ulp=1,
    ),
    complex_row(ops.power, np.power),
    *(
        Case(
            powers.IntegerPower(n),
            (away(0.0),),
            multiplied(n),
            ulp=ulp,
            why="a rounding a product in float64, from 5 factors on numpy's vector loop",
            label=str(n),
        )
        for n, ulp in WHOLE.items()
    ),
    Case(ops.negative, PAIR[:1], np.negative),
    Case(ops.positive, PAIR[:1], np.positive),
    Case(ops.absolute, (away(0.0),), abs),
    complex_row(ops.absolute, np.abs, 1),
    Case(ops.maximum, APART, lambda a, b: outdone(a < b, a, b), signed_zeros=False),
    Case(ops.minimum, APART[::-1], lambda a, b: outdone(a > b, a, b), signed_zeros=False),
]

COMPARISON = [
    Case(ops.equal, PAIR, operator.eq),
    Case(ops.not_equal, PAIR, operator.ne),
    Case(ops.less, PAIR, operator.lt),
    Case(ops.less_equal, PAIR, operator.le),
    Case(ops.greater, PAIR, operator.gt),
    Case(ops.greater_equal, PAIR, operator.ge),
    Case(ops.logical_and, PAIR, lambda a, b: (a != 0) & (b != 0)),
    Case(ops.logical_or, PAIR, lambda a, b: (a != 0) | (b != 0)),
    Case(ops.logical_xor, PAIR, lambda a, b: (a != 0) ^ (b != 0)),
    Case(ops.logical_not, PAIR[:1], lambda x: x == 0),
    Case(ops.isnan, PAIR[:1], lambda x: x != x),
    Case(ops.isinf, PAIR[:1], lambda x: (x == x) & (x - x != 0)),
    Case(ops.isfinite, PAIR[:1], lambda x: x - x == 0),
    Case(ops.signbit, PAIR[:1], lambda x: np.copysign(1.0, x) < 0),
]

BITS = [
    Case(ops.bitwise_and, PAIR, operator.and_),
    Case(ops.bitwise_or, PAIR, operator.or_),
    Case(ops.bitwise_xor, PAIR, operator.xor),
    Case(ops.bitwise_invert, PAIR[:1], operator.invert),
    Case(ops.bitwise_left_shift, (normal(*DEFAULT), whole(0, 3, dtype=None)), operator.lshift),
    Case(ops.bitwise_right_shift, (normal(*DEFAULT), whole(0, 3, dtype=None)), operator.rshift),
]

ROUNDS = "rounding to fewer bits hides what differences measure"
CONVERSION = [
    Case(ops.Cast(dtypes.float64), PAIR[:1], lambda x: x, dtypes=ALL, label="float64"),
    Case(
        ops.Cast(dtypes.bfloat16),
        PAIR[:1],
        lambda x: x,
        dtypes=ALL,
        label="bfloat16",
        order=0,
        why_order=ROUNDS,
    ),
    Case(
        ops.Cast(dtypes.int32),
        PAIR[:1],
        lambda x: np.trunc(x).astype(np.int32),
        dtypes=ALL,
        label="int32",
        order=0,
        why_order="whole numbers have no gradient",
        special=False,
    ),
    Case(
        ops.Where(),
        (truth(), *PAIR),
        lambda c, a, b: a * c + b * (1 - c) if a.dtype.kind == "f" else np.where(c, a, b),
        special=False,
    ),
    Case(
        ops.Where(),
        (truth(64, 64), normal(64, 64), normal(64, 1)),
        np.where,
        label="large",
        dtypes=FLOATS,
    ),
]

CASES = [*ARITHMETIC, *COMPARISON, *BITS, *CONVERSION]

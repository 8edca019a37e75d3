"""The functions of scalar expressions: each emits what it means for values in registers.

They mean what numpy's of the same name mean, NaN, signed zeros and wrapping integers included.
Of truth values (i1) addition is "or" and multiplication is "and".
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from sys import float_info

from lamina.codegen import mathlib
from lamina.codegen.builder import Builder
from lamina.codegen.types import (
    Scalar,
    element_of,
    f32,
    f64,
    i1,
    integer_like,
    u8,
    u16,
    u32,
    u64,
)
from lamina.codegen.values import Value, constant_like
from lamina.errors import CompileError
from lamina.kernels.scalars import STORED

Emitter = Callable[..., Value]

_UNSIGNED = {8: u8, 16: u16, 32: u32, 64: u64}


def _is_truth(x: Value) -> bool:
    return element_of(x.type) == i1


def _is_float(x: Value) -> bool:
    return element_of(x.type).is_float


def truth(k: Builder, x: Value) -> Value:
    """Return whether x is not 0: a NaN is not."""
    return x if _is_truth(x) else x.differs(0)


def maximum(k: Builder, a: Value, b: Value) -> Value:
    """Return the larger of two; a NaN where either is one.

    With a number that is known to the compiler first, it is one instruction: maximum(0, x).
    """
    if _is_truth(a):
        return a | b
    larger = k.maximum(a, b)
    return k.select(a.differs(a), a, larger) if _is_float(a) else larger


def minimum(k: Builder, a: Value, b: Value) -> Value:
    """Return the smaller of two; a NaN where either is one."""
    if _is_truth(a):
        return a & b
    smaller = k.minimum(a, b)
    return k.select(a.differs(a), a, smaller) if _is_float(a) else smaller


def _sign(k: Builder, x: Value) -> Value:
    # x − x is 0 for both zeros, and keeps a NaN.
    flat = x - x if _is_float(x) else constant_like(x, 0)
    below = k.select(x < 0, constant_like(x, -1), flat) if element_of(x.type).is_signed else flat
    return k.select(x > 0, constant_like(x, 1), below)


def _signbit(k: Builder, x: Value) -> Value:
    return k.bitcast(x, integer_like(element_of(x.type))) < 0 if _is_float(x) else x < 0


_GREATEST = {f32: float.fromhex("0x1.fffffep127"), f64: float_info.max}


def _finite(k: Builder, x: Value) -> Value:
    """Return x, and the greatest finite numbers for ±∞: 0 times them is 0."""
    greatest = constant_like(x, _GREATEST[element_of(x.type)])
    return minimum(k, greatest, maximum(k, -greatest, x))


def _isinf(k: Builder, x: Value) -> Value:
    return k.absolute(x).equals(inf) if _is_float(x) else x.differs(x)


def _isfinite(k: Builder, x: Value) -> Value:
    return k.absolute(x) < inf if _is_float(x) else x.equals(x)


def _to_whole(method: str) -> Emitter:
    """Return a rounding; integers are whole already."""

    def rounding(k: Builder, x: Value) -> Value:
        return getattr(k, method)(x) if _is_float(x) else x

    return rounding


def _divisor(k: Builder, a: Value, b: Value) -> tuple[Value, Value]:
    """Return where b is 0, and a divisor that no processor traps at: 1 there and where a/b
    overflows.
    """
    scalar = element_of(b.type)
    is_zero = b.equals(0)
    if scalar.is_float:
        raise CompileError(f"no whole division of {scalar.name}s; it is defined for integers")
    traps = is_zero
    if scalar.is_signed:
        overflows = k.both(a.equals(-(1 << (scalar.bits - 1))), b.equals(-1))
        traps = k.either_true(is_zero, overflows)
    return is_zero, k.select(traps, constant_like(b, 1), b)


def _is_crooked(k: Builder, rest: Value, divisor: Value) -> Value:
    """Return whether a division rounded towards zero was rounded up."""
    return k.both(rest.differs(0), (rest ^ divisor) < 0)


def floor_divide(k: Builder, a: Value, b: Value) -> Value:
    """Return ⌊a/b⌋ of integers, and 0 where b is 0."""
    is_zero, divisor = _divisor(k, a, b)
    quotient = a // divisor
    crooked = _is_crooked(k, a - quotient * divisor, divisor)
    quotient = k.select(crooked, quotient - 1, quotient)
    return k.select(is_zero, constant_like(a, 0), quotient)


def remainder(k: Builder, a: Value, b: Value) -> Value:
    """Return a − b·⌊a/b⌋ of integers, with the sign of b, and 0 where b is 0."""
    _, divisor = _divisor(k, a, b)
    rest = a - a // divisor * divisor
    return k.select(_is_crooked(k, rest, divisor), rest + divisor, rest)


def fmod(k: Builder, a: Value, b: Value) -> Value:
    """Return what is left of a by whole division by b towards 0, and 0 where b is 0."""
    _, divisor = _divisor(k, a, b)
    return a - a // divisor * divisor


def _shift(symbol: str) -> Emitter:
    """Return a shift; by as many bits as there are, or more, everything is shifted out."""

    def shift(k: Builder, x: Value, count: Value) -> Value:
        bits = element_of(x.type).bits
        in_range = k.bitcast(count, _UNSIGNED[bits]) < bits
        nothing = constant_like(x, 0)
        if symbol == ">>" and element_of(x.type).is_signed:
            return x >> k.select(in_range, count, constant_like(x, bits - 1))
        count = k.select(in_range, count, nothing)
        return k.select(in_range, x << count if symbol == "<<" else x >> count, nothing)

    return shift


def _conversion(dtype: str) -> Emitter:
    if dtype == "bool":
        return truth
    scalar: Scalar = STORED[dtype]
    return lambda k, x: k.convert(x, scalar)


FUNCTIONS: dict[str, Emitter] = {
    **mathlib.FUNCTIONS,
    "add": lambda k, a, b: a | b if _is_truth(a) else a + b,
    "subtract": lambda k, a, b: a - b,
    "multiply": lambda k, a, b: a & b if _is_truth(a) else a * b,
    "divide": lambda k, a, b: a / b,
    # Rounded once where the target has the instruction.
    "multiply_add": lambda k, a, b, c: k.fma(a, b, c),
    "floor_divide": floor_divide,
    "remainder": remainder,
    "fmod": fmod,
    "negative": lambda k, x: -x,
    "absolute": lambda k, x: k.absolute(x),
    "sign": _sign,
    "square": lambda k, x: x * x,
    "sqrt": lambda k, x: k.sqrt(x),
    "rsqrt": lambda k, x: 1 / k.sqrt(x),
    "reciprocal": lambda k, x: 1 / x,
    "floor": _to_whole("floor"),
    "ceil": _to_whole("ceil"),
    "trunc": _to_whole("truncate"),
    "round": _to_whole("round_even"),
    "copysign": lambda k, size, sign: k.copy_sign(size, sign),
    "maximum": maximum,
    "minimum": minimum,
    "where": lambda k, condition, a, b: k.select(truth(k, condition), a, b),
    "equal": lambda k, a, b: a.equals(b),
    "not_equal": lambda k, a, b: a.differs(b),
    "less": lambda k, a, b: ~a & b if _is_truth(a) else a < b,
    "less_equal": lambda k, a, b: ~a | b if _is_truth(a) else a <= b,
    "greater": lambda k, a, b: a & ~b if _is_truth(a) else a > b,
    "greater_equal": lambda k, a, b: a | ~b if _is_truth(a) else a >= b,
    "logical_and": lambda k, a, b: truth(k, a) & truth(k, b),
    "logical_or": lambda k, a, b: truth(k, a) | truth(k, b),
    "logical_xor": lambda k, a, b: truth(k, a) ^ truth(k, b),
    "logical_not": lambda k, x: ~truth(k, x),
    "bitwise_and": lambda k, a, b: a & b,
    "bitwise_or": lambda k, a, b: a | b,
    "bitwise_xor": lambda k, a, b: a ^ b,
    "bitwise_invert": lambda k, x: ~x,
    "bitwise_left_shift": _shift("<<"),
    "bitwise_right_shift": _shift(">>"),
    "finite": _finite,
    "isnan": lambda k, x: x.differs(x),
    "isinf": _isinf,
    "isfinite": _isfinite,
    "signbit": _signbit,
    **{f"to_{dtype}": _conversion(dtype) for dtype in STORED},
}
"""Every function by name: those of `mathlib` too. The conversions are "to_" and a dtype's name."""

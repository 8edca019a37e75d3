"""What the functions share: one code for both types of result, polynomials, powers of two, sums
and products of two doubles.

Every function is written for f64 values and told the type its result is rounded to. Values of f32
are computed in f64, with shorter polynomials, and rounded once: subnormals, overflow and underflow
come out right by themselves, and without FMA nothing is lost. (`in_f32` has the exceptions.)
"""

import functools
from collections.abc import Callable, Mapping, Sequence

from lamina.codegen.builder import Builder
from lamina.codegen.mathlib.coefficients import LN2, LOG2_E
from lamina.codegen.types import Scalar, element_of, f32, f64, i64, u64
from lamina.codegen.values import Value
from lamina.errors import CompileError

Table = Mapping[str, Sequence[float]]
Pair = tuple[Value, Value]
INFINITY = float("inf")
NAN = float("nan")
# Adding it leaves a whole number, in the low bits of the sum; |x| < 2⁵¹.
_WHOLE = 1.5 * 2.0**52
_BIAS = 1023
# 2²⁷ + 1 splits a double into two halves of 26 bits (Veltkamp).
_SPLIT = 134217729.0


def in_double(function: Callable[..., Value]) -> Callable[..., Value]:
    """Return the function of f32 or f64 values that `function(k, f64 values…, result type)` is."""

    @functools.wraps(function)
    def of_both(k: Builder, *operands: Value) -> Value:
        to = element_of(operands[0].type)
        if to not in (f32, f64):
            raise CompileError(
                f"{function.__name__}: {to.name} given; expected f32 or f64: convert it first"
            )
        wide = [k.convert(operand, f64) for operand in operands]
        return k.convert(function(k, *wide, to), to)

    return of_both


def fma(k: Builder, a: Value, b: Value | float, c: Value | float) -> Value:
    """Return a·b + c, of values and numbers."""
    b, c = (x if isinstance(x, Value) else k.constant(a.type, x) for x in (b, c))
    return k.fma(a, b, c)


def polynomial(k: Builder, x: Value, coefficients: Sequence[float]) -> Value:
    """Return Σ coefficients[i]·xⁱ, by Horner's rule."""
    *rest, highest = coefficients
    total = k.constant(x.type, highest)
    for coefficient in reversed(rest):
        total = fma(k, total, x, coefficient)
    return total


def polynomial_in_halves(k: Builder, x: Value, coefficients: Sequence[float]) -> Value:
    """Return Σ coefficients[i]·xⁱ: the even and the odd powers side by side, in half the time that
    Horner's rule makes each step wait for the one before.
    """
    square = x * x
    odd = polynomial(k, square, coefficients[1::2])
    return fma(k, odd, x, polynomial(k, square, coefficients[::2]))


def choose(k: Builder, condition: Value, a: Value | float, b: Value) -> Value:
    """Return `a`, which may be a number, where `condition` holds, `b` elsewhere."""
    return k.select(condition, a if isinstance(a, Value) else k.constant(b.type, a), b)


def clamp(k: Builder, x: Value, low: float, high: float) -> Value:
    """Return x, no less than `low` and no more than `high`; NaN stays."""
    return k.minimum(k.constant(x.type, high), k.maximum(k.constant(x.type, low), x))


def is_nan(x: Value) -> Value:
    """Return whether x is NaN."""
    return x.differs(x)


def is_negative(k: Builder, x: Value) -> Value:
    """Return whether the sign bit of x is set."""
    return k.bitcast(x, i64) < 0


def at_the_edges(k: Builder, x: Value, result: Value) -> Value:
    """Return the logarithm `result` of x, right at 0, below it, at infinity and NaN."""
    result = k.select(x < INFINITY, result, x)
    none = choose(k, x.equals(0.0), -INFINITY, k.constant(x.type, NAN))
    return k.select(x > 0.0, result, none)


def flip_sign(k: Builder, x: Value, bits: Value) -> Value:
    """Return x with its sign changed where the highest bit of the u64 `bits` is set."""
    return k.bitcast(k.bitcast(x, u64) ^ (bits & (1 << 63)), f64)


def whole(k: Builder, x: Value) -> Pair:
    """Return the whole number nearest to x, |x| < 2⁵¹, and a u64 whose low bits hold it."""
    shifted = x + _WHOLE
    return shifted - _WHOLE, k.bitcast(shifted, u64)


def power_of_two(k: Builder, bits: Value, more: int = 0) -> Value:
    """Return 2^(n + more) for the whole number n in the low bits of `bits`; it must be normal."""
    return k.bitcast((bits + (_BIAS + more)) << 52, f64)


def scaled(k: Builder, y: Value, n: Value, to: Scalar) -> Value:
    """Return y·2ⁿ, rounded once also where that is subnormal in `to`."""
    if to == f32:
        return y * power_of_two(k, whole(k, n)[1])
    half, half_bits = whole(k, n * 0.5)
    return y * power_of_two(k, half_bits) * power_of_two(k, whole(k, n - half)[1])


def nearest_power(k: Builder, x: Value) -> Pair:
    """Return the whole number nearest to x / ln 2, as `whole` does."""
    return whole(k, x * LOG2_E[0])


def less_multiple_of_ln2(k: Builder, x: Value, n: Value, to: Scalar) -> Value:
    """Return x − n·ln 2."""
    high, low = LN2
    if to == f32:
        return fma(k, n, -(high + low), x)
    return fma(k, n, -low, fma(k, n, -high, x))


def to_float(k: Builder, bits: Value) -> Value:
    """Return a u64 below 2⁵² as f64."""
    return k.bitcast(bits | 0x4330000000000000, f64) - 2.0**52


def sum_of(a: Value, b: Value) -> Pair:
    """Return a + b and what its rounding left out (Knuth)."""
    total = a + b
    other = total - a
    return total, (a - (total - other)) + (b - other)


def sum_of_ordered(a: Value, b: Value) -> Pair:
    """Return a + b, |a| ≥ |b|, and what its rounding left out (Dekker)."""
    total = a + b
    return total, b - (total - a)


def _halves(a: Value) -> Pair:
    shifted = a * _SPLIT
    high = shifted - (shifted - a)
    return high, a - high


def product_of(k: Builder, a: Value, b: Value) -> Pair:
    """Return a·b and what its rounding left out."""
    product = a * b
    if k.target.has_fma:
        return product, k.fma(a, b, -product)
    (a1, a0), (b1, b0) = _halves(a), _halves(b)
    return product, a0 * b0 - (((product - a1 * b1) - a0 * b1) - a1 * b0)


def pair(k: Builder, like: Value, numbers: Sequence[float]) -> Pair:
    """Return a constant of two doubles."""
    high, low = (k.constant(like.type, number) for number in numbers)
    return high, low


def product_of_pairs(k: Builder, a: Pair, b: Pair) -> Pair:
    """Return the product of two numbers of two doubles each, good to about 2⁻¹⁰⁰."""
    high, low = product_of(k, a[0], b[0])
    return sum_of_ordered(high, low + (a[0] * b[1] + a[1] * b[0]))


def quotient_of_pairs(k: Builder, a: Pair, b: Pair) -> Pair:
    """Return the quotient of two numbers of two doubles each, good to about 2⁻¹⁰⁰."""
    quotient = a[0] / b[0]
    product, lost = product_of(k, quotient, b[0])
    return quotient, (((a[0] - product) - lost) + (a[1] - quotient * b[1])) / b[0]

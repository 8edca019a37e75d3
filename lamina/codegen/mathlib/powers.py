"""xʸ = e^(y·log x), with the logarithm in more than double precision where the result is f64."""

from lamina.codegen.builder import Builder
from lamina.codegen.mathlib.arithmetic import (
    INFINITY,
    NAN,
    Pair,
    choose,
    clamp,
    fma,
    in_double,
    is_nan,
    product_of,
    scaled,
    sum_of,
    sum_of_ordered,
)
from lamina.codegen.mathlib.coefficients import LN2
from lamina.codegen.mathlib.exponentials import GREATEST, LEAST, exp_of, exp_parts
from lamina.codegen.mathlib.logarithms import log_sum, precise_log, split_any
from lamina.codegen.types import Scalar, f32, i64
from lamina.codegen.values import Value

# With a larger exponent every base but 1 gives 0 or infinity.
_GREATEST_EXPONENT = 2.0**65


def _power_of_size(k: Builder, size: Value, y: Value, to: Scalar) -> Value:
    """Return sizeʸ for finite size > 0."""
    e, m = split_any(k, size, to)
    if to == f32:
        return exp_of(k, log_sum(k, e, m - 1.0, to, precise=True) * y, to)
    high, low = precise_log(k, m)
    total, lost = sum_of(e * LN2[0], high)
    high, low = sum_of_ordered(total, lost + fma(k, e, LN2[1], low))
    product, rest = product_of(k, y, high)
    rest = fma(k, y, low, rest)
    inside = k.absolute(product) < 1000.0
    rest = k.select(inside, rest, k.constant(rest.type, 0.0))
    q, n = exp_parts(k, clamp(k, product, LEAST["f64"], GREATEST["f64"]), to, rest)
    return scaled(k, q + 1.0, n, to)


def _is_whole_and_odd(k: Builder, y: Value) -> Pair:
    half = y * 0.5
    is_whole = k.floor(y).equals(y)
    return is_whole, k.both(is_whole, k.floor(half).differs(half))


@in_double
def pow(k: Builder, x: Value, y: Value, to: Scalar) -> Value:
    """Return xʸ as IEEE 754 has it: 1 for y = 0 and for x = 1, NaN for x < 0 and y not whole.

    At most 0.51 ULP, 1.2 in f64.
    """
    size = k.absolute(x)
    exponent = clamp(k, y, -_GREATEST_EXPONENT, _GREATEST_EXPONENT)
    result = _power_of_size(k, size, exponent, to)
    is_whole, is_odd = _is_whole_and_odd(k, y)
    at_zero = choose(k, y < 0.0, INFINITY, k.constant(x.type, 0.0))
    at_infinity = choose(k, y < 0.0, 0.0, k.constant(x.type, INFINITY))
    result = k.select(size.equals(0.0), at_zero, result)
    result = k.select(size.equals(INFINITY), at_infinity, result)
    is_below = k.both(x < 0.0, x > -INFINITY)
    result = choose(k, k.both(is_below, ~is_whole), NAN, result)
    is_flipped = k.both(k.bitcast(x, i64) < 0, is_odd)
    result = k.select(is_flipped, -result, result)
    result = k.select(k.either_true(is_nan(x), is_nan(y)), x + y, result)
    return choose(k, k.either_true(y.equals(0.0), x.equals(1.0)), 1.0, result)

"""Functions of two tensors, element by element; a Python number may stand for either."""

from lamina.array_api.dtypes_info import result_type
from lamina.errors import ArgumentError
from lamina.ops.elementwise import arithmetic as ar
from lamina.ops.elementwise import functions as fn
from lamina.ops.elementwise import powers
from lamina.tensor import Tensor
from lamina.tensor.guard import takes_tensors
from lamina.tensor.keywords import second_keywords

__all__ = [
    "add",
    "atan2",
    "bitwise_and",
    "bitwise_left_shift",
    "bitwise_or",
    "bitwise_right_shift",
    "bitwise_xor",
    "clip",
    "copysign",
    "divide",
    "equal",
    "floor_divide",
    "greater",
    "greater_equal",
    "hypot",
    "less",
    "less_equal",
    "logaddexp",
    "logical_and",
    "logical_or",
    "logical_xor",
    "maximum",
    "minimum",
    "multiply",
    "nextafter",
    "not_equal",
    "pow",
    "remainder",
    "subtract",
]

# A tensor, or a number beside one.
Operand = Tensor | complex


def add(x1: Operand, x2: Operand, *, alpha: float = 1) -> Tensor:
    """Return x1 + alpha·x2, element by element, broadcast."""
    return ar.add(x1, x2 if alpha == 1 else x2 * alpha)


def atan2(x1: Operand, x2: Operand) -> Tensor:
    """Return the angle of the point (x2, x1), in (−π, π], element by element, broadcast."""
    return fn.atan2(x1, x2)


def bitwise_and(x1: Operand, x2: Operand) -> Tensor:
    """Return the bits set in both, element by element, broadcast."""
    return ar.bitwise_and(x1, x2)


def bitwise_left_shift(x1: Operand, x2: Operand) -> Tensor:
    """Return the bits of x1 moved up by x2 places, element by element, broadcast."""
    return ar.bitwise_left_shift(x1, x2)


def bitwise_or(x1: Operand, x2: Operand) -> Tensor:
    """Return the bits set in either, element by element, broadcast."""
    return ar.bitwise_or(x1, x2)


def bitwise_right_shift(x1: Operand, x2: Operand) -> Tensor:
    """Return the bits of x1 moved down by x2 places, element by element, broadcast."""
    return ar.bitwise_right_shift(x1, x2)


def bitwise_xor(x1: Operand, x2: Operand) -> Tensor:
    """Return the bits set in exactly one, element by element, broadcast."""
    return ar.bitwise_xor(x1, x2)


@takes_tensors
def clip(x: Tensor, min: Operand | None = None, max: Operand | None = None) -> Tensor:
    """Return `x` held between `min` and `max`, either of which may be left out."""
    return x.clone() if min is None and max is None else fn.clip(x, min, max)


def copysign(x1: Operand, x2: Operand) -> Tensor:
    """Return |x1| with the sign of x2, element by element, broadcast."""
    return fn.copysign(x1, x2)


def divide(x1: Operand, x2: Operand, *, rounding_mode: str | None = None) -> Tensor:
    """Return x1/x2, element by element, broadcast; integers give floats.

    `rounding_mode` is None, "floor" or "trunc" (towards zero).
    """
    match rounding_mode:
        case None:
            return ar.divide(x1, x2)
        case "floor":
            return ar.floor_divide(x1, x2)
        case "trunc":
            quotient = ar.trunc(ar.divide(x1, x2))
            return quotient.to(result_type(x1, x2))
    raise ArgumentError(
        f"divide: rounding mode {rounding_mode!r} given; expected None, 'floor' or 'trunc'"
    )


def equal(x1: Operand, x2: Operand) -> Tensor:
    """Return whether x1 = x2, element by element, broadcast."""
    return ar.equal(x1, x2)


def floor_divide(x1: Operand, x2: Operand) -> Tensor:
    """Return ⌊x1/x2⌋, element by element, broadcast."""
    return ar.floor_divide(x1, x2)


def greater(x1: Operand, x2: Operand) -> Tensor:
    """Return whether x1 > x2, element by element, broadcast."""
    return ar.greater(x1, x2)


def greater_equal(x1: Operand, x2: Operand) -> Tensor:
    """Return whether x1 ≥ x2, element by element, broadcast."""
    return ar.greater_equal(x1, x2)


def hypot(x1: Operand, x2: Operand) -> Tensor:
    """Return √(x1² + x2²), without overflow on the way, element by element, broadcast."""
    return fn.hypot(x1, x2)


def less(x1: Operand, x2: Operand) -> Tensor:
    """Return whether x1 < x2, element by element, broadcast."""
    return ar.less(x1, x2)


def less_equal(x1: Operand, x2: Operand) -> Tensor:
    """Return whether x1 ≤ x2, element by element, broadcast."""
    return ar.less_equal(x1, x2)


def logaddexp(x1: Operand, x2: Operand) -> Tensor:
    """Return log(exp x1 + exp x2), without overflow on the way, element by element, broadcast."""
    return fn.logaddexp(x1, x2)


def logical_and(x1: Operand, x2: Operand) -> Tensor:
    """Return whether both are non-zero, element by element, broadcast."""
    return ar.logical_and(x1, x2)


def logical_or(x1: Operand, x2: Operand) -> Tensor:
    """Return whether either is non-zero, element by element, broadcast."""
    return ar.logical_or(x1, x2)


def logical_xor(x1: Operand, x2: Operand) -> Tensor:
    """Return whether exactly one is non-zero, element by element, broadcast."""
    return ar.logical_xor(x1, x2)


def maximum(x1: Operand, x2: Operand) -> Tensor:
    """Return the greater of each pair, broadcast; NaN where either is."""
    return ar.maximum(x1, x2)


def minimum(x1: Operand, x2: Operand) -> Tensor:
    """Return the lesser of each pair, broadcast; NaN where either is."""
    return ar.minimum(x1, x2)


def multiply(x1: Operand, x2: Operand) -> Tensor:
    """Return x1·x2, element by element, broadcast."""
    return ar.multiply(x1, x2)


def nextafter(x1: Operand, x2: Operand) -> Tensor:
    """Return the number next to x1 in the direction of x2, element by element, broadcast."""
    return fn.nextafter(x1, x2)


def not_equal(x1: Operand, x2: Operand) -> Tensor:
    """Return whether x1 ≠ x2, element by element, broadcast."""
    return ar.not_equal(x1, x2)


@second_keywords
def pow(x1: Operand, x2: Operand) -> Tensor:
    """Return x1 to the power x2, element by element, broadcast."""
    return powers.raised(x1, x2)


def remainder(x1: Operand, x2: Operand) -> Tensor:
    """Return x1 − x2·⌊x1/x2⌋, with the sign of x2, element by element, broadcast."""
    return ar.remainder(x1, x2)


def subtract(x1: Operand, x2: Operand, *, alpha: float = 1) -> Tensor:
    """Return x1 − alpha·x2, element by element, broadcast."""
    return ar.subtract(x1, x2 if alpha == 1 else x2 * alpha)

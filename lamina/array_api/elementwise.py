"""Functions of one tensor, element by element."""

from lamina.ops.elementwise import arithmetic as ar
from lamina.ops.elementwise import functions as fn
from lamina.tensor import Tensor
from lamina.tensor.guard import takes_tensors

__all__ = [
    "abs",
    "acos",
    "acosh",
    "asin",
    "asinh",
    "atan",
    "atanh",
    "bitwise_invert",
    "ceil",
    "conj",
    "cos",
    "cosh",
    "exp",
    "expm1",
    "floor",
    "imag",
    "isfinite",
    "isinf",
    "isnan",
    "log",
    "log1p",
    "log2",
    "log10",
    "logical_not",
    "negative",
    "positive",
    "real",
    "reciprocal",
    "round",
    "sign",
    "signbit",
    "sin",
    "sinh",
    "sqrt",
    "square",
    "tan",
    "tanh",
    "trunc",
]


def abs(x: Tensor) -> Tensor:
    """Return |x|, element by element."""
    return ar.absolute(x)


def acos(x: Tensor) -> Tensor:
    """Return the angle in [0, π] whose cosine is x, element by element."""
    return fn.acos(x)


def acosh(x: Tensor) -> Tensor:
    """Return the area hyperbolic cosine of x, element by element."""
    return fn.acosh(x)


def asin(x: Tensor) -> Tensor:
    """Return the angle in [−π/2, π/2] whose sine is x, element by element."""
    return fn.asin(x)


def asinh(x: Tensor) -> Tensor:
    """Return the area hyperbolic sine of x, element by element."""
    return fn.asinh(x)


def atan(x: Tensor) -> Tensor:
    """Return the angle in [−π/2, π/2] whose tangent is x, element by element."""
    return fn.atan(x)


def atanh(x: Tensor) -> Tensor:
    """Return the area hyperbolic tangent of x, element by element."""
    return fn.atanh(x)


def bitwise_invert(x: Tensor) -> Tensor:
    """Return the bits of x inverted, element by element."""
    return ar.bitwise_invert(x)


def ceil(x: Tensor) -> Tensor:
    """Return the least whole number that is at least x, element by element."""
    return fn.ceil(x)


@takes_tensors
def conj(x: Tensor) -> Tensor:
    """Return the complex conjugate of x, element by element."""
    return fn.conj(x)


def cos(x: Tensor) -> Tensor:
    """Return the cosine of x, an angle in radians, element by element."""
    return fn.cos(x)


def cosh(x: Tensor) -> Tensor:
    """Return the hyperbolic cosine of x, element by element."""
    return fn.cosh(x)


def exp(x: Tensor) -> Tensor:
    """Return eˣ, element by element."""
    return fn.exp(x)


def expm1(x: Tensor) -> Tensor:
    """Return eˣ − 1, exact near x = 0, element by element."""
    return fn.expm1(x)


def floor(x: Tensor) -> Tensor:
    """Return the greatest whole number that is at most x, element by element."""
    return fn.floor(x)


@takes_tensors
def imag(x: Tensor) -> Tensor:
    """Return the imaginary part of x, element by element."""
    return fn.imag(x)


def isfinite(x: Tensor) -> Tensor:
    """Return whether x is neither NaN nor ±∞, element by element."""
    return ar.isfinite(x)


def isinf(x: Tensor) -> Tensor:
    """Return whether x is ±∞, element by element."""
    return ar.isinf(x)


def isnan(x: Tensor) -> Tensor:
    """Return whether x is NaN, element by element."""
    return ar.isnan(x)


def log(x: Tensor) -> Tensor:
    """Return the natural logarithm of x, element by element."""
    return fn.log(x)


def log10(x: Tensor) -> Tensor:
    """Return the logarithm of x to base 10, element by element."""
    return fn.log10(x)


def log1p(x: Tensor) -> Tensor:
    """Return log(1 + x), exact near x = 0, element by element."""
    return fn.log1p(x)


def log2(x: Tensor) -> Tensor:
    """Return the logarithm of x to base 2, element by element."""
    return fn.log2(x)


def logical_not(x: Tensor) -> Tensor:
    """Return whether x is zero or False, element by element."""
    return ar.logical_not(x)


def negative(x: Tensor) -> Tensor:
    """Return −x, element by element."""
    return ar.negative(x)


def positive(x: Tensor) -> Tensor:
    """Return +x, element by element."""
    return ar.positive(x)


@takes_tensors
def real(x: Tensor) -> Tensor:
    """Return the real part of x, element by element."""
    return fn.real(x)


def reciprocal(x: Tensor) -> Tensor:
    """Return 1/x, element by element."""
    return fn.reciprocal(x)


def round(x: Tensor, *, decimals: int = 0) -> Tensor:
    """Return the nearest whole number, or the nearest of `decimals` places; halves go to even."""
    if decimals == 0:
        return fn.round(x)
    scale = 10.0**decimals
    return fn.round(x * scale) / scale


def sign(x: Tensor) -> Tensor:
    """Return −1, 0 or 1 by the sign of x; x/|x| for complex x, element by element."""
    return ar.sign(x)


def signbit(x: Tensor) -> Tensor:
    """Return whether the sign bit of x is set, that of −0.0 too, element by element."""
    return ar.signbit(x)


def sin(x: Tensor) -> Tensor:
    """Return the sine of x, an angle in radians, element by element."""
    return fn.sin(x)


def sinh(x: Tensor) -> Tensor:
    """Return the hyperbolic sine of x, element by element."""
    return fn.sinh(x)


def sqrt(x: Tensor) -> Tensor:
    """Return √x, element by element."""
    return fn.sqrt(x)


def square(x: Tensor) -> Tensor:
    """Return x², element by element."""
    return fn.square(x)


def tan(x: Tensor) -> Tensor:
    """Return the tangent of x, an angle in radians, element by element."""
    return fn.tan(x)


def tanh(x: Tensor) -> Tensor:
    """Return the hyperbolic tangent of x, element by element."""
    return fn.tanh(x)


def trunc(x: Tensor) -> Tensor:
    """Return x without its fraction, element by element."""
    return ar.trunc(x)

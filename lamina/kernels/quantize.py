"""8-bit integers for floats: q = round(x / scale) + zero point, and x ≈ (q − zero point)·scale.

Rounded half to even and saturated, as ONNX defines it; a NaN becomes 0. `scale` and `zero_point`
broadcast to `x`: one number for the whole tensor, or (C, 1, 1) for one a channel.
"""

from functools import cache

from lamina.errors import DTypeError
from lamina.kernels.elementwise import compute
from lamina.kernels.expression import Expression, Input, apply
from lamina.kernels.operand import Operand

RANGES = {"int8": (-128.0, 127.0), "uint8": (0.0, 255.0)}
"""The least and the greatest number of each dtype that floats are quantised to."""


@cache
def quantized(dtype: str) -> Expression:
    """Return q of x, the scale and the zero point, which are inputs 0 to 2.

    >>> quantized("uint8")
    to_uint8(minimum(255.0,maximum(0.0,add(round(divide(x0,x1)),to_float32(x2)))))
    """
    low, high = _range(dtype)
    shifted = apply("round", Input(0) / Input(1)) + apply("to_float32", Input(2))
    return apply(f"to_{dtype}", apply("minimum", high, apply("maximum", low, shifted)))


@cache
def dequantized() -> Expression:
    """Return x of q, the scale and the zero point, which are inputs 0 to 2.

    >>> dequantized()
    multiply(to_float32(subtract(to_int32(x0),to_int32(x2))),x1)
    """
    difference = apply("to_int32", Input(0)) - apply("to_int32", Input(2))
    return apply("to_float32", difference) * Input(1)


def quantize(out: Operand, x: Operand, scale: Operand, zero_point: Operand) -> None:
    """Write x as 8-bit integers of the dtype of `out`; `scale` is float32."""
    compute((quantized(out.dtype.name),), (out,), (x, scale, zero_point))


def dequantize(out: Operand, q: Operand, scale: Operand, zero_point: Operand) -> None:
    """Write the floats that the 8-bit integers `q` stand for; `scale` is float32."""
    _range(q.dtype.name)
    compute((dequantized(),), (out,), (q, scale, zero_point))


def _range(dtype: str) -> tuple[float, float]:
    if dtype not in RANGES:
        raise DTypeError(f"quantize: {dtype} given; expected {' or '.join(RANGES)}")
    return RANGES[dtype]

"""Mathematics to compare with: numpy's functions in a wider type, and errors counted in ULP."""

import ctypes
import math

import numpy as np

from lamina.codegen.mathlib import over_arrays
from lamina.codegen.types import f32, f64

SCALARS = {np.dtype("f4"): f32, np.dtype("f8"): f64}
erf = np.vectorize(math.erf, otypes=["f8"])
erfc = np.vectorize(math.erfc, otypes=["f8"])


def sigmoid(x):
    small = np.exp(-np.abs(x))
    return np.where(x < 0, small, 1) / (1 + small)


def softplus(x):
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


def gelu(x):
    return np.where(x == -np.inf, -0.0, x / 2 * erfc(np.maximum(x, -1e9) * -np.sqrt(0.5)))


def gelu_tanh(x):
    inner = np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)
    return np.where(x < -1e9, -0.0, x * sigmoid(2 * inner))


_NUMPY = (
    *("exp", "exp2", "expm1", "log", "log1p", "log2", "log10", "sqrt", "cbrt"),
    *("sinh", "cosh", "tanh", "sin", "cos", "tan"),
)
_NUMPY_ARC = ("sinh", "cosh", "tanh", "sin", "cos", "tan", "tan2")
ORACLES = {
    **{name: getattr(np, name) for name in _NUMPY},
    **{f"a{name}": getattr(np, f"arc{name}") for name in _NUMPY_ARC},
    "pow": np.power, "rsqrt": lambda x: 1 / np.sqrt(x),
    "erf": erf, "erfc": erfc, "gelu": gelu, "gelu_tanh": gelu_tanh,
    "sigmoid": sigmoid, "softplus": softplus, "log_sigmoid": lambda x: -softplus(-x),
}  # fmt: skip


def evaluate(name, *operands, target=None, out=None):
    """FUNCTIONS[name] over arrays of one dtype."""
    out = np.empty_like(operands[0]) if out is None else out
    entry = over_arrays.kernel(name, SCALARS[out.dtype], target)
    block = (ctypes.c_int64 * 4)(out.size, *(a.ctypes.data for a in (out, *operands)))
    entry(ctypes.addressof(block), 0)
    return out


def ulp_errors(got, exact):
    """Distance of `got` from `exact`, of a wider type, in units in the last place of `exact`.

    Infinity counts as the power of two that overflows first; NaN is right where both are.
    """
    kind = np.finfo(got.dtype)
    past = np.ldexp(exact.dtype.type(1), kind.maxexp)
    value, exact = np.clip(got.astype(exact.dtype), -past, past), np.clip(exact, -past, past)
    exponent = np.frexp(exact)[1] - 1
    unit = np.ldexp(exact.dtype.type(1), np.maximum(exponent, kind.minexp) - kind.nmant)
    errors = (np.abs(value - exact) / unit).astype("f8")
    nans = np.isnan(got).astype("i1") + np.isnan(exact)
    return np.where(nans == 2, 0.0, np.where(nans == 1, np.inf, errors))

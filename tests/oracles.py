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


def normal_cdf(x):
    return erfc(x * -np.sqrt(0.5)) / 2


def normal_pdf(x):
    return np.exp(x * x / -2) / np.sqrt(2 * np.pi)


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
    "normal_cdf": normal_cdf, "normal_pdf": normal_pdf,
    "sigmoid": sigmoid, "softplus": softplus, "log_sigmoid": lambda x: -softplus(-x),
}  # fmt: skip


# Where results overflow, vanish, change branch or have their poles.
EDGES = (
    *(0.0, 0.46, 0.47, 0.5, 2**-0.5, 1.0, 2**0.5, 2.0, 3.83, 10.05, 14.2, 16.64, 20.0, 22.0),
    *(88.02, 88.72, 89.42, 103.28, 103.97, 126.0, 127.0, 128.0, 149.0, 150.0),
    *(709.78, 710.47, 745.13, 1022.0, 1023.0, 1024.0, 1074.0, 1075.0, 26.54, 27.22, 37.5, 38.5),
    *(np.pi / 4, np.pi / 2, np.pi, 11 * np.pi, 2.0**19, 2.0**28, 2.0**31, 2.0**53, 2.0**63),
    *(2.0**-30, 2.0**-28, 2.0**-126, 2.0**-149, 2.0**-1022, 2.0**-1074, np.inf),
)
WHOLE = 1e30


def around_edges(dtype):
    """The edges, their neighbours and their negatives."""
    number = {"f4": np.int32, "f8": np.int64}[dtype]
    bits = np.array(EDGES, dtype).view(number)[:, None] + np.arange(-40, 41, dtype=number)
    values = bits.ravel().view(dtype)
    return np.concatenate([values, -values])


def all_over_f32(step):
    """Every step-th value of f32, and the edges."""
    bits = np.arange(0, 2**32, step, dtype="u8").astype("u4")
    return np.concatenate([bits.view("f4"), around_edges("f4")])


def all_over_f64(n, seed=0):
    """Values of several kinds, n of each, and the edges."""
    random = np.random.default_rng(seed)
    size = np.exp(random.uniform(-45, 45, n)) * random.choice([-1.0, 1.0], n)
    near_one = 1 + random.standard_normal(n) * 1e-3
    near_poles = np.round(random.standard_normal(n) * 1e3) * np.pi / 2
    bits = random.integers(0, 2**64, n, dtype="u8").view("f8")
    spread = [random.standard_normal(n) * scale for scale in (1, 30, 400)]
    unit = random.uniform(-1, 1, n)
    return np.concatenate([bits, size, near_one, near_poles, unit, *spread, around_edges("f8")])


def pairs(x, n, seed=0):
    """Pairs of values from all over, of moderate ones, of whole ones, and of edges."""
    random = np.random.default_rng(seed)
    bases = np.exp(random.standard_normal(n))
    limits = np.log(float(np.finfo(x.dtype).max)) * 1.05
    exponents = random.uniform(-limits, limits, n) / np.log(bases)
    whole = np.round(random.standard_normal(n) * 9)
    edges = np.array([0.0, 0.5, 1.0, 2.0, 3.0, 1e-40, WHOLE, np.inf, np.nan])
    a, b = np.meshgrid(np.concatenate([edges, -edges]), np.concatenate([edges, -edges]))
    left = [random.choice(x, n), bases, random.standard_normal(n) * 5, a.ravel()]
    right = [random.choice(x, n), exponents, whole, b.ravel()]
    return np.concatenate(left).astype(x.dtype), np.concatenate(right).astype(x.dtype)


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

"""Functions element by element that PyTorch has beyond the Array API."""

from typing import Any

from lamina.ops import arithmetic as ar
from lamina.ops import functions as fn
from lamina.ops import activations, indexing
from lamina.ops import softmax as over_axis
from lamina.tensor import Tensor
from lamina.tensor.keywords import second_keywords

__all__ = [
    "addcdiv",
    "addcmul",
    "allclose",
    "celu",
    "clamp_max",
    "clamp_min",
    "erf",
    "erfc",
    "exp2",
    "fmod",
    "frac",
    "isclose",
    "lerp",
    "log_softmax",
    "logit",
    "masked_fill",
    "nan_to_num",
    "relu",
    "rsqrt",
    "selu",
    "sigmoid",
    "softmax",
]

Operand = Tensor | complex


def addcdiv(x: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: float = 1) -> Tensor:
    """Return x + value·tensor1/tensor2."""
    return x + tensor1 / tensor2 * value


def addcmul(x: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: float = 1) -> Tensor:
    """Return x + value·tensor1·tensor2."""
    return x + tensor1 * tensor2 * value


def isclose(
    x: Tensor, other: Operand, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False
) -> Tensor:
    """Return whether |x − other| ≤ atol + rtol·|other|, or both are equal.

    >>> import lamina
    >>> lamina.isclose(lamina.tensor([1.0, 2.0]), lamina.tensor([1.0, 2.1]))
    Tensor([ True, False])
    """
    near = abs(x - other) <= atol + rtol * abs(other)
    same = (x == other) | (near & ar.isfinite(x))
    return same | (ar.isnan(x) & (x.new_zeros(()) + other).isnan()) if equal_nan else same


def allclose(
    x: Tensor, other: Operand, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False
) -> bool:
    """Return whether `isclose` holds everywhere."""
    return bool(isclose(x, other, rtol, atol, equal_nan).all())


def celu(x: Tensor, alpha: float = 1.0) -> Tensor:
    """Return max(0, x) + min(0, α·(exp(x/α) − 1))."""
    return activations.celu(x, alpha)


def clamp_max(x: Tensor, max: Operand) -> Tensor:
    """Return the lesser of `x` and `max`."""
    return fn.clip(x, None, max)


def clamp_min(x: Tensor, min: Operand) -> Tensor:
    """Return the greater of `x` and `min`."""
    return fn.clip(x, min, None)


def erf(x: Tensor) -> Tensor:
    """Return the error function 2/√π·∫₀ˣ exp(−t²) dt."""
    return fn.erf(x)


def erfc(x: Tensor) -> Tensor:
    """Return 1 − erf x, exact for large x."""
    return fn.erfc(x)


def exp2(x: Tensor) -> Tensor:
    """Return 2ˣ."""
    return fn.exp2(x)


def fmod(x: Operand, other: Operand) -> Tensor:
    """Return the remainder of x/other, with the sign of x."""
    return ar.fmod(x, other)


def frac(x: Tensor) -> Tensor:
    """Return the fraction of x, with its sign."""
    return x - ar.trunc(x)


def lerp(x: Tensor, end: Tensor, weight: Operand) -> Tensor:
    """Return x + weight·(end − x)."""
    return x + (end - x) * weight


@second_keywords
def log_softmax(x: Tensor, axis: int, *, dtype: Any = None) -> Tensor:
    """Return x − log Σ exp x along `axis`."""
    return over_axis.log_softmax(x if dtype is None else x.to(dtype), axis)


def logit(x: Tensor, eps: float | None = None) -> Tensor:
    """Return log(x / (1 − x)), of `x` held within [eps, 1 − eps] if given."""
    held = x if eps is None else fn.clip(x, eps, 1 - eps)
    return fn.log(held / (1 - held))


def masked_fill(x: Tensor, mask: Tensor, value: Operand) -> Tensor:
    """Return `value` where `mask` holds, else `x`."""
    return indexing.masked_fill(x, mask, value)


def nan_to_num(
    x: Tensor, nan: float = 0.0, posinf: float | None = None, neginf: float | None = None
) -> Tensor:
    """Return `x` with NaN, +∞ and −∞ replaced; infinities by the largest finite numbers."""
    limits = fn.nextafter(x.new_tensor([float("inf"), float("-inf")]), x.new_tensor(0.0))
    above = limits[0] if posinf is None else posinf
    below = limits[1] if neginf is None else neginf
    finite = ar.where(x == float("inf"), above, ar.where(x == float("-inf"), below, x))
    return ar.where(ar.isnan(x), nan, finite)


def relu(x: Tensor) -> Tensor:
    """Return max(0, x)."""
    return activations.relu(x)


def rsqrt(x: Tensor) -> Tensor:
    """Return 1/√x."""
    return fn.rsqrt(x)


def selu(x: Tensor) -> Tensor:
    """Return the scaled exponential linear unit (Klambauer et al., 2017)."""
    return activations.selu(x)


def sigmoid(x: Tensor) -> Tensor:
    """Return 1 / (1 + exp(−x))."""
    return fn.sigmoid(x)


@second_keywords
def softmax(x: Tensor, axis: int, *, dtype: Any = None) -> Tensor:
    """Return exp x / Σ exp x along `axis`.

    >>> import lamina
    >>> lamina.softmax(lamina.tensor([0.0, 0.0]), dim=0)
    Tensor([0.5, 0.5])
    """
    return over_axis.softmax(x if dtype is None else x.to(dtype), axis)

"""Functions element by element that PyTorch has beyond the Array API."""

from typing import Any

from lamina.ops.elementwise import activations, closeness
from lamina.ops.elementwise import arithmetic as ar
from lamina.ops.elementwise import functions as fn
from lamina.ops.indices import indexing
from lamina.ops.layers import softmax as over_axis
from lamina.tensor import Tensor
from lamina.tensor.guard import takes_tensors
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


@takes_tensors
def addcdiv(input: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: float = 1) -> Tensor:
    """Return input + value·tensor1/tensor2."""
    return input + tensor1 / tensor2 * value


@takes_tensors
def addcmul(input: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: float = 1) -> Tensor:
    """Return input + value·tensor1·tensor2."""
    return input + tensor1 * tensor2 * value


@takes_tensors
def isclose(
    input: Tensor, other: Operand, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False
) -> Tensor:
    """Return whether |input − other| ≤ atol + rtol·|other|, or both are equal.

    >>> import lamina
    >>> lamina.isclose(lamina.tensor([1.0, 2.0]), lamina.tensor([1.0, 2.1]))
    Tensor([ True, False])
    """
    return closeness.isclose(input, other, rtol, atol, equal_nan=equal_nan)


@takes_tensors
def allclose(
    input: Tensor, other: Operand, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False
) -> bool:
    """Return whether `isclose` holds everywhere."""
    return closeness.allclose(input, other, rtol, atol, equal_nan=equal_nan)


def celu(input: Tensor, alpha: float = 1.0) -> Tensor:
    """Return max(0, input) + min(0, α·(exp(input/α) − 1))."""
    return activations.celu(input, alpha)


@takes_tensors
def clamp_max(input: Tensor, max: Operand) -> Tensor:
    """Return the lesser of `input` and `max`."""
    return fn.clip(input, None, max)


@takes_tensors
def clamp_min(input: Tensor, min: Operand) -> Tensor:
    """Return the greater of `input` and `min`."""
    return fn.clip(input, min, None)


def erf(input: Tensor) -> Tensor:
    """Return the error function 2/√π·∫₀ˣ exp(−t²) dt."""
    return fn.erf(input)


def erfc(input: Tensor) -> Tensor:
    """Return 1 − erf input, exact for large input."""
    return fn.erfc(input)


def exp2(input: Tensor) -> Tensor:
    """Return 2ˣ."""
    return fn.exp2(input)


def fmod(input: Operand, other: Operand) -> Tensor:
    """Return the remainder of input/other, with the sign of input."""
    return ar.fmod(input, other)


def frac(input: Tensor) -> Tensor:
    """Return the fraction of input, with its sign."""
    return input - ar.trunc(input)


@takes_tensors
def lerp(input: Tensor, end: Tensor, weight: Operand) -> Tensor:
    """Return input + weight·(end − input)."""
    return input + (end - input) * weight


@second_keywords
def log_softmax(input: Tensor, axis: int, *, dtype: Any = None) -> Tensor:
    """Return input − log Σ exp input along `axis`."""
    return over_axis.log_softmax(input if dtype is None else input.to(dtype), axis)


@takes_tensors
def logit(input: Tensor, eps: float | None = None) -> Tensor:
    """Return log(input / (1 − input)), of `input` held within [eps, 1 − eps] if given."""
    held = input if eps is None else fn.clip(input, eps, 1 - eps)
    return fn.log(held / (1 - held))


def masked_fill(input: Tensor, mask: Tensor, value: Operand) -> Tensor:
    """Return `value` where `mask` holds, else `input`."""
    return indexing.masked_fill(input, mask, value)


@takes_tensors
def nan_to_num(
    input: Tensor, nan: float = 0.0, posinf: float | None = None, neginf: float | None = None
) -> Tensor:
    """Return `input` with NaN, +∞ and −∞ replaced; infinities by the largest finite numbers."""
    limits = fn.nextafter(input.new_tensor([float("inf"), float("-inf")]), input.new_tensor(0.0))
    above = limits[0] if posinf is None else posinf
    below = limits[1] if neginf is None else neginf
    finite = ar.where(input == float("inf"), above, ar.where(input == float("-inf"), below, input))
    return ar.where(ar.isnan(input), nan, finite)


def relu(input: Tensor) -> Tensor:
    """Return max(0, input)."""
    return activations.relu(input)


def rsqrt(input: Tensor) -> Tensor:
    """Return 1/√input."""
    return fn.rsqrt(input)


def selu(input: Tensor) -> Tensor:
    """Return the scaled exponential linear unit (Klambauer et al., 2017)."""
    return activations.selu(input)


def sigmoid(input: Tensor) -> Tensor:
    """Return 1 / (1 + exp(−input))."""
    return fn.sigmoid(input)


@second_keywords
def softmax(input: Tensor, axis: int, *, dtype: Any = None) -> Tensor:
    """Return exp input / Σ exp input along `axis`.

    >>> import lamina
    >>> lamina.softmax(lamina.tensor([0.0, 0.0]), dim=0)
    Tensor([0.5, 0.5])
    """
    return over_axis.softmax(input if dtype is None else input.to(dtype), axis)

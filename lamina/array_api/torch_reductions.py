"""Reductions and running values that PyTorch has beyond the Array API."""

from collections.abc import Sequence
from typing import Any

from lamina import dtypes
from lamina.array_api import linalg
from lamina.errors import ArgumentError
from lamina.ops.orders import sorting
from lamina.ops.reductions import reduction, scan
from lamina.tensor import Tensor
from lamina.tensor.keywords import second_keywords

__all__ = [
    "amax",
    "amin",
    "aminmax",
    "cummax",
    "cummin",
    "cumprod",
    "cumsum",
    "logsumexp",
    "median",
    "norm",
    "std_mean",
    "var_mean",
]

Axis = int | Sequence[int] | None


@second_keywords
def amax(x: Tensor, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Return the greatest element over `axis`; elements that tie share the gradient."""
    return reduction.max(x, axis, keepdims)


@second_keywords
def amin(x: Tensor, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Return the least element over `axis`; elements that tie share the gradient."""
    return reduction.min(x, axis, keepdims)


@second_keywords
def aminmax(x: Tensor, *, axis: Axis = None, keepdims: bool = False) -> tuple[Tensor, Tensor]:
    """Return the least and the greatest element over `axis`."""
    return reduction.min(x, axis, keepdims), reduction.max(x, axis, keepdims)


@second_keywords
def cumsum(x: Tensor, axis: int, *, dtype: Any = None) -> Tensor:
    """Return the running sum along `axis`."""
    return scan.cumsum(x, axis, dtype=None if dtype is None else dtypes.as_dtype(dtype))


@second_keywords
def cumprod(x: Tensor, axis: int, *, dtype: Any = None) -> Tensor:
    """Return the running product along `axis`."""
    return scan.cumprod(x, axis, dtype=None if dtype is None else dtypes.as_dtype(dtype))


@second_keywords
def cummax(x: Tensor, axis: int) -> Any:
    """Return the running greatest elements along `axis`, and their places."""
    return scan.cummax(x, axis)


@second_keywords
def cummin(x: Tensor, axis: int) -> Any:
    """Return the running least elements along `axis`, and their places."""
    return scan.cummin(x, axis)


@second_keywords
def logsumexp(x: Tensor, axis: Axis, keepdims: bool = False) -> Tensor:
    """Return log Σ exp x over `axis`, without overflow on the way."""
    return reduction.logsumexp(x, axis, keepdims)


@second_keywords
def median(x: Tensor, axis: int | None = None, keepdims: bool = False) -> Any:
    """Return the middle element, of an even number the lower; with `axis` its place too."""
    return sorting.median(x) if axis is None else sorting.median_along(x, axis, keepdims)


@second_keywords
def norm(
    x: Tensor, p: Any = "fro", axis: Axis = None, keepdims: bool = False, dtype: Any = None
) -> Tensor:
    """Return (Σ |x|ᵖ)^(1/p) over `axis`, by default over all elements with p = 2.

    `p` may be "nuc", the sum of singular values, for a matrix.
    """
    x = x if dtype is None else x.to(dtype)
    if p == "nuc":
        axes = range(len(x.shape)) if axis is None else axis
        if isinstance(axes, int) or len(axes) != 2:
            raise ArgumentError(
                f'norm: p="nuc" over axis {axis} of shape {x.shape} given, expected a matrix: '
                "name two axes"
            )
        return linalg.norm(x, "nuc", axis, keepdims)
    return reduction.norm(x, 2 if p in ("fro", None) else p, axis, keepdims)


@second_keywords
def var_mean(
    x: Tensor, axis: Axis = None, *, correction: float = 1, keepdims: bool = False
) -> tuple[Tensor, Tensor]:
    """Return the variance, divided by n − correction, and the mean over `axis`."""
    variance = reduction.var(x, axis, keepdims=keepdims, correction=correction)
    return variance, reduction.mean(x, axis, keepdims)


@second_keywords
def std_mean(
    x: Tensor, axis: Axis = None, *, correction: float = 1, keepdims: bool = False
) -> tuple[Tensor, Tensor]:
    """Return the standard deviation, divided by n − correction, and the mean over `axis`."""
    deviation = reduction.std(x, axis, keepdims=keepdims, correction=correction)
    return deviation, reduction.mean(x, axis, keepdims)

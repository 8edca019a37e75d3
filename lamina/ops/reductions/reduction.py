"""Reductions over axes, as functions: `axis` is one axis, several, or None for all of them."""

from typing import Any

from lamina import dtypes
from lamina.dtypes import DType
from lamina.layout import normalize_axis
from lamina.ops.elementwise.arithmetic import absolute, cast, not_equal
from lamina.ops.indices.gathering import Gather
from lamina.ops.orders.sorting import Found
from lamina.ops.orders.sorting import median as median
from lamina.ops.reductions import extremes, sums
from lamina.ops.reductions.folding import Axes, axes_of
from lamina.ops.reductions.scan import accumulated_dtype
from lamina.ops.registry import Value
from lamina.ops.shapes.movement import squeeze


def sum(
    x: Value, axis: Axes = None, keepdims: bool = False, *, dtype: DType | None = None
) -> Value:
    """Return Σ `x` over `axis`. Integers and bools add up in (u)int64, floats in their own dtype.

    >>> import lamina
    >>> sum(lamina.tensor([[1, 2], [3, 4]]), axis=0)
    Tensor([4, 6])
    """
    return sums.Sum(axes_of(x, axis), keepdims)(cast(x, dtype or accumulated_dtype(x.dtype)))


def prod(
    x: Value, axis: Axes = None, keepdims: bool = False, *, dtype: DType | None = None
) -> Value:
    """Return Π `x` over `axis`. Integers and bools multiply in (u)int64."""
    return sums.Product(axes_of(x, axis), keepdims)(cast(x, dtype or accumulated_dtype(x.dtype)))


def mean(
    x: Value, axis: Axes = None, keepdims: bool = False, *, dtype: DType | None = None
) -> Value:
    """Return Σ `x` / n over `axis`, NaN where n is 0; integers are made float32."""
    return sums.Mean(axes_of(x, axis), keepdims)(cast(x, dtype or x.dtype))


def var(x: Value, axis: Axes = None, keepdims: bool = False, *, correction: float = 0) -> Value:
    """Return Σ (x − mean)² / (n − `correction`) over `axis`.

    >>> import lamina
    >>> var(lamina.tensor([1.0, 3.0]), correction=1)
    Tensor(2.)
    """
    return sums.Variance(axes_of(x, axis), keepdims, float(correction))(x)


def std(x: Value, axis: Axes = None, keepdims: bool = False, *, correction: float = 0) -> Value:
    """Return √(Σ (x − mean)² / (n − `correction`)) over `axis`."""
    return sums.Deviation(axes_of(x, axis), keepdims, float(correction))(x)


def logsumexp(x: Value, axis: Axes = None, keepdims: bool = False) -> Value:
    """Return log Σ exp `x` over `axis`, without overflow on the way."""
    return sums.LogSumExp(axes_of(x, axis), keepdims)(x)


def norm(x: Value, ord: float = 2, axis: Axes = None, keepdims: bool = False) -> Value:
    """Return (Σ |x|ᵖ)^(1/p) over `axis`, p being `ord`.

    ±inf gives the greatest or least |x|, 0 how many elements are not 0. The gradient at a norm of 0
    is 0.

    >>> import lamina
    >>> norm(lamina.tensor([3.0, 4.0]))
    Tensor(5.)
    """
    if ord == 0:
        real = dtypes.real_of(x.dtype)
        floating = real if real.is_floating_point else dtypes.default_float
        return cast(count_nonzero(x, axis, keepdims), floating)
    if ord == float("inf"):
        return max(absolute(x), axis, keepdims)
    if ord == float("-inf"):
        return min(absolute(x), axis, keepdims)
    return sums.Norm(axes_of(x, axis), keepdims, float(ord))(x)


def max(x: Value, axis: Axes = None, keepdims: bool = False) -> Value:
    """Return the greatest element over `axis`; NaN where there is one. Equals share gradients."""
    return extremes.Max(axes_of(x, axis), keepdims)(x)


def min(x: Value, axis: Axes = None, keepdims: bool = False) -> Value:
    """Return the least element over `axis`; NaN where there is one. Equals share gradients."""
    return extremes.Min(axes_of(x, axis), keepdims)(x)


def argmax(x: Value, axis: int | None = None, keepdims: bool = False) -> Value:
    """Return the place of the first greatest element along `axis`, or in C order of them all."""
    return _place_of(extremes.ArgMax, x, axis, keepdims)


def argmin(x: Value, axis: int | None = None, keepdims: bool = False) -> Value:
    """Return the place of the first least element along `axis`, or in C order of them all."""
    return _place_of(extremes.ArgMin, x, axis, keepdims)


def _place_of(op: Any, x: Value, axis: int | None, keepdims: bool) -> Value:
    ndim = len(x.shape)
    if axis is not None:
        return op((normalize_axis(axis, ndim),), keepdims)(x)
    place = op((0,))(x.reshape((-1,)))
    return place.reshape((1,) * ndim) if keepdims else place


def any(x: Value, axis: Axes = None, keepdims: bool = False) -> Value:
    """Return whether some element over `axis` is not zero."""
    return extremes.Some(axes_of(x, axis), keepdims)(x)


def all(x: Value, axis: Axes = None, keepdims: bool = False) -> Value:
    """Return whether no element over `axis` is zero."""
    return extremes.Every(axes_of(x, axis), keepdims)(x)


def count_nonzero(x: Value, axis: Axes = None, keepdims: bool = False) -> Value:
    """Return how many elements over `axis` are not zero."""
    return sum(not_equal(x, 0), axis, keepdims)


def max_along(x: Value, axis: int, keepdims: bool = False) -> Found:
    """Return the greatest element along one axis and its place; the gradient goes to that place."""
    return _read(x, axis, argmax(x, axis, True), keepdims)


def min_along(x: Value, axis: int, keepdims: bool = False) -> Found:
    """Return the least element along one axis and its place; the gradient goes to that place."""
    return _read(x, axis, argmin(x, axis, True), keepdims)


def _read(x: Value, axis: int, places: Value, keepdims: bool) -> Found:
    values = Gather(normalize_axis(axis, len(x.shape)))(x, places)
    if keepdims:
        return Found(values, places)
    return Found(squeeze(values, axis), squeeze(places, axis))

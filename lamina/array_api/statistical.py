"""Reductions and running totals. Called in PyTorch's form, a function gives what PyTorch's gives.

PyTorch's form is a second argument by place, or `dim`: `max(x, 1)` gives values and indices, where
the Array API's `max(x, axis=1)` gives the values alone; `var(x, 1)` and `var(x, dim=1)` divide by
n − 1, `var(x, axis=1)` and `var(x)` by n.
"""

from collections.abc import Sequence
from typing import Any

from lamina import dtypes
from lamina.dtypes import DType
from lamina.errors import ArgumentError
from lamina.layout import normalize_axis
from lamina.ops.reductions import reduction, scan
from lamina.ops.shapes import copying
from lamina.tensor import Tensor
from lamina.tensor.guard import takes_tensors
from lamina.tensor.keywords import second_keywords

__all__ = [
    "all",
    "any",
    "cumulative_prod",
    "cumulative_sum",
    "diff",
    "max",
    "mean",
    "min",
    "prod",
    "std",
    "sum",
    "var",
]

Axis = int | Sequence[int] | None


def _dtype(dtype: Any) -> DType | None:
    return None if dtype is None else dtypes.as_dtype(dtype)


@second_keywords
def all(x: Tensor, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Return whether every element along `axis` is non-zero."""
    return reduction.all(x, axis, keepdims)


@second_keywords
def any(x: Tensor, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Return whether some element along `axis` is non-zero."""
    return reduction.any(x, axis, keepdims)


@second_keywords
def sum(x: Tensor, axis: Axis = None, keepdims: bool = False, *, dtype: Any = None) -> Tensor:
    """Return Σ over `axis`; integers and bools add up in (u)int64, floats in their own dtype."""
    return reduction.sum(x, axis, keepdims, dtype=_dtype(dtype))


@second_keywords
def prod(x: Tensor, axis: Axis = None, keepdims: bool = False, *, dtype: Any = None) -> Tensor:
    """Return Π over `axis`; integers and bools multiply in (u)int64, floats in their own dtype."""
    return reduction.prod(x, axis, keepdims, dtype=_dtype(dtype))


@second_keywords
def mean(x: Tensor, axis: Axis = None, keepdims: bool = False, *, dtype: Any = None) -> Tensor:
    """Return the arithmetic mean over `axis`."""
    return reduction.mean(x, axis, keepdims, dtype=_dtype(dtype))


@takes_tensors
def max(
    x: Tensor,
    dim: Any = None,
    keepdim: bool = False,
    *,
    axis: Axis = None,
    keepdims: bool = False,
) -> Any:
    """Return the greatest element over `axis`; NaN where there is one.

    With a second argument by place, or `dim`: PyTorch's pair of values and indices; with a second
    tensor the greater of each pair.

    >>> import lamina
    >>> lamina.max(lamina.tensor([[1, 3], [4, 2]]), axis=0)
    Tensor([4, 3])
    >>> lamina.max(lamina.tensor([[1, 3], [4, 2]]), 0).indices
    Tensor([1, 0])
    """
    if isinstance(dim, Tensor):
        return x.maximum(dim)
    if dim is None:
        return reduction.max(x, axis, keepdims)
    return reduction.max_along(x, dim, keepdim)


@takes_tensors
def min(
    x: Tensor,
    dim: Any = None,
    keepdim: bool = False,
    *,
    axis: Axis = None,
    keepdims: bool = False,
) -> Any:
    """Return the least element over `axis`; NaN where there is one. PyTorch's forms as in `max`."""
    if isinstance(dim, Tensor):
        return x.minimum(dim)
    if dim is None:
        return reduction.min(x, axis, keepdims)
    return reduction.min_along(x, dim, keepdim)


def _spread_arguments(
    dim: Axis, unbiased: bool | None, axis: Axis, correction: float | None
) -> tuple[Axis, float]:
    """Return axis and correction: PyTorch corrects by 1 unless told, the Array API by 0."""
    if unbiased is not None and correction is not None:
        raise ArgumentError("unbiased and correction are one argument; give one of them")
    if correction is None:
        is_second_form = dim is not None or unbiased is not None
        correction = float(is_second_form if unbiased is None else unbiased)
    return (axis if dim is None else dim), correction


@takes_tensors
def var(
    x: Tensor,
    dim: Axis = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    *,
    axis: Axis = None,
    correction: float | None = None,
    keepdims: bool = False,
) -> Tensor:
    """Return Σ(x − mean)² / (n − correction) over `axis`.

    `correction` is 0 by default, and 1 in PyTorch's form, with `dim` or `unbiased`.

    >>> import lamina
    >>> lamina.var(lamina.tensor([1.0, 3.0])), lamina.var(lamina.tensor([1.0, 3.0]), dim=0)
    (Tensor(1.), Tensor(2.))
    """
    if isinstance(dim, bool):
        dim, unbiased = None, dim
    over, by = _spread_arguments(dim, unbiased, axis, correction)
    return reduction.var(x, over, keepdims=keepdims or keepdim, correction=by)


@takes_tensors
def std(
    x: Tensor,
    dim: Axis = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    *,
    axis: Axis = None,
    correction: float | None = None,
    keepdims: bool = False,
) -> Tensor:
    """Return the square root of the variance over `axis`, `correction` as in `var`."""
    if isinstance(dim, bool):
        dim, unbiased = None, dim
    over, by = _spread_arguments(dim, unbiased, axis, correction)
    return reduction.std(x, over, keepdims=keepdims or keepdim, correction=by)


def _only_axis(x: Tensor, axis: int | None, what: str) -> int:
    if axis is None and x.ndim != 1:
        raise ArgumentError(f"{what}: {x.ndim} axes and no axis= given; say along which")
    return normalize_axis(0 if axis is None else axis, x.ndim)


def _with_initial(total: Tensor, place: int, value: int, *, is_wanted: bool) -> Tensor:
    if not is_wanted:
        return total
    shape = (*total.shape[:place], 1, *total.shape[place + 1 :])
    return copying.concat((total.new_full(shape, value), total), place)


@second_keywords
def cumulative_sum(
    x: Tensor, axis: int | None = None, *, dtype: Any = None, include_initial: bool = False
) -> Tensor:
    """Return the running sum along `axis`, with `include_initial` from the empty sum 0 on."""
    place = _only_axis(x, axis, "cumulative_sum")
    total = scan.cumsum(x, place, dtype=_dtype(dtype))
    return _with_initial(total, place, 0, is_wanted=include_initial)


@second_keywords
def cumulative_prod(
    x: Tensor, axis: int | None = None, *, dtype: Any = None, include_initial: bool = False
) -> Tensor:
    """Return the running product along `axis`, with `include_initial` from the empty one 1 on."""
    place = _only_axis(x, axis, "cumulative_prod")
    total = scan.cumprod(x, place, dtype=_dtype(dtype))
    return _with_initial(total, place, 1, is_wanted=include_initial)


@second_keywords
def diff(
    x: Tensor,
    n: int = 1,
    axis: int = -1,
    prepend: Tensor | None = None,
    append: Tensor | None = None,
) -> Tensor:
    """Return the differences of neighbours along `axis`, taken `n` times.

    >>> import lamina
    >>> lamina.diff(lamina.tensor([1, 4, 9]))
    Tensor([3, 5])
    """
    if n < 0:
        raise ArgumentError(f"diff: n={n} given; expected 0 or more")
    place = normalize_axis(axis, x.ndim)
    parts = [part for part in (prepend, x, append) if part is not None]
    whole = copying.concat(parts, place) if len(parts) > 1 else x
    for _ in range(n):
        later = (slice(None),) * place + (slice(1, None),)
        earlier = (slice(None),) * place + (slice(None, -1),)
        is_bool = whole.dtype is dtypes.bool_
        whole = whole[later] ^ whole[earlier] if is_bool else whole[later] - whole[earlier]
    return whole

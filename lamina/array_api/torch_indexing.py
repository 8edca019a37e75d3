"""Elements chosen, scattered and ordered by the functions that PyTorch has beyond the Array API."""

from typing import Any

from lamina.array_api import searching
from lamina.dtypes import int64
from lamina.errors import DTypeError
from lamina.ops.indices import indexing
from lamina.ops.orders import sorting
from lamina.ops.reductions import reduction
from lamina.tensor import Tensor
from lamina.tensor.guard import takes_tensors
from lamina.tensor.keywords import second_keywords

__all__ = [
    "argwhere",
    "bincount",
    "bucketize",
    "gather",
    "index_add",
    "index_copy",
    "index_select",
    "kthvalue",
    "masked_select",
    "scatter",
    "scatter_add",
    "topk",
    "unique",
]


def argwhere(input: Tensor) -> Tensor:
    """Return the indices of the non-zero elements, one row for each: (n, ndim)."""
    return indexing.argwhere(input)


@takes_tensors
def bincount(input: Tensor, weights: Tensor | None = None, minlength: int = 0) -> Tensor:
    """Return how often each whole number from 0 on occurs, or the sum of its `weights`.

    >>> import lamina
    >>> lamina.bincount(lamina.tensor([1, 3, 1]))
    Tensor([0, 2, 0, 1])
    """
    if input.ndim != 1 or not input.dtype.is_integer:
        raise DTypeError(
            f"bincount: {input.dtype.name} of shape {input.shape} given; expected integers, (n,)"
        )
    greatest = int(reduction.max(input)) if input.size else -1
    share = input.new_ones(input.shape, dtype=int64) if weights is None else weights
    total = share.new_zeros(max(greatest + 1, minlength))
    return indexing.scatter_add(total, 0, input, share)


def bucketize(input: Tensor, boundaries: Tensor, *, right: bool = False) -> Tensor:
    """Return for each element how many of the ascending `boundaries` lie below it."""
    return searching.searchsorted(boundaries, input, right=right)


@takes_tensors
def gather(input: Tensor, dim: int, index: Tensor) -> Tensor:
    """Return out[…, i, …] = x[…, index[…, i, …], …], the index read along `dim`."""
    return indexing.gather(input, dim, index)


@takes_tensors
def index_add(
    input: Tensor, dim: int, index: Tensor, source: Tensor, *, alpha: float = 1
) -> Tensor:
    """Return a copy of `input` with alpha·source added at the places `index` of `dim`."""
    return indexing.index_add(input, dim, index, source, alpha=alpha)


def index_copy(input: Tensor, dim: int, index: Tensor, source: Tensor) -> Tensor:
    """Return a copy of `input` with `source` at the places `index` of `dim`."""
    return indexing.index_copy(input, dim, index, source)


@takes_tensors
def index_select(input: Tensor, dim: int, index: Tensor) -> Tensor:
    """Return the places `index` of `dim`."""
    return indexing.take(input, index, dim)


@second_keywords
def kthvalue(input: Tensor, k: int, axis: int = -1, keepdims: bool = False) -> Any:
    """Return the k-th least element along `axis`, counted from 1, and its place."""
    return sorting.kth_value(input, k, axis, keepdims)


@takes_tensors
def masked_select(input: Tensor, mask: Tensor) -> Tensor:
    """Return the elements where `mask` holds, in C order, along one axis."""
    return indexing.masked_select(input, mask)


def scatter(input: Tensor, dim: int, index: Tensor, src: Any) -> Tensor:
    """Return a copy of `input` with `src` at the places that `index` names along `dim`."""
    return indexing.scatter(input, dim, index, src)


def scatter_add(input: Tensor, dim: int, index: Tensor, src: Tensor) -> Tensor:
    """Return a copy of `input` with `src` added at the places that `index` names along `dim`."""
    return indexing.scatter_add(input, dim, index, src)


@second_keywords
def topk(input: Tensor, k: int, axis: int = -1, largest: bool = True, sorted: bool = True) -> Any:
    """Return the `k` greatest (or least) elements along `axis`, in order, and their places.

    >>> import lamina
    >>> lamina.topk(lamina.tensor([1, 4, 3]), 2).indices
    Tensor([1, 2])
    """
    return sorting.topk(input, k, axis, largest=largest, sorted=sorted)


def unique(
    input: Tensor, sorted: bool = True, return_inverse: bool = False, return_counts: bool = False
) -> Any:
    """Return the distinct elements, ascending; on demand each element's place, and the counts."""
    found = sorting.unique_all(input)
    wanted = [found.values]
    wanted += [found.inverse] if return_inverse else []
    wanted += [found.counts] if return_counts else []
    return tuple(wanted) if len(wanted) > 1 else found.values

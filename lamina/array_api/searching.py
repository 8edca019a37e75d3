"""Where elements are: extremes, non-zeros, places in a sorted order, and a choice by condition."""

from typing import Any, Literal

from lamina.ops.elementwise.arithmetic import where as choose
from lamina.ops.indices import indexing
from lamina.ops.orders import sorting
from lamina.ops.reductions import reduction
from lamina.tensor import Tensor
from lamina.tensor.guard import takes_tensors
from lamina.tensor.keywords import second_keywords

__all__ = ["argmax", "argmin", "count_nonzero", "nonzero", "searchsorted", "where"]


@second_keywords
def argmax(x: Tensor, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """Return the place of the first greatest element along `axis`, or in C order."""
    return reduction.argmax(x, axis, keepdims)


@second_keywords
def argmin(x: Tensor, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """Return the place of the first least element along `axis`, or in C order."""
    return reduction.argmin(x, axis, keepdims)


@second_keywords
def count_nonzero(x: Tensor, axis: Any = None, keepdims: bool = False) -> Tensor:
    """Return how many elements along `axis` are not zero."""
    return reduction.count_nonzero(x, axis, keepdims)


@second_keywords
def nonzero(x: Tensor, *, as_tuple: bool = True) -> Any:
    """Return the indices of the non-zero elements, one tensor for each axis, in C order.

    `as_tuple=False` gives them as PyTorch does, one row for each element: (n, ndim).
    """
    return indexing.nonzero(x) if as_tuple else indexing.argwhere(x)


def searchsorted(
    x1: Tensor,
    x2: Tensor | float,
    *,
    side: Literal["left", "right"] = "left",
    sorter: Tensor | None = None,
    right: bool = False,
) -> Tensor:
    """Return the places where the values `x2` would keep the ascending `x1` in order.

    Beside equal elements the "left" place is before them and the "right" one behind. `sorter` sorts
    an `x1` that is not in order yet.

    >>> import lamina
    >>> lamina.searchsorted(lamina.tensor([1, 3, 5]), lamina.tensor([3, 4]))
    Tensor([1, 2])
    """
    ordered = x1 if sorter is None else indexing.take(x1, sorter, 0)
    return sorting.searchsorted(ordered, x2, side="right" if right else side)


@takes_tensors
def where(condition: Tensor, x1: Any = None, x2: Any = None) -> Any:
    """Return `x1` where `condition` holds and `x2` elsewhere; alone, the places where it holds."""
    if x1 is None and x2 is None:
        return indexing.nonzero(condition)
    return choose(condition, x1, x2)

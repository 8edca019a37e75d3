"""Sorting along an axis."""

from typing import Any

from lamina.ops.orders import sorting
from lamina.tensor import Tensor
from lamina.tensor.guard import takes_tensors
from lamina.tensor.keywords import second_keywords

__all__ = ["argsort", "sort"]


@second_keywords
def argsort(x: Tensor, axis: int = -1, descending: bool = False, *, stable: bool = True) -> Tensor:
    """Return the places of the elements in sorted order along `axis`; equal ones keep theirs."""
    return sorting.argsort(x, axis, descending=descending)


@takes_tensors
def sort(
    x: Tensor,
    dim: int | None = None,
    descending: bool = False,
    *,
    axis: int = -1,
    stable: bool = True,
) -> Any:
    """Return the elements of `x` in sorted order along `axis`; equal ones keep theirs.

    With a second argument by place, or `dim`: PyTorch's pair of values and indices.

    >>> import lamina
    >>> x = lamina.tensor([3, 1])
    >>> lamina.sort(x, axis=0), lamina.sort(x, dim=0).indices
    (Tensor([1, 3]), Tensor([1, 0]))
    """
    if dim is not None:
        return sorting.sorted_with_places(x, dim, descending=descending)
    return sorting.sort(x, axis, descending=descending)

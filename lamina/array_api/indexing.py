"""Elements chosen by their places."""

from lamina.ops.indices import indexing
from lamina.tensor import Tensor
from lamina.tensor.keywords import second_keywords

__all__ = ["take", "take_along_axis"]


@second_keywords
def take(x: Tensor, indices: Tensor, axis: int | None = None) -> Tensor:
    """Return the places `indices` of `axis`; without an axis, of the elements in C order."""
    return indexing.take(x, indices, axis)


@second_keywords
def take_along_axis(x: Tensor, indices: Tensor, axis: int = -1) -> Tensor:
    """Return for each index along `axis` the element at that place, the other axes matched."""
    return indexing.take_along_axis(x, indices, axis)

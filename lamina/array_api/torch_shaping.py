"""Functions on shapes that PyTorch has beyond the Array API."""

from collections.abc import Sequence
from typing import Any

from lamina.ops.orders import partition
from lamina.ops.shapes import copying, movement, rearranging
from lamina.tensor import Tensor
from lamina.tensor.guard import takes_tensors
from lamina.tensor.keywords import second_keywords

__all__ = [
    "chunk",
    "clone",
    "diagonal",
    "dstack",
    "flatten",
    "fliplr",
    "flipud",
    "hstack",
    "is_complex",
    "is_floating_point",
    "is_tensor",
    "narrow",
    "numel",
    "ravel",
    "repeat_interleave",
    "rot90",
    "select",
    "split",
    "t",
    "tensor_split",
    "transpose",
    "unflatten",
    "unsqueeze",
    "vstack",
]


def is_tensor(input: Any) -> bool:
    """Return whether `input` is a tensor."""
    return isinstance(input, Tensor)


@takes_tensors
def is_floating_point(input: Tensor) -> bool:
    """Return whether the elements of `input` are real floating-point numbers."""
    return input.dtype.is_floating_point


@takes_tensors
def is_complex(input: Tensor) -> bool:
    """Return whether the elements of `input` are complex numbers."""
    return input.dtype.is_complex


@takes_tensors
def clone(input: Tensor) -> Tensor:
    """Return a copy of `input`; gradients pass through."""
    return input.clone()


@takes_tensors
def numel(input: Tensor) -> int:
    """Return the number of elements of `input`."""
    return input.numel()


@second_keywords
def split(input: Tensor, split_size_or_sections: Any, axis: int = 0) -> tuple[Tensor, ...]:
    """Return views of parts of one size, the last perhaps smaller, or of the sizes listed."""
    return partition.split(input, split_size_or_sections, axis)


@second_keywords
def chunk(input: Tensor, chunks: int, axis: int = 0) -> tuple[Tensor, ...]:
    """Return views of at most `chunks` parts of equal size, the last perhaps smaller."""
    return partition.chunk(input, chunks, axis)


@second_keywords
def tensor_split(input: Tensor, indices_or_sections: Any, axis: int = 0) -> tuple[Tensor, ...]:
    """Return views of parts whose sizes differ by at most 1, or of parts cut before places."""
    return partition.tensor_split(input, indices_or_sections, axis)


@takes_tensors
def narrow(input: Tensor, dim: int, start: int, length: int) -> Tensor:
    """Return a view of `length` places of an axis from `start`."""
    return input.narrow(dim, start, length)


@takes_tensors
def select(input: Tensor, dim: int, index: int) -> Tensor:
    """Return a view of `input` with an axis held at `index` and dropped."""
    return input.select(dim, index)


@takes_tensors
def transpose(input: Tensor, dim0: int, dim1: int) -> Tensor:
    """Return a view of `input` with two axes exchanged."""
    return movement.swap_axes(input, dim0, dim1)


@takes_tensors
def diagonal(input: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    """Return a view of the diagonal of two axes, as a new last axis."""
    return movement.diagonal(input, offset, dim1, dim2)


@takes_tensors
def t(input: Tensor) -> Tensor:
    """Return a view of a matrix with rows and columns exchanged; fewer axes as they are."""
    return input.t()


@second_keywords
def unsqueeze(input: Tensor, axis: int) -> Tensor:
    """Return a view of `input` with a new axis of size 1 at place `axis`."""
    return movement.expand_dims(input, axis)


@takes_tensors
def flatten(input: Tensor, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """Return `input` with the axes from `start_dim` to `end_dim` made one.

    >>> import lamina
    >>> lamina.flatten(lamina.zeros(2, 3, 4), 1).shape
    (2, 12)
    """
    return movement.flatten(input, start_dim, end_dim)


@takes_tensors
def ravel(input: Tensor) -> Tensor:
    """Return the elements of `input` in C order, along one axis."""
    return movement.flatten(input)


@takes_tensors
def unflatten(input: Tensor, dim: int, sizes: Sequence[int]) -> Tensor:
    """Return `input` with one axis split into `sizes`, of which one may be −1."""
    return movement.unflatten(input, dim, sizes)


@second_keywords
def repeat_interleave(input: Tensor, repeats: int | Tensor, axis: int | None = None) -> Tensor:
    """Return `input` with every place of `axis` repeated: one number of times, or one a place."""
    return rearranging.repeat(input, repeats, axis)


@takes_tensors
def rot90(input: Tensor, k: int = 1, dims: Sequence[int] = (0, 1)) -> Tensor:
    """Return a view of `input` turned `k` quarters from the first axis towards the second."""
    return rearranging.rotate(input, k, dims)


@takes_tensors
def fliplr(input: Tensor) -> Tensor:
    """Return a view of `input` with its columns in reverse."""
    return movement.flip(input, 1)


@takes_tensors
def flipud(input: Tensor) -> Tensor:
    """Return a view of `input` with its rows in reverse."""
    return movement.flip(input, 0)


@takes_tensors
def hstack(tensors: Sequence[Tensor]) -> Tensor:
    """Return tensors joined along their second axis; vectors along their only one."""
    parts = [movement.reshape(x, (1,)) if x.ndim == 0 else x for x in tensors]
    return copying.concat(parts, 0 if parts and parts[0].ndim == 1 else 1)


@takes_tensors
def vstack(tensors: Sequence[Tensor]) -> Tensor:
    """Return tensors joined along their first axis; vectors as rows."""
    return copying.concat([x if x.ndim > 1 else x.reshape(1, -1) for x in tensors], 0)


@takes_tensors
def dstack(tensors: Sequence[Tensor]) -> Tensor:
    """Return tensors joined along their third axis, which is put behind where it lacks."""
    return copying.concat([_with_depth(x) for x in tensors], 2)


def _with_depth(x: Tensor) -> Tensor:
    return x if x.ndim > 2 else x.reshape(*(x.shape if x.ndim == 2 else (1, -1)), 1)

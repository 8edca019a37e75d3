"""Functions on shapes that PyTorch has beyond the Array API."""

from collections.abc import Sequence
from typing import Any

from lamina.array_api.manipulation import repeat
from lamina.ops import copying, movement, partition
from lamina.tensor import Tensor
from lamina.tensor.keywords import second_keywords

__all__ = [
    "chunk",
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


def is_tensor(x: Any) -> bool:
    """Return whether `x` is a tensor."""
    return isinstance(x, Tensor)


def is_floating_point(x: Tensor) -> bool:
    """Return whether the elements of `x` are real floating-point numbers."""
    return x.dtype.is_floating_point


def is_complex(x: Tensor) -> bool:
    """Return whether the elements of `x` are complex numbers."""
    return x.dtype.is_complex


def numel(x: Tensor) -> int:
    """Return the number of elements of `x`."""
    return x.numel()


@second_keywords
def split(x: Tensor, split_size_or_sections: Any, axis: int = 0) -> tuple[Tensor, ...]:
    """Return views of parts of one size, the last perhaps smaller, or of the sizes listed."""
    return partition.split(x, split_size_or_sections, axis)


@second_keywords
def chunk(x: Tensor, chunks: int, axis: int = 0) -> tuple[Tensor, ...]:
    """Return views of at most `chunks` parts of equal size, the last perhaps smaller."""
    return partition.chunk(x, chunks, axis)


@second_keywords
def tensor_split(x: Tensor, indices_or_sections: Any, axis: int = 0) -> tuple[Tensor, ...]:
    """Return views of parts whose sizes differ by at most 1, or of parts cut before places."""
    return partition.tensor_split(x, indices_or_sections, axis)


def narrow(x: Tensor, dim: int, start: int, length: int) -> Tensor:
    """Return a view of `length` places of an axis from `start`."""
    return x.narrow(dim, start, length)


def select(x: Tensor, dim: int, index: int) -> Tensor:
    """Return a view of `x` with an axis held at `index` and dropped."""
    return x.select(dim, index)


def transpose(x: Tensor, dim0: int, dim1: int) -> Tensor:
    """Return a view of `x` with two axes exchanged."""
    return movement.swap_axes(x, dim0, dim1)


def diagonal(x: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    """Return a view of the diagonal of two axes, as a new last axis."""
    return movement.diagonal(x, offset, dim1, dim2)


def t(x: Tensor) -> Tensor:
    """Return a view of a matrix with rows and columns exchanged; fewer axes as they are."""
    return x.t()


@second_keywords
def unsqueeze(x: Tensor, axis: int) -> Tensor:
    """Return a view of `x` with a new axis of size 1 at place `axis`."""
    return movement.expand_dims(x, axis)


def flatten(x: Tensor, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """Return `x` with the axes from `start_dim` to `end_dim` made one.

    >>> import lamina
    >>> lamina.flatten(lamina.zeros(2, 3, 4), 1).shape
    (2, 12)
    """
    return movement.flatten(x, start_dim, end_dim)


def ravel(x: Tensor) -> Tensor:
    """Return the elements of `x` in C order, along one axis."""
    return movement.flatten(x)


def unflatten(x: Tensor, dim: int, sizes: Sequence[int]) -> Tensor:
    """Return `x` with one axis split into `sizes`, of which one may be −1."""
    return movement.unflatten(x, dim, sizes)


@second_keywords
def repeat_interleave(x: Tensor, repeats: int | Tensor, axis: int | None = None) -> Tensor:
    """Return `x` with every place of `axis` repeated: a number of times, or one number a place."""
    return repeat(x, repeats, axis)


def rot90(x: Tensor, k: int = 1, dims: Sequence[int] = (0, 1)) -> Tensor:
    """Return a view of `x` turned `k` quarters from the first of two axes towards the second."""
    first, second = dims
    match k % 4:
        case 1:
            return movement.swap_axes(movement.flip(x, second), first, second)
        case 2:
            return movement.flip(x, (first, second))
        case 3:
            return movement.flip(movement.swap_axes(x, first, second), second)
    return x


def fliplr(x: Tensor) -> Tensor:
    """Return a view of `x` with its columns in reverse."""
    return movement.flip(x, 1)


def flipud(x: Tensor) -> Tensor:
    """Return a view of `x` with its rows in reverse."""
    return movement.flip(x, 0)


def hstack(tensors: Sequence[Tensor]) -> Tensor:
    """Return tensors joined along their second axis; vectors along their only one."""
    parts = [movement.reshape(x, (1,)) if x.ndim == 0 else x for x in tensors]
    return copying.concat(parts, 0 if parts and parts[0].ndim == 1 else 1)


def vstack(tensors: Sequence[Tensor]) -> Tensor:
    """Return tensors joined along their first axis; vectors as rows."""
    return copying.concat([x if x.ndim > 1 else x.reshape(1, -1) for x in tensors], 0)


def dstack(tensors: Sequence[Tensor]) -> Tensor:
    """Return tensors joined along their third axis, which is put behind where it lacks."""
    return copying.concat([_with_depth(x) for x in tensors], 2)


def _with_depth(x: Tensor) -> Tensor:
    return x if x.ndim > 2 else x.reshape(*(x.shape if x.ndim == 2 else (1, -1)), 1)

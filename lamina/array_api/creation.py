"""Making tensors: what `lamina.tensor` makes, and grids, triangles and diagonals."""

from collections.abc import Sequence
from typing import Any, Literal

from lamina.errors import ArgumentError, ShapeError
from lamina.ops.shapes import copying, rearranging
from lamina.ops.shapes.movement import expand, reshape
from lamina.tensor import (
    Tensor,
    arange,
    asarray,
    empty,
    empty_like,
    eye,
    from_dlpack,
    from_file,
    from_numpy,
    full,
    full_like,
    linspace,
    ones,
    ones_like,
    tensor,
    zeros,
    zeros_like,
)
from lamina.tensor.creation import logspace
from lamina.tensor.guard import takes_tensors
from lamina.tensor.keywords import second_keywords
from lamina.tensor.random import (
    bernoulli,
    get_rng_state,
    initial_seed,
    manual_seed,
    multinomial,
    normal,
    rand,
    rand_like,
    randint,
    randint_like,
    randn,
    randn_like,
    randperm,
    set_rng_state,
)

__all__ = [
    "Tensor",
    "arange",
    "asarray",
    "bernoulli",
    "diag",
    "empty",
    "empty_like",
    "eye",
    "from_dlpack",
    "from_file",
    "from_numpy",
    "full",
    "full_like",
    "get_rng_state",
    "initial_seed",
    "linspace",
    "logspace",
    "manual_seed",
    "meshgrid",
    "multinomial",
    "normal",
    "ones",
    "ones_like",
    "rand",
    "rand_like",
    "randint",
    "randint_like",
    "randn",
    "randn_like",
    "randperm",
    "set_rng_state",
    "tensor",
    "tril",
    "tril_indices",
    "triu",
    "triu_indices",
    "zeros",
    "zeros_like",
]


@takes_tensors
def meshgrid(*arrays: Tensor, indexing: str = "xy") -> tuple[Tensor, ...]:
    """Return the coordinates of every point of a grid, one tensor for each of its axes.

    With "xy" the first two axes change places, as in pictures; with "ij" axis i belongs to
    `arrays[i]`. The results are views, stretched.

    >>> import lamina
    >>> lamina.meshgrid(lamina.tensor([1, 2]), lamina.tensor([3]), indexing="ij")[0]
    Tensor([[1],
            [2]])
    """
    axes = _listed(arrays)
    if indexing not in ("xy", "ij"):
        raise ArgumentError(f"meshgrid: indexing {indexing!r} given; expected 'xy' or 'ij'")
    order = list(range(len(axes)))
    if indexing == "xy" and len(axes) > 1:
        order[:2] = [1, 0]
    shape = [0] * len(axes)
    for x, place in zip(axes, order):
        shape[place] = x.size
    return tuple(
        expand(reshape(x, [x.size if a == place else 1 for a in range(len(axes))]), shape)
        for x, place in zip(axes, order)
    )


def _listed(arrays: tuple[Any, ...]) -> Sequence[Tensor]:
    is_list = len(arrays) == 1 and isinstance(arrays[0], list | tuple)
    axes: Sequence[Tensor] = arrays[0] if is_list else arrays
    if any(x.ndim > 1 for x in axes):
        shapes = [x.shape for x in axes]
        raise ShapeError(f"meshgrid: shapes {shapes} given; expected tensors of one axis")
    return axes


@second_keywords
def tril(x: Tensor, k: int = 0) -> Tensor:
    """Return `x` with zeros above the k-th diagonal of each matrix."""
    return copying.tril(x, k)


@second_keywords
def triu(x: Tensor, k: int = 0) -> Tensor:
    """Return `x` with zeros below the k-th diagonal of each matrix."""
    return copying.triu(x, k)


@second_keywords
def diag(x: Tensor, k: int = 0) -> Tensor:
    """Return the k-th diagonal of a matrix, or the matrix with a vector on that diagonal.

    >>> import lamina
    >>> lamina.diag(lamina.tensor([1, 2]))
    Tensor([[1, 0],
            [0, 2]])
    """
    return rearranging.diag(x, k)


def tril_indices(row: int, col: int, offset: int = 0) -> Tensor:
    """Return the rows and the columns (2, n) of a matrix's places on and below a diagonal."""
    return _triangle_indices("lower", row, col, offset)


def triu_indices(row: int, col: int, offset: int = 0) -> Tensor:
    """Return the rows and the columns (2, n) of a matrix's places on and above a diagonal."""
    return _triangle_indices("upper", row, col, offset)


def _triangle_indices(side: Literal["lower", "upper"], row: int, col: int, offset: int) -> Tensor:
    places = copying.Triangle(side, offset)(ones(row, col, dtype="int64")).array.numpy()
    rows, columns = places.nonzero()
    return copying.stack((from_numpy(rows), from_numpy(columns)))

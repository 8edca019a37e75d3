"""Elements repeated, turned and laid on diagonals: compositions of views and copies."""

from collections.abc import Sequence

from lamina.errors import ArgumentError, DTypeError, ShapeError
from lamina.layout import normalize_axis
from lamina.ops.indices.indexing import take
from lamina.ops.registry import Value
from lamina.ops.shapes import copying
from lamina.ops.shapes.movement import diagonal, expand, flip, reshape, swap_axes


def repeat(x: Value, repeats: int | Value, axis: int | None = None) -> Value:
    """Return `x` with every place of `axis` repeated: a number of times, or one number a place.

    >>> import lamina
    >>> repeat(lamina.tensor([5, 7]), lamina.tensor([1, 2]))
    Tensor([5, 7, 7])
    """
    if isinstance(repeats, int):
        return copying.repeat(x, repeats, axis)
    if not repeats.dtype.is_integer:
        raise DTypeError(f"repeat: repeats of {repeats.dtype.name} given; expected integers")
    if axis is None:
        x, axis = reshape(x, (-1,)), 0
    place = normalize_axis(axis, len(x.shape))
    counts = repeats.reshape((-1,)).tolist()
    if len(counts) not in (1, x.shape[place]) or min(counts, default=0) < 0:
        raise ArgumentError(
            f"repeat: {len(counts)} counts given for {x.shape[place]} places; expected one, or one "
            "a place, of 0 or more"
        )
    if len(counts) == 1:
        return copying.repeat(x, counts[0], place)
    places = [i for i, count in enumerate(counts) for _ in range(count)]
    return take(x, repeats.new_tensor(places, dtype="int64"), place)


def rotate(x: Value, quarters: int = 1, axes: Sequence[int] = (0, 1)) -> Value:
    """Return a view of `x` turned by quarters from the first of two axes towards the second.

    >>> import lamina
    >>> rotate(lamina.tensor([[1, 2], [3, 4]]))
    Tensor([[2, 4],
            [1, 3]])
    """
    first, second = axes
    match quarters % 4:
        case 1:
            return swap_axes(flip(x, second), first, second)
        case 2:
            return flip(x, (first, second))
        case 3:
            return flip(swap_axes(x, first, second), second)
    return x


def diag(x: Value, offset: int = 0) -> Value:
    """Return a diagonal of a matrix, or the matrix with a vector on that diagonal.

    >>> import lamina
    >>> diag(lamina.tensor([1, 2]))
    Tensor([[1, 0],
            [0, 2]])
    """
    if len(x.shape) == 2:
        return diagonal(x, offset)
    if len(x.shape) != 1:
        raise ShapeError(f"diag: shape {x.shape} given; expected a vector or a matrix")
    size = x.shape[0] + abs(offset)
    if offset:
        blank = x.new_zeros((abs(offset),))
        x = copying.concat((blank, x) if offset > 0 else (x, blank))
    square = expand(reshape(x, (1, size)), (size, size))
    return copying.tril(copying.triu(square, offset), offset)

"""Arguments about spatial axes: sizes, strides and paddings, read, checked and worked out."""

from collections.abc import Sequence
from operator import index

from lamina.errors import ArgumentError, ShapeError
from lamina.layout import Shape

Sizes = int | Sequence[int]


def per_axis(given: Sizes, count: int, what: str, *, least: int = 0) -> Shape:
    """Return `given` as one number an axis: a single one stands for all `count` of them.

    >>> per_axis(3, 2, "stride", least=1)
    (3, 3)
    """
    numbers = tuple(given) if isinstance(given, Sequence) else (given,)
    if len(numbers) == 1:
        numbers *= count
    try:
        sizes = tuple(index(n) for n in numbers)
    except TypeError:
        sizes = ()
    if len(sizes) != count or any(n < least for n in sizes):
        raise ArgumentError(
            f"{what} {given!r} given; expected a whole number of at least {least}, or one for each "
            f"of {count} axes"
        )
    return sizes


def spatial_count(sizes: Sizes, ndim: int, what: str) -> int:
    """Return how many spatial axes are meant: as many as there are `sizes`, else all but two."""
    count = len(sizes) if isinstance(sizes, Sequence) and len(sizes) > 1 else ndim - 2
    if isinstance(sizes, Sequence) and len(sizes) == 1 and ndim == 2:
        count = 1
    if count < 1 or count > ndim:
        raise ShapeError(
            f"{what}: {ndim} axes given; expected (batch, channels, *spatial) with spatial axes"
        )
    return count


def reach(size: int, dilation: int) -> int:
    """Return how many places a window covers, its gaps included."""
    return dilation * (size - 1) + 1


def inside(start: int, step: int, count: int, size: int) -> tuple[int, int]:
    """Return the range of i in [0, count) for which start + i·step lies in [0, size).

    >>> inside(-3, 2, 5, 4)
    (2, 4)
    """
    first = max(0, -(start // step))
    last = max(first, min(count, -((start - size) // step)))
    return first, last


def cut_axis(axis: int, start: int, stop: int, step: int = 1) -> tuple[slice, ...]:
    """Return the index that cuts one axis, the ones before it left whole."""
    return (*(slice(None),) * axis, slice(start, stop, step))

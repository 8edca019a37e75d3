"""What kernels ask of a tensor: an address, a shape, strides, a dtype's name."""

from collections.abc import Sequence
from typing import Protocol

Shape = tuple[int, ...]
Axes = Sequence[tuple[int, ...]]
AXES = 4


class Named(Protocol):
    """Anything with a dtype's name."""

    @property
    def name(self) -> str: ...


class Operand(Protocol):
    """A strided view of memory.

    `address` is that of the element with index 0 on every axis; `strides` count elements, may be
    negative, and are 0 along broadcast axes.
    """

    @property
    def address(self) -> int: ...

    @property
    def shape(self) -> Shape: ...

    @property
    def strides(self) -> Shape: ...

    @property
    def dtype(self) -> Named: ...


def coalesce(axes: list[tuple[int, ...]]) -> list[tuple[int, ...]]:
    """Return axes (size, stride, stride …), outermost first, with those merged that run on.

    >>> coalesce([(2, 12), (1, 99), (3, 4), (4, 1)])
    [(24, 1)]
    """
    merged: list[tuple[int, ...]] = []
    for size, *strides in axes:
        if size == 1:
            continue
        if merged and merged[-1][1:] == tuple(size * stride for stride in strides):
            merged[-1] = (merged[-1][0] * size, *strides)
        else:
            merged.append((size, *strides))
    return merged


def product(axes: Axes) -> int:
    """Return how many elements `axes` run over.

    >>> product([(2, 12), (3, 4)])
    6
    """
    total = 1
    for axis in axes:
        total *= axis[0]
    return total


def flat(axes: Axes, strides: int) -> list[int]:
    """Return sizes, then each kind of stride, of `axes` filled up to four with axes of size 1.

    >>> flat([(2, 12), (3, 4)], 1)
    [1, 1, 2, 3, 0, 0, 12, 4]
    """
    missing = AXES - len(axes)
    numbers = [1] * missing + [axis[0] for axis in axes]
    for which in range(1, strides + 1):
        numbers += [0] * missing + [axis[which] for axis in axes]
    return numbers

"""Distinct elements, and membership."""

from typing import Any, NamedTuple

from lamina.ops.orders import membership, sorting
from lamina.tensor import Tensor

__all__ = ["isin", "unique_all", "unique_counts", "unique_inverse", "unique_values"]


class UniqueAll(NamedTuple):
    """Distinct values, the first place of each, the place of each element's value, the counts."""

    values: Tensor
    indices: Tensor
    inverse_indices: Tensor
    counts: Tensor


class UniqueCounts(NamedTuple):
    """Distinct values and how often each is."""

    values: Tensor
    counts: Tensor


class UniqueInverse(NamedTuple):
    """Distinct values, and the place of each element's value among them."""

    values: Tensor
    inverse_indices: Tensor


def isin(x1: Any, x2: Any, *, invert: bool = False) -> Tensor:
    """Return whether each element of `x1` equals some element of `x2`, or none with `invert`.

    >>> import lamina
    >>> lamina.isin(lamina.tensor([1, 2]), lamina.tensor([2, 3]))
    Tensor([False,  True])
    """
    found = membership.isin(x1, x2)
    return ~found if invert else found


def unique_all(x: Tensor) -> UniqueAll:
    """Return the distinct values of `x`, ascending, with first places, inverse and counts.

    Places are counted in C order. Every NaN is distinct from every other.
    """
    return UniqueAll(*sorting.unique_all(x))


def unique_counts(x: Tensor) -> UniqueCounts:
    """Return the distinct values of `x`, ascending, and how often each occurs."""
    return UniqueCounts(*sorting.unique_counts(x))


def unique_inverse(x: Tensor) -> UniqueInverse:
    """Return the distinct values of `x`, ascending, and for each element the place of its value."""
    return UniqueInverse(*sorting.unique_inverse(x))


def unique_values(x: Tensor) -> Tensor:
    """Return the distinct values of `x`, ascending.

    >>> import lamina
    >>> lamina.unique_values(lamina.tensor([3, 1, 3]))
    Tensor([1, 3])
    """
    return sorting.unique_values(x)

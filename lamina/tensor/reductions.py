"""Reductions and running values as methods of a tensor."""

from typing import Any, NamedTuple

from lamina import dtypes
from lamina.dtypes import DType
from lamina.errors import ArgumentError
from lamina.ops.orders import sorting
from lamina.ops.orders.sorting import Found
from lamina.ops.reductions import reduction as ops
from lamina.ops.reductions import scan
from lamina.ops.reductions.folding import Axes
from lamina.ops.reductions.scan import Running
from lamina.ops.registry import Operand
from lamina.tensor.keywords import second_keywords

Tensor = Any


class MinMax(NamedTuple):
    """The least and the greatest element."""

    min: Tensor
    max: Tensor


def _wanted(dtype: Any) -> DType | None:
    return None if dtype is None else dtypes.as_dtype(dtype)


class Reductions(Operand):
    """`x.sum(axis)` and the like; `dim`/`keepdim` are second names of `axis`/`keepdims`."""

    __slots__ = ()

    @second_keywords
    def sum(self, axis: Axes = None, keepdims: bool = False, *, dtype: Any = None) -> Tensor:
        """Return Σ over `axis` (all axes by default)."""
        return ops.sum(self, axis, keepdims, dtype=_wanted(dtype))

    @second_keywords
    def mean(self, axis: Axes = None, keepdims: bool = False, *, dtype: Any = None) -> Tensor:
        """Return the mean over `axis` (all axes by default)."""
        return ops.mean(self, axis, keepdims, dtype=_wanted(dtype))

    @second_keywords
    def prod(self, axis: Axes = None, keepdims: bool = False, *, dtype: Any = None) -> Tensor:
        """Return Π over `axis` (all axes by default)."""
        return ops.prod(self, axis, keepdims, dtype=_wanted(dtype))

    @second_keywords
    def var(self, axis: Axes = None, correction: float = 1, keepdims: bool = False) -> Tensor:
        """Return the variance over `axis`, divided by n − `correction`.

        >>> import lamina
        >>> lamina.tensor([1.0, 3.0]).var(), lamina.tensor([1.0, 3.0]).var(unbiased=False)
        (Tensor(2.), Tensor(1.))
        """
        if isinstance(axis, bool):
            return ops.var(self, correction=axis)
        return ops.var(self, axis, keepdims, correction=correction)

    @second_keywords
    def std(self, axis: Axes = None, correction: float = 1, keepdims: bool = False) -> Tensor:
        """Return the standard deviation over `axis`, divided by n − `correction`."""
        if isinstance(axis, bool):
            return ops.std(self, correction=axis)
        return ops.std(self, axis, keepdims, correction=correction)

    @second_keywords
    def logsumexp(self, axis: Axes, keepdims: bool = False) -> Tensor:
        """Return log Σ exp x over `axis`, without overflow on the way."""
        return ops.logsumexp(self, axis, keepdims)

    @second_keywords
    def norm(
        self, p: Any = "fro", axis: Axes = None, keepdims: bool = False, dtype: Any = None
    ) -> Tensor:
        """Return (Σ |x|ᵖ)^(1/p) over `axis`; "fro" is p = 2."""
        x = self if dtype is None else self.to(dtype)  # type: ignore[attr-defined]
        return ops.norm(x, _order(p), axis, keepdims)

    @second_keywords
    def max(self, axis: Any = None, keepdims: bool = False) -> Any:
        """Return the greatest element; along an axis, the greatest elements and their places.

        Given a tensor: the greater of each pair.

        >>> import lamina
        >>> lamina.tensor([[1.0, 4.0], [3.0, 2.0]]).max(dim=1).indices
        Tensor([1, 0])
        """
        if isinstance(axis, Operand):
            return self.maximum(axis)  # type: ignore[attr-defined]
        return ops.max(self) if axis is None else ops.max_along(self, axis, keepdims)

    @second_keywords
    def min(self, axis: Any = None, keepdims: bool = False) -> Any:
        """Return the least element; along an axis, the least elements and their places.

        Given a tensor: the lesser of each pair.
        """
        if isinstance(axis, Operand):
            return self.minimum(axis)  # type: ignore[attr-defined]
        return ops.min(self) if axis is None else ops.min_along(self, axis, keepdims)

    @second_keywords
    def amax(self, axis: Axes = None, keepdims: bool = False) -> Tensor:
        """Return the greatest element over `axis`; equals share the gradient."""
        return ops.max(self, axis, keepdims)

    @second_keywords
    def amin(self, axis: Axes = None, keepdims: bool = False) -> Tensor:
        """Return the least element over `axis`; equals share the gradient."""
        return ops.min(self, axis, keepdims)

    @second_keywords
    def aminmax(self, *, axis: Axes = None, keepdims: bool = False) -> MinMax:
        """Return the least and the greatest element over `axis`."""
        return MinMax(ops.min(self, axis, keepdims), ops.max(self, axis, keepdims))

    @second_keywords
    def argmax(self, axis: int | None = None, keepdims: bool = False) -> Tensor:
        """Return the place of the first greatest element along `axis`, or in C order."""
        return ops.argmax(self, axis, keepdims)

    @second_keywords
    def argmin(self, axis: int | None = None, keepdims: bool = False) -> Tensor:
        """Return the place of the first least element along `axis`, or in C order."""
        return ops.argmin(self, axis, keepdims)

    @second_keywords
    def any(self, axis: Axes = None, keepdims: bool = False) -> Tensor:
        """Return whether some element over `axis` is not zero."""
        return ops.any(self, axis, keepdims)

    @second_keywords
    def all(self, axis: Axes = None, keepdims: bool = False) -> Tensor:
        """Return whether no element over `axis` is zero."""
        return ops.all(self, axis, keepdims)

    @second_keywords
    def count_nonzero(self, axis: Axes = None) -> Tensor:
        """Return how many elements over `axis` are not zero."""
        return ops.count_nonzero(self, axis)

    @second_keywords
    def median(self, axis: int | None = None, keepdims: bool = False) -> Any:
        """Return the middle element, of an even number the lower; along an axis, its place too."""
        if axis is None:
            return sorting.median(self)
        return sorting.median_along(self, axis, keepdims)

    @second_keywords
    def cumsum(self, axis: int, dtype: Any = None) -> Tensor:
        """Return the running sum along `axis`."""
        return scan.cumsum(self, axis, dtype=_wanted(dtype))

    @second_keywords
    def cumprod(self, axis: int, dtype: Any = None) -> Tensor:
        """Return the running product along `axis`."""
        return scan.cumprod(self, axis, dtype=_wanted(dtype))

    @second_keywords
    def cummax(self, axis: int) -> Running:
        """Return the greatest element so far along `axis`, and its place (the last of equals)."""
        return scan.cummax(self, axis)

    @second_keywords
    def cummin(self, axis: int) -> Running:
        """Return the least element so far along `axis`, and its place (the last of equals)."""
        return scan.cummin(self, axis)

    @second_keywords
    def sort(self, axis: int = -1, descending: bool = False, stable: bool = True) -> Found:
        """Return the elements along `axis` in sorted order, and where they were.

        Equal elements keep their order, whether `stable` asks for it or not.
        """
        return sorting.sorted_with_places(self, axis, descending=descending)

    @second_keywords
    def argsort(self, axis: int = -1, descending: bool = False, stable: bool = True) -> Tensor:
        """Return the places of the elements along `axis` in sorted order; equals keep theirs."""
        return sorting.argsort(self, axis, descending=descending)

    @second_keywords
    def topk(self, k: int, axis: int = -1, largest: bool = True, sorted: bool = True) -> Found:
        """Return the `k` greatest (or least) elements along `axis`, in order, and their places."""
        return sorting.topk(self, k, axis, largest=largest, sorted=sorted)

    @second_keywords
    def kthvalue(self, k: int, axis: int = -1, keepdims: bool = False) -> Found:
        """Return the k-th least element along `axis`, counted from 1, and its place."""
        return sorting.kth_value(self, k, axis, keepdims)

    def unique(
        self, sorted: bool = True, return_inverse: bool = False, return_counts: bool = False
    ) -> Any:
        """Return the distinct elements, ascending; each element's place among them, and counts.

        >>> import lamina
        >>> lamina.tensor([2, 1, 2]).unique(return_counts=True)
        (Tensor([1, 2]), Tensor([1, 2]))
        """
        found = sorting.unique_all(self)
        inverse = (found.inverse,) if return_inverse else ()
        counts = (found.counts,) if return_counts else ()
        return (found.values, *inverse, *counts) if inverse or counts else found.values


def _order(p: Any) -> float:
    if isinstance(p, str) and p not in ("fro", "inf", "-inf"):
        raise ArgumentError(f"norm: p={p!r} given; expected a number or 'fro'")
    return 2.0 if p in ("fro", None) else float(p)

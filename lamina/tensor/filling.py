"""New tensors in the likeness of one at hand."""

from typing import Any

from lamina import dtypes
from lamina.memory import Array, empty, full
from lamina.ops.registry import Operand
from lamina.tensor.conversion import array_of
from lamina.tensor.shaping import sizes

Tensor = Any


class Filling(Operand):
    """`new_*`: another shape, by default this tensor's dtype. None of them has a history."""

    __slots__ = ()

    array: Array

    def new_full(self, size: Any, fill_value: Any, *, dtype: Any = None) -> Tensor:
        """Return one number everywhere."""
        wanted = self.array.dtype if dtype is None else dtypes.as_dtype(dtype)
        return self._bare(full(sizes((size,)), wanted, fill_value))

    def new_zeros(self, *size: Any, dtype: Any = None) -> Tensor:
        """Return zeros."""
        return self.new_full(sizes(size), 0, dtype=dtype)

    def new_ones(self, *size: Any, dtype: Any = None) -> Tensor:
        """Return ones."""
        return self.new_full(sizes(size), 1, dtype=dtype)

    def new_empty(self, *size: Any, dtype: Any = None) -> Tensor:
        """Return elements of whatever the memory held."""
        wanted = self.array.dtype if dtype is None else dtypes.as_dtype(dtype)
        return self._bare(empty(sizes(size), wanted))

    def new_tensor(self, data: Any, *, dtype: Any = None) -> Tensor:
        """Return a copy of `data` in this tensor's dtype."""
        return self._bare(array_of(data, dtype or self.array.dtype, copy=True))

    def zeros_like(self) -> Tensor:
        """Return zeros of this shape and dtype."""
        return self.new_zeros(self.shape)

    def ones_like(self) -> Tensor:
        """Return ones of this shape and dtype."""
        return self.new_ones(self.shape)

    def _bare(self, array: Array) -> Tensor:
        return self.of_history(array, None)  # type: ignore[attr-defined]

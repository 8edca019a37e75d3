"""Reductions as methods of a tensor."""

from typing import Any

from lamina import dtypes
from lamina.ops import reduction as ops
from lamina.ops.registry import Operand

Tensor = Any


class Reductions(Operand):
    """`x.sum(axis)` and the like; `dim`/`keepdim` are second names of `axis`/`keepdims`."""

    __slots__ = ()

    def sum(self, axis: ops.Axes = None, keepdims: bool = False, *, dtype: Any = None) -> Tensor:
        """Return Σ over `axis` (all axes by default)."""
        wanted = None if dtype is None else dtypes.as_dtype(dtype)
        return ops.sum(self, axis, keepdims, dtype=wanted)

"""Indexing of a tensor: `x[…]`, `x[…] = v`, and the named forms."""

from collections.abc import Iterator
from typing import Any

from lamina.errors import AxisError
from lamina.ops import indexing as ops
from lamina.ops.registry import Operand
from lamina.tensor.views import assign

Tensor = Any


class Indexing(Operand):
    """Slices and single places give views; arrays of places or of truth values give copies."""

    __slots__ = ()

    def __getitem__(self, index: Any) -> Tensor:
        steps = ops.basic_steps(index, self.shape)
        if steps is not None:
            return self.apply(ops.BasicIndex(steps), (self,))
        return ops.array_index(self, index)

    def __setitem__(self, index: Any, value: Any) -> None:
        steps = ops.basic_steps(index, self.shape)
        if steps is None:
            assign(self, ops.index_put(self, index, value))
            return
        self.apply(ops.BasicIndex(steps), (self,)).copy_(value)

    def __iter__(self) -> Iterator[Tensor]:
        if not self.shape:
            raise AxisError("iteration over a 0-d tensor; it has no axes")
        return (self[i] for i in range(self.shape[0]))

    def index_put(self, indices: Any, values: Any, accumulate: bool = False) -> Tensor:
        """Return a copy with `values` at `indices`, replacing what was there or added to it."""
        return ops.index_put(self, indices, values, accumulate=accumulate)

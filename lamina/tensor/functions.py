"""Elementary functions and activations as methods of a tensor."""

from typing import Any

from lamina.ops import functions as fn
from lamina.ops.registry import Operand

Tensor = Any


class Functions(Operand):
    """`x.exp()` and the like: each is one row of the op table."""

    __slots__ = ()

    def exp(self) -> Tensor:
        """Return eˣ."""
        return self.apply(fn.exp, (self,))

    def log(self) -> Tensor:
        """Return the natural logarithm."""
        return self.apply(fn.log, (self,))

    def sqrt(self) -> Tensor:
        """Return the square root."""
        return self.apply(fn.sqrt, (self,))

    def tanh(self) -> Tensor:
        """Return the hyperbolic tangent."""
        return self.apply(fn.tanh, (self,))

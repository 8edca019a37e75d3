"""Comparison of whole tensors."""

from typing import Any

from lamina.ops.elementwise import closeness
from lamina.ops.registry import Operand

Tensor = Any


class Closeness(Operand):
    """Equal, or equal within a tolerance."""

    __slots__ = ()

    def equal(self, other: Tensor) -> bool:
        """Return whether shape and elements are equal; `==` and `eq` compare element by element."""
        return closeness.is_same(self, other)

    def isclose(
        self, other: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False
    ) -> Tensor:
        """Return whether |self − other| ≤ atol + rtol·|other|, or both are equal."""
        return closeness.isclose(self, other, rtol, atol, equal_nan=equal_nan)

    def allclose(
        self, other: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False
    ) -> bool:
        """Return whether `isclose` holds everywhere."""
        return closeness.allclose(self, other, rtol, atol, equal_nan=equal_nan)

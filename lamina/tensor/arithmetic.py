"""Operators and named arithmetic of a tensor."""

from typing import Any

import numpy as np

from lamina.ops.algebra import products
from lamina.ops.elementwise import arithmetic as ops
from lamina.ops.elementwise import powers
from lamina.ops.reductions import reduction
from lamina.ops.registry import Operand

Tensor = Any

# What `==` compares with, element by element; nothing else ever equals a tensor.
_COMPARABLE = (Operand, int, float, complex, np.ndarray, np.generic, list, tuple)


class Arithmetic(Operand):
    """`+`, `<`, `@` and their kin; each is one op applied to self and the other operand."""

    __slots__ = ()

    def __add__(self, other: Any) -> Tensor:
        return self.apply(ops.add, (self, other))

    def __radd__(self, other: Any) -> Tensor:
        return self.apply(ops.add, (other, self))

    def __sub__(self, other: Any) -> Tensor:
        return self.apply(ops.subtract, (self, other))

    def __rsub__(self, other: Any) -> Tensor:
        return self.apply(ops.subtract, (other, self))

    def __mul__(self, other: Any) -> Tensor:
        return self.apply(ops.multiply, (self, other))

    def __rmul__(self, other: Any) -> Tensor:
        return self.apply(ops.multiply, (other, self))

    def __truediv__(self, other: Any) -> Tensor:
        return self.apply(ops.divide, (self, other))

    def __rtruediv__(self, other: Any) -> Tensor:
        return self.apply(ops.divide, (other, self))

    def __floordiv__(self, other: Any) -> Tensor:
        return self.apply(ops.floor_divide, (self, other))

    def __rfloordiv__(self, other: Any) -> Tensor:
        return self.apply(ops.floor_divide, (other, self))

    def __mod__(self, other: Any) -> Tensor:
        return self.apply(ops.remainder, (self, other))

    def __rmod__(self, other: Any) -> Tensor:
        return self.apply(ops.remainder, (other, self))

    def __divmod__(self, other: Any) -> tuple[Tensor, Tensor]:
        return self // other, self % other

    def __pow__(self, other: Any) -> Tensor:
        return powers.raised(self, other)

    def __rpow__(self, other: Any) -> Tensor:
        return self.apply(ops.power, (other, self))

    def __matmul__(self, other: Any) -> Tensor:
        return products.matmul(self, other)

    def __rmatmul__(self, other: Any) -> Tensor:
        return products.matmul(other, self)

    def __neg__(self) -> Tensor:
        return self.apply(ops.negative, (self,))

    def __pos__(self) -> Tensor:
        return self.apply(ops.positive, (self,))

    def __abs__(self) -> Tensor:
        return self.apply(ops.absolute, (self,))

    def __invert__(self) -> Tensor:
        return self.apply(ops.bitwise_invert, (self,))

    def __and__(self, other: Any) -> Tensor:
        return self.apply(ops.bitwise_and, (self, other))

    def __rand__(self, other: Any) -> Tensor:
        return self.apply(ops.bitwise_and, (other, self))

    def __or__(self, other: Any) -> Tensor:
        return self.apply(ops.bitwise_or, (self, other))

    def __ror__(self, other: Any) -> Tensor:
        return self.apply(ops.bitwise_or, (other, self))

    def __xor__(self, other: Any) -> Tensor:
        return self.apply(ops.bitwise_xor, (self, other))

    def __rxor__(self, other: Any) -> Tensor:
        return self.apply(ops.bitwise_xor, (other, self))

    def __lshift__(self, other: Any) -> Tensor:
        return self.apply(ops.bitwise_left_shift, (self, other))

    def __rlshift__(self, other: Any) -> Tensor:
        return self.apply(ops.bitwise_left_shift, (other, self))

    def __rshift__(self, other: Any) -> Tensor:
        return self.apply(ops.bitwise_right_shift, (self, other))

    def __rrshift__(self, other: Any) -> Tensor:
        return self.apply(ops.bitwise_right_shift, (other, self))

    def __contains__(self, value: Any) -> bool:
        return bool(reduction.any(self.apply(ops.equal, (self, value))))

    def __eq__(self, other: object) -> Tensor:
        if not isinstance(other, _COMPARABLE):
            return NotImplemented
        return self.apply(ops.equal, (self, other))

    def __ne__(self, other: object) -> Tensor:
        if not isinstance(other, _COMPARABLE):
            return NotImplemented
        return self.apply(ops.not_equal, (self, other))

    def __lt__(self, other: Any) -> Tensor:
        return self.apply(ops.less, (self, other))

    def __le__(self, other: Any) -> Tensor:
        return self.apply(ops.less_equal, (self, other))

    def __gt__(self, other: Any) -> Tensor:
        return self.apply(ops.greater, (self, other))

    def __ge__(self, other: Any) -> Tensor:
        return self.apply(ops.greater_equal, (self, other))

    def add(self, other: Any, *, alpha: float = 1) -> Tensor:
        """Return self + alpha·other."""
        return self + other if alpha == 1 else self + other * alpha

    def sub(self, other: Any, *, alpha: float = 1) -> Tensor:
        """Return self − alpha·other."""
        return self - other if alpha == 1 else self - other * alpha

    def mul(self, other: Any) -> Tensor:
        """Return self · other."""
        return self * other

    def div(self, other: Any) -> Tensor:
        """Return self / other."""
        return self / other

    def pow(self, exponent: Any) -> Tensor:
        """Return self to the power `exponent`."""
        return self**exponent

    def neg(self) -> Tensor:
        """Return −self."""
        return -self

    def abs(self) -> Tensor:
        """Return |self|."""
        return abs(self)

    def sign(self) -> Tensor:
        """Return −1, 0 or 1 by the sign of each element."""
        return self.apply(ops.sign, (self,))

    def eq(self, other: Any) -> Tensor:
        """Return whether each element equals `other`."""
        return self == other

    def ne(self, other: Any) -> Tensor:
        """Return whether each element differs from `other`."""
        return self != other

    def lt(self, other: Any) -> Tensor:
        """Return whether each element is less than `other`."""
        return self < other

    def le(self, other: Any) -> Tensor:
        """Return whether each element is at most `other`."""
        return self <= other

    def gt(self, other: Any) -> Tensor:
        """Return whether each element is greater than `other`."""
        return self > other

    def ge(self, other: Any) -> Tensor:
        """Return whether each element is at least `other`."""
        return self >= other

    def maximum(self, other: Any) -> Tensor:
        """Return the greater of each pair; NaN if either is."""
        return self.apply(ops.maximum, (self, other))

    def minimum(self, other: Any) -> Tensor:
        """Return the lesser of each pair; NaN if either is."""
        return self.apply(ops.minimum, (self, other))

    def isnan(self) -> Tensor:
        """Return whether each element is NaN."""
        return self.apply(ops.isnan, (self,))

    def isinf(self) -> Tensor:
        """Return whether each element is ±Inf."""
        return self.apply(ops.isinf, (self,))

    def isfinite(self) -> Tensor:
        """Return whether each element is neither NaN nor ±Inf."""
        return self.apply(ops.isfinite, (self,))

    def logical_not(self) -> Tensor:
        """Return whether each element is zero."""
        return self.apply(ops.logical_not, (self,))

    def logical_and(self, other: Any) -> Tensor:
        """Return whether both are non-zero."""
        return self.apply(ops.logical_and, (self, other))

    def logical_or(self, other: Any) -> Tensor:
        """Return whether either is non-zero."""
        return self.apply(ops.logical_or, (self, other))

    def logical_xor(self, other: Any) -> Tensor:
        """Return whether exactly one is non-zero."""
        return self.apply(ops.logical_xor, (self, other))

    def where(self, condition: Tensor, other: Any) -> Tensor:
        """Return self where `condition` holds, `other` elsewhere."""
        return ops.where(condition, self, other)

    def matmul(self, other: Any) -> Tensor:
        """Return the matrix product self @ other."""
        return self @ other

    mm = matmul
    bmm = matmul

    def dot(self, other: Any) -> Tensor:
        """Return Σ self·other of two vectors."""
        return self @ other

"""A tensor in other data types, by PyTorch's names of them, and questions about its own."""

import builtins
from typing import Any

from lamina import dtypes
from lamina.memory import Array
from lamina.ops.elementwise.arithmetic import cast
from lamina.ops.registry import Operand

Tensor = Any


class Casting(Operand):
    """`x.float()` and the like: the tensor itself where it has that dtype already."""

    __slots__ = ()

    array: Array

    def is_floating_point(self) -> builtins.bool:
        """Return whether the elements are real floating-point numbers."""
        return self.array.dtype.is_floating_point

    def is_complex(self) -> builtins.bool:
        """Return whether the elements are complex numbers."""
        return self.array.dtype.is_complex

    def type_as(self, other: Tensor) -> Tensor:
        """Return the tensor in the dtype of `other`."""
        return cast(self, other.dtype)

    def element_size(self) -> builtins.int:
        """Return the bytes of one element."""
        return self.array.dtype.itemsize

    def nelement(self) -> builtins.int:
        """Return the number of elements."""
        return self.array.layout.size

    def double(self) -> Tensor:
        """Return the tensor in float64."""
        return cast(self, dtypes.float64)

    def float(self) -> Tensor:
        """Return the tensor in float32."""
        return cast(self, dtypes.float32)

    def half(self) -> Tensor:
        """Return the tensor in float16."""
        return cast(self, dtypes.float16)

    def bfloat16(self) -> Tensor:
        """Return the tensor in bfloat16."""
        return cast(self, dtypes.bfloat16)

    def long(self) -> Tensor:
        """Return the tensor in int64."""
        return cast(self, dtypes.int64)

    def int(self) -> Tensor:
        """Return the tensor in int32."""
        return cast(self, dtypes.int32)

    def short(self) -> Tensor:
        """Return the tensor in int16."""
        return cast(self, dtypes.int16)

    def char(self) -> Tensor:
        """Return the tensor in int8."""
        return cast(self, dtypes.int8)

    def byte(self) -> Tensor:
        """Return the tensor in uint8."""
        return cast(self, dtypes.uint8)

    def bool(self) -> Tensor:
        """Return whether each element is not zero."""
        return cast(self, dtypes.bool_)

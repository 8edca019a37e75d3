"""A tensor's way in and out: Python numbers and lists, numpy, the buffer protocol, DLPack."""

import sys
from types import ModuleType
from typing import Any

import numpy as np

from lamina import dtypes
from lamina.errors import (
    ArgumentError,
    DeviceError,
    DTypeError,
    ExchangeError,
    GradientError,
    ShapeError,
)
from lamina.memory import Array
from lamina.memory.array import NDArray
from lamina.ops.registry import Operand
from lamina.tensor import dlpack

Tensor = Any

# The namespace is the package, rows above this one: looked up when asked for, never imported.
_PACKAGE = __name__.partition(".")[0]
_API_VERSIONS = ("2021.12", "2022.12", "2023.12", "2024.12", "2025.12")


class Interchange(Operand):
    """Conversions that share memory wherever the other side can."""

    __slots__ = ()

    array: Array
    requires_grad: bool

    def numpy(self, *, force: bool = False) -> NDArray:
        """Return a numpy array of the same memory; `force` allows it of a tensor with a history."""
        if self.requires_grad and not force:
            raise GradientError(
                "numpy() of a tensor that requires grad would lose its history; call detach() first"
            )
        return self.array.numpy()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray:
        values = self.numpy()
        if dtype is not None and values.dtype != dtype:
            return values.astype(dtype)
        return np.array(values) if copy else values

    def __buffer__(self, flags: int) -> memoryview:
        """Export the memory by the buffer protocol (Python 3.12 and later ask for it here)."""
        return self.numpy().data

    def tolist(self) -> Any:
        """Return the elements as nested lists of Python numbers (a number for a 0-d tensor)."""
        values = self.array.numpy()
        if values.dtype == dtypes.bfloat16.numpy:
            values = values.astype(np.float32)
        return values.tolist()

    def item(self) -> Any:
        """Return the only element as a Python number; ShapeError where there are more."""
        if self.array.layout.size != 1:
            raise ShapeError(
                f"item() of shape {self.array.shape}: expected exactly one element; use tolist()"
            )
        value = self.array.numpy().reshape(())[()]
        return float(value) if value.dtype == dtypes.bfloat16.numpy else value.item()

    def __bool__(self) -> bool:
        return bool(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __float__(self) -> float:
        return float(self.item())

    def __complex__(self) -> complex:
        return complex(self.item())

    def __index__(self) -> int:
        if not self.array.dtype.is_integer:
            raise DTypeError(f"a {self.array.dtype.name} tensor cannot index; convert it to int64")
        return int(self.item())

    def __format__(self, spec: str) -> str:
        return format(str(self) if self.array.shape else self.item(), spec)

    def __dlpack__(
        self,
        *,
        stream: Any = None,
        max_version: tuple[int, int] | None = None,
        dl_device: tuple[Any, int] | None = None,
        copy: bool | None = None,
    ) -> Any:
        """Return a DLPack capsule of the same memory (of a copy where `copy` is True)."""
        if stream is not None:
            raise ExchangeError("a stream was given; the CPU has none: pass None")
        return dlpack.offer(self.numpy(), max_version=max_version, dl_device=dl_device, copy=copy)

    def __dlpack_device__(self) -> tuple[int, int]:
        return dlpack.CPU

    def __array_namespace__(self, *, api_version: str | None = None) -> ModuleType:
        """Return the namespace of the Array API that this tensor belongs to: `lamina`."""
        if api_version is not None and api_version not in _API_VERSIONS:
            raise ArgumentError(
                f"Array API {api_version!r} asked for; expected one of {', '.join(_API_VERSIONS)}"
            )
        return sys.modules[_PACKAGE]

    def to_device(self, device: Any, /, *, stream: Any = None) -> Tensor:
        """Return the tensor itself; the CPU is the only device."""
        if str(device).split(":")[0] != "cpu":
            raise DeviceError(f"device {device!r} given; Lamina computes on the CPU alone")
        return self

    def cpu(self) -> Tensor:
        """Return the tensor itself."""
        return self

"""Data types: their limits, and what can become of them."""

from dataclasses import dataclass
from typing import Any

import ml_dtypes
import numpy as np

from lamina import dtypes
from lamina.dtypes import DType
from lamina.errors import ArgumentError, DTypeError
from lamina.tensor import Tensor
from lamina.tensor.core import check_device
from lamina.tensor.guard import takes_tensors

__all__ = ["astype", "can_cast", "finfo", "iinfo", "isdtype", "result_type"]

_KINDS: dict[str, tuple[dtypes.Kind, ...]] = {
    "bool": ("bool",),
    "signed integer": ("signed",),
    "unsigned integer": ("unsigned",),
    "integral": ("signed", "unsigned"),
    "real floating": ("float",),
    "complex floating": ("complex",),
    "numeric": ("signed", "unsigned", "float", "complex"),
}


@dataclass(frozen=True, slots=True)
class FloatInfo:
    """Limits of a floating-point dtype; of a complex one, those of its parts."""

    bits: int
    eps: float
    max: float
    min: float
    smallest_normal: float
    dtype: DType

    @property
    def tiny(self) -> float:
        """The smallest positive normal number, by PyTorch's name."""
        return self.smallest_normal


@dataclass(frozen=True, slots=True)
class IntegerInfo:
    """Limits of an integer dtype."""

    bits: int
    max: int
    min: int
    dtype: DType


def _dtype_of(value: Any) -> DType:
    return value.dtype if isinstance(value, Tensor) else dtypes.as_dtype(value)


def finfo(type: Any = None) -> FloatInfo:
    """Return the limits of a floating-point or complex dtype, or of that of a tensor.

    >>> import lamina
    >>> finfo(lamina.float32).eps
    1.1920928955078125e-07
    """
    dtype = dtypes.real_of(dtypes.default_float if type is None else _dtype_of(type))
    if not dtype.is_floating_point:
        raise DTypeError(f"finfo: {dtype.name} given, expected a floating-point dtype; use iinfo")
    found: Any = (ml_dtypes if dtype is dtypes.bfloat16 else np).finfo(dtype.numpy)
    return FloatInfo(
        bits=8 * dtype.itemsize,
        eps=float(found.eps),
        max=float(found.max),
        min=float(found.min),
        smallest_normal=float(found.smallest_normal),
        dtype=dtype,
    )


def iinfo(type: Any) -> IntegerInfo:
    """Return the limits of an integer dtype, or of that of a tensor.

    >>> import lamina
    >>> iinfo(lamina.int8).max
    127
    """
    dtype = _dtype_of(type)
    if not dtype.is_integer:
        raise DTypeError(f"iinfo: {dtype.name} given, expected an integer dtype; use finfo")
    found = np.iinfo(dtype.numpy)
    return IntegerInfo(found.bits, int(found.max), int(found.min), dtype)


def isdtype(dtype: Any, kind: Any) -> bool:
    """Return whether `dtype` is of `kind`: a dtype, the name of a kind, or any of a tuple of them.

    >>> import lamina
    >>> isdtype(lamina.float32, ("integral", "real floating"))
    True
    """
    if isinstance(kind, tuple):
        return any(isdtype(dtype, k) for k in kind)
    found = dtypes.as_dtype(dtype)
    if isinstance(kind, str) and kind in _KINDS:
        return found.kind in _KINDS[kind]
    if isinstance(kind, str) and kind not in dtypes.DTYPES:
        raise ArgumentError(f"kind {kind!r} given; expected a dtype or one of {', '.join(_KINDS)}")
    return found is dtypes.as_dtype(kind)


def can_cast(from_: Any, to: Any) -> bool:
    """Return whether promotion alone leads from a dtype, or that of a tensor, to the dtype `to`.

    >>> import lamina
    >>> can_cast(lamina.int8, lamina.int16), can_cast(lamina.int16, lamina.int8)
    (True, False)
    """
    source, target = _dtype_of(from_), dtypes.as_dtype(to)
    if source.kind != target.kind and {source.kind, target.kind} not in (
        {"signed", "unsigned"},
        {"float", "complex"},
    ):
        return False
    try:
        return dtypes.promote(source, target) is target
    except DTypeError:
        return False


def result_type(*arrays_and_dtypes: Any) -> DType:
    """Return the dtype that tensors, dtypes and Python numbers make together.

    >>> import lamina
    >>> result_type(lamina.int8, lamina.uint8, 3)
    lamina.int16
    """
    scalars = [v for v in arrays_and_dtypes if _is_scalar(v)]
    common: DType | None = None
    for value in arrays_and_dtypes:
        if not _is_scalar(value):
            found = _dtype_of(value)
            common = found if common is None else dtypes.promote(common, found)
    if common is None:
        raise ArgumentError("result_type: no tensor and no dtype given; give at least one")
    beside = [dtypes.of_scalar(s, common) for s in scalars]
    for own in beside:
        common = dtypes.promote(common, own)
    return common


def _is_scalar(value: Any) -> bool:
    return isinstance(value, int | float | complex)


@takes_tensors
def astype(x: Tensor, dtype: Any, /, *, copy: bool = True, device: Any = None) -> Tensor:
    """Return `x` converted to `dtype`: always a copy, or with `copy=False` only where needed."""
    check_device(device)
    return x.to(dtype, copy=copy)

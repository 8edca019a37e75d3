"""The data types, and what two of them make together.

| kind     | types                                   | kernels | gradients |
|----------|-----------------------------------------|---------|-----------|
| bool     | bool                                    | yes     | no        |
| signed   | int8 int16 int32 int64                  | yes     | no        |
| unsigned | uint8 uint16 uint32 uint64              | yes     | no        |
| float    | float16 bfloat16 float32 float64        | yes     | yes       |
| complex  | complex64 complex128                    | no: numpy reference alone | no |
"""

from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import ml_dtypes
import numpy as np

from lamina.errors import DTypeError

Kind = Literal["bool", "signed", "unsigned", "float", "complex"]
Scalar = bool | int | float | complex


@dataclass(frozen=True, eq=False, slots=True)
class DType:
    """A data type: one object each, so compare with `is` or `==`."""

    name: str
    kind: Kind
    itemsize: int
    numpy: np.dtype[Any]

    @property
    def is_integer(self) -> bool:
        return self.kind in ("signed", "unsigned")

    @property
    def is_floating_point(self) -> bool:
        return self.kind == "float"

    @property
    def is_complex(self) -> bool:
        return self.kind == "complex"

    def __repr__(self) -> str:
        return f"lamina.{self.name}"

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return named, (self.name,)


def _make(name: str, kind: Kind, numpy_type: Any) -> DType:
    described = np.dtype(numpy_type)
    return DType(name, kind, described.itemsize, described)


bool_ = _make("bool", "bool", np.bool_)
int8 = _make("int8", "signed", np.int8)
int16 = _make("int16", "signed", np.int16)
int32 = _make("int32", "signed", np.int32)
int64 = _make("int64", "signed", np.int64)
uint8 = _make("uint8", "unsigned", np.uint8)
uint16 = _make("uint16", "unsigned", np.uint16)
uint32 = _make("uint32", "unsigned", np.uint32)
uint64 = _make("uint64", "unsigned", np.uint64)
float16 = _make("float16", "float", np.float16)
bfloat16 = _make("bfloat16", "float", ml_dtypes.bfloat16)
float32 = _make("float32", "float", np.float32)
float64 = _make("float64", "float", np.float64)
complex64 = _make("complex64", "complex", np.complex64)
complex128 = _make("complex128", "complex", np.complex128)

DTYPES: dict[str, DType] = {
    d.name: d
    for d in (
        *(bool_, int8, int16, int32, int64, uint8, uint16, uint32, uint64),
        *(float16, bfloat16, float32, float64, complex64, complex128),
    )
}
SIGNED = (int8, int16, int32, int64)
UNSIGNED = (uint8, uint16, uint32, uint64)
INTEGERS = (*SIGNED, *UNSIGNED)
FLOATS = (float16, bfloat16, float32, float64)
COMPLEX = (complex64, complex128)

default_float = float32
default_int = int64

_BY_NUMPY: dict[np.dtype[Any], DType] = {d.numpy: d for d in DTYPES.values()}
_BY_PYTHON: dict[type, DType] = {
    bool: bool_,
    int: default_int,
    float: default_float,
    complex: complex64,
}


def named(name: str) -> DType:
    """Return the dtype of that name."""
    if name not in DTYPES:
        raise DTypeError(f"no dtype is named {name!r}; expected one of {', '.join(DTYPES)}")
    return DTYPES[name]


def from_numpy(dtype: np.dtype[Any]) -> DType:
    """Return the dtype that numpy calls `dtype`."""
    found = _BY_NUMPY.get(dtype)
    if found is None:
        raise DTypeError(
            f"numpy dtype {dtype!r} has no counterpart; convert to one of {', '.join(DTYPES)} first"
        )
    return found


def as_dtype(dtype: Any) -> DType:
    """Return the dtype meant by a DType, a name, a numpy dtype or a Python type.

    >>> as_dtype("float32"), as_dtype(int)
    (lamina.float32, lamina.int64)
    """
    if isinstance(dtype, DType):
        return dtype
    if isinstance(dtype, type) and dtype in _BY_PYTHON:
        return _BY_PYTHON[dtype]
    if isinstance(dtype, str):
        return named(dtype)
    try:
        # numpy takes None for float64.
        return from_numpy(np.dtype("" if dtype is None else dtype))
    except TypeError:
        raise DTypeError(f"{dtype!r} is not a dtype; expected lamina.float32 or the like") from None


@cache
def promote(a: DType, b: DType) -> DType:
    """Return the dtype that holds both `a` and `b`, by the Array API's lattice.

    Mixed kinds, which that standard leaves open, follow the higher kind: bool < integer < float <
    complex, as in PyTorch.

    >>> promote(uint8, int8), promote(bfloat16, float16), promote(int64, float32)
    (lamina.int16, lamina.float32, lamina.float32)
    """
    if a is b:
        return a
    rank = {"bool": 0, "signed": 1, "unsigned": 1, "float": 2, "complex": 3}
    if rank[a.kind] > rank[b.kind]:
        a, b = b, a
    if rank[a.kind] == rank[b.kind]:
        return _promote_alike(a, b)
    if b.is_complex and a is float64:
        return complex128
    return b


def _promote_alike(a: DType, b: DType) -> DType:
    if a.itemsize == b.itemsize == 2 and a.kind == "float":
        return float32
    if a.kind == b.kind:
        return a if a.itemsize > b.itemsize else b
    signed, unsigned = (a, b) if a.kind == "signed" else (b, a)
    if unsigned is uint64:
        raise DTypeError(
            f"{signed.name} with uint64 has no common integer type; convert one of them first"
        )
    return SIGNED[max(SIGNED.index(signed), UNSIGNED.index(unsigned) + 1)]


def of_scalar(value: Scalar, beside: DType | None) -> DType:
    """Return the dtype a Python scalar takes beside a tensor of dtype `beside`.

    The tensor's own dtype where it can hold the scalar's kind, else the default of the higher kind.
    """
    own = _BY_PYTHON[type(value)] if type(value) in _BY_PYTHON else _scalar_base(value)
    if beside is None:
        return own
    if own is bool_ or beside.is_complex:
        return beside
    if own is default_int:
        return default_int if beside is bool_ else beside
    if own is default_float:
        return beside if beside.is_floating_point else default_float
    return complex128 if beside is float64 else complex64


def _scalar_base(value: object) -> DType:
    for python, dtype in _BY_PYTHON.items():
        if isinstance(value, python):
            return dtype
    raise DTypeError(
        f"{type(value).__name__} is not a number; expected bool, int, float or complex"
    )


def real_of(dtype: DType) -> DType:
    """Return the dtype of the real part of `dtype`."""
    return {complex64: float32, complex128: float64}.get(dtype, dtype)


def complex_of(dtype: DType) -> DType:
    """Return the complex dtype whose parts hold `dtype`."""
    return complex128 if dtype in (float64, complex128) else complex64

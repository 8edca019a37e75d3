"""What users hand in, made into arrays."""

from functools import lru_cache
from math import copysign
from typing import Any

import numpy as np

from lamina import dtypes
from lamina.dtypes import DType
from lamina.errors import ArgumentError, DTypeError
from lamina.memory import Array, of_numpy, pooled
from lamina.memory.array import NDArray
from lamina.ops.registry import Operand


def _elements(tensor: Any) -> NDArray:
    values: NDArray = tensor.array.numpy()
    return values


def array_of(data: Any, dtype: Any = None, *, copy: bool) -> Array:
    """Return numbers, nested sequences, tensors or arrays as an Array, of `dtype` if given."""
    wanted = None if dtype is None else dtypes.as_dtype(dtype)
    if isinstance(data, Operand):
        values = _elements(data)
    elif isinstance(data, np.ndarray | np.generic):
        values = np.asarray(data)
    elif isinstance(data, bool | int | float | complex):
        own = wanted or dtypes.of_scalar(data, None)
        if copy or isinstance(data, complex):
            return of_numpy(_convert(data, own))
        return _number(type(data).__name__, data, copysign(1, data), own)
    elif isinstance(data, list | tuple):
        return pooled(_of_sequence(data, wanted))
    else:
        values = np.asarray(data)
    _check_numbers(values, wanted)
    if wanted is not None and values.dtype != wanted.numpy:
        return pooled(values, wanted)
    return pooled(values) if copy else of_numpy(values)


@lru_cache(maxsize=1024)
def _number(kind: str, value: Any, sign: float, dtype: DType) -> Array:
    """Return a number as a read-only array; 0.0 and −0.0 are equal, but not the same number."""
    values = _convert(value, dtype)
    values.flags.writeable = False
    return of_numpy(values)


def _check_numbers(values: NDArray, wanted: DType | None) -> None:
    """Raise DTypeError for what holds no numbers, or complex ones where real ones are wanted."""
    if values.dtype.kind in "OSUMm":
        raise DTypeError(f"{values.dtype} data given where numbers are expected; give numbers only")
    if values.dtype.kind == "c" and wanted is not None and not wanted.is_complex:
        raise DTypeError(f"complex numbers given for {wanted.name}; take .real or .abs() first")


def _convert(value: Any, dtype: DType) -> NDArray:
    """Return Python numbers in `dtype`; ArgumentError where it cannot hold one of them."""
    values = np.array(value, order="C")
    _check_numbers(values, dtype)
    if dtype.is_integer and values.size and values.dtype != np.bool_:
        limits = np.iinfo(dtype.numpy)
        inside = (values >= limits.min) & (values <= limits.max)
        if not inside.all():
            raise ArgumentError(
                f"{values[~inside].flat[0]} is outside the range of {dtype.name}; "
                "choose a wider dtype"
            )
    return values.astype(dtype.numpy)


def _of_sequence(data: Any, wanted: DType | None) -> NDArray:
    plain = [_plain(x) for x in data]
    try:
        values = np.array(plain, order="C")
    except ValueError:
        raise ArgumentError(
            "nested sequences of unequal lengths were given; make the rows equally long"
        ) from None
    if wanted is not None:
        return _convert(values, wanted)
    _check_numbers(values, None)
    is_plain = not _holds_arrays(data)
    if values.size == 0 or (values.dtype == np.float64 and is_plain):
        return values.astype(dtypes.default_float.numpy)
    return values.astype(np.complex64) if values.dtype == np.complex128 and is_plain else values


def _plain(entry: Any) -> Any:
    if isinstance(entry, Operand):
        return _elements(entry)
    return [_plain(x) for x in entry] if isinstance(entry, list | tuple) else entry


def _holds_arrays(data: Any) -> bool:
    if isinstance(data, list | tuple):
        return any(_holds_arrays(x) for x in data)
    return isinstance(data, Operand | np.ndarray | np.generic)


def dtype_beside(value: Any, beside: DType | None) -> DType:
    """Return the dtype of what is no tensor, as an operand beside tensors of `beside`."""
    if isinstance(value, np.ndarray | np.generic) and not isinstance(value, float | complex):
        return dtypes.from_numpy(value.dtype)
    if isinstance(value, bool | int | float | complex):
        return dtypes.of_scalar(value, beside)
    if isinstance(value, list | tuple):
        return array_of(value, copy=False).dtype
    raise DTypeError(
        f"{type(value).__name__} given where a tensor or number is expected; "
        "make a tensor of it with lamina.tensor()"
    )

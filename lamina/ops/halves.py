"""16-bit floats: kept as such, computed with as float32."""

from collections.abc import Callable

import numpy as np

from lamina import dtypes
from lamina.dtypes import DType
from lamina.kernels.elementwise import compute
from lamina.kernels.expression import Input
from lamina.memory import Array, empty
from lamina.memory.array import NDArray

_SAME = (Input(0),)


def is_half(dtype: DType) -> bool:
    """Return whether `dtype` is a float of 16 bits."""
    return dtype.kind == "float" and dtype.itemsize == 2


def wide_dtype(dtype: DType) -> DType:
    """Return the dtype that sums over `dtype` are kept in."""
    return dtypes.float32 if is_half(dtype) else dtype


def widened(array: NDArray) -> NDArray:
    """Return 16-bit floats as float32, anything else as it is."""
    return array.astype(np.float32) if is_half(dtypes.from_numpy(array.dtype)) else array


def in_float32(kernel: Callable[..., None]) -> Callable[..., None]:
    """Return a kernel for 16-bit floats, of one for float32: such operands are converted."""

    def run(out: Array, *inputs: Array) -> None:
        wide = empty(out.shape, dtypes.float32)
        kernel(wide, *map(_wide, inputs))
        compute(_SAME, (out,), (wide,))

    return run


def _wide(x: Array) -> Array:
    if not is_half(x.dtype):
        return x
    copy = empty(x.shape, dtypes.float32)
    compute(_SAME, (copy,), (x,))
    return copy

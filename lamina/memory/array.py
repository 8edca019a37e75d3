"""Array: pointer, layout and dtype. What kernels take, and what a tensor adds its history to."""

from collections.abc import Sequence
from math import prod
from typing import Any, NamedTuple, final

import numpy as np

from lamina import layout as lay
from lamina.dtypes import DType, from_numpy
from lamina.errors import LayoutError
from lamina.layout import Layout, Shape
from lamina.memory.pool import Block, pool
from lamina.memory.storage import Storage, allocate

NDArray = np.ndarray[Any, np.dtype[Any]]

# A loan takes 1 µs longer than memory from numpy: too long for the smallest results.
SMALL_BYTES = 4096
# From here on what a copy into the pool costs is lost beside what computed the values.
MOVED_BYTES = 1 << 16


class Spec(NamedTuple):
    """What is known of a value before it is computed."""

    shape: Shape
    dtype: DType


@final
class Array:
    """Elements of one dtype, laid out in a storage. Handing one over moves no bytes."""

    __slots__ = ("_numpy", "_spec", "dtype", "layout", "storage")

    def __init__(
        self, storage: Storage, layout: Layout, dtype: DType, view: NDArray | None = None
    ) -> None:
        self.storage = storage
        self.layout = layout
        self.dtype = dtype
        self._numpy = view
        self._spec: Spec | None = None

    @property
    def shape(self) -> Shape:
        return self.layout.shape

    @property
    def strides(self) -> tuple[int, ...]:
        """Steps between neighbours along each axis, in elements."""
        return self.layout.strides

    @property
    def spec(self) -> Spec:
        if self._spec is None:
            self._spec = Spec(self.layout.shape, self.dtype)
        return self._spec

    @property
    def address(self) -> int:
        """Address of the element at index 0 of every axis."""
        return self.storage.address + self.layout.offset * self.dtype.itemsize

    def numpy(self) -> NDArray:
        """Return a numpy array of the same memory; it keeps the memory alive."""
        if self._numpy is None:
            shape, strides, offset = self.layout
            dtype, size = self.dtype.numpy, self.dtype.itemsize
            if 0 in shape:
                # Steps between no elements, and places past the end, mean nothing.
                self._numpy = np.ndarray(shape, dtype)
                return self._numpy
            self.storage.check_present()
            steps = (
                None
                if strides == lay.contiguous(shape).strides
                else strides_in_bytes(strides, size)
            )
            self._numpy = np.ndarray(shape, dtype, self.storage.buffer, offset * size, steps)
        return self._numpy

    def let_go_of_view(self) -> None:
        """Drop numpy's view of the memory, if there is one; who holds it keeps it."""
        self._numpy = None

    def with_layout(self, layout: Layout) -> "Array":
        """Return the same storage seen through another layout."""
        return Array(self.storage, layout, self.dtype)


def strides_in_bytes(strides: tuple[int, ...], itemsize: int) -> tuple[int, ...]:
    """Return steps counted in elements, counted in bytes."""
    return tuple([s * itemsize for s in strides])


def empty(shape: Shape, dtype: DType) -> Array:
    """Return an array in C order from the pool, its content undefined."""
    return Array(allocate(prod(shape) * dtype.itemsize), lay.contiguous(shape), dtype)


def full(shape: Shape, dtype: DType, value: Any) -> Array:
    """Return an array in C order from the pool with one number everywhere."""
    array = empty(shape, dtype)
    array.numpy()[...] = value
    return array


def pooled(values: NDArray, dtype: DType | None = None) -> Array:
    """Return a copy of `values` in C order from the pool, converted to `dtype` if given."""
    array = empty(values.shape, dtype or from_numpy(values.dtype))
    array.numpy()[...] = values
    return array


def scratch(shape: Sequence[int], dtype: Any) -> NDArray:
    """Return a numpy array in C order on loan from the pool, its content undefined.

    Arrays below `SMALL_BYTES` are numpy's own.
    """
    kind = dtype if isinstance(dtype, np.dtype) else np.dtype(dtype)
    nbytes = prod(shape) * kind.itemsize
    if nbytes < SMALL_BYTES:
        return np.empty(shape, kind)
    return np.ndarray(shape, kind, pool.acquire(nbytes))


def scratch_full(shape: Sequence[int], dtype: Any, value: Any) -> NDArray:
    """Return a `scratch` array with one number everywhere."""
    out = scratch(shape, dtype)
    np.copyto(out, value, casting="unsafe")
    return out


def scratch_copy(values: NDArray, dtype: Any = None) -> NDArray:
    """Return a `scratch` array with a copy of `values`, converted to `dtype` if given."""
    out = scratch(values.shape, values.dtype if dtype is None else dtype)
    out[...] = values
    return out


def settled(values: NDArray) -> Array:
    """Return a numpy array that nothing else writes to as an Array, in the pool if it is large.

    What is on loan from the pool already stays where it is; else arrays from `MOVED_BYTES` on are
    copied there.
    """
    if values.nbytes < MOVED_BYTES or _is_on_loan(values):
        return of_numpy(values)
    return pooled(values)


def _is_on_loan(array: NDArray) -> bool:
    owner: Any = array.base
    while isinstance(owner, np.ndarray):
        if type(owner) is Block:
            return True
        owner = owner.base
    return False


def of_numpy(array: NDArray) -> Array:
    """Return an array that shares the memory of a numpy array.

    LayoutError where its strides do not step by whole elements.
    """
    dtype = from_numpy(array.dtype)
    flags = array.flags
    if flags.c_contiguous:
        nbytes, layout = array.nbytes, lay.contiguous(array.shape)
        # Extension types (bfloat16) do not export a buffer of their own.
        buffer = array.reshape(-1).view(np.uint8) if array.dtype.isbuiltin != 1 else array
        return Array(Storage(buffer, nbytes, writable=flags.writeable), layout, dtype, array)
    return _of_strided(array, dtype)


def _of_strided(array: NDArray, dtype: DType) -> Array:
    size = dtype.itemsize
    if any(s % size for s, n in zip(array.strides, array.shape, strict=True) if n > 1):
        raise LayoutError(
            f"strides {array.strides} of the array are not multiples of its item size {size}; "
            "pass numpy.ascontiguousarray(array)"
        )
    strides = tuple(
        0 if n <= 1 else s // size for s, n in zip(array.strides, array.shape, strict=True)
    )
    low, high = Layout(array.shape, strides).span
    lowest = array[
        tuple(
            slice(n - 1, None) if s < 0 else slice(None)
            for n, s in zip(array.shape, strides, strict=True)
        )
    ]
    nbytes = (high - low) * size
    buffer = np.lib.stride_tricks.as_strided(
        lowest, (high - low,), (size,), writeable=array.flags.writeable
    ).view(np.uint8)
    storage = Storage(buffer, nbytes, writable=array.flags.writeable)
    return Array(storage, Layout(array.shape, strides, -low), dtype, array)

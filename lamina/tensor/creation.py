"""Making tensors: from data, filled, counted, mapped from files."""

import math
import os
from collections.abc import Callable
from typing import Any

import numpy as np

from lamina import dtypes
from lamina import layout as lay
from lamina.dtypes import DType
from lamina.errors import ArgumentError, DTypeError, FileFormatError, LayoutError
from lamina.layout import Shape
from lamina.memory import Array, map_file, no_memory, of_numpy, pooled
from lamina.memory import empty as empty_array
from lamina.tensor.conversion import array_of
from lamina.tensor.core import Tensor, check_device, wrap
from lamina.tensor.dlpack import accept
from lamina.tensor.guard import takes_tensors
from lamina.tensor.keywords import second_keywords
from lamina.tensor.shaping import sizes


def tensor(
    data: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """Return a tensor with a copy of `data`: a number, nested sequences, an array or a tensor.

    Python floats become float32, ints int64, bools bool, unless `dtype` says otherwise.

    >>> tensor([[1, 2], [3, 4]], dtype="float32")
    Tensor([[1., 2.],
            [3., 4.]])
    """
    check_device(device)
    return Tensor(data, dtype=dtype, requires_grad=requires_grad)


def asarray(
    obj: Any, /, *, dtype: Any = None, device: Any = None, copy: bool | None = None
) -> Tensor:
    """Return `obj` as a tensor, sharing its memory where it can and `copy` allows.

    `copy=True` always copies; `copy=False` raises LayoutError where sharing is impossible.
    """
    check_device(device)
    if isinstance(obj, Tensor):
        wanted = obj.dtype if dtype is None else dtypes.as_dtype(dtype)
        if wanted is obj.dtype:
            return obj.clone() if copy else obj
    if isinstance(obj, bytes):
        obj = memoryview(obj)  # numpy takes bytes themselves for a text
    shares = isinstance(obj, Tensor | np.ndarray) or hasattr(obj, "__dlpack__") or _has_buffer(obj)
    source = obj if not shares or isinstance(obj, Tensor | np.ndarray) else np.asarray(obj)
    # A number has no memory to share; without a copy it would be the one kept for all its uses.
    array = array_of(source, dtype, copy=bool(copy) or not shares)
    if copy is False and not (shares and _same_memory(source, array)):
        raise LayoutError(f"a {type(obj).__name__} cannot be shared as asked; pass copy=None")
    return wrap(array)


def _has_buffer(obj: Any) -> bool:
    try:
        memoryview(obj)
    except TypeError:
        return False
    return True


def _same_memory(source: Any, array: Array) -> bool:
    values = source.array.numpy() if isinstance(source, Tensor) else np.asarray(source)
    return values.size == 0 or np.shares_memory(values, array.numpy())


def from_numpy(array: np.ndarray[Any, Any]) -> Tensor:
    """Return a tensor that shares the memory of a numpy array; a read-only array gives a read-only
    one.

    >>> a = np.zeros(2, np.float32)
    >>> from_numpy(a).add_(1.0)
    Tensor([1., 1.])
    >>> a
    array([1., 1.], dtype=float32)
    """
    if not isinstance(array, np.ndarray):
        raise DTypeError(f"from_numpy was given {type(array).__name__}; expected a numpy array")
    return wrap(of_numpy(array))


def from_dlpack(x: Any, /, *, device: Any = None, copy: bool | None = None) -> Tensor:
    """Return a tensor of the memory that another library offers by the DLPack protocol."""
    check_device(device)
    if isinstance(x, Tensor):
        return x.clone() if copy else x.detach()
    return wrap(of_numpy(accept(x, copy=copy)))


def from_file(
    path: str | os.PathLike[str],
    dtype: Any = dtypes.default_float,
    shape: int | Shape | None = None,
    *,
    offset: int = 0,
    writable: bool = False,
) -> Tensor:
    """Return a tensor mapped from a file of raw elements; pages are read as they are touched.

    The elements start at byte `offset`, in native byte order. Without `shape`, all that follow, as
    one axis. FileFormatError where the file is too short.
    """
    wanted = dtypes.as_dtype(dtype)
    storage = map_file(path, writable=writable)
    available = storage.nbytes - offset
    if shape is None:
        shape = (max(available, 0) // wanted.itemsize,)
    shape = (shape,) if isinstance(shape, int) else tuple(shape)
    needed = math.prod(shape) * wanted.itemsize
    if any(n < 0 for n in shape) or offset < 0:
        raise ArgumentError(
            f"from_file: shape {shape} from byte {offset} given, expected numbers from 0 on"
        )
    if needed > available:
        raise FileFormatError(
            f"{path} holds {storage.nbytes} bytes; shape {shape} of {wanted.name} from byte "
            f"{offset} needs {offset + needed}"
        )
    if offset % wanted.itemsize:
        raise LayoutError(f"offset {offset} is not a multiple of the item size {wanted.itemsize}")
    layout = lay.contiguous(shape)._replace(offset=offset // wanted.itemsize)
    return wrap(Array(storage, layout, wanted))


@second_keywords
def empty(
    shape: Any, *more: int, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """Return a tensor whose elements are whatever the memory held."""
    check_device(device)
    whole = checked_sizes((shape, *more))
    found = wrap(empty_array(whole, _dtype_or(dtype, dtypes.default_float)))
    return found.requires_grad_(requires_grad)


def checked_sizes(given: tuple[Any, ...]) -> Shape:
    """Return sizes given singly or as one sequence; ArgumentError for a negative one."""
    found = sizes(given)
    if any(n < 0 for n in found):
        raise ArgumentError(f"shape {found} given; expected sizes of 0 or more")
    return found


def _dtype_or(dtype: Any, default: DType) -> DType:
    return default if dtype is None else dtypes.as_dtype(dtype)


@second_keywords
def full(
    shape: Any,
    fill_value: Any,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Return a tensor of one number everywhere.

    >>> full((2,), 7)
    Tensor([7, 7])
    """
    is_tensor = isinstance(fill_value, Tensor)
    default = fill_value.dtype if is_tensor else dtypes.of_scalar(fill_value, None)
    found = empty(shape, dtype=_dtype_or(dtype, default), device=device)
    found.array.numpy()[...] = array_of(fill_value, found.dtype, copy=False).numpy()
    return found.requires_grad_(requires_grad)


@second_keywords
def zeros(
    shape: Any, *more: int, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """Return a tensor of zeros: `zeros(2, 3)` or `zeros((2, 3))`."""
    found = empty(shape, *more, dtype=dtype, device=device)
    found.array.numpy()[...] = 0
    return found.requires_grad_(requires_grad)


@second_keywords
def ones(
    shape: Any, *more: int, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """Return a tensor of ones: `ones(2, 3)` or `ones((2, 3))`."""
    found = empty(shape, *more, dtype=dtype, device=device)
    found.array.numpy()[...] = 1
    return found.requires_grad_(requires_grad)


@takes_tensors
def empty_like(
    x: Tensor, /, *, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """Return an uninitialised tensor of the shape and dtype of `x`."""
    wanted = _dtype_or(dtype, x.dtype)
    return empty(x.shape, dtype=wanted, device=device, requires_grad=requires_grad)


@takes_tensors
def zeros_like(
    x: Tensor, /, *, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """Return zeros of the shape and dtype of `x`."""
    wanted = _dtype_or(dtype, x.dtype)
    return zeros(x.shape, dtype=wanted, device=device, requires_grad=requires_grad)


@takes_tensors
def ones_like(
    x: Tensor, /, *, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """Return ones of the shape and dtype of `x`."""
    wanted = _dtype_or(dtype, x.dtype)
    return ones(x.shape, dtype=wanted, device=device, requires_grad=requires_grad)


@takes_tensors
def full_like(
    x: Tensor,
    /,
    fill_value: Any,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Return one number everywhere, in the shape and dtype of `x`."""
    wanted = _dtype_or(dtype, x.dtype)
    return full(x.shape, fill_value, dtype=wanted, device=device, requires_grad=requires_grad)


def _computed(what: str, formula: Callable[[], Any]) -> Any:
    """Return a numpy formula; MemoryCapError where numpy finds no memory for it."""
    try:
        return formula()
    except MemoryError as error:
        raise no_memory(what, error) from None


@second_keywords
def arange(
    start: float = 0,
    stop: float | None = None,
    step: float = 1,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Return start, start + step, … short of `stop`; with one number, from 0 to it.

    >>> arange(3)
    Tensor([0, 1, 2])
    """
    check_device(device)
    first, last = (0, start) if stop is None else (start, stop)
    if step == 0:
        raise ArgumentError("arange: step 0 given; expected another number")
    if not all(math.isfinite(n) for n in (first, last, step)):
        raise ArgumentError(f"arange: {first}, {last}, {step} given; expected finite numbers")
    whole = all(isinstance(n, int) for n in (first, last, step))
    wanted = _dtype_or(dtype, dtypes.default_int if whole else dtypes.default_float)
    count = max(math.ceil((last - first) / step), 0)
    found = empty_array((count,), wanted)
    kind = np.int64 if whole else np.float64
    steps: Any = _computed("arange", lambda: np.arange(count, dtype=kind))
    found.numpy()[...] = _computed("arange", lambda: steps * step + first)
    return wrap(found).requires_grad_(requires_grad)


@second_keywords
def linspace(
    start: Any,
    stop: Any,
    num: int,
    *,
    dtype: Any = None,
    device: Any = None,
    endpoint: bool = True,
    requires_grad: bool = False,
) -> Tensor:
    """Return `num` numbers evenly spaced from `start` to `stop`, with or without that endpoint."""
    check_device(device)
    if num < 0:
        raise ArgumentError(f"linspace: {num} numbers asked for; expected 0 or more")
    default = dtypes.complex64 if isinstance(start + stop, complex) else dtypes.default_float
    values = _computed("linspace", lambda: np.linspace(start, stop, num, endpoint=endpoint))
    found = wrap(pooled(values, _dtype_or(dtype, default)))
    return found.requires_grad_(requires_grad)


@second_keywords
def logspace(
    start: float, stop: float, num: int, base: float = 10.0, *, dtype: Any = None
) -> Tensor:
    """Return `num` powers of `base`, their exponents evenly spaced from `start` to `stop`."""
    values = _computed("logspace", lambda: np.logspace(start, stop, num, base=base))
    return wrap(pooled(values, _dtype_or(dtype, dtypes.default_float)))


def eye(
    n_rows: int,
    n_cols: int | None = None,
    *,
    k: int = 0,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Return ones on the k-th diagonal, zeros elsewhere."""
    check_device(device)
    wanted = _dtype_or(dtype, dtypes.default_float)
    width = n_rows if n_cols is None else n_cols
    found = zeros((n_rows, width), dtype=wanted)
    # A diagonal beyond the corner is as empty as the first one there, and fits an index.
    shift = max(-n_rows, min(k, width))
    rows = np.arange(max(-shift, 0), min(n_rows, width - shift), dtype=np.int64)
    found.array.numpy()[rows, rows + shift] = 1
    return found.requires_grad_(requires_grad)

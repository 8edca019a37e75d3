"""Indexing of a tensor: `x[…]`, `x[…] = v`, and the named forms, with PyTorch's signatures."""

from collections.abc import Iterator
from typing import Any, Self

import numpy as np

from lamina.autograd.grad_mode import state
from lamina.dtypes import DType
from lamina.errors import (
    ArgumentError,
    AxisError,
    DTypeError,
    IndexingError,
    ShapeError,
)
from lamina.memory import Array
from lamina.memory.array import NDArray
from lamina.ops.elementwise.arithmetic import cast
from lamina.ops.indices import indexing as ops
from lamina.ops.indices.selection import BasicIndex, as_entry, basic_steps, choice
from lamina.ops.registry import Operand
from lamina.tensor.conversion import array_of, dtype_beside
from lamina.tensor.views import become, check_write, is_tracked

Tensor = Any


class Indexing(Operand):
    """Slices and single places give views; arrays of places or of truth values give copies."""

    __slots__ = ()

    array: Array

    def __getitem__(self, index: Any) -> Tensor:
        steps = basic_steps(index, self.shape)
        if steps is not None:
            return self.apply(BasicIndex(steps), (self,))
        return ops.array_index(self, index)

    def __setitem__(self, index: Any, value: Any) -> None:
        if not is_tracked(self, value) and state.recorder is None:
            _write(self, index, value)
            return
        steps = basic_steps(index, self.shape)
        if steps is None:
            self._become(ops.index_put(self, index, value))
        else:
            self.apply(BasicIndex(steps), (self,)).copy_(value)

    def __iter__(self) -> Iterator[Tensor]:
        if not self.shape:
            raise AxisError("iteration over a 0-d tensor; it has no axes")
        return (self[i] for i in range(self.shape[0]))

    def _become(self, value: Tensor) -> Self:
        become(self, cast(value, self.array.dtype))
        return self

    def index_put(self, indices: Any, values: Any, accumulate: bool = False) -> Tensor:
        """Return a copy with `values` at `indices`, replacing what was there or added to it."""
        return ops.index_put(self, tuple(indices), values, accumulate=accumulate)

    def index_put_(self, indices: Any, values: Any, accumulate: bool = False) -> Self:
        """Write `values` at `indices`, or add them there, in place."""
        if accumulate:
            return self._become(self.index_put(indices, values, accumulate))
        self[tuple(indices)] = values
        return self

    def gather(self, dim: int, index: Tensor) -> Tensor:
        """Return out[…, i, …] = self[…, index[…, i, …], …] along `dim`."""
        return ops.gather(self, dim, index)

    def take_along_dim(self, indices: Tensor, dim: int | None = None) -> Tensor:
        """Return `gather` along `dim` with the other axes broadcast; None flattens both."""
        if dim is None:
            return ops.take_along_axis(self.reshape((-1,)), indices.reshape((-1,)), 0)  # type: ignore[attr-defined]
        return ops.take_along_axis(self, indices, dim)

    def take(self, index: Tensor) -> Tensor:
        """Return the elements at `index`, counted in C order."""
        return ops.take(self, index)

    def index_select(self, dim: int, index: Tensor) -> Tensor:
        """Return the parts at the places `index` of an axis."""
        return ops.take(self, index, dim)

    def scatter(self, dim: int, index: Tensor, src: Any) -> Tensor:
        """Return a copy with `src` (a tensor or number) at the places `index` along `dim`."""
        return ops.scatter(self, dim, index, src)

    def scatter_(self, dim: int, index: Tensor, src: Any) -> Self:
        """Write `src` to the places `index` along `dim`, in place."""
        return self._become(ops.scatter(self, dim, index, src))

    def scatter_add(self, dim: int, index: Tensor, src: Tensor) -> Tensor:
        """Return a copy with `src` added at the places `index` along `dim`."""
        return ops.scatter_add(self, dim, index, src)

    def scatter_add_(self, dim: int, index: Tensor, src: Tensor) -> Self:
        """Add `src` at the places `index` along `dim`, in place."""
        return self._become(ops.scatter_add(self, dim, index, src))

    def index_add(self, dim: int, index: Tensor, source: Tensor, *, alpha: float = 1) -> Tensor:
        """Return a copy with alpha·`source` added to the parts at `index` of an axis."""
        return ops.index_add(self, dim, index, source, alpha=alpha)

    def index_add_(self, dim: int, index: Tensor, source: Tensor, *, alpha: float = 1) -> Self:
        """Add alpha·`source` to the parts at `index` of an axis, in place."""
        return self._become(ops.index_add(self, dim, index, source, alpha=alpha))

    def index_copy(self, dim: int, index: Tensor, source: Tensor) -> Tensor:
        """Return a copy whose parts at `index` of an axis are those of `source`."""
        return ops.index_copy(self, dim, index, source)

    def index_copy_(self, dim: int, index: Tensor, source: Tensor) -> Self:
        """Write the parts of `source` to the places `index` of an axis, in place."""
        return self._become(ops.index_copy(self, dim, index, source))

    def index_fill(self, dim: int, index: Tensor, value: Any) -> Tensor:
        """Return a copy whose parts at `index` of an axis hold one number."""
        return ops.index_copy(self, dim, index, value)

    def index_fill_(self, dim: int, index: Tensor, value: Any) -> Self:
        """Write one number to the parts at `index` of an axis, in place."""
        return self._become(ops.index_copy(self, dim, index, value))

    def masked_select(self, mask: Tensor) -> Tensor:
        """Return the elements where `mask` holds, along one axis."""
        return ops.masked_select(self, mask)

    def masked_fill(self, mask: Tensor, value: Any) -> Tensor:
        """Return a copy with `value` where `mask` holds."""
        return ops.masked_fill(self, mask, value)

    def masked_scatter(self, mask: Tensor, source: Tensor) -> Tensor:
        """Return a copy whose elements where `mask` holds are the first of `source`, in order."""
        mask = mask.expand(self.shape)
        count = mask.array.numpy().sum()
        if source.array.layout.size < count:
            raise ArgumentError(
                f"masked_scatter: {source.array.layout.size} elements given for {count} places"
            )
        return ops.index_put(self, mask, source.reshape((-1,))[:count])

    def argwhere(self) -> Tensor:
        """Return the places of the elements that are not zero, a row each."""
        return ops.argwhere(self)

    def nonzero(self, *, as_tuple: bool = False) -> Any:
        """Return the places of the elements that are not zero: a row each, or a tensor an axis."""
        return ops.nonzero(self) if as_tuple else ops.argwhere(self)


def _write(target: Indexing, index: Any, value: Any) -> None:
    """Write `value` straight into the memory of `target`; nothing is recorded."""
    check_write(target, tracked=False)
    source = _source(value, target.array.dtype)
    entries = index if isinstance(index, tuple) else (index,)
    key = tuple(map(_numpy_entry, entries))
    try:
        _write_numpy(target.array.numpy(), key, source)
    except IndexError as error:
        _check_index(index, target.shape)
        raise IndexingError(str(error)) from None
    except ValueError:
        selected = target.array.numpy()[key].shape
        raise ShapeError(
            f"values of shape {source.shape} given where the index selects {selected}; "
            "expected sizes that broadcast to those"
        ) from None
    target.array.storage.version += 1


def _source(value: Any, dtype: DType) -> NDArray:
    """Return what is to be written to a tensor of `dtype`; DTypeError where that cannot hold it."""
    is_tensor = isinstance(value, Indexing)
    if not isinstance(value, Indexing | np.ndarray | list | tuple):
        dtype_beside(value, dtype)
    source = value.array.numpy() if is_tensor else array_of(value, dtype, copy=False).numpy()
    if source.dtype.kind == "c" and not dtype.is_complex:
        raise DTypeError(
            f"{source.dtype} given for a {dtype.name} tensor; take its real part first"
        )
    return source


def _write_numpy(memory: NDArray, key: tuple[Any, ...], source: NDArray) -> None:
    mask = key[0] if len(key) == 1 else None
    if isinstance(mask, np.ndarray) and mask.dtype == bool and memory.flags.c_contiguous:
        rank = mask.ndim
        if rank and mask.shape == memory.shape[:rank]:
            # Flat places are several times faster than numpy's way with a mask.
            rows = memory.reshape(mask.size, *memory.shape[rank:])
            rows[np.flatnonzero(mask)] = source
            return
    # A single number goes anywhere; numpy refuses (1,) where the index selects ().
    memory[key] = source.reshape(()) if source.size == 1 else source


def _numpy_entry(entry: Any) -> Any:
    return entry.array.numpy() if isinstance(entry, Indexing) else as_entry(entry)


def _check_index(index: Any, shape: tuple[int, ...]) -> None:
    """Raise the error that reading at `index` raises, if it does."""
    if basic_steps(index, shape) is None:
        choice(index, shape).check()

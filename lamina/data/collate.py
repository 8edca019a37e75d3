"""Samples put together into a batch."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lamina.errors import ArgumentError, DataError, DTypeError, ShapeError
from lamina.memory import of_numpy
from lamina.ops.shapes.copying import stack
from lamina.tensor import Tensor, empty, tensor


def default_collate(samples: Sequence[Any]) -> Any:
    """Return `samples` as one batch, with the structure of a sample.

    Tensors and arrays are stacked along a new first axis; numbers become a tensor (floats float32,
    ints int64, bools bool); texts stay a list; tuples, lists, named tuples and dicts are collated
    field by field. ShapeError, DTypeError or DataError where samples do not match.

    >>> default_collate([(1.0, "a"), (2.0, "b")])
    (Tensor([1., 2.]), ['a', 'b'])
    """
    if not samples:
        raise ArgumentError("default_collate: no samples given; give at least one")
    first = samples[0]
    _check_alike(samples)
    match first:
        case Tensor():
            return _stack_tensors(samples)
        case np.ndarray() | np.generic():
            return _stack_arrays([np.asarray(s) for s in samples])
        case bool() | int() | float() | complex():
            return tensor(list(samples))
        case str() | bytes():
            return list(samples)
        case Mapping():
            return {key: default_collate([s[key] for s in samples]) for key in first}
        case tuple():
            fields = [default_collate(field) for field in zip(*samples, strict=True)]
            # A named tuple takes its fields one by one.
            return tuple(fields) if type(first) is tuple else type(first)(*fields)
        case list():
            return [default_collate(field) for field in zip(*samples, strict=True)]
    raise DTypeError(
        f"a sample holds a {type(first).__name__}, which cannot be put into a batch; return "
        "tensors, arrays, numbers, texts, or tuples and dicts of them, or pass collate_fn"
    )


def _check_alike(samples: Sequence[Any]) -> None:
    first = samples[0]
    for place, sample in enumerate(samples):
        if isinstance(sample, int | float) and isinstance(first, int | float):
            continue
        if type(sample) is not type(first):
            raise DataError(
                f"sample {place} of the batch holds a {type(sample).__name__} where sample 0 holds "
                f"a {type(first).__name__}; make them alike, or pass collate_fn"
            )
        if isinstance(first, tuple | list) and len(sample) != len(first):
            raise DataError(
                f"sample {place} of the batch has {len(sample)} fields where sample 0 has "
                f"{len(first)}; make them alike, or pass collate_fn"
            )
        if isinstance(first, Mapping) and sample.keys() != first.keys():
            raise DataError(
                f"sample {place} of the batch has the keys {sorted(map(str, sample))} where sample "
                f"0 has {sorted(map(str, first))}; make them alike, or pass collate_fn"
            )


def _stack_tensors(samples: Sequence[Tensor]) -> Tensor:
    if any(s.requires_grad for s in samples):
        stacked: Tensor = stack(samples)
        return stacked
    return _stack_arrays([s.array.numpy() for s in samples])


def _stack_arrays(arrays: Sequence[np.ndarray[Any, Any]]) -> Tensor:
    first = arrays[0]
    for place, array in enumerate(arrays):
        if array.shape != first.shape:
            raise ShapeError(
                f"sample {place} of the batch has shape {array.shape} where sample 0 has "
                f"{first.shape}; bring them to one shape, or pass collate_fn"
            )
        if array.dtype != first.dtype:
            raise DTypeError(
                f"sample {place} of the batch is {array.dtype} where sample 0 is {first.dtype}; "
                "convert them to one dtype, or pass collate_fn"
            )
    batch = empty((len(arrays), *first.shape), dtype=of_numpy(first).dtype)
    np.stack(arrays, out=batch.array.numpy())
    return batch

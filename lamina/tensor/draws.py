"""Random numbers as numpy arrays, drawn from a counted generator: the same on every machine."""

from typing import Any

import numpy as np

from lamina import dtypes
from lamina.codegen.target import compiles_here
from lamina.dtypes import DType
from lamina.errors import ArgumentError
from lamina.kernels import random
from lamina.layout import Shape
from lamina.memory.array import NDArray, scratch, scratch_copy
from lamina.philox import Generator, default_generator, stream

# The widest range of whole numbers that may be drawn from.
_LIMIT = 1 << 63


def stream_of(generator: Generator | None) -> np.random.Generator:
    """Return numpy's generator for the next draw of `generator` (of the default one)."""
    return (default_generator if generator is None else generator).next()


def _precision(dtype: DType) -> Any:
    return np.float64 if dtype is dtypes.float64 else np.float32


def uniform(shape: Shape, dtype: DType, generator: Generator | None) -> NDArray:
    """Return numbers of [0, 1): in double precision for float64, else drawn in single."""
    values = scratch(shape, _precision(dtype))
    state = (default_generator if generator is None else generator).advance()
    if compiles_here():
        recipe = random.uniform(values.dtype.name)
        numbers = random.counted(*state)
        random.run_random(recipe, values.size, numbers.ctypes.data, [values.ctypes.data])
    else:
        stream(state).random(dtype=values.dtype.type, out=values)
    if dtype.itemsize > 2:
        return values
    # Rounding to half precision must not reach 1.
    below_one = np.nextafter(np.array(1, dtype.numpy), np.array(0, dtype.numpy))
    rounded = scratch_copy(values, dtype.numpy)
    return np.minimum(rounded, below_one, out=rounded)


def normal(shape: Shape, dtype: DType, generator: Generator | None) -> NDArray:
    """Return numbers of the normal distribution: in double precision for float64, else single."""
    values = scratch(shape, _precision(dtype))
    stream_of(generator).standard_normal(dtype=_precision(dtype), out=values)
    return values if values.dtype == dtype.numpy else scratch_copy(values, dtype.numpy)


def bernoulli(shape: Shape, chances: Any, dtype: DType, generator: Generator | None) -> NDArray:
    """Return 1 with the probability given, else 0."""
    draws = scratch(shape, np.float64)
    odds = np.asarray(chances)
    if not ((odds >= 0) & (odds <= 1)).all():
        raise ArgumentError("bernoulli: a probability outside 0 to 1 was given")
    stream_of(generator).random(out=draws)
    return scratch_copy(draws < odds, dtype.numpy)


def integers(
    low: int, high: int, shape: Shape, dtype: DType, generator: Generator | None
) -> NDArray:
    """Return whole numbers drawn evenly from [low, high)."""
    if not -_LIMIT <= low < high <= _LIMIT:
        raise ArgumentError(f"whole numbers of [{low}, {high}) asked for; expected low < high")
    # Lent first: what is too large fails with the error of the pool, before a draw is spent.
    out = scratch(shape, dtype.numpy)
    out[...] = stream_of(generator).integers(low, high, shape)
    return out


def permutation(count: int, dtype: DType, generator: Generator | None) -> NDArray:
    """Return the numbers from 0 to `count` − 1 in random order."""
    out = scratch((count,), dtype.numpy)
    out[...] = stream_of(generator).permutation(count)
    return out


def multinomial(
    weights: NDArray, count: int, generator: Generator | None, *, replacement: bool
) -> NDArray:
    """Return `count` places for each row of weights, drawn in proportion to them.

    Without replacement by exponential races: the places of the least −log(u)/w (Efraimidis and
    Spirakis, "Weighted random sampling with a reservoir", 2006).
    """
    stream = stream_of(generator)
    if replacement:
        return _with_replacement(weights, count, stream)
    with np.errstate(divide="ignore"):
        arrival = stream.exponential(size=weights.shape) / weights
    return np.argsort(arrival, axis=-1, kind="stable")[..., :count]


def _with_replacement(weights: NDArray, count: int, stream: np.random.Generator) -> NDArray:
    bounds = np.cumsum(weights, axis=-1)
    total = bounds[..., -1:]
    drawn = stream.random((*weights.shape[:-1], count)) * total
    # A product rounded up to the total would lie behind the last weight.
    drawn = np.minimum(drawn, np.nextafter(total, 0))
    if weights.ndim == 1:
        return np.searchsorted(bounds, drawn, side="right")
    rows = [np.searchsorted(b, d, side="right") for b, d in zip(bounds, drawn)]
    return np.array(rows, np.int64).reshape(drawn.shape)

"""Random tensors. Every draw comes from a counted generator, so its state is two integers."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from lamina import dtypes
from lamina.dtypes import DType
from lamina.errors import ArgumentError, DTypeError, ShapeError
from lamina.memory import of_numpy
from lamina.philox import Generator, default_generator
from lamina.tensor import draws
from lamina.tensor.core import Tensor, check_device, wrap
from lamina.tensor.creation import checked_sizes
from lamina.tensor.keywords import second_keywords


def manual_seed(seed: int) -> Generator:
    """Restart the default generator from `seed`; return it.

    >>> import lamina
    >>> first = lamina.manual_seed(0) and lamina.rand(3)
    >>> bool((lamina.manual_seed(0) and lamina.rand(3) == first).all())
    True
    """
    return default_generator.manual_seed(seed)


def _float_dtype(dtype: Any, what: str) -> DType:
    wanted = dtypes.default_float if dtype is None else dtypes.as_dtype(dtype)
    if not wanted.is_floating_point:
        raise DTypeError(f"{what}: {wanted.name} given, expected a floating-point dtype")
    return wanted


@second_keywords
def rand(
    shape: Any,
    *more: int,
    generator: Generator | None = None,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Return numbers drawn evenly from [0, 1): `rand(2, 3)` or `rand((2, 3))`."""
    check_device(device)
    sizes = checked_sizes((shape, *more))
    values = draws.uniform(sizes, _float_dtype(dtype, "rand"), generator)
    return wrap(of_numpy(values)).requires_grad_(requires_grad)


@second_keywords
def randn(
    shape: Any,
    *more: int,
    generator: Generator | None = None,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Return numbers of the normal distribution with mean 0 and variance 1."""
    check_device(device)
    sizes = checked_sizes((shape, *more))
    values = draws.normal(sizes, _float_dtype(dtype, "randn"), generator)
    return wrap(of_numpy(values)).requires_grad_(requires_grad)


def randint(
    low: int = 0,
    high: int | Sequence[int] | None = None,
    size: Sequence[int] | None = None,
    *,
    generator: Generator | None = None,
    dtype: Any = None,
    device: Any = None,
) -> Tensor:
    """Return whole numbers drawn evenly from [low, high): `randint(high, size)` starts at 0.

    >>> import lamina
    >>> lamina.randint(2, 3, (2,))
    Tensor([2, 2])
    """
    check_device(device)
    shape = high if size is None else size
    first, last = (low, high) if isinstance(high, int) else (0, low)
    if shape is None or isinstance(shape, int):
        raise ArgumentError("randint: no size given; call randint(low, high, size)")
    wanted = dtypes.default_int if dtype is None else dtypes.as_dtype(dtype)
    return wrap(of_numpy(draws.integers(first, last, checked_sizes((shape,)), wanted, generator)))


def randperm(
    n: int, *, generator: Generator | None = None, dtype: Any = None, device: Any = None
) -> Tensor:
    """Return the numbers from 0 to n − 1 in random order."""
    check_device(device)
    if n < 0:
        raise ArgumentError(f"randperm: {n} given; expected 0 or more")
    wanted = dtypes.default_int if dtype is None else dtypes.as_dtype(dtype)
    return wrap(of_numpy(draws.permutation(n, wanted, generator)))


@second_keywords
def rand_like(x: Tensor, *, generator: Generator | None = None, dtype: Any = None) -> Tensor:
    """Return numbers drawn evenly from [0, 1), in the shape and dtype of `x`."""
    return rand(x.shape, generator=generator, dtype=x.dtype if dtype is None else dtype)


@second_keywords
def randn_like(x: Tensor, *, generator: Generator | None = None, dtype: Any = None) -> Tensor:
    """Return numbers of the normal distribution, in the shape and dtype of `x`."""
    return randn(x.shape, generator=generator, dtype=x.dtype if dtype is None else dtype)


@second_keywords
def randint_like(
    x: Tensor,
    low: int,
    high: int | None = None,
    *,
    generator: Generator | None = None,
    dtype: Any = None,
) -> Tensor:
    """Return whole numbers of [low, high), or of [0, low), in the shape and dtype of `x`."""
    first, last = (0, low) if high is None else (low, high)
    wanted = x.dtype if dtype is None else dtype
    return randint(first, last, x.shape, generator=generator, dtype=wanted)


def normal(
    mean: Any = 0.0,
    std: Any = 1.0,
    size: Sequence[int] | None = None,
    *,
    generator: Generator | None = None,
    dtype: Any = None,
) -> Tensor:
    """Return mean + std·z with z of the standard normal distribution.

    `mean` and `std` are numbers with a `size`, or tensors that broadcast; gradients reach them.
    """
    if size is None:
        if not isinstance(mean, Tensor) and not isinstance(std, Tensor):
            raise ArgumentError("normal: numbers without a size given; pass size=")
        like = mean + std * 0 if isinstance(mean, Tensor) else std
        return randn_like(like, generator=generator) * std + mean
    return randn(size, generator=generator, dtype=dtype) * std + mean


@second_keywords
def bernoulli(x: Tensor, p: float | None = None, *, generator: Generator | None = None) -> Tensor:
    """Return 1 with the probability that `x` holds (or `p`), else 0, in the dtype of `x`."""
    chances = x.array.numpy() if p is None else p
    return wrap(of_numpy(draws.bernoulli(x.shape, chances, x.dtype, generator)))


@second_keywords
def multinomial(
    x: Tensor,
    num_samples: int,
    replacement: bool = False,
    *,
    generator: Generator | None = None,
) -> Tensor:
    """Return places drawn from each row of weights `x`, (n,) or (m, n), as int64.

    Without replacement the places of a row differ; ArgumentError where it has too few non-zero
    weights.
    """
    weights = x.detach().array.numpy().astype(np.float64)
    if weights.ndim not in (1, 2):
        raise ShapeError(f"multinomial: weights of shape {x.shape} given; expected (n,) or (m, n)")
    if not (np.isfinite(weights) & (weights >= 0)).all() or not (weights.sum(-1) > 0).all():
        raise ArgumentError("multinomial: expected weights of 0 or more, with a positive sum")
    if not replacement and num_samples > (weights > 0).sum(-1).min():
        raise ArgumentError(
            f"multinomial: {num_samples} samples without replacement asked of fewer non-zero "
            "weights; pass replacement=True"
        )
    places = draws.multinomial(weights, num_samples, generator, replacement=replacement)
    return wrap(of_numpy(np.ascontiguousarray(places, np.int64)))


def get_rng_state() -> tuple[int, int]:
    """Return the state of the default generator: seed and number of draws."""
    return default_generator.state


def set_rng_state(state: tuple[int, int]) -> None:
    """Put the default generator back to a state that `get_rng_state` gave."""
    default_generator.state = state


def initial_seed() -> int:
    """Return the seed of the default generator."""
    return default_generator.state[0]

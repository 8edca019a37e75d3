"""Methods that fill a tensor in place with random numbers."""

from typing import Any, Self

from lamina import dtypes
from lamina.errors import ArgumentError, DTypeError
from lamina.memory import Array, of_numpy
from lamina.memory.array import NDArray
from lamina.ops.registry import Operand
from lamina.philox import Generator
from lamina.tensor import draws
from lamina.tensor.views import assign

# Largest n up to which a float of so many bytes holds every whole number.
_WHOLE = {2: 1 << 8, 4: 1 << 24, 8: 1 << 53}


class RandomFilling(Operand):
    """`x.uniform_()` and the like: one draw of the default generator, or of the one given."""

    __slots__ = ()

    array: Array

    def uniform_(
        self, low: float = 0.0, high: float = 1.0, *, generator: Generator | None = None
    ) -> Self:
        """Fill with numbers drawn evenly from [low, high).

        >>> import lamina
        >>> bool((lamina.empty(9).uniform_(-1.0, 1.0).abs() <= 1).all())
        True
        """
        self._check_float("uniform_")
        if not low <= high:
            raise ArgumentError(f"uniform_: [{low}, {high}) given; expected low ≤ high")
        values = draws.uniform(self.array.shape, self.array.dtype, generator)
        return self._fill(values * (high - low) + low)

    def normal_(
        self, mean: float = 0.0, std: float = 1.0, *, generator: Generator | None = None
    ) -> Self:
        """Fill with numbers of the normal distribution."""
        self._check_float("normal_")
        if std < 0:
            raise ArgumentError(f"normal_: standard deviation {std} given; expected 0 or more")
        values = draws.normal(self.array.shape, self.array.dtype, generator)
        return self._fill(values * std + mean)

    def exponential_(self, lambd: float = 1.0, *, generator: Generator | None = None) -> Self:
        """Fill with numbers of the exponential distribution of rate `lambd`."""
        self._check_float("exponential_")
        if lambd <= 0:
            raise ArgumentError(f"exponential_: rate {lambd} given; expected more than 0")
        values = draws.stream_of(generator).standard_exponential(self.array.shape)
        return self._fill(values / lambd)

    def bernoulli_(self, p: Any = 0.5, *, generator: Generator | None = None) -> Self:
        """Fill with 1 with probability `p` (a number, or a tensor that broadcasts), else 0."""
        chances = p.array.numpy() if isinstance(p, RandomFilling) else p
        return self._fill(draws.bernoulli(self.array.shape, chances, self.array.dtype, generator))

    def random_(
        self, low: int = 0, high: int | None = None, *, generator: Generator | None = None
    ) -> Self:
        """Fill with whole numbers of [low, high), of [0, low), or of all the dtype holds."""
        dtype = self.array.dtype
        if low == 0 and high is None:
            first, last = 0, _limit_of(dtype)
        else:
            first, last = (0, low) if high is None else (low, high)
        return self._fill(draws.integers(first, last, self.array.shape, dtype, generator))

    def _check_float(self, what: str) -> None:
        if not self.array.dtype.is_floating_point:
            raise DTypeError(
                f"{what}: a {self.array.dtype.name} tensor given, expected a floating-point one"
            )

    def _fill(self, values: NDArray) -> Self:
        array = of_numpy(values.astype(self.array.dtype.numpy, copy=False))
        assign(self, self.of_history(array, None))  # type: ignore[attr-defined]
        return self


def _limit_of(dtype: dtypes.DType) -> int:
    if dtype.is_floating_point:
        return _WHOLE[dtype.itemsize]
    bits = 8 * dtype.itemsize - (dtype.kind == "signed")
    return 2 if dtype is dtypes.bool_ else 1 << min(bits, 63)

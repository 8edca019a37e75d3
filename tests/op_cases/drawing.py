"""How the inputs of a case are drawn."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from lamina.dtypes import DTYPES

NAMES = tuple(DTYPES)
DEFAULT = (3, 4)

Generator = np.random.Generator


def kind_of(name: str) -> str:
    """ "float", "signed", … of a dtype by name."""
    return DTYPES[name].kind


@dataclass(frozen=True)
class Draw:
    """One input: its shape and its values, in float64 before they are converted."""

    shape: tuple[int, ...]
    values: Callable[[Generator, tuple[int, ...]], Any]
    # A dtype that the input has whatever dtype is swept: an index, a mask.
    dtype: str | None = None

    def array(self, rng: Generator, dtype: str, shape: tuple[int, ...]) -> Any:
        """An array of `shape`; of `dtype` unless the input has its own."""
        values = np.asarray(self.values(rng, shape))
        return converted(values, self.dtype or dtype, fixed=self.dtype is not None)


def converted(values: Any, dtype: str, *, fixed: bool = False) -> Any:
    """Drawn values in a dtype; thrice as large where they are rounded to whole numbers."""
    target = DTYPES[dtype].numpy
    match "float" if fixed else kind_of(dtype):
        case "bool":
            return np.asarray(values > 0)
        case "signed":
            return np.rint(values * 3).astype(target)
        case "unsigned":
            return np.abs(np.rint(values * 3)).astype(target)
        case "complex":
            return (values + 1j * np.flip(values).reshape(values.shape) * 0.7).astype(target)
        case _:
            return values.astype(target)


def normal(*shape: int) -> Draw:
    """The standard normal distribution."""
    return Draw(shape, lambda rng, size: rng.standard_normal(size))


def uniform(low: float, high: float, *shape: int) -> Draw:
    """Evenly from low to high."""
    return Draw(shape or DEFAULT, lambda rng, size: rng.uniform(low, high, size))


def away(*points: float, shape: tuple[int, ...] = DEFAULT, spread: float = 2.0) -> Draw:
    """Normal numbers, none within 0.1 of a point where the derivative jumps."""

    def values(rng: Generator, size: tuple[int, ...]) -> Any:
        out = rng.standard_normal(size) * spread
        for point in points:
            near = np.abs(out - point) < 0.1
            out = np.where(near, point + np.where(out < point, -0.2, 0.2), out)
        return out

    return Draw(shape, values)


def distinct(*shape: int) -> Draw:
    """Numbers of which no two are closer than 0.25, in any order."""

    def values(rng: Generator, size: tuple[int, ...]) -> Any:
        count = int(np.prod(size))
        return (rng.permutation(count) - count // 2).reshape(size) * 0.25 + 0.125

    return Draw(shape, values)


def with_zeros(*shape: int) -> Draw:
    """Normal numbers with 0 for a third of them."""
    return Draw(shape, lambda rng, size: rng.standard_normal(size) * (rng.random(size) > 0.33))


def whole(low: int, high: int, *shape: int, dtype: str | None = "int64") -> Draw:
    """Whole numbers from low to short of high; with dtype None, of the dtype that is swept."""
    third = 1 if dtype else 3
    return Draw(shape or DEFAULT, lambda rng, size: rng.integers(low, high, size) / third, dtype)


def truth(*shape: int) -> Draw:
    """Truth values."""
    return Draw(shape or DEFAULT, lambda rng, size: rng.random(size) > 0.5, "bool")


def fixed(values: Any, dtype: str | None = None) -> Draw:
    """These numbers."""
    array = np.asarray(values)
    return Draw(array.shape, lambda rng, size: array, dtype)

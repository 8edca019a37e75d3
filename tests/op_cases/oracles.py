"""What oracles are made of."""

from collections.abc import Callable
from typing import Any

import numpy as np


def by_element(function: Callable[..., float]) -> Callable[..., Any]:
    """A function of Python floats, as `math` has them, over arrays; NaN where it has no value."""

    def safely(*numbers: Any) -> float:
        try:
            return function(*numbers)
        except (ValueError, ZeroDivisionError):
            return float("nan")

    def over(*arrays: Any) -> Any:
        wide = np.broadcast_arrays(*arrays)
        out = [safely(*map(float, row)) for row in zip(*(a.reshape(-1) for a in wide), strict=True)]
        return np.array(out, np.float64).reshape(wide[0].shape)

    return over


def floats_or(whole: Callable[..., Any], real: Callable[..., Any]) -> Callable[..., Any]:
    """One function for floats, another for whole numbers and truth values."""

    def either(*arrays: Any) -> Any:
        is_float = any(a.dtype.kind == "f" for a in arrays)
        return (real if is_float else whole)(*arrays)

    return either

"""Whether numbers are equal within a tolerance."""

from typing import Any

from lamina.ops.elementwise.arithmetic import isfinite, isnan
from lamina.ops.reductions.reduction import all as every
from lamina.ops.registry import Value


def isclose(
    x: Value, other: Any, rtol: float = 1e-5, atol: float = 1e-8, *, equal_nan: bool = False
) -> Value:
    """Return whether |x − other| ≤ atol + rtol·|other|, or both are equal.

    NaN is close to nothing, or with `equal_nan` to NaN.

    >>> import lamina
    >>> isclose(lamina.tensor([1.0, 2.0]), lamina.tensor([1.0, 2.1]))
    Tensor([ True, False])
    """
    near = abs(x - other) <= atol + rtol * abs(other)
    same = (x == other) | (near & isfinite(x))
    if not equal_nan:
        return same
    return same | (isnan(x) & (other != other))


def allclose(
    x: Value, other: Any, rtol: float = 1e-5, atol: float = 1e-8, *, equal_nan: bool = False
) -> bool:
    """Return whether `isclose` holds everywhere."""
    return bool(every(isclose(x, other, rtol, atol, equal_nan=equal_nan)))


def is_same(x: Value, other: Value) -> bool:
    """Return whether two tensors have one shape and equal elements."""
    return tuple(x.shape) == tuple(other.shape) and bool(every(x == other))

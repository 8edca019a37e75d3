"""Derivatives by central differences, and what autograd gives for the same."""

from collections.abc import Callable
from typing import Any

import numpy as np

import lamina
from lamina import autograd
from lamina.ops.registry import Op

STEP = 1e-4
# Fourth-order differences of smooth functions leave about 1e-11, cancellation included.
TOLERANCE = 1e-7

Arrays = list[Any]
Scalar = Callable[[Arrays], Any]


def along(function: Scalar, at: Arrays, direction: dict[int, Any]) -> float:
    """The derivative of a scalar function along a direction, exact to fourth order."""

    def moved(steps: int) -> Any:
        far = [x + steps * STEP * direction[i] if i in direction else x for i, x in enumerate(at)]
        return function(far)

    return float((8 * (moved(1) - moved(-1)) - (moved(2) - moved(-2))) / (12 * STEP))


def as_tuple(outputs: Any) -> tuple[Any, ...]:
    return tuple(outputs) if isinstance(outputs, tuple) else (outputs,)


def weighted(outputs: Any, weights: Arrays) -> Any:
    """Σ output·weight over the float outputs: numpy arrays or tensors."""
    floats = [out for out in as_tuple(outputs) if is_float(out)]
    return sum(((out * w).sum() for out, w in zip(floats, weights, strict=True)), start=0.0)


def is_float(value: Any) -> bool:
    if isinstance(value, lamina.Tensor):
        return bool(value.dtype.is_floating_point)
    return np.asarray(value).dtype.kind == "f"


def tensors_of(arrays: Arrays, moving: tuple[int, ...]) -> list[Any]:
    return [lamina.tensor(a, requires_grad=i in moving) for i, a in enumerate(arrays)]


def gradient(op: Op, inputs: list[Any], weights: list[Any], moving: tuple[int, ...]) -> list[Any]:
    """Gradients of Σ output·weight with respect to the moving inputs, with a history."""
    total = weighted(op(*inputs), weights)
    found = autograd.grad(total, [inputs[i] for i in moving], create_graph=True, allow_unused=True)
    return [inputs[i].zeros_like() if g is None else g for i, g in zip(moving, found, strict=True)]


def dot(values: Any, directions: Any) -> Any:
    return sum(((v * d).sum() for v, d in zip(values, directions, strict=True)), start=0.0)


def check_near(analytic: float, numeric: float, size: float, what: str) -> None:
    assert abs(analytic - numeric) <= TOLERANCE * (1 + size), (
        f"{what}: {analytic!r} by derivative rules, {numeric!r} by differences"
    )

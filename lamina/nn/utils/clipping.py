"""Gradients held to a size."""

import math
from collections.abc import Iterable
from typing import Any

from lamina.autograd import no_grad
from lamina.errors import GradientError
from lamina.ops.reductions import reduction
from lamina.ops.shapes import copying
from lamina.tensor import Tensor, zeros

# What PyTorch adds to the norm before it divides by it.
_MARGIN = 1e-6


def _gradients(parameters: Tensor | Iterable[Tensor]) -> list[Any]:
    given = [parameters] if isinstance(parameters, Tensor) else parameters
    return [p.grad for p in given if p.grad is not None]


@no_grad()
def get_total_norm(
    tensors: Tensor | Iterable[Tensor],
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
) -> Tensor:
    """Return the norm of all elements of `tensors` taken together, as a 0-d tensor.

    >>> get_total_norm([lamina.tensor([3.0]), lamina.tensor([4.0])])
    Tensor(5.)
    """
    given = [tensors] if isinstance(tensors, Tensor) else list(tensors)
    if not given:
        return zeros(())
    norms = [reduction.norm(t.flatten(), float(norm_type)) for t in given]
    total = reduction.norm(copying.stack(norms), float(norm_type))
    if error_if_nonfinite and not math.isfinite(total.item()):
        raise GradientError(
            f"the total norm of the gradients is {total.item()}; find its origin with "
            "lamina.autograd.detect_anomaly(), or pass error_if_nonfinite=False to scale anyway"
        )
    return total


@no_grad()
def clip_grads_with_norm_(
    parameters: Tensor | Iterable[Tensor], max_norm: float, total_norm: Tensor
) -> None:
    """Scale the gradients of `parameters` in place by max_norm / total_norm where that is below
    1."""
    scale = (float(max_norm) / (total_norm + _MARGIN)).clamp(max=1.0)
    for gradient in _gradients(parameters):
        gradient.mul_(scale.to(gradient.dtype))


@no_grad()
def clip_grad_norm_(
    parameters: Tensor | Iterable[Tensor],
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
) -> Tensor:
    """Scale the gradients of `parameters` in place so that their norm together is at most
    `max_norm`; return the norm they had.

    GradientError, with `error_if_nonfinite`, where that norm is NaN or infinite. Pascanu et al.,
    "On the difficulty of training recurrent neural networks", ICML 2013.

    >>> weight = lamina.tensor([3.0, 4.0], requires_grad=True)
    >>> (weight * lamina.tensor([3.0, 4.0])).sum().backward()
    >>> clip_grad_norm_(weight, 1.0)
    Tensor(5.)
    >>> weight.grad
    Tensor([0.6, 0.8])
    """
    given = [parameters] if isinstance(parameters, Tensor) else list(parameters)
    total = get_total_norm(_gradients(given), norm_type, error_if_nonfinite)
    clip_grads_with_norm_(given, max_norm, total)
    return total


@no_grad()
def clip_grad_value_(parameters: Tensor | Iterable[Tensor], clip_value: float) -> None:
    """Limit every element of the gradients of `parameters` to ±`clip_value`, in place."""
    bound = float(clip_value)
    for gradient in _gradients(parameters):
        gradient.clamp_(-bound, bound)

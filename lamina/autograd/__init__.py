"""Differentiation: the tape, reverse mode, and what is built on it. Nothing here names an op."""

from lamina.autograd.anomaly import detect_anomaly
from lamina.autograd.backward import backward, grad
from lamina.autograd.grad_mode import (
    enable_grad,
    inference_mode,
    is_grad_enabled,
    no_grad,
    saved_tensors_hooks,
    set_grad_enabled,
)

__all__ = [
    "backward",
    "detect_anomaly",
    "enable_grad",
    "grad",
    "inference_mode",
    "is_grad_enabled",
    "no_grad",
    "saved_tensors_hooks",
    "set_grad_enabled",
]

"""Differentiation: the tape, reverse mode, and what is built on it. Nothing here names an op."""

from lamina.autograd.anomaly import detect_anomaly
from lamina.autograd.backward import backward, grad
from lamina.autograd.checkpoint import checkpoint
from lamina.autograd.function import Function
from lamina.autograd.functional import hessian, jacobian, jvp, value_and_grad, vhp, vjp
from lamina.autograd.grad_mode import (
    enable_grad,
    inference_mode,
    is_grad_enabled,
    no_grad,
    saved_tensors_hooks,
    set_grad_enabled,
)
from lamina.autograd.gradcheck import gradcheck, gradgradcheck

__all__ = [
    "Function",
    "backward",
    "checkpoint",
    "detect_anomaly",
    "enable_grad",
    "grad",
    "gradcheck",
    "gradgradcheck",
    "hessian",
    "inference_mode",
    "is_grad_enabled",
    "jacobian",
    "jvp",
    "no_grad",
    "saved_tensors_hooks",
    "set_grad_enabled",
    "value_and_grad",
    "vhp",
    "vjp",
]

"""Lamina: train, compile and serve neural networks on CPUs, in Python down to the machine code.

The namespace is that of the Python Array API, answers to PyTorch's names too, and holds the parts
of the package. Parts beyond tensors are loaded when they are first asked for.
"""

from importlib import import_module
from typing import Any

from lamina import array_api, autograd, memory
from lamina.array_api import *  # noqa: F403
from lamina.autograd import (
    enable_grad,
    inference_mode,
    is_grad_enabled,
    no_grad,
    set_grad_enabled,
)
from lamina.philox import Generator
from lamina.version import __version__

# Parts that are loaded when asked for, and names that live in one of them.
_PARTS = ("data", "formats", "graph", "nn", "optim", "train")
_HOME = {
    "Dim": ("lamina.graph.dims", "Dim"),
    "cond": ("lamina.graph.control_flow", "cond"),
    "compile": ("lamina.graph.compile", "compile"),
    "explain": ("lamina.operate.explain", "explain"),
    "get_num_threads": ("lamina.codegen.threads", "num_threads"),
    "load": ("lamina.formats", "load"),
    "num_threads": ("lamina.codegen.threads", "num_threads"),
    "scan": ("lamina.graph.control_flow", "scan"),
    "save": ("lamina.formats", "save"),
    "set_num_threads": ("lamina.codegen.threads", "set_num_threads"),
    "while_loop": ("lamina.graph.control_flow", "while_loop"),
}

__all__ = [
    "Generator",
    "__version__",
    "autograd",
    "enable_grad",
    "inference_mode",
    "is_grad_enabled",
    "memory",
    "no_grad",
    "set_grad_enabled",
    *_PARTS,
    *_HOME,
]
__all__ += array_api.__all__


def __getattr__(name: str) -> Any:
    if name in _PARTS:
        return import_module(f"lamina.{name}")
    if name in _HOME:
        part, own_name = _HOME[name]
        return getattr(import_module(part), own_name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

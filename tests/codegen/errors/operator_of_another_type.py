"""Whole division of floats."""

from lamina.codegen.builder import KernelModule
from lamina.codegen.types import Pointer, f32


def emit(module: KernelModule) -> None:
    with module.function("run", {"x": Pointer(f32)}) as (_, x):
        x[0] = 2.0 * (x[0] // 2.0)

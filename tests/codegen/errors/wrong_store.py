"""A number is stored where numbers of another type lie."""

from lamina.codegen.builder import KernelModule
from lamina.codegen.types import Pointer, f32, f64


def emit(module: KernelModule) -> None:
    with module.function("run", {"x": Pointer(f32), "y": Pointer(f64)}) as (_, x, y):
        total = y[0] + y[1]
        x[0] = total

"""A fraction meets a whole number."""

from lamina.codegen.builder import KernelModule
from lamina.codegen.types import Pointer, f32, i64


def emit(module: KernelModule) -> None:
    with module.function("run", {"x": Pointer(f32), "n": i64}) as (_, x, n):
        x[n * 0.5] = 0.0

"""A value of one function is used in another."""

from lamina.codegen.builder import KernelModule
from lamina.codegen.types import Pointer, f32, i64


def emit(module: KernelModule) -> None:
    with module.function("_first", {"x": Pointer(f32), "n": i64}) as (_, x, n):
        half = n // 2
        x[half] = 0.0
    with module.function("run", {"x": Pointer(f32), "n": i64}) as (_, x, n):
        x[half] = 1.0

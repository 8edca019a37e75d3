"""Python's loop, which unrolls, is given a bound that only the running kernel knows."""

from lamina.codegen.builder import KernelModule
from lamina.codegen.types import Pointer, f32, i64


def emit(module: KernelModule) -> None:
    with module.function("run", {"x": Pointer(f32), "n": i64}) as (_, x, n):
        for place in range(n):
            x[place] = 0.0

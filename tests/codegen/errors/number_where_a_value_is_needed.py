"""A Python number is given where only values of the kernel go."""

from lamina.codegen.builder import KernelModule
from lamina.codegen.types import Pointer, f32


def emit(module: KernelModule) -> None:
    with module.function("run", {"x": Pointer(f32)}) as (k, x):
        x[0] = k.fma(x[0], 2.0, x[1])

"""Python's `if`, which chooses while the kernel is written, is given a value of the running one."""

from lamina.codegen.builder import KernelModule
from lamina.codegen.types import Pointer, f32


def emit(module: KernelModule) -> None:
    with module.function("run", {"x": Pointer(f32)}) as (_, x):
        if x[0] > 0.0 and x[1] > 0.0:
            x[0] = 0.0

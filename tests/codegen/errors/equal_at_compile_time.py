"""Python's `==` is asked about a value of the running kernel."""

from lamina.codegen.builder import KernelModule
from lamina.codegen.types import Pointer, i64


def emit(module: KernelModule) -> None:
    with module.function("run", {"x": Pointer(i64)}) as (k, x):
        with k.when(x[0] == 0):
            x[0] = 1

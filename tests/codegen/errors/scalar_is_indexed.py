"""An element is indexed as if it were the array."""

from lamina.codegen.builder import KernelModule
from lamina.codegen.types import Pointer, f32


def emit(module: KernelModule) -> None:
    with module.function("run", {"x": Pointer(f32)}) as (_, x):
        row = x[0]
        x[1] = row[1] + row[2]

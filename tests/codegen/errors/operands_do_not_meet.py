"""A vector of one type meets a vector of another."""

from lamina.codegen.builder import KernelModule
from lamina.codegen.types import Pointer, f32, f64


def emit(module: KernelModule) -> None:
    with module.function("run", {"x": Pointer(f32), "y": Pointer(f64)}) as (_, x, y):
        x.store(0, x.load(0, lanes=4) * y.load(0, lanes=4))

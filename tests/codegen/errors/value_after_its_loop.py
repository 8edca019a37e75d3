"""A value made in a loop is used after the loop."""

from lamina.codegen.builder import KernelModule
from lamina.codegen.types import Pointer, f32


def emit(module: KernelModule) -> None:
    with module.function("run", {"x": Pointer(f32)}) as (k, x):
        with k.loop(8) as turn:
            largest = k.absolute(x[turn.index])
        x[0] = largest + 1.0

"""A loop ends at a fraction."""

from lamina.codegen.builder import KernelModule
from lamina.codegen.types import Pointer, f32


def emit(module: KernelModule) -> None:
    with module.function("run", {"x": Pointer(f32)}) as (k, x):
        with k.loop(7 / 2) as turn:
            x[turn.index] = 0.0

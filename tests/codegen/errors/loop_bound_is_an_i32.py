"""A loop ends at a number of the wrong width."""

from lamina.codegen.builder import KernelModule
from lamina.codegen.types import Pointer, i32


def emit(module: KernelModule) -> None:
    with module.function("run", {"x": Pointer(i32)}) as (k, x):
        with k.loop(x[0]) as turn:
            x[turn.index] = 0

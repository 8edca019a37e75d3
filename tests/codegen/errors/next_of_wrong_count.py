"""A loop carries two values and sets one."""

from lamina.codegen.builder import KernelModule
from lamina.codegen.types import Pointer, f32


def emit(module: KernelModule) -> None:
    with module.function("run", {"x": Pointer(f32)}) as (k, x):
        start = [x[0], x[1]]
        with k.loop(8, carry=start) as turn:
            low, high = turn.carried
            turn.next = [low + high]

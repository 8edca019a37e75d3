"""A loop carries a vector and sets a scalar."""

from lamina.codegen.builder import KernelModule
from lamina.codegen.types import Pointer, f32


def emit(module: KernelModule) -> None:
    with module.function("run", {"x": Pointer(f32)}) as (k, x):
        with k.loop(8, carry=[k.zeros(f32)]) as turn:
            total = turn.carried[0] + x.load(turn.index, lanes=8)
            turn.next = [k.sum_lanes(total)]

"""What the next turn gets is made in a branch that may not be taken."""

from lamina.codegen.builder import KernelModule
from lamina.codegen.types import Pointer, f32


def emit(module: KernelModule) -> None:
    with module.function("run", {"x": Pointer(f32)}) as (k, x):
        with k.loop(8, carry=[x[0]]) as turn:
            with k.when(x[turn.index] > 0.0):
                total = turn.carried[0] + x[turn.index]
            turn.next = [total]

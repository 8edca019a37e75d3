"""A function is called with its arguments in the wrong order."""

from lamina.codegen.builder import KernelModule
from lamina.codegen.types import Pointer, f32, i64


def emit(module: KernelModule) -> None:
    with module.function("_clear", {"x": Pointer(f32), "n": i64}) as (k, x, n):
        with k.loop(n) as turn:
            x[turn.index] = 0.0
        clear = k.handle
    with module.function("run", {"x": Pointer(f32), "n": i64}) as (k, x, n):
        k.call(clear, n, x)

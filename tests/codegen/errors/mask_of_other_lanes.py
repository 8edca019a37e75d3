"""A mask has fewer lanes than what it chooses from."""

from lamina.codegen.builder import KernelModule
from lamina.codegen.types import Pointer, f32


def emit(module: KernelModule) -> None:
    with module.function("run", {"x": Pointer(f32)}) as (k, x):
        wide, narrow = x.load(0, lanes=8), x.load(0, lanes=4)
        positive = narrow > 0.0
        x.store(0, k.select(positive, wide, wide * 2.0))

"""A value made in one branch is used in the other."""

from lamina.codegen.builder import KernelModule
from lamina.codegen.types import Pointer, f32


def emit(module: KernelModule) -> None:
    with module.function("run", {"x": Pointer(f32)}) as (k, x):
        with k.either(x[0] > 0.0) as (then, otherwise):
            with then:
                root = k.sqrt(x[0])
            with otherwise:
                x[1] = root

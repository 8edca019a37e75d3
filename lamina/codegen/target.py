"""SIMD targets as a table of frozen data; the kernel language knows no instruction set but these
rows.
"""

import platform
import sys
from dataclasses import dataclass, replace
from functools import cache

from lamina.codegen import cpu
from lamina.codegen.types import Scalar
from lamina.config import settings
from lamina.errors import ArgumentError


@dataclass(frozen=True, slots=True)
class Target:
    """An instruction set: what LLVM is told, and what kernels may count on."""

    name: str
    arch: str
    cpu: str
    features: tuple[str, ...]
    vector_bytes: int
    registers: int
    has_fma: bool
    has_masks: bool
    has_rounding: bool

    def has(self, *features: str) -> bool:
        """Return whether the instruction set has all of `features`, in LLVM's words."""
        return set(features) <= set(self.features)

    def lanes(self, scalar: Scalar) -> int:
        """Return how many `scalar`s one vector register holds (1 where there are no vectors)."""
        return max(1, self.vector_bytes // scalar.bytes)


SCALAR = Target(
    "scalar", "x86_64", "x86-64", (), 0, 16, has_fma=False, has_masks=False, has_rounding=False
)
SSE42 = replace(
    SCALAR,
    name="sse4.2",
    cpu="x86-64-v2",
    features=("sse4.2",),
    vector_bytes=16,
    has_rounding=True,
)
AVX2 = replace(
    SSE42,
    name="avx2",
    cpu="x86-64-v3",
    features=("avx2", "fma", "f16c"),
    vector_bytes=32,
    has_fma=True,
    has_masks=True,
)
AVX512 = replace(
    AVX2,
    name="avx512",
    cpu="x86-64-v4",
    features=("avx512f", "avx512vl", "avx512dq", "avx512bw", "avx512cd", "fma", "f16c"),
    vector_bytes=64,
    registers=32,
)

TARGETS = {target.name: target for target in (SCALAR, SSE42, AVX2, AVX512)}


def runs_here(target: Target) -> bool:
    """Return whether this processor has all that `target` needs."""
    here = cpu.describe()
    return here.arch == target.arch and here.features.issuperset(target.features)


def choose_target(name: str | None) -> Target:
    """Return the target called `name`, or the widest one of this processor where it is None.

    Raises ArgumentError for an unknown name or one that this processor cannot run.

    >>> choose_target("scalar").vector_bytes
    0
    """
    usable = [target for target in TARGETS.values() if runs_here(target)]
    names = ", ".join(target.name for target in usable)
    if name is None and not usable:
        arch = cpu.describe().arch
        raise ArgumentError(f"processor {arch!r} has no target in Lamina; expected x86_64")
    if name is None:
        return usable[-1]
    if name not in TARGETS:
        raise ArgumentError(f"LAMINA_TARGET={name!r} is unknown; set one of {names}")
    if TARGETS[name] not in usable:
        raise ArgumentError(f"LAMINA_TARGET={name!r}: this processor lacks it; set one of {names}")
    return TARGETS[name]


@cache
def compiles_here() -> bool:
    """Return whether kernels can be compiled and loaded on this machine; where not, references run.

    >>> compiles_here() in (True, False)
    True
    """
    here = platform.machine().lower().replace("amd64", "x86_64")
    return sys.platform == "linux" and any(target.arch == here for target in TARGETS.values())


@cache
def host_target() -> Target:
    """Return the target that kernels are compiled for in this process; LAMINA_TARGET forces one."""
    return choose_target(settings.target)

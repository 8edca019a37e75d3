"""Which targets there are, and which of them kernels are compiled for on this machine."""

import platform
import sys
from functools import cache

from lamina.codegen import cpu
from lamina.codegen.relocations import ARCHITECTURES
from lamina.codegen.targets import arm, riscv, webassembly, x86
from lamina.codegen.targets.description import Target
from lamina.codegen.targets.x86 import AVX2, AVX512, SCALAR, SSE42
from lamina.config import settings
from lamina.errors import ArgumentError

__all__ = [
    "AVX2",
    "AVX512",
    "SCALAR",
    "SSE42",
    "TARGETS",
    "Target",
    "choose_target",
    "compiles_here",
    "host_target",
    "runs_here",
]

_LOADABLE = {row.name for row in ARCHITECTURES.values()}
# Of one architecture, the last that runs is the best.
TARGETS = {
    target.name: target
    for rows in (x86.TARGETS, arm.TARGETS, riscv.TARGETS, webassembly.TARGETS)
    for target in rows
}


def _archs() -> str:
    return ", ".join(sorted({target.arch for target in TARGETS.values()}))


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
        raise ArgumentError(f"processor {arch!r} has no target in Lamina; expected {_archs()}")
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
    return sys.platform == "linux" and here in _LOADABLE


@cache
def host_target() -> Target:
    """Return the target that kernels are compiled for in this process; LAMINA_TARGET forces one."""
    return choose_target(settings.target)

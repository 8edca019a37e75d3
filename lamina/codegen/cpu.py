"""What the processor and the operating system offer: features, caches, usable cores."""

import os
import platform
from dataclasses import dataclass
from functools import cache
from math import ceil
from pathlib import Path

from lamina.codegen import llvm

# Linux names that differ from LLVM's names of the same feature.
_LLVM_NAMES = {"sse4_1": "sse4.1", "sse4_2": "sse4.2", "pni": "sse3", "avx512_vnni": "avx512vnni"}


@dataclass(frozen=True, slots=True)
class Cpu:
    """The processor in words and numbers; a size of 0 means that the system does not tell."""

    name: str
    arch: str
    features: frozenset[str]
    cores: int
    l1_bytes: int
    l2_bytes: int
    l3_bytes: int


def _cpuinfo_field(text: str, name: str) -> str:
    for line in text.splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return ""


def _features(info: str) -> frozenset[str]:
    flags = _cpuinfo_field(info, "flags") or _cpuinfo_field(info, "Features")
    if flags:
        return frozenset(_LLVM_NAMES.get(flag, flag) for flag in flags.split())
    host = llvm.binding.get_host_cpu_features()
    return frozenset(name for name, present in host.items() if present)


def _size(text: str) -> int:
    units = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
    number, unit = text.rstrip("KMG"), text[-1:]
    return int(number or 0) * units.get(unit, 1)


def _cache_sizes() -> dict[str, int]:
    sizes: dict[str, int] = {}
    for index in Path("/sys/devices/system/cpu/cpu0/cache").glob("index*"):
        if (index / "type").read_text().strip() != "Instruction":
            sizes[(index / "level").read_text().strip()] = _size(
                (index / "size").read_text().strip()
            )
    return sizes


@cache
def describe() -> Cpu:
    """Return the processor that this process runs on.

    >>> describe().cores >= 1
    True
    """
    path = Path("/proc/cpuinfo")
    info = path.read_text() if path.exists() else ""
    sizes = _cache_sizes()
    return Cpu(
        name=_cpuinfo_field(info, "model name") or platform.processor() or "unknown",
        arch=platform.machine().lower().replace("amd64", "x86_64"),
        features=_features(info),
        cores=os.cpu_count() or 1,
        l1_bytes=sizes.get("1", 0),
        l2_bytes=sizes.get("2", 0),
        l3_bytes=sizes.get("3", 0),
    )


def _quota_v2(root: Path) -> float | None:
    path = root / "cpu.max"
    if not path.exists():
        return None
    quota, period = path.read_text().split()
    return None if quota == "max" else int(quota) / int(period)


def _quota_v1(root: Path) -> float | None:
    path = root / "cpu" / "cpu.cfs_quota_us"
    if not path.exists():
        return None
    quota = int(path.read_text())
    period = int((root / "cpu" / "cpu.cfs_period_us").read_text())
    return quota / period if quota > 0 else None


def cgroup_quota(root: Path = Path("/sys/fs/cgroup")) -> float | None:
    """Return how many cores' worth of time the control group allows, or None where it sets no
    limit.
    """
    quota = _quota_v2(root)
    return quota if quota is not None else _quota_v1(root)


def usable_cores() -> int:
    """Return how many cores this process may keep busy: its affinity, cut by the cgroup's quota.

    >>> usable_cores() >= 1
    True
    """
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count() or 1
    quota = cgroup_quota()
    return cores if quota is None else max(1, min(cores, ceil(quota)))

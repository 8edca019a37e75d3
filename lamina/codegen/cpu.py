"""What the processor and the operating system offer: features, caches, usable cores."""

import os
import platform
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from math import ceil
from pathlib import Path, PurePosixPath

from lamina.codegen import llvm

# Linux names that differ from LLVM's names of the same feature.
_LLVM_NAMES = {
    "pni": "sse3", "sse4_1": "sse4.1", "sse4_2": "sse4.2", "abm": "lzcnt", "bmi1": "bmi",
    "avx_vnni": "avxvnni", "avx512_vnni": "avx512vnni", "avx512_bf16": "avx512bf16",
    "avx512_fp16": "avx512fp16", "avx512_vbmi2": "avx512vbmi2",
    "amx_tile": "amx-tile", "amx_int8": "amx-int8", "amx_bf16": "amx-bf16",
    "asimd": "neon", "asimddp": "dotprod", "asimdhp": "fullfp16",
}  # fmt: skip
_ZVL = re.compile(r"zvl(\d+)b")


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
    isa = _cpuinfo_field(info, "isa")
    if isa:
        return _riscv_extensions(isa)
    host = llvm.binding.get_host_cpu_features()
    return frozenset(name for name, present in host.items() if present)


def _riscv_extensions(isa: str) -> frozenset[str]:
    """Return the extensions that a string such as rv64imafdcv_zba_zvl256b names or implies."""
    base, *named = isa.lower().split("_")
    found = {*base[4:].replace("g", "imafd"), *named}
    least = max((int(match[1]) for name in named if (match := _ZVL.fullmatch(name))), default=0)
    least = max(least, 128 if "v" in found else 0)
    lengths = [32 << power for power in range(12)]
    return frozenset(found | {f"zvl{bits}b" for bits in lengths if bits <= least})


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


def _quota_v2(folder: Path) -> float | None:
    path = folder / "cpu.max"
    if not path.exists():
        return None
    quota, period = path.read_text().split()
    return None if quota == "max" else int(quota) / int(period)


def _quota_v1(folder: Path) -> float | None:
    path = folder / "cpu.cfs_quota_us"
    if not path.exists():
        return None
    quota = int(path.read_text())
    period = int((folder / "cpu.cfs_period_us").read_text())
    return quota / period if quota > 0 else None


def _quotas(root: Path, membership: Path) -> Iterator[float | None]:
    """Give the quota of each control group that this process is in, groups around groups too."""
    text = membership.read_text() if membership.exists() else "0::/"
    for line in text.splitlines():
        _, controllers, path = line.split(":", 2)
        group = PurePosixPath(path.lstrip("/"))
        if not controllers:
            yield from (_quota_v2(root / around) for around in (group, *group.parents))
        elif "cpu" in controllers.split(","):
            yield from (_quota_v1(root / "cpu" / around) for around in (group, *group.parents))


def cgroup_quota(
    root: Path = Path("/sys/fs/cgroup"), membership: Path = Path("/proc/self/cgroup")
) -> float | None:
    """Return how many cores' worth of time the control groups allow, or None where they set no
    limit.
    """
    return min((quota for quota in _quotas(root, membership) if quota is not None), default=None)


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

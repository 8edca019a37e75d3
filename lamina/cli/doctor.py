"""`lamina doctor`: what this machine offers and what Lamina makes of it."""

import os
import platform
from importlib.metadata import PackageNotFoundError, version

import click
from rich.console import Console
from rich.table import Table

from lamina.codegen import cpu, threads
from lamina.codegen.target import TARGETS, host_target, runs_here
from lamina.config import settings
from lamina.kernels.peak import fma_peak, memory_bandwidth
from lamina.memory import stats
from lamina.version import __version__

_SIMD_FEATURES = ("sse", "avx", "fma", "f16c", "amx", "neon", "asimd", "sve")
_PACKAGES = ("numpy", "llvmlite", "ml_dtypes", "protobuf", "rich", "click", "matplotlib", "pillow")


@click.command()
def doctor() -> None:
    """Print what this machine offers, measured, and what Lamina uses."""
    console = Console()
    console.print(_table("Processor", _processor()))
    with console.status("measuring the FMA peak and the memory bandwidth"):
        measured = _measured()
    console.print(_table("Measured, one thread", measured))
    console.print(_table("Versions", _versions()))
    console.print(_table("Folders and limits", _folders()))


def _table(title: str, rows: list[tuple[str, str]]) -> Table:
    table = Table(title=title, title_justify="left", show_header=False, min_width=60)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for row in rows:
        table.add_row(*row)
    return table


def _processor() -> list[tuple[str, str]]:
    here = cpu.describe()
    target = host_target()
    forced = " (forced by LAMINA_TARGET)" if settings.target else ""
    shown = sorted(f for f in here.features if f.startswith(_SIMD_FEATURES))
    quota = cpu.cgroup_quota()
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else here.cores
    return [
        ("name", f"{here.name} ({here.arch})"),
        ("features", " ".join(shown) or "none of SIMD"),
        ("SIMD target", f"{target.name}: {target.vector_bytes * 8} bits{forced}"),
        ("usable targets", " ".join(t.name for t in TARGETS.values() if runs_here(t))),
        ("cores", f"{here.cores}, {affinity} by affinity, {_quota(quota)} by cgroup quota"),
        ("threads", f"{threads.num_threads()} (LAMINA_NUM_THREADS, lamina.set_num_threads)"),
        (
            "caches",
            f"L1 {_cache(here.l1_bytes)}, L2 {_cache(here.l2_bytes)}, L3 {_cache(here.l3_bytes)}",
        ),
    ]


def _quota(quota: float | None) -> str:
    return "no limit" if quota is None else f"{quota:g}"


def _size(size: int) -> str:
    return f"{size / 2**20:.1f} MiB" if size >= 1 << 20 else f"{size / 2**10:.0f} KiB"


def _cache(size: int) -> str:
    return _size(size) if size else "unknown"


def _measured() -> list[tuple[str, str]]:
    return [
        ("FMA peak, float32", f"{fma_peak('float32'):.1f} GFLOP/s"),
        ("FMA peak, float64", f"{fma_peak('float64'):.1f} GFLOP/s"),
        ("memory bandwidth, reading", f"{memory_bandwidth():.1f} GB/s"),
    ]


def _versions() -> list[tuple[str, str]]:
    rows = [
        ("lamina", __version__),
        ("python", f"{platform.python_version()} on {platform.platform()}"),
    ]
    for name in _PACKAGES:
        try:
            rows.append((name, version(name)))
        except PackageNotFoundError:
            rows.append((name, "not installed (optional)"))
    return rows


def _folders() -> list[tuple[str, str]]:
    folder = settings.cache_dir
    held = sum(f.stat().st_size for f in folder.rglob("*") if f.is_file()) if folder.exists() else 0
    pool = stats()
    return [
        ("kernel cache", f"{folder}: {_size(held)} of at most {_size(settings.cache_bytes)}"),
        (
            "tensor pool",
            f"{_size(pool.live)} live, {_size(pool.idle)} idle, keeps {_size(settings.pool_bytes)}",
        ),
    ]

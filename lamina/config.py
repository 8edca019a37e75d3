"""Settings from the environment: the only reader of `os.environ`.

| variable           | meaning                                              | default         |
|--------------------|------------------------------------------------------|-----------------|
| LAMINA_TARGET      | SIMD target to compile for, as `lamina doctor` lists | best of the CPU |
| LAMINA_NUM_THREADS | size of the thread team                              | usable cores    |
| LAMINA_CACHE_DIR   | where compiled kernels are kept                      | ~/.cache/lamina |
| LAMINA_CACHE_BYTES | cap on that folder                                   | 256 MiB         |
| LAMINA_CODE_BYTES  | cap on compiled kernels kept in memory               | 64 MiB          |
| LAMINA_POOL_BYTES  | cap on memory the tensor pool may keep for reuse     | 1 GiB           |
| LAMINA_COMPILE     | 0: `lamina.compile` runs everything eagerly          | 1               |
"""

import os
from dataclasses import dataclass
from pathlib import Path

from lamina.errors import ArgumentError


@dataclass(frozen=True, slots=True)
class Settings:
    """What the environment asks for; `None` leaves the choice to the part concerned."""

    target: str | None
    num_threads: int | None
    cache_dir: Path
    cache_bytes: int
    code_bytes: int
    pool_bytes: int
    compiles: bool


def _count(name: str, default: int | None, minimum: int) -> int | None:
    text = os.environ.get(name, "").strip()
    if not text:
        return default
    if not text.isdigit() or int(text) < minimum:
        raise ArgumentError(
            f"{name}={text!r}: expected a whole number ≥ {minimum}; unset it or correct it"
        )
    return int(text)


def read_settings() -> Settings:
    """Return the settings as the environment has them now."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Settings(
        target=os.environ.get("LAMINA_TARGET") or None,
        num_threads=_count("LAMINA_NUM_THREADS", None, 1),
        cache_dir=Path(os.environ.get("LAMINA_CACHE_DIR") or Path(base) / "lamina"),
        cache_bytes=_count("LAMINA_CACHE_BYTES", 256 << 20, 0) or 0,
        code_bytes=_count("LAMINA_CODE_BYTES", 64 << 20, 0) or 0,
        pool_bytes=_count("LAMINA_POOL_BYTES", 1 << 30, 0) or 0,
        compiles=bool(_count("LAMINA_COMPILE", 1, 0)),
    )


settings = read_settings()

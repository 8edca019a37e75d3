"""Memory: storages, the arrays laid out in them, and the pool they are lent from."""

from lamina.memory.array import (
    Array,
    Spec,
    empty,
    full,
    of_numpy,
    pooled,
    scratch,
    scratch_copy,
    scratch_full,
    settled,
)
from lamina.memory.pool import PoolStats, TensorPool, no_memory, pool
from lamina.memory.storage import Promise, Storage, allocate, allocating, map_file

__all__ = [
    "Array",
    "PoolStats",
    "Promise",
    "Spec",
    "Storage",
    "TensorPool",
    "allocate",
    "allocating",
    "empty",
    "full",
    "map_file",
    "no_memory",
    "of_numpy",
    "pool",
    "pooled",
    "reset_peak",
    "scratch",
    "scratch_copy",
    "scratch_full",
    "set_cap",
    "settled",
    "stats",
    "trim",
]

stats = pool.stats
reset_peak = pool.reset_peak
set_cap = pool.set_cap
trim = pool.trim

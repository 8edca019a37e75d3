"""Memory: storages, the arrays laid out in them, and the pool they are lent from."""

from lamina.memory.array import Array, Spec, empty, full, of_numpy, pooled
from lamina.memory.pool import PoolStats, TensorPool, pool
from lamina.memory.storage import Storage, allocate, map_file

__all__ = [
    "Array",
    "PoolStats",
    "Spec",
    "Storage",
    "TensorPool",
    "allocate",
    "empty",
    "full",
    "map_file",
    "of_numpy",
    "pool",
    "pooled",
    "reset_peak",
    "set_cap",
    "stats",
    "trim",
]

stats = pool.stats
reset_peak = pool.reset_peak
set_cap = pool.set_cap
trim = pool.trim

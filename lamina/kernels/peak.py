"""What this processor can do at most: measured with loops emitted for the purpose."""

import ctypes
import time
from collections.abc import Callable
from functools import partial

from lamina.codegen import jit
from lamina.codegen.builder import KernelModule
from lamina.codegen.target import host_target
from lamina.codegen.types import Pointer, f32, i8, i64
from lamina.kernels.scalars import SCALARS

_CHAINS = 12
_UNROLL = 8
_TURNS = 20_000
_STREAMS = 8
_TRIAD_REGISTERS = 4
_TRIAD_ROUND = 256
_TRIAD_BYTES = 8 << 20
_BANDWIDTH_BYTES = 256 << 20


def emit_fma_peak(module: KernelModule, dtype: str) -> None:
    """Define `run(turns, sums)`: independent FMA chains that touch no memory."""
    scalar = SCALARS[dtype]
    with module.function("run", {"args": Pointer(i64), "sums": Pointer(i8)}) as (k, args, memory):
        sums = k.cast_pointer(memory, scalar)
        lanes = k.target.lanes(scalar)
        start = [sums.load(chain * lanes, lanes=lanes) for chain in range(_CHAINS)]
        factor, addend = start[0], start[1]
        with k.loop(args[0], carry=start) as turn:
            chains = turn.carried
            for _ in range(_UNROLL):
                chains = [k.fma(chain, factor, addend) for chain in chains]
            turn.next = chains
        for chain, value in enumerate(turn.results):
            sums.store(chain * lanes, value)


def emit_read(module: KernelModule) -> None:
    """Define `run((address, count), total)`: add up `count` floats, several registers at a time."""
    with module.function("run", {"args": Pointer(i64), "total": Pointer(i8)}) as (k, args, memory):
        source, lanes = k.pointer_at(args[0], f32), k.target.lanes(f32)
        start = [k.zeros(f32)] * _STREAMS
        with k.loop(args[1], step=_STREAMS * lanes, carry=start) as turn:
            here = source + turn.index
            turn.next = [
                total + here.load(number * lanes, lanes=lanes)
                for number, total in enumerate(turn.carried)
            ]
        total = turn.results[0]
        for other in turn.results[1:]:
            total = total + other
        k.cast_pointer(memory, f32).store(0, total)


def emit_triad(module: KernelModule, streams: bool) -> None:
    """Define `run((out, x, y, count, times), _)`: out = x + 3·y, with `streams` past the caches."""
    with module.function("run", {"args": Pointer(i64), "_": Pointer(i8)}) as (k, args, _):
        out, x, y = (k.pointer_at(args[place], f32) for place in range(3))
        lanes = k.target.lanes(f32)
        with k.loop(args[4]), k.loop(args[3], step=_TRIAD_REGISTERS * lanes) as turn:
            places = [turn.index + lanes * number for number in range(_TRIAD_REGISTERS)]
            sums = [x.load(n, lanes=lanes) + y.load(n, lanes=lanes) * 3.0 for n in places]
            for place, value in zip(places, sums, strict=True):
                if streams:
                    k.store_streaming(out, place, value)
                else:
                    out.store(place, value)
        k.fence()


def _best_seconds(call: Callable[[], None], repeats: int) -> float:
    best = float("inf")
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        best = min(best, time.perf_counter() - start)
    return best


def fma_peak(dtype: str = "float32") -> float:
    """Return the most GFLOP/s one thread reaches: two for each lane of each fused multiply-add.

    >>> fma_peak() > 0
    True
    """
    entry = jit.kernel(emit_fma_peak, dtype)
    lanes = host_target().lanes(SCALARS[dtype])
    turns = (ctypes.c_int64 * 1)(_TURNS)
    sums = ctypes.create_string_buffer(_CHAINS * lanes * 8)
    seconds = _best_seconds(lambda: entry(ctypes.addressof(turns), ctypes.addressof(sums)), 15)
    return 2 * lanes * _CHAINS * _UNROLL * _TURNS / seconds / 1e9


def memory_bandwidth() -> float:
    """Return how many GB/s one thread reads from memory that no cache holds."""
    entry = jit.kernel(emit_read)
    memory = ctypes.create_string_buffer(_BANDWIDTH_BYTES)
    ctypes.memset(memory, 1, _BANDWIDTH_BYTES)
    arguments = (ctypes.c_int64 * 2)(ctypes.addressof(memory), _BANDWIDTH_BYTES // 4)
    total = ctypes.create_string_buffer(64)
    seconds = _best_seconds(lambda: entry(ctypes.addressof(arguments), ctypes.addressof(total)), 5)
    return _BANDWIDTH_BYTES / seconds / 1e9


def triad_bandwidth(nbytes: int) -> float:
    """Return how many GB/s one thread moves where `nbytes` are read and written over and over.

    Two streams are read and one is written (McCalpin, "STREAM", 1995); the best of plain stores
    and stores past the caches counts. Where `nbytes` fit a cache it is that cache's bandwidth.

    >>> triad_bandwidth(1 << 14) > 0
    True
    """
    count = max(nbytes // 12 // _TRIAD_ROUND, 1) * _TRIAD_ROUND
    memory = ctypes.create_string_buffer(12 * count + 64)
    ctypes.memset(memory, 1, 12 * count + 64)
    start = -(-ctypes.addressof(memory) // 64) * 64
    times = max(1, _TRIAD_BYTES // (12 * count))
    arguments = (ctypes.c_int64 * 5)(*(start + 4 * count * n for n in range(3)), count, times)
    place = ctypes.addressof(arguments)
    kinds = (False, True) if host_target().vector_bytes else (False,)
    entries = [jit.kernel(emit_triad, streams) for streams in kinds]
    seconds = min(_best_seconds(partial(entry, place, 0), 5) for entry in entries)
    return 12 * count * times / seconds / 1e9

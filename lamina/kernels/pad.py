"""Copies with zeros around and between: what a convolution reads where its input ends."""

import ctypes
from dataclasses import dataclass

from lamina.codegen import jit, threads
from lamina.codegen.builder import Builder, KernelModule
from lamina.codegen.types import Pointer, i8, i64
from lamina.codegen.values import Value
from lamina.kernels.operand import Shape, View
from lamina.kernels.scalars import SCALARS

_FIELDS = (
    "counter", "planes", "channels", "source", "target", "image_stride", "channel_stride",
    "plane_size",
)  # fmt: skip
_SLOT = {name: place for place, name in enumerate(_FIELDS)}
_COUNTS, _STRIDES, _PADDINGS, _SPREADS, _SIZES = (len(_FIELDS) + 3 * row for row in range(5))
_Block = ctypes.c_int64 * (len(_FIELDS) + 15)
_BYTES_WORTH_A_THREAD = 1 << 20
SLACK_BYTES = 512


def _copy_row(k: Builder, source: Value, target: Value, args: Value) -> None:
    count, stride, spread = args[_COUNTS + 2], args[_STRIDES + 2], args[_SPREADS + 2]
    lanes = k.target.lanes(source.type.element)  # type: ignore[union-attr]
    is_plain = k.both(stride.equals(1), spread.equals(1))
    with k.either(is_plain) as (plain, spread_out):
        with plain:
            whole = count // lanes * lanes
            with k.loop(whole, step=lanes) as turn:
                target.store(turn.index, source.load(turn.index, lanes=lanes))
            with k.loop(count, start=whole) as turn:
                target[turn.index] = source[turn.index]
        with spread_out, k.loop(count) as turn:
            target[turn.index * spread] = source[turn.index * stride]


def _copy_plane(k: Builder, source: Value, target: Value, args: Value) -> None:
    with k.loop(args[_COUNTS]) as layer, k.loop(args[_COUNTS + 1]) as line:
        depth = layer.index * args[_SPREADS] + args[_PADDINGS]
        height = line.index * args[_SPREADS + 1] + args[_PADDINGS + 1]
        here = (depth * args[_SIZES + 1] + height) * args[_SIZES + 2] + args[_PADDINGS + 2]
        there = layer.index * args[_STRIDES] + line.index * args[_STRIDES + 1]
        _copy_row(k, source + there, target + here, args)


def emit_pad(module: KernelModule, dtype: str) -> None:
    """Define `run(arguments, _)`: claim planes and copy them, with zeros where nothing is copied to."""
    scalar = SCALARS[dtype]
    lanes = module.target.lanes(scalar)
    with module.function("run", {"args": Pointer(i64), "scratch": Pointer(i8)}) as (k, args, _):
        number = k.cell(i64, k.claim(args))
        with k.repeat_while(lambda: number.get() < args[_SLOT["planes"]]):
            plane, channels = number.get(), args[_SLOT["channels"]]
            offset = (
                plane // channels * args[_SLOT["image_stride"]]
                + plane % channels * args[_SLOT["channel_stride"]]
            )
            size = args[_SLOT["plane_size"]]
            source = k.pointer_at(args[_SLOT["source"]], scalar) + offset
            target = k.pointer_at(args[_SLOT["target"]], scalar) + plane * size
            whole = size // lanes * lanes
            with k.loop(whole, step=lanes) as turn:
                target.store(turn.index, k.zeros(scalar))
            with k.loop(size, start=whole) as turn:
                target[turn.index] = 0
            _copy_plane(k, source, target, args)
            number.set(k.claim(args))


@dataclass(frozen=True, slots=True)
class Padding:
    """Zeros before the first element of each spatial axis, the gap factor, and the size that results."""

    low: Shape
    spread: Shape
    size: Shape


def padded(x: View, padding: Padding) -> View:
    """Return a packed copy of `x` (images, channels, depth, height, width), padded and spread.

    The copy lies in memory of the calling thread that the next call uses again, and may be read
    `SLACK_BYTES` past its end.
    """
    images, channels = x.shape[:2]
    scalar = SCALARS[x.dtype.name]
    depth, height, width = padding.size
    plane = depth * height * width
    total = images * channels * plane * scalar.bytes
    target = threads.workspace(total + SLACK_BYTES)
    rows = list(zip(x.shape[2:], padding.low, padding.spread, padding.size, strict=True))
    crops = [max(0, -(low // spread)) for _, low, spread, _ in rows]
    start = sum(crop * stride for crop, stride in zip(crops, x.strides[2:], strict=True))
    lows = [low + crop * spread for (_, low, spread, _), crop in zip(rows, crops, strict=True)]
    counts = [
        max(0, min(size - crop, -(-(full - low) // spread)))
        for (size, _, spread, full), crop, low in zip(rows, crops, lows, strict=True)
    ]
    block = _Block(
        0, images * channels, channels, x.address + start * scalar.bytes, target, *x.strides[:2],
        plane, *counts, *x.strides[2:], *lows, *padding.spread, *padding.size,
    )  # fmt: skip
    workers = 1 + total // _BYTES_WORTH_A_THREAD
    entry = jit.kernel(emit_pad, x.dtype.name)
    threads.run(entry, ctypes.addressof(block), 0, threads=min(workers, images * channels))
    strides = (channels * plane, plane, height * width, width, 1)
    return View(target, (images, channels, *padding.size), strides, x.dtype)

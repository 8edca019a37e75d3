"""Copies with zeros around and between: what a convolution reads where its input ends.

Copies lie in the workspace, a few images at a time.
"""

import ctypes
from collections.abc import Callable
from dataclasses import dataclass
from math import prod

from lamina.codegen import jit
from lamina.codegen.builder import Builder, KernelModule
from lamina.codegen.types import Pointer, element_of, i8, i64
from lamina.codegen.values import Value
from lamina.kernels.convolution.im2col import fuses, multiply, product_cost
from lamina.kernels.convolution.problem import Problem, images
from lamina.kernels.convolution.strategy import Strategy
from lamina.kernels.launch import WORKSPACE, Place, Plan, Step, View, workers_for
from lamina.kernels.operand import Shape
from lamina.kernels.scalars import SCALARS

_FIELDS = (
    "counter", "planes", "channels", "source", "target", "image_stride", "channel_stride",
    "plane_size",
)  # fmt: skip
_SLOT = {name: place for place, name in enumerate(_FIELDS)}
_COUNTS, _STRIDES, _PADDINGS, _SPREADS, _SIZES = (len(_FIELDS) + 3 * row for row in range(5))
_Block = ctypes.c_int64 * (len(_FIELDS) + 15)
_SLACK_BYTES = 1024
_COPY_BYTES = 8 << 20
# Cycles of an element that is copied, and of a call.
_COPIED, _CALL = 0.6, 3000


def _copy_row(k: Builder, source: Value, target: Value, args: Value) -> None:
    count, stride, spread = args[_COUNTS + 2], args[_STRIDES + 2], args[_SPREADS + 2]
    lanes = k.target.lanes(element_of(source.type))
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
    """Define `run(arguments, _)`: claim planes and copy them, with zeros where nothing is copied
    to.
    """
    scalar = SCALARS[dtype]
    lanes = module.target.lanes(scalar)
    entry = module.function("run", {"args": Pointer(i64), "scratch": Pointer(i8)})
    with entry as (k, args, _), k.claimed(args, args[_SLOT["planes"]]) as number:
        plane, channels = number, args[_SLOT["channels"]]
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


@dataclass(frozen=True, slots=True)
class Padding:
    """Zeros before the first element of each axis, the gap factor, and the resulting size."""

    low: Shape
    spread: Shape
    size: Shape


def padded(x: View, padding: Padding, dtype: str, start: int = 0) -> tuple[Step, View, int]:
    """Return the call that copies `x` (images, channels, depth, height, width), padded and spread,
    to the workspace from byte `start` on; the view of the copy; and the bytes that it takes there.

    Two blocks of registers may be read past the end of the copy.
    """
    images, channels = x.shape[:2]
    plane = padding.size[0] * padding.size[1] * padding.size[2]
    total = images * channels * plane * x.itemsize
    first, counts, lows = copied_part(x, padding)
    arguments = _Block(
        0, images * channels, channels, 0, 0, *x.strides[:2], plane,
        *counts, *x.strides[2:], *lows, *padding.spread, *padding.size,
    )  # fmt: skip
    target = Place(WORKSPACE, start)
    places = ((_SLOT["source"], x.moved(first).place), (_SLOT["target"], target))
    workers = workers_for(chunks=images * channels, nbytes=total)
    step = Step(jit.kernel(emit_pad, dtype), arguments, places, 0, workers)
    _, height, width = padding.size
    strides = (channels * plane, plane, height * width, width, 1)
    copy = View(target, (images, channels, *padding.size), strides, x.itemsize)
    return step, copy, total + _SLACK_BYTES


def padded_pixels(x: View, padding: Padding, dtype: str, start: int = 0) -> tuple[Step, View, int]:
    """Do the same for images whose channels lie side by side, as they do in the copy: a row of
    pixels is a row of numbers, and so is the padding around it.
    """
    images, channels, depth, height, width = x.shape
    rows = View(
        x.place, (images, 1, depth, height, width * channels),
        (x.strides[0], 0, *x.strides[2:4], 1), x.itemsize,
    )  # fmt: skip
    low = (*padding.low[:2], padding.low[2] * channels)
    size = (*padding.size[:2], padding.size[2] * channels)
    step, copy, nbytes = padded(rows, Padding(low, padding.spread, size), dtype, start)
    strides = (copy.strides[0], 1, *copy.strides[2:4], channels)
    return step, View(copy.place, (images, channels, *padding.size), strides, x.itemsize), nbytes


def copied_part(x: View, padding: Padding) -> tuple[int, list[int], list[int]]:
    """Return where in x the copy starts, its length along each axis, and where that goes."""
    axes = list(
        zip(x.shape[2:], x.strides[2:], padding.low, padding.spread, padding.size, strict=True)
    )
    skipped = [max(0, -(low // spread)) for _, _, low, spread, _ in axes]
    start = sum(skip * axis[1] for skip, axis in zip(skipped, axes, strict=True))
    lows = [axis[2] + skip * axis[3] for skip, axis in zip(skipped, axes, strict=True)]
    counts = [
        max(0, min(size - skip, -(-(full - low) // spread)))
        for (size, _, _, spread, full), skip, low in zip(axes, skipped, lows, strict=True)
    ]
    return start, counts, lows


def on_copies(p: Problem, compute: Callable[[Problem, View], Step]) -> Plan:
    """Return the plan that computes `p` from padded copies, as many images at a time as stay in
    the caches; `compute(part, copy)` is the call for a part of them.
    """
    image_bytes = max(1, p.x.shape[1] * prod(p.extent) * p.x.itemsize)
    together = max(1, _COPY_BYTES // (image_bytes * p.batch_groups))
    copies = Padding(p.padding, p.spread, p.extent)
    steps: list[Step] = []
    most = 0
    for first in range(0, p.out.shape[0], together):
        for part in images(p, first, min(together, p.out.shape[0] - first)):
            copying, x, size = padded(part.x, copies, p.dtype)
            steps += [copying, compute(part, x)]
            most = max(most, size)
    return Plan(tuple(steps), most)


def copy_cost(p: Problem) -> float:
    """Return the cycles of the copy of one sample."""
    return _CALL + _COPIED * p.batch_groups * p.x.shape[1] * prod(p.extent)


PADDED = Strategy(
    name="padded im2col",
    applies=lambda p: True,
    cost=lambda p: copy_cost(p) + product_cost(p),
    plan=lambda p: on_copies(p, lambda part, x: multiply(part, x, slack=True)),
    fuses=fuses,
)

"""The blocked layout of an image: (images, blocks of channels, depth, height, width, block).

A copy into it has zeros around each plane and in place of the channels that the last block of a
group lacks.
"""

from math import prod

from lamina.codegen import jit
from lamina.codegen.builder import Builder, KernelModule
from lamina.codegen.target import host_target
from lamina.codegen.types import Pointer, Scalar, i8, i64
from lamina.codegen.values import Value
from lamina.kernels.convolution.padded import Padding, copied_part
from lamina.kernels.convolution.tiling import channel_block
from lamina.kernels.launch import Place, Step, View, argument_block, workers_for
from lamina.kernels.operand import Shape
from lamina.kernels.scalars import SCALARS

_FIELDS = (
    "counter", "chunks", "source", "target", "groups", "blocks", "channels",
    "image", "channel", "depths", "rows", "columns", "depth_step", "row_step", "column_step",
    "depth_low", "row_low", "column_low", "depth_size", "row_size", "column_size", "plane",
)  # fmt: skip
_SLOT = {name: place for place, name in enumerate(_FIELDS)}
_LINE_BYTES = 64


class _Plane:
    """Emits the copy of one block of channels of an image."""

    def __init__(self, k: Builder, scalar: Scalar, args: Value) -> None:
        self.k = k
        self.scalar = scalar
        self.args = args
        self.lanes = k.target.lanes(scalar)
        self.block = channel_block(k.target, scalar)

    def get(self, name: str) -> Value:
        return self.args[_SLOT[name]]

    def run(self, number: Value) -> None:
        """Copy plane `number`: rows of zeros around rows of pixels between zeros."""
        k, blocks, groups = self.k, self.get("blocks"), self.get("groups")
        block, group = number % blocks, number // blocks % groups
        first = block * self.block
        self.channels = k.minimum(self.get("channels") - first, self.block)
        start = number // blocks // groups * self.get("image")
        start = start + (group * self.get("channels") + first) * self.get("channel")
        source = k.pointer_at(self.get("source"), self.scalar) + start
        row = self.get("column_size") * self.block
        target = k.pointer_at(self.get("target"), self.scalar) + number * self.get("plane")
        with k.loop(self.get("depth_size")) as depth, k.loop(self.get("row_size")) as line:
            layer, place = depth.index - self.get("depth_low"), line.index - self.get("row_low")
            here = target + (depth.index * self.get("row_size") + line.index) * row
            inside = k.both(layer >= 0, layer < self.get("depths"))
            inside = k.both(inside, k.both(place >= 0, place < self.get("rows")))
            with k.either(inside) as (then, otherwise):
                with then:
                    there = layer * self.get("depth_step") + place * self.get("row_step")
                    self._row(here, source + there)
                with otherwise:
                    self._clear(here, k.integer(0), self.get("column_size"))

    def _clear(self, target: Value, start: Value, stop: Value) -> None:
        with self.k.loop(stop * self.block, start=start * self.block, step=self.lanes) as turn:
            target.store(turn.index, self.k.zeros(self.scalar))

    def _row(self, target: Value, source: Value) -> None:
        k, low = self.k, self.get("column_low")
        self._clear(target, k.integer(0), low)
        self._clear(target, low + self.get("columns"), self.get("column_size"))
        here = target + low * self.block
        for every in (1, 2):
            with k.when(self.get("column_step").equals(every)):
                self._squares(here, source, every)
        with k.when(k.either_true(self.get("column_step") < 1, self.get("column_step") > 2)):
            self._scalars(here, source)

    def _squares(self, target: Value, source: Value, every: int) -> None:
        k, columns = self.k, self.get("columns")
        whole = columns // self.lanes * self.lanes
        with k.either(self.channels.equals(self.block)) as (full, part):
            with full, k.loop(whole, step=self.lanes) as turn:
                here, there = target + turn.index * self.block, source + turn.index * every
                left = None if every == 1 else columns - turn.index
                self._square(here, there, every, left, is_full=True)
            with part, k.loop(whole, step=self.lanes) as turn:
                here, there = target + turn.index * self.block, source + turn.index * every
                self._square(here, there, every, columns - turn.index, is_full=False)
        with k.when(whole < columns):
            here, there = target + whole * self.block, source + whole * every
            self._square(here, there, every, columns - whole, is_full=False)

    def _square(
        self, target: Value, source: Value, every: int, left: Value | None, *, is_full: bool
    ) -> None:
        """Copy a register of pixels of all channels; `left` pixels may be read, if it is given."""
        k, lanes = self.k, self.lanes
        for first in range(0, self.block, lanes):
            rows = []
            for channel in range(first, first + lanes):
                place = source + self.get("channel") * channel
                if not is_full:
                    exists = self.channels > channel
                    place = k.select(exists, place, source)
                row = self._load(place, every, left)
                rows.append(row if is_full else k.select(exists, row, k.zeros(self.scalar)))
            for number, column in enumerate(k.transpose(rows)):
                here = target + (number * self.block + first)
                if is_full:
                    here.store(0, column)
                elif left is not None:
                    with k.when(left > number):
                        here.store(0, column)

    def _load(self, place: Value, every: int, left: Value | None) -> Value:
        k, lanes = self.k, self.lanes
        if left is None:
            return place.load(0, lanes=lanes)
        if every == 1:
            return k.load_first(place, left)
        if lanes == 1:
            return place.load(0, lanes=1)
        low, high = (k.load_first(place + at, left * 2 - (1 + at)) for at in (0, lanes))
        return k.shuffle(low, high, range(0, 2 * lanes, 2))

    def _scalars(self, target: Value, source: Value) -> None:
        k = self.k
        with k.loop(self.get("columns")) as turn:
            here, there = target + turn.index * self.block, turn.index * self.get("column_step")
            with k.loop(self.block) as channel:
                here[channel.index] = 0
            with k.loop(self.channels) as channel:
                here[channel.index] = source[there + channel.index * self.get("channel")]


def emit_blocks(module: KernelModule, dtype: str) -> None:
    """Define `run(arguments, _)`: claim planes and copy them into the blocked layout."""
    with module.function("run", {"args": Pointer(i64), "scratch": Pointer(i8)}) as (k, args, _):
        plane = _Plane(k, SCALARS[dtype], args)
        with k.claimed(args, plane.get("chunks")) as number:
            plane.run(number)


def plane_size(size: Shape, itemsize: int, block: int) -> int:
    """Return how many scalars one plane of a block of channels takes in a copy.

    It is an odd number of cache lines: a pixel's channels then spread over all sets of the first
    cache.
    """
    lines = -(-prod(size) * block * itemsize // _LINE_BYTES)
    return (lines | 1) * _LINE_BYTES // itemsize


def blocked_copy(
    x: View, padding: Padding, dtype: str, groups: int, target: Place, plane: int
) -> Step:
    """Return the call that copies `x` (images, channels, depth, height, width), padded, to
    `target` in the blocked layout, the blocks of each group of channels for themselves, their
    planes `plane` scalars apart.
    """
    channels = x.shape[1] // groups
    blocks = -(-channels // channel_block(host_target(), SCALARS[dtype]))
    start, counts, lows = copied_part(x, padding)
    if 0 in counts:
        counts, lows = [0] * 3, [0] * 3
    chunks = x.shape[0] * groups * blocks
    arguments = argument_block(
        0, chunks, 0, 0, groups, blocks, channels, *x.strides[:2],
        *counts, *x.strides[2:], *lows, *padding.size, plane,
    )  # fmt: skip
    places = ((_SLOT["source"], x.moved(start).place), (_SLOT["target"], target))
    total = x.shape[0] * x.shape[1] * x.itemsize
    for size in padding.size:
        total *= size
    workers = workers_for(chunks=chunks, nbytes=total)
    return Step(jit.kernel(emit_blocks, dtype), arguments, places, 0, workers)

"""Calls of the kernel of a chain of convolutions: what it takes, and its weights laid out ahead."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from math import prod

from lamina.codegen import cpu, jit, threads
from lamina.codegen.target import host_target
from lamina.codegen.types import Scalar
from lamina.kernels.convolution.chain import FIELDS, SLOT, Steps, emit_chain
from lamina.kernels.convolution.depthwise_last import Taps, inside, packed_taps
from lamina.kernels.gemm.packed import packed_size, packing
from lamina.kernels.gemm.tiles import Tile, columns, k_block, tile_for
from lamina.kernels.launch import (
    FURTHER,
    LEFT,
    OUT,
    PLANS_KEPT,
    RIGHT,
    Place,
    Step,
    argument_block,
    workers_for,
)
from lamina.kernels.operand import Operand, Shape
from lamina.kernels.scalars import SCALARS

# Images in between that fill more of the second cache than one in so many are made row by row.
_SHARE_OF_L2 = 4
_COMMON_L2_BYTES = 512 << 10
# A group of rows is worth making larger where it saves more of the time.
_NEAR_LEAST = 1.03
# Products that take as long as a weight from far memory.
_PRODUCTS_A_WEIGHT = 8
_LINE = 16
_PARTS = ("expand_w", "expand_bias", "taps", "taps_bias", "project_w", "project_bias")


@dataclass(frozen=True, slots=True)
class Chain:
    """A chain but for its values: `x` and `out` are (height, width, channels) of an image, and
    `channels` are those in between.
    """

    dtype: str
    x: Shape
    out: Shape
    channels: int
    taps: Taps
    padding: tuple[int, int]
    steps: Steps

    @property
    def pays(self) -> bool:
        """Whether the kernel computes it, and its images would leave the near caches otherwise."""
        tile = self._tile
        between = self.channels * prod(self.out[:2])
        depth = self.channels
        if self.steps.expand is not None:
            between += self.channels * prod(self.x[:2])
            depth = self.x[2]
        has_room = min(self.x[1], self.out[1]) >= tile.rows and depth > 0
        is_whole = self.steps.expand is None or k_block(depth, tile) >= depth
        too_large = between * self._scalar.bytes > self._l2_bytes // _SHARE_OF_L2
        return has_room and is_whole and too_large

    @property
    def size(self) -> int:
        """How many scalars the weights and biases take when they are laid out ahead."""
        return self.starts()[-1]

    def prepare(self, out: Operand, weights: Sequence[Operand]) -> list[int]:
        """Write the weights of each step, in C order, to the `size` scalars of `out`; return where
        the bias of each belongs.
        """
        places = dict(zip(_PARTS, self.starts(), strict=False))
        *expand, depthwise, project = weights
        for w in expand:
            self._pack((self.x[2], self.channels), places["expand_w"], out, w)
        rows, across = self.taps.size
        target = Place(OUT, places["taps"] * self._scalar.bytes)
        strides = (rows * across, across, 1)
        made = packed_taps(self.dtype, self.taps, strides, self.channels, Place(LEFT, 0), target)
        made.step.run((out.address, depthwise.address))
        self._pack((self.channels, self.out[2]), places["project_w"], out, project)
        biases = [place for name, place in places.items() if name.endswith("bias")]
        return biases[-len(weights) :]

    def run(self, out: Operand, x: Operand, prepared: Operand, residual: Operand | None) -> None:
        """Compute it for images (N, height, width, channels) in C order."""
        step = _step(self, x.shape[0], threads.num_threads())
        bases = [out.address, x.address, prepared.address, 0, residual.address if residual else 0]
        step.run(bases)

    def group(self, most: int) -> int:
        """Return how many rows of the output are made together, no more than `most`: as few as
        come near the least time, in products, that can be had.
        """
        costs = {group: self._cost(group) for group in range(1, most + 1) if self._has_room(group)}
        least = min(costs.values(), default=0.0)
        return next((group for group, cost in costs.items() if cost <= _NEAR_LEAST * least), 1)

    def _cost(self, group: int) -> float:
        """Return how many products take as long as a row of the output, `group` together."""
        rows, stride = self._tile.rows, self.taps.stride[0]
        depth = 0 if self.steps.expand is None else self.x[2]

        def pixels(count: int) -> int:
            return -(-count // rows) * rows

        made = (
            pixels(group * stride * self.x[1]) * depth + pixels(group * self.out[1]) * self.out[2]
        )
        weights = self.channels * (depth + self.out[2])
        is_far = weights * self._scalar.bytes > self._l2_bytes // _SHARE_OF_L2
        return (made * self.channels + is_far * weights * _PRODUCTS_A_WEIGHT) / group

    def _has_room(self, group: int) -> bool:
        """Return whether what a group keeps stays in the second cache."""
        return sum(self.room(group)) * self._scalar.bytes <= self._l2_bytes * 3 // 4

    def room(self, group: int) -> tuple[int, int]:
        """Return how many scalars the rows take that a group's taps read, and those they make."""
        ring = 0 if self.steps.expand is None else self.ring(group) * self.x[1] * self.pitch
        return ring, group * self.out[1] * self.pitch

    def ring(self, group: int) -> int:
        """Return how many rows are kept for the taps of a group: a multiple of what it makes."""
        stride = self.taps.stride[0]
        reach = (self.taps.size[0] - 1) * self.taps.dilation[0] + 1
        made = group * stride
        return min(-(-(made - stride + reach) // made) * made, max(self.x[0], reach))

    @property
    def _l2_bytes(self) -> int:
        return cpu.describe().l2_bytes or _COMMON_L2_BYTES

    @property
    def _scalar(self) -> Scalar:
        return SCALARS[self.dtype]

    @property
    def _tile(self) -> Tile:
        return tile_for(host_target())

    @property
    def width(self) -> int:
        """How many columns a panel of packed weights has."""
        return columns(self._tile, host_target(), self._scalar)

    @property
    def pitch(self) -> int:
        """How far apart pixels lie in between: an odd number of cache lines, so that a walk from
        pixel to pixel meets all sets of the cache.
        """
        wide = -(-self.channels // self.width) * self.width
        return (-(-wide // _LINE) | 1) * _LINE

    def _pack(self, shape: Shape, start: int, out: Operand, w: Operand) -> None:
        """Pack weights (O, C) as the right operand (C, O) of a product."""
        target = Place(OUT, start * self._scalar.bytes)
        step = packing(shape, (1, shape[0]), self.dtype, target, Place(LEFT, 0))
        step.run((out.address, w.address))

    def starts(self) -> list[int]:
        """Return where the parts of what is laid out ahead start, and where it ends."""
        lanes = host_target().lanes(self._scalar)
        wide = -(-self.channels // self.width) * self.width
        narrow = -(-self.out[2] // self.width) * self.width
        has_expand = self.steps.expand is not None
        sizes = (
            packed_size((self.x[2], self.channels), self.dtype) if has_expand else 0,
            wide if has_expand else 0,
            prod(self.taps.size) * -(-self.channels // lanes) * lanes,
            wide,
            packed_size((self.channels, self.out[2]), self.dtype),
            narrow,
        )
        return list(accumulate((-(-n // _LINE) * _LINE for n in sizes), initial=0))


@lru_cache(maxsize=PLANS_KEPT)
def _step(chain: Chain, images: int, team: int) -> Step:
    scalar, target = SCALARS[chain.dtype], host_target()
    (height, width, depth), (out_height, out_width, outputs) = chain.x, chain.out
    flops = 2 * images * chain.channels * (height * width * depth + prod(chain.out))
    workers = min(team, workers_for(flops=flops, chunks=images * out_height))
    strips = max(1, min(out_height, -(-workers // images)))
    strip_rows = -(-out_height // strips)
    strips = -(-out_height // strip_rows)
    lanes = target.lanes(scalar)
    group = chain.group(strip_rows)
    tile = tile_for(target)
    sizes = (*chain.room(group), tile.rows * chain.width, lanes)
    starts = list(accumulate((-(-n // _LINE) * _LINE for n in sizes), initial=0))
    numbers = {
        "chunks": images * strips, "strips": strips, "strip_rows": strip_rows, "height": height,
        "width": width, "out_height": out_height, "out_width": out_width, "depth": depth,
        "channels": chain.channels, "outputs": outputs, "pitch": chain.pitch,
        "padded": -(-chain.channels // lanes) * lanes,
        "expand_panels": -(-chain.channels // chain.width),
        "project_panels": -(-outputs // chain.width),
        "k_block": k_block(chain.channels, tile), "ring": chain.ring(group), "group": group,
        "top": chain.padding[0], "left": chain.padding[1],
        "line": starts[1] * scalar.bytes, "sums": starts[2] * scalar.bytes,
        "zeros": starts[3] * scalar.bytes,
    }  # fmt: skip
    low_high = inside(chain.taps, chain.padding[1], width, out_width)
    numbers |= dict(zip(("low", "high"), low_high, strict=True))
    places = [(SLOT["out"], Place(OUT, 0)), (SLOT["x"], Place(LEFT, 0))]
    places.append((SLOT["residual"], Place(FURTHER, 0)))
    parts = zip(_PARTS, chain.starts(), strict=False)
    places += [(SLOT[name], Place(RIGHT, start * scalar.bytes)) for name, start in parts]
    return Step(
        jit.kernel(emit_chain, chain.dtype, chain.taps, chain.steps),
        argument_block(*(numbers.get(name, 0) for name in FIELDS)),
        tuple(places),
        starts[-1] * scalar.bytes,
        min(workers, images * strips),
    )

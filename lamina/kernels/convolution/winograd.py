"""Convolution of 3×3 taps by Winograd's minimal filtering: F(2×2, 3×3) and F(4×4, 3×3).

A result depends on the whole of its tile: an infinity or a NaN spreads over the m×m results of
the tiles that hold it, and rounding errors are relative to the largest input of the tile
(`Transform.error_bound`). https://arxiv.org/abs/1509.09308
"""

import ctypes
from dataclasses import dataclass
from functools import partial
from math import prod

from lamina.codegen import jit
from lamina.codegen.target import host_target
from lamina.kernels.convolution.channel_lanes import CHANNEL_BLOCK
from lamina.kernels.convolution.problem import Problem, is_channels_last, plane_fields
from lamina.kernels.convolution.results import SUM
from lamina.kernels.convolution.strategy import (
    Prepared,
    Strategy,
    reads_no_residual,
)
from lamina.kernels.convolution.winograd_kernel import (
    FIELDS,
    SLOT,
    Last,
    emit_winograd,
    emit_winograd_weights,
    scratch_bytes,
    shapes,
    v_start,
)
from lamina.kernels.convolution.winograd_stages import Shapes
from lamina.kernels.convolution.winograd_transforms import TAPS
from lamina.kernels.expression import Expression
from lamina.kernels.launch import (
    FURTHER,
    OUT,
    WORKSPACE,
    Place,
    Plan,
    Step,
    argument_block,
    workers_for,
)

# Transformed weights that the third cache holds are made once; larger ones by each block of tiles,
# which is then large.
_MOST_PREPARED_BYTES = 4 << 20
# Larger ones take longer to read than to make of the weights.
_MOST_AHEAD_BYTES = 12 << 20
_TILES_PREPARED, _TILES_ALONE = 36, 64
_MOST_BLOCK_BYTES = 8 << 20
_CHUNKS_A_THREAD = 2
# Cycles: of a register of channels of a tile transformed there and back, of a product, of a call of
# the multiplication at one place.
_TILE, _PRODUCT, _CALL = 170, 0.55, 30
# How fast transformed weights come from the third cache; transforming them is faster.
_BYTES_A_CYCLE = 10
# It rounds more than the others do, and has to be worth that.
_WORTH = 1.25


@dataclass(frozen=True, slots=True)
class Winograd:
    """One convolution of 3×3 taps to compute by F(outputs × outputs, 3×3).

    Transformed weights are read from `prepared` where that is given.
    """

    problem: Problem
    outputs: int
    prepared: Place | None = None

    @property
    def _shapes(self) -> Shapes:
        return shapes(host_target(), self.problem.dtype, self.outputs)

    @property
    def _after(self) -> Expression:
        """What becomes of a sum and its bias."""
        return SUM if self.problem.after is None else self.problem.after.expression

    @property
    def _last(self) -> Last:
        x, out = self.problem.x, self.problem.out
        return Last(x=is_channels_last(x), out=is_channels_last(out))

    @property
    def _k_block(self) -> int:
        """How many channels are summed up before a sum goes to memory: equal parts, few."""
        lanes = self._shapes.lanes
        parts = -(-self.problem.channels // CHANNEL_BLOCK)
        return -(-self.problem.channels // (parts * lanes)) * lanes

    @property
    def _weight_blocks(self) -> int:
        """How many blocks the transformed weights fall into."""
        panels = -(-self.problem.outputs // self._shapes.panel)
        return self.problem.groups * panels * -(-self.problem.channels // self._k_block)

    @property
    def prepared_bytes(self) -> int:
        """How much memory the transformed weights take."""
        return self._weight_blocks * self._shapes.weight_block * self._shapes.scalar.bytes

    @property
    def tiles(self) -> int:
        """How many tiles all images have."""
        return self.problem.out.shape[0] * self._tile_rows * self._tile_columns

    @property
    def _tile_rows(self) -> int:
        return -(-self.problem.places[1] // self.outputs)

    @property
    def _tile_columns(self) -> int:
        return -(-self.problem.places[2] // self.outputs)

    @property
    def _is_worth_preparing(self) -> bool:
        return self.prepared_bytes <= _MOST_PREPARED_BYTES and self.tiles > _TILES_PREPARED

    def plan(self) -> Plan:
        """Return the calls that compute it; the first may be one that transforms the weights."""
        if self.prepared is not None or not self._is_worth_preparing:
            return Plan((self._step(self.prepared),))
        place = Place(WORKSPACE, 0)
        return Plan((self.preparation(place), self._step(place)), self.prepared_bytes)

    def preparation(self, target: Place) -> Step:
        """Return the call that writes the transformed weights, `prepared_bytes` of them."""
        s, chunks = self._shapes, self._weight_blocks
        flops = chunks * s.weight_block
        workers = workers_for(flops=flops, chunks=chunks)
        entry = jit.kernel(emit_winograd_weights, self.problem.dtype, self.outputs)
        arguments = self._arguments(1, 1, target) | {"chunks": chunks}
        return Step(entry, _block(arguments), self._places(target), scratch_bytes(s, 1, 1), workers)

    def _cut(self, prepared: Place | None) -> tuple[int, int]:
        """Return the tiles of a block and the parts that the output channels are cut into."""
        s, groups = self._shapes, self.problem.groups
        fits = _MOST_BLOCK_BYTES // (s.points * self.problem.channels * s.scalar.bytes)
        most = max(s.registers.rows, min(fits, _TILES_PREPARED if prepared else _TILES_ALONE))
        workers = workers_for(flops=self._flops)
        blocks = -(-self.tiles // most)
        if prepared is not None and workers > 1:
            wanted = min(_CHUNKS_A_THREAD * workers, self.tiles // (2 * s.registers.rows))
            blocks = max(blocks, wanted)
        panels = -(-self.problem.outputs // s.panel)
        # Each part of the outputs transforms the input anew, each block unprepared weights.
        parts = 1 if blocks * groups >= workers else min(panels, -(-workers // (blocks * groups)))
        return -(-self.tiles // blocks), parts

    @property
    def _flops(self) -> int:
        products = self.tiles * self._shapes.points * self.problem.w.shape[0]
        return 2 * products * self.problem.channels

    def _step(self, prepared: Place | None) -> Step:
        s = self._shapes
        block_tiles, parts = self._cut(prepared)
        arguments = self._arguments(block_tiles, parts, prepared)
        workers = workers_for(flops=self._flops, chunks=arguments["chunks"])
        return Step(
            jit.kernel(emit_winograd, self.problem.dtype, self.outputs, self._after, self._last),
            _block(arguments),
            self._places(prepared),
            scratch_bytes(s, block_tiles, arguments["k_blocks"]),
            workers,
        )

    def _places(self, prepared: Place | None) -> tuple[tuple[int, Place], ...]:
        places = [(SLOT["out"], self.problem.out.place), (SLOT["x"], self.problem.x.place)]
        places.append((SLOT["w"], self.problem.w.place))
        after = self.problem.after
        if after is not None and after.has_bias:
            places.append((SLOT["bias"], Place(FURTHER, 0)))
        return (*places, *([(SLOT["u"], prepared)] if prepared is not None else []))

    def _arguments(self, block_tiles: int, parts: int, prepared: Place | None) -> dict[str, int]:
        s, p = self._shapes, self.problem
        panels = -(-p.outputs // s.panel)
        part_panels = -(-panels // parts)
        blocks, parts = -(-self.tiles // block_tiles), -(-panels // part_panels)
        return {
            "chunks": p.groups * blocks * parts,
            "is_prepared": int(prepared is not None),
            "blocks": blocks,
            "parts": parts,
            "part_outputs": part_panels * s.panel,
            "block_tiles": block_tiles,
            "tiles": self.tiles,
            "tile_rows": self._tile_rows,
            "tile_columns": self._tile_columns,
            "channels": p.channels,
            "outputs": p.outputs,
            "k_block": self._k_block,
            "k_blocks": -(-p.channels // self._k_block),
            "v_start": v_start(s, block_tiles),
            **plane_fields(p),
        }


def _block(arguments: dict[str, int]) -> "ctypes.Array[ctypes.c_int64]":
    return argument_block(*(arguments.get(name, 0) for name in FIELDS))


def _applies(p: Problem) -> bool:
    is_plain = p.stride == p.dilation == p.spread == (1, 1, 1) and p.batch_groups == 1
    is_plane = p.taps == (1, TAPS, TAPS) and p.places[0] == 1 and p.padding[0] == 0
    lies_along_rows = all(
        view.strides[4] == 1 or view.shape[4] == 1 or is_channels_last(view)
        for view in (p.out, p.x)
    )
    has_sums = p.channels > 1 or p.channels == p.groups == 1
    return p.dtype == "float32" and is_plain and is_plane and lies_along_rows and has_sums


def _cost(p: Problem, *, outputs: int) -> float:
    """Return the cycles of one sample, and of reading its transformed weights."""
    s = shapes(host_target(), p.dtype, outputs)
    tiles = prod(-(-places // outputs) for places in p.places[1:])
    depth = -(-p.channels // s.lanes)
    panels = -(-p.outputs // s.panel)
    share = s.points / 36
    groups = tiles / s.registers.rows if tiles > s.registers.rows else 1
    calls = s.points * panels * groups * -(-p.channels // CHANNEL_BLOCK)
    height = max(tiles, 4 / s.registers.vectors * 2) / groups
    cycles = (
        calls * _CALL
        + s.points * panels * s.registers.vectors * p.channels * groups * height * _PRODUCT
    )
    cycles += share * _TILE * tiles * (depth + panels * s.registers.vectors)
    cycles += s.points * s.panel * p.channels * panels * s.scalar.bytes / _BYTES_A_CYCLE
    return p.groups * cycles * _WORTH


def _plan(p: Problem, *, outputs: int) -> Plan:
    return Winograd(p, outputs, p.prepared).plan()


def _prepared(p: Problem, *, outputs: int) -> Prepared | None:
    layer = Winograd(p, outputs)
    if layer.prepared_bytes > _MOST_AHEAD_BYTES:
        return None
    return Prepared(layer.preparation(Place(OUT, 0)), layer.prepared_bytes)


WINOGRAD = tuple(
    Strategy(
        name=f"winograd {outputs}x{outputs}",
        applies=_applies,
        cost=partial(_cost, outputs=outputs),
        plan=partial(_plan, outputs=outputs),
        fuses=reads_no_residual,
        prepared=partial(_prepared, outputs=outputs),
    )
    for outputs in (4, 2)
)

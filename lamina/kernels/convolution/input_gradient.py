"""The gradient to the input of a convolution, strided or not, whose weights lie turned: a
convolution of an input with gaps.
"""

import ctypes
from dataclasses import dataclass
from itertools import product
from math import prod

from lamina.codegen import jit
from lamina.codegen.target import host_target
from lamina.kernels.convolution.channel_lanes import CHANNEL_BLOCK, Registers, registers_of
from lamina.kernels.convolution.input_gradient_kernel import (
    FIELDS,
    SLOT,
    emit_input_gradient,
)
from lamina.kernels.convolution.problem import Problem, plane_fields
from lamina.kernels.convolution.strategy import Strategy
from lamina.kernels.launch import WORKSPACE, Place, Plan, Step, argument_block, workers_for

_MOST_TAPS = 49
# A turned part of x and the sums of a chunk stay in the second cache together; but weights that do
# not are read again for each part, of which there are then fewer.
_V_BYTES, _M_BYTES = 192 << 10, 96 << 10
_LARGE_WEIGHTS, _V_BYTES_BESIDE_LARGE = 1 << 20, 1 << 20
_CHUNKS_A_THREAD = 4
_LINE_BYTES = 64
# Cycles: of a register turned, of a product, of a call of the multiplication, of a register of
# weights turned or gathered, of a call of the kernel.
_TURNED, _PRODUCT, _CALL, _WEIGHT, _GATHERED, _START = 4, 0.52, 25, 5, 24, 3000


@dataclass(frozen=True, slots=True)
class _Axis:
    """One axis: places of each phase, where each tap reads and what phase it adds to."""

    places: int
    spread: int
    reads: tuple[int, ...]
    phases: tuple[int, ...]

    @classmethod
    def of(cls, p: Problem, axis: int) -> "_Axis":
        spread, padding = p.spread[axis], p.padding[axis]
        phases = [(padding - tap) % spread for tap in range(p.taps[axis])]
        reads = [(phase + tap - padding) // spread for tap, phase in enumerate(phases)]
        return cls(-(-p.places[axis] // spread), spread, tuple(reads), tuple(phases))

    @property
    def first(self) -> int:
        """The first place of x that a phase's first place reads."""
        return min(self.reads)

    @property
    def more(self) -> int:
        """How many more places of x than of a phase are read."""
        return max(self.reads) - self.first

    @property
    def has_all(self) -> bool:
        """Whether each phase has a tap."""
        return len(set(self.phases)) == self.spread


@dataclass(frozen=True, slots=True)
class InputGradient:
    """One convolution of an input with gaps to compute."""

    problem: Problem

    @property
    def _registers(self) -> Registers:
        return registers_of(host_target(), self.problem.dtype)

    @property
    def _axes(self) -> tuple[_Axis, _Axis]:
        return _Axis.of(self.problem, 1), _Axis.of(self.problem, 2)

    @property
    def _k_block(self) -> int:
        """How many channels are summed up before a sum goes to memory: equal parts, few."""
        lanes = self._registers.lanes
        parts = -(-self.problem.channels // CHANNEL_BLOCK)
        return -(-self.problem.channels // (parts * lanes)) * lanes

    @property
    def _k_blocks(self) -> int:
        return -(-self.problem.channels // self._k_block)

    @property
    def _panels(self) -> int:
        return -(-self.problem.outputs // self._registers.panel)

    def bands(self) -> tuple[int, int]:
        """Return how many rows and columns of each phase a chunk has."""
        r, (rows, columns) = self._registers, self._axes
        place = self._k_blocks * CHANNEL_BLOCK * r.scalar.bytes
        sums = rows.spread * columns.spread * r.panel * r.scalar.bytes
        is_large = self._panels * self._k_blocks * self._weight_block > _LARGE_WEIGHTS
        most = _V_BYTES_BESIDE_LARGE if is_large else _V_BYTES
        across = min(columns.places, max(r.rows, most // place // (1 + rows.more)))
        across = -(-columns.places // -(-columns.places // across))
        wide = place * (across + columns.more)
        down = min(most // wide - rows.more, _M_BYTES // (sums * across), rows.places)
        down = max(1, down)
        return -(-rows.places // -(-rows.places // down)), across

    def plan(self) -> Plan:
        """Return the calls that compute it: weights that several chunks read are turned first."""
        p, r = self.problem, self._registers
        (rows, columns), (down, across) = self._axes, self.bands()
        chunks = p.out.shape[0] * -(-rows.places // down) * -(-columns.places // across)
        if chunks == 1:
            return Plan((self._step(None),))
        place = Place(WORKSPACE, 0)
        blocks = p.groups * self._panels * self._k_blocks
        size = blocks * self._weight_block * r.scalar.bytes
        return Plan((self._preparation(place, blocks), self._step(place)), size)

    @property
    def _weight_block(self) -> int:
        """How many scalars the weights of a panel and a block of channels take."""
        return prod(self.problem.taps) * CHANNEL_BLOCK * self._registers.panel

    def _preparation(self, target: Place, blocks: int) -> Step:
        entry = jit.kernel(emit_input_gradient, self.problem.dtype, name="prepare")
        size = blocks * self._weight_block * self._registers.scalar.bytes
        arguments = self._arguments(1, target) | {"chunks": blocks}
        return Step(
            entry, self._block(arguments), self._places(target), self._scratch()[-1],
            workers_for(nbytes=size, chunks=blocks),
        )  # fmt: skip

    def _step(self, prepared: Place | None) -> Step:
        p = self.problem
        workers = workers_for(flops=2 * p.out.shape[0] * _products(p))
        arguments = self._arguments(workers, prepared)
        entry = jit.kernel(emit_input_gradient, p.dtype)
        workers = min(workers, arguments["chunks"])
        scratch = self._scratch()[-1]
        return Step(entry, self._block(arguments), self._places(prepared), scratch, workers)

    def _scratch(self) -> tuple[int, int, int]:
        """Return where turned weights and sums start in a thread's memory, after the turned part of
        x, and how much it is.
        """
        r, (rows, columns), (down, across) = self._registers, self._axes, self.bands()
        places = (down + rows.more) * (across + columns.more) + r.lanes
        sums = down * rows.spread * (across * columns.spread) + r.lanes
        counts = (
            self._k_blocks * places * CHANNEL_BLOCK, self._weight_block,
            sums * r.panel,
        )  # fmt: skip
        starts = [0]
        for count in counts:
            starts.append(starts[-1] + -(-count * r.scalar.bytes // _LINE_BYTES) * _LINE_BYTES)
        return starts[1], starts[2], starts[3]

    def _places(self, prepared: Place | None) -> tuple[tuple[int, Place], ...]:
        p = self.problem
        places = [(SLOT["out"], p.out.place), (SLOT["x"], p.x.place), (SLOT["w"], p.w.place)]
        return (*places, *([(SLOT["u"], prepared)] if prepared is not None else []))

    def _block(self, arguments: dict[str, int]) -> "ctypes.Array[ctypes.c_int64]":
        numbers = [arguments.get(name, 0) for name in FIELDS]
        rows, columns = self._axes
        seen: set[tuple[int, int]] = set()
        for down, across in product(*map(range, self.problem.taps[1:])):
            phase = (rows.phases[down], columns.phases[across])
            reads = (rows.reads[down] - rows.first, columns.reads[across] - columns.first)
            numbers += [*reads, *phase, int(phase in seen or not self._has_all)]
            seen.add(phase)
        return argument_block(*numbers)

    @property
    def _has_all(self) -> bool:
        return all(axis.has_all for axis in self._axes)

    def _arguments(self, workers: int, prepared: Place | None) -> dict[str, int]:
        p, (rows, columns), (down, across) = self.problem, self._axes, self.bands()
        row_bands, column_bands = -(-rows.places // down), -(-columns.places // across)
        chunks = p.groups * p.out.shape[0] * row_bands * column_bands
        wanted = 1 if workers == 1 else -(-_CHUNKS_A_THREAD * workers // chunks)
        part_panels = -(-self._panels // min(wanted, self._panels))
        parts = -(-self._panels // part_panels)
        u_start, m_start, _ = self._scratch()
        return plane_fields(p) | {
            "chunks": chunks * parts, "is_prepared": int(prepared is not None),
            "clears": int(not self._has_all), "images": p.out.shape[0], "row_bands": row_bands,
            "band_rows": down, "column_bands": column_bands, "band_columns": across,
            "parts": parts, "part_outputs": part_panels * self._registers.panel,
            "rows": rows.places, "columns": columns.places, "outputs": p.outputs,
            "channels": p.channels, "k_block": self._k_block, "k_blocks": self._k_blocks,
            "top": rows.first, "left": columns.first, "more_rows": rows.more,
            "more_columns": columns.more, "down": rows.spread, "across": columns.spread,
            "taps_down": p.taps[1], "taps_across": p.taps[2], "u_start": u_start,
            "m_start": m_start,
        }  # fmt: skip


def _products(p: Problem) -> int:
    """Return how many products one sample sums up, those with gaps not counted."""
    places = prod(-(-places // spread) for places, spread in zip(p.places, p.spread, strict=True))
    return places * p.w.shape[0] * prod(p.w.shape[1:])


def _applies(p: Problem) -> bool:
    is_plain = p.stride == p.dilation == (1, 1, 1) and p.batch_groups == 1
    is_plane = p.taps[0] == p.places[0] == p.spread[0] == 1 and p.padding[0] == 0
    lies_along_rows = all(view.strides[4] == 1 or view.shape[4] == 1 for view in (p.out, p.x))
    has_sums = 0 not in p.w.shape and prod(p.taps) <= _MOST_TAPS
    return is_plain and is_plane and lies_along_rows and has_sums


def _cost(p: Problem) -> float:
    """Return the cycles of one sample, its weights turned with it."""
    way = InputGradient(p)
    r, panels = way._registers, p.groups * way._panels * way._registers.vectors
    axes = way._axes
    places = prod(axis.places for axis in axes)
    groups = axes[0].places * -(-axes[1].places // r.rows)
    calls = groups * prod(p.taps) * way._k_blocks * panels / r.vectors
    shortest = max(axes[1].places, r.lanes // r.vectors) / axes[1].places
    turned = p.groups * -(-p.channels // r.lanes) * places + panels * prod(p.places)
    is_record = p.taps[2] > 1 and p.w.strides[4] in (1, -1)
    is_turned = is_record or (prod(p.taps) == 1 and p.w.strides[0] == 1)
    weights = panels * p.channels * prod(p.taps) * (_WEIGHT if is_turned else _GATHERED)
    products = places * shortest * prod(p.taps) * p.channels * panels
    return _START + calls * _CALL + products * _PRODUCT + turned * _TURNED + weights


INPUT_GRADIENT = Strategy(
    name="input gradient",
    applies=_applies,
    cost=_cost,
    plan=lambda p: InputGradient(p).plan(),
)

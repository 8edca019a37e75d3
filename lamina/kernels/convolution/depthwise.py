"""Convolution of few results a group, such as depthwise, and its weight gradient.

The input's planes are copied with zeros around them to scratch memory, where they stay in the
caches; the taps are unrolled, so that weights, or the sums of the weight gradient, stay in
registers. Sums run over channels and taps in order; those of the gradient over the rows of an
image, then over images.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from math import prod
from typing import final

from lamina.codegen import jit
from lamina.codegen.builder import Builder, KernelModule
from lamina.codegen.target import host_target
from lamina.codegen.types import Pointer, Scalar, i8, i64
from lamina.codegen.values import Value
from lamina.kernels.convolution.padded import Padding, copied_part
from lamina.kernels.convolution.problem import After, Problem, group_axis
from lamina.kernels.convolution.results import BIAS, SUM, reads
from lamina.kernels.convolution.strategy import Strategy, reads_no_residual
from lamina.kernels.expression import Expression, emit
from lamina.kernels.launch import Place, Plan, Step, View, argument_block, workers_for
from lamina.kernels.operand import Shape
from lamina.kernels.scalars import SCALARS

_FIELDS = (
    "counter", "chunks", "out", "w", "x", "inner", "repeats",
    "out_outer", "out_inner", "out_repeat", "out_row", "out_column",
    "w_outer", "w_inner", "w_repeat", "w_row", "w_column",
    "x_outer", "x_inner", "x_repeat", "x_row", "x_column",
    "height", "width", "pitch", "size", "copied_rows", "copied_columns", "low",
    "channels", "w_channel", "bias",
)  # fmt: skip
_SLOT = {name: place for place, name in enumerate(_FIELDS)}
_MOST_TAPS = 25
_MOST_PLANE_BYTES = 1 << 20
_FEW_RESULTS = 4
# Cycles: of a register copied, of a line, of a result's registers, and of a product of them.
_COPIED, _LINE, _STORE, _PRODUCT = 2.0, 20, 12.0, 0.8


class _Plane(ABC):
    """Emits the work on one plane; `taps` and `step` are known when it is compiled."""

    def __init__(
        self, k: Builder, scalar: Scalar, taps: tuple[int, int], step: int, after: Expression,
        args: Value, scratch: Value,
    ) -> None:  # fmt: skip
        self.k = k
        self.after = after
        self.scalar = scalar
        self.taps = taps
        self.step = step
        self.args = args
        self.lanes = k.target.lanes(scalar)
        self.plane = k.cast_pointer(scratch, scalar)
        self.group, self.bias = k.integer(0), k.zeros(scalar)

    def get(self, name: str) -> Value:
        return self.args[_SLOT[name]]

    def clear(self) -> None:
        """Fill the scratch memory with zeros: copies leave those around them alone."""
        size = self.get("size") * self.get("channels")
        with self.k.loop(size, step=self.lanes) as turn:
            self.plane.store(turn.index, self.k.zeros(self.scalar))

    def run(self, number: Value) -> None:
        """Do chunk `number`."""
        outer, inner = number // self.get("inner"), number % self.get("inner")
        self.group = inner
        out, w, x = (
            self.k.pointer_at(self.get(name), self.scalar)
            + (outer * self.get(f"{name}_outer") + inner * self.get(f"{name}_inner"))
            for name in ("out", "w", "x")
        )
        self._work(out, w, x)

    @abstractmethod
    def _work(self, out: Value, w: Value, x: Value) -> None:
        """Do the chunk whose parts start at these places."""

    def _copy(self, x: Value, place: Value) -> None:
        """Copy the plane at `x` into its frame of zeros, `place` after the first."""
        k, columns, step = self.k, self.get("copied_columns"), self.get("x_column")
        with k.loop(self.get("copied_rows")) as row:
            source = x + row.index * self.get("x_row")
            target = self.plane + (place + self.get("low") + row.index * self.get("pitch"))
            with k.either(step.equals(1)) as (side_by_side, apart):
                with side_by_side:
                    self._copy_row(source, target)
                with apart, k.loop(columns) as turn:
                    target[turn.index] = source[turn.index * step]

    def _copy_row(self, source: Value, target: Value) -> None:
        """Copy a row; zeros behind its end go where zeros are, or a row that is copied later."""
        k, columns = self.k, self.get("copied_columns")
        whole = columns // self.lanes * self.lanes
        with k.loop(whole, step=self.lanes) as turn:
            target.store(turn.index, source.load(turn.index, lanes=self.lanes))
        with k.when(whole < columns):
            target.store(whole, k.load_first(source + whole, columns - whole))

    def _neighbours(self, source: Value) -> list[Value]:
        """Return a register for each tap of a row: places `step` apart, from `source` on."""
        k, lanes = self.k, self.lanes
        if self.step == 1:
            return [source.load(tap, lanes=lanes) for tap in range(self.taps[1])]
        found: list[Value] = []
        for tap in range(0, self.taps[1], 2):
            low, high = (source.load(tap + start, lanes=lanes) for start in (0, lanes))
            found += [k.shuffle(low, high, range(odd, 2 * lanes, 2)) for odd in (0, 1)]
        return found[: self.taps[1]]


class _Rows(_Plane):
    """The convolution: several rows of the result at a time, so that rows of x serve them all."""

    # How many rows go together, the most first.
    together: tuple[int, ...]

    def _work(self, out: Value, w: Value, x: Value) -> None:
        k = self.k
        with k.loop(self.get("channels")) as turn:
            self._copy(x + turn.index * self.get("x_repeat"), turn.index * self.get("size"))
        with k.loop(self.get("repeats")) as turn:
            weights = w + turn.index * self.get("w_repeat")
            if reads(self.after, BIAS):
                bias = k.pointer_at(self.get("bias"), self.scalar)
                self.bias = k.splat(bias[self.group * self.get("repeats") + turn.index])
            self._plane_of(out + turn.index * self.get("out_repeat"), weights)

    def _plane_of(self, out: Value, w: Value) -> None:
        k, height = self.k, self.get("height")
        prepared = self._prepared(w)
        done = k.integer(0)
        for count in self.together:
            whole = done + (height - done) // count * count
            with k.loop(whole, start=done, step=count) as row:
                self._rows(out, row.index, prepared, count)
            done = whole

    def _prepared(self, w: Value) -> "_Factors":
        """Return the weights as far as they are read ahead of the loop over rows."""
        rows = [self.get("w_row") * row for row in range(self.taps[0])]
        columns = [self.get("w_column") * column for column in range(self.taps[1])]
        return _Factors(w, [[row + column for column in columns] for row in rows])

    @abstractmethod
    def _sums(self, source: Value, factors: "_Factors", count: int) -> list[Value]:
        """Return the sums of a register in each of `count` rows; x starts at `source`."""

    def _rows(self, out: Value, first: Value, factors: "_Factors", count: int) -> None:
        k, width, step = self.k, self.get("width"), self.get("out_column")
        whole = width // self.lanes * self.lanes
        # Masked stores are slow: the last register of a long row overlaps the one before.
        overlaps = k.both(step.equals(1), k.both(width > whole, whole > 0))
        end = k.select(overlaps, whole + self.lanes, width)
        with k.loop(end, step=self.lanes) as turn:
            at = k.select(overlaps, k.minimum(turn.index, width - self.lanes), turn.index)
            source = self.plane + (first * self.step * self.get("pitch") + at * self.step)
            sums = [
                emit(k, self.after, [total, self.bias])
                for total in self._sums(source, factors, count)
            ]
            rows = [out + ((first + row) * self.get("out_row") + at * step) for row in range(count)]
            with k.either(self._fits(first + (count - 1), at)) as (plain, others):
                with plain:
                    for target, total in zip(rows, sums, strict=True):
                        target.store(0, total)
                with others:
                    for row, (target, total) in enumerate(zip(rows, sums, strict=True)):
                        with k.either(self._fits(first + row, at)) as (whole_row, part):
                            with whole_row:
                                target.store(0, total)
                            with part:
                                self._store(target, total, step, width - at)

    def _fits(self, row: Value, at: Value) -> Value:
        """Return whether a full register may be written at column `at` of `row`.

        What it writes behind the row belongs to rows that are written later.
        """
        k, width = self.k, self.get("width")
        follows = self.get("out_row").equals(width)
        ends_inside = row * width + at + self.lanes <= self.get("height") * width
        inside = k.either_true(at + self.lanes <= width, k.both(follows, ends_inside))
        return k.both(self.get("out_column").equals(1), inside)

    def _store(self, target: Value, total: Value, step: Value, left: Value) -> None:
        k = self.k
        with k.either(step.equals(1)) as (side_by_side, apart):
            with side_by_side:
                k.store_first(target, total, left)
            with apart, k.either(step.equals(2)) as (seconds, spread):
                with seconds:
                    k.store_seconds(target, total, left)
                with spread:
                    k.store_spread(target, total, step, left)

    def _products(
        self, sums: list[Value], source: Value, factors: list[list[Value]]
    ) -> list[Value]:
        """Return the sums with the products of one plane added, tap after tap."""
        done = list(sums)
        for line in range((len(sums) - 1) * self.step + self.taps[0]):
            contents = self._neighbours(source + self.get("pitch") * line)
            for tap, content in enumerate(contents):
                for row in range(len(sums)):
                    if 0 <= line - row * self.step < self.taps[0]:
                        factor = factors[line - row * self.step][tap]
                        done[row] = self.k.fma(factor, content, done[row])
        return done


@final
class _Forward(_Rows):
    """One channel a group: its weights stay in registers."""

    together = (4, 2, 1)

    def _prepared(self, w: Value) -> "_Factors":
        return _Rows._prepared(self, w).loaded(self.k, self.k.integer(0))

    def _sums(self, source: Value, factors: "_Factors", count: int) -> list[Value]:
        return self._products([self.k.zeros(self.scalar)] * count, source, factors.registers)


@final
class _Channels(_Rows):
    """Several channels a group: sums stay in registers, as many as keep the FMA units busy."""

    together = (8, 4, 1)

    def _sums(self, source: Value, factors: "_Factors", count: int) -> list[Value]:
        k = self.k
        start = [k.zeros(self.scalar)] * count
        with k.loop(self.get("channels"), carry=start) as turn:
            registers = factors.loaded(k, turn.index * self.get("w_channel")).registers
            plane = source + turn.index * self.get("size")
            turn.next = self._products(turn.carried, plane, registers)
        return turn.results


@dataclass(frozen=True, slots=True)
class _Factors:
    """The weights of one result: where they lie and, once read, a register for each."""

    w: Value
    offsets: list[list[Value]]
    registers: list[list[Value]] = field(default_factory=list)

    def loaded(self, k: Builder, channel: Value) -> "_Factors":
        """Return them with the registers filled, those that lie `channel` further on."""
        w = self.w + channel
        registers = [[k.splat(w[offset]) for offset in row] for row in self.offsets]
        return replace(self, registers=registers)


@final
class _WeightGradient(_Plane):
    """The gradient: `w` is that of the result; lanes are added up at the end, in their order."""

    def _work(self, out: Value, w: Value, x: Value) -> None:
        k = self.k
        count = self.taps[0] * self.taps[1]
        totals = k.stack(self.scalar, max(2, count * self.lanes))
        for tap in range(count):
            totals.store(tap * self.lanes, k.zeros(self.scalar))
        with k.loop(self.get("repeats")) as turn:
            self._copy(x + turn.index * self.get("x_repeat"), k.integer(0))
            sums = self._image(w + turn.index * self.get("w_repeat"))
            for tap, total in enumerate(sums):
                before = totals.load(tap * self.lanes, lanes=self.lanes)
                totals.store(tap * self.lanes, before + total)
        with k.loop(self.taps[0]) as row, k.loop(self.taps[1]) as column:
            place = (row.index * self.taps[1] + column.index) * self.lanes
            target = row.index * self.get("out_row") + column.index * self.get("out_column")
            out[target] = self._added(totals + place)

    def _image(self, w: Value) -> list[Value]:
        """Return the sums of one image, a register for each tap."""
        k, lanes, width = self.k, self.lanes, self.get("width")
        whole = width // lanes * lanes
        carry = [k.zeros(self.scalar)] * (self.taps[0] * self.taps[1])
        with k.loop(self.get("height"), carry=carry) as row:
            gradient = w + row.index * self.get("w_row")
            source = self.plane + row.index * self.step * self.get("pitch")
            with k.loop(whole, step=lanes, carry=row.carried) as turn:
                here = (gradient + turn.index).load(0, lanes=lanes)
                turn.next = self._products(turn.carried, here, source + turn.index * self.step)
            with k.loop(width, start=whole, step=lanes, carry=turn.results) as rest:
                left = width - rest.index
                here = k.load_first(gradient + rest.index, left)
                there = source + rest.index * self.step
                rest.next = self._products(rest.carried, here, there, left)
            row.next = rest.results
        return row.results

    def _products(
        self, sums: Sequence[Value], gradient: Value, source: Value, left: Value | None = None
    ) -> list[Value]:
        k = self.k
        done: list[Value] = []
        for row in range(self.taps[0]):
            contents = self._neighbours(source + self.get("pitch") * row)
            if left is not None:
                # What lies past the row may be infinite: 0 · ∞ is not 0.
                mask, zeros = k.lanes_below(self.scalar, left), k.zeros(self.scalar)
                contents = [k.select(mask, content, zeros) for content in contents]
            done += [
                k.fma(gradient, content, total)
                for content, total in zip(contents, sums[len(done) :], strict=False)
            ]
        return done

    def _added(self, lanes: Value) -> Value:
        total = lanes[0]
        for lane in range(1, self.lanes):
            total = total + lanes[lane]
        return total


_KINDS: dict[str, type[_Plane]] = {
    "one channel": _Forward,
    "channels": _Channels,
    "weight gradient": _WeightGradient,
}


def emit_depthwise(
    module: KernelModule,
    dtype: str,
    kind: str,
    taps: tuple[int, int],
    step: int,
    after: Expression,
) -> None:
    """Define `run(arguments, scratch)`: claim chunks, planes or channels, and do their work;
    `after` says what becomes of the sums of a convolution and their bias.
    """
    with module.function("run", {"args": Pointer(i64), "scratch": Pointer(i8)}) as (
        k,
        args,
        scratch,
    ):
        plane = _KINDS[kind](k, SCALARS[dtype], taps, step, after, args, scratch)
        plane.clear()
        with k.claimed(args, plane.get("chunks")) as number:
            plane.run(number)


@dataclass(frozen=True, slots=True)
class Strides:
    """The strides of one operand: along the axes of the chunks, the repeats, and of a plane."""

    outer: int
    inner: int
    repeat: int
    row: int
    column: int


@dataclass(frozen=True, slots=True)
class Depthwise:
    """One convolution of planes to compute: "one channel" a group, "channels", "weight gradient".

    Chunks run over `outer` × `inner`; each repeats: over the outputs that share input planes, or
    over the images that a gradient sums. `channels` are summed over in a convolution, with strides
    `w_channel` and that of x's repeats. `taps` and `places` are the sizes (rows, columns) of the
    kernel and of the forward result; `x` is framed by `padding`.
    """

    dtype: str
    kind: str
    chunks: tuple[int, int]
    repeats: int
    taps: tuple[int, int]
    places: tuple[int, int]
    stride: int
    padding: Padding
    out: Place
    out_strides: Strides
    w: Place
    w_strides: Strides
    x: View
    x_strides: Strides
    channels: int = 1
    w_channel: int = 0
    after: After | None = None

    def step(self) -> Step:
        """Return the kernel call that computes it."""
        scalar = SCALARS[self.dtype]
        start, counts, lows = copied_part(self.x, self.padding)
        _, rows, pitch = self.padding.size
        size = rows * pitch + 4 * host_target().lanes(scalar) + self.taps[1]
        chunks = self.chunks[0] * self.chunks[1]
        arguments = argument_block(
            0, chunks, 0, 0, 0, self.chunks[1], self.repeats,
            *_numbers(self.out_strides), *_numbers(self.w_strides), *_numbers(self.x_strides),
            *self.places, pitch, size, *(counts[1:] if counts[0] else (0, 0)),
            lows[1] * pitch + lows[2], self.channels, self.w_channel, 0,
        )  # fmt: skip
        after = SUM if self.after is None else self.after.expression
        entry = jit.kernel(emit_depthwise, self.dtype, self.kind, self.taps, self.stride, after)
        products = chunks * self.repeats * self.channels * self.places[0] * self.places[1]
        flops = 2 * products * self.taps[0] * self.taps[1]
        x = self.x.moved(start).place
        named = {"out": self.out, "w": self.w, "x": x}
        named |= {} if self.after is None else self.after.places(self.out)
        places = tuple((_SLOT[name], place) for name, place in named.items())
        # Clearing writes whole registers.
        scratch_bytes = (self.channels * size + host_target().lanes(scalar)) * scalar.bytes
        workers = workers_for(chunks=chunks, flops=flops)
        return Step(entry, arguments, places, scratch_bytes, workers)


def _numbers(strides: Strides) -> Shape:
    return strides.outer, strides.inner, strides.repeat, strides.row, strides.column


def _kind(p: Problem) -> str:
    """Return which way the kernel computes `p`, or "" where it does not."""
    extent, places, taps = p.extent, p.places[1:], p.taps[1:]
    is_plane = p.taps[0] == p.places[0] == extent[0] == 1 and p.spread == (1, 1, 1)
    plane_bytes = extent[1] * extent[2] * p.x.itemsize
    if not is_plane or 0 in p.w.shape or plane_bytes > _MOST_PLANE_BYTES:
        return ""
    if p.batch_groups == 1 and _is_unrolled(taps, p.stride, p.dilation):
        if p.channels == 1:
            return "one channel"
        fits = p.channels * plane_bytes <= _MOST_PLANE_BYTES and p.outputs <= _FEW_RESULTS
        return "channels" if fits else ""
    is_gradient = 1 < p.batch_groups == p.w.shape[0] and p.w.strides[4] == 1
    is_gradient = is_gradient and _is_unrolled(places, p.dilation, p.stride)
    return "weight gradient" if is_gradient and taps[1] >= places[1] else ""


def _is_unrolled(taps: Shape, step: Shape, other: Shape) -> bool:
    return taps[0] * taps[1] <= _MOST_TAPS and step[1] == step[2] <= 2 and other[1:] == (1, 1)


def _cost(p: Problem) -> float:
    lanes = host_target().lanes(SCALARS[p.dtype])
    is_gradient = _kind(p) == "weight gradient"
    rows, width = p.taps[1:] if is_gradient else p.places[1:]
    taps = prod(p.places) if is_gradient else prod(p.taps)
    inputs = p.batch_groups * p.channels if is_gradient else p.x.shape[1]
    registers = rows * -(-width // lanes)
    copying = inputs * p.extent[1] * (_LINE + _COPIED * -(-p.extent[2] // lanes))
    return copying + p.w.shape[0] * registers * (_STORE + p.channels * taps * _PRODUCT)


def _plan(p: Problem) -> Plan:
    return Plan((_compute(p, _kind(p)),))


def _compute(p: Problem, kind: str) -> Step:
    """Compute `p` plane by plane."""
    count, out_group, w_group, x_group = group_axis(p, p.x)
    out, w, x = p.out.strides, p.w.strides, p.x.strides
    is_gradient = kind == "weight gradient"
    out_repeat, w_repeat = (0, w[1]) if is_gradient else (out[1], w[0])
    taps, places = (p.places, p.taps) if is_gradient else (p.taps, p.places)
    return Depthwise(
        dtype=p.dtype,
        kind=kind,
        chunks=(p.out.shape[0], count),
        repeats=p.channels if is_gradient else p.outputs,
        taps=(taps[1], taps[2]),
        places=(places[1], places[2]),
        stride=(p.dilation if is_gradient else p.stride)[2],
        padding=Padding(p.padding, p.spread, p.extent),
        out=p.out.place,
        out_strides=Strides(out[0], out_group, out_repeat, *out[3:]),
        w=p.w.place,
        w_strides=Strides(0, w_group, w_repeat, *w[3:]),
        x=p.x,
        x_strides=Strides(x[0], x_group, x[1], *x[3:]),
        channels=1 if is_gradient else p.channels,
        w_channel=w[1],
        after=p.after,
    ).step()


DEPTHWISE = Strategy(
    name="depthwise",
    applies=lambda p: _kind(p) != "",
    cost=_cost,
    plan=_plan,
    fuses=lambda p: _kind(p) != "weight gradient" and reads_no_residual(p),
)

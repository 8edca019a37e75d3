"""Few sums over many places: the weight gradient of a depthwise convolution.

    out[n, g, o, p] = Σ_k w[g, o, k] · x[n, g, k·step + offset(p)]

Here the sum runs over images of `w`, the results are the few taps. Lanes run along the sum's
innermost axis and are added up at the end, in their order.
"""

from dataclasses import dataclass
from math import prod

from lamina.codegen import jit
from lamina.codegen.builder import Builder, KernelModule
from lamina.codegen.target import host_target
from lamina.codegen.types import Pointer, Scalar, i8, i64
from lamina.codegen.values import Value
from lamina.kernels.convolution.padded import copy_cost, on_copies
from lamina.kernels.convolution.problem import Problem, place_axes, plane_axes
from lamina.kernels.convolution.strategy import Strategy
from lamina.kernels.launch import Place, Step, View, argument_block, workers_for
from lamina.kernels.offsets import locate
from lamina.kernels.operand import AXES, Axes, flat, product
from lamina.kernels.scalars import SCALARS

_FIELDS = ("counter", "planes", "out", "w", "x", "places", "lines", "width", "step")
_SLOT = {name: place for place, name in enumerate(_FIELDS)}
_PLACE_AXES = len(_FIELDS)
_PLANE_AXES = _PLACE_AXES + 3 * AXES
_LINE_AXES = _PLANE_AXES + 4 * AXES
# Cycles of a product of registers, of a line of the sum, and of a result.
_PRODUCT, _LINE, _RESULT = 3.0, 15, 30


class _Plane:
    """Emits the results of one plane."""

    def __init__(self, k: Builder, scalar: Scalar, args: Value) -> None:
        self.k = k
        self.scalar = scalar
        self.args = args
        self.lanes = k.target.lanes(scalar)

    def get(self, name: str) -> Value:
        return self.args[_SLOT[name]]

    def run(self, number: Value) -> None:
        k = self.k
        starts = locate(k, self.args, _PLANE_AXES, number, 3)
        out, w, x = (
            k.pointer_at(self.get(name), self.scalar) + start
            for name, start in zip(("out", "w", "x"), starts, strict=True)
        )
        with k.loop(self.get("places")) as place:
            to, source = locate(k, self.args, _PLACE_AXES, place.index, 2)
            for every in (1, 2):
                with k.when(self.get("step").equals(every)):
                    out[to] = self._sum(w, x + source, every)

    def _sum(self, w: Value, x: Value, every: int) -> Value:
        k = self.k
        with k.loop(self.get("lines"), carry=[k.zeros(self.scalar)]) as line:
            left_start, right_start = locate(k, self.args, _LINE_AXES, line.index, 2)
            with k.loop(self.get("width"), step=self.lanes, carry=line.carried) as turn:
                left = self.get("width") - turn.index
                a = k.load_first(w + left_start + turn.index, left)
                b = self._load(x + right_start + turn.index * every, left, every)
                turn.next = [k.fma(a, b, turn.carried[0])]
            line.next = turn.results
        return self._add_lanes(line.results[0])

    def _load(self, source: Value, left: Value, every: int) -> Value:
        if every == 1:
            return self.k.load_first(source, left)
        low, high = (source.load(start, lanes=self.lanes) for start in (0, self.lanes))
        seconds = self.k.shuffle(low, high, range(0, 2 * self.lanes, 2))
        mask = self.k.lanes_below(self.scalar, left)
        return self.k.select(mask, seconds, self.k.zeros(self.scalar))

    def _add_lanes(self, total: Value) -> Value:
        spare = self.k.stack(self.scalar, self.lanes)
        spare.store(0, total)
        result = spare[0]
        for lane in range(1, self.lanes):
            result = result + spare[lane]
        return result


def emit_correlation(module: KernelModule, dtype: str) -> None:
    """Define `run(arguments, _)`: claim planes and compute their results."""
    with module.function("run", {"args": Pointer(i64), "scratch": Pointer(i8)}) as (k, args, _):
        plane = _Plane(k, SCALARS[dtype], args)
        with k.claimed(args, plane.get("planes")) as number:
            plane.run(number)


@dataclass(frozen=True, slots=True)
class Correlation:
    """One set of sums to compute; axes are (size, stride, stride …), outermost first.

    `places` have strides in out and x, `planes` in out, w and x, `lines` (the outer axes of the
    sum) in w and x. The sum's innermost axis has `width` elements, side by side in w and `step` (1
    or 2) apart in x, which may be read two registers past its end.
    """

    dtype: str
    out: Place
    w: Place
    x: Place
    width: int
    x_step: int
    places: Axes
    planes: Axes
    lines: Axes

    def step(self) -> Step:
        """Return the kernel call that computes it."""
        planes, places, lines = (product(axes) for axes in (self.planes, self.places, self.lines))
        arguments = argument_block(
            0, planes, 0, 0, 0, places, lines, self.width, self.x_step,
            *flat(self.places, 2), *flat(self.planes, 3), *flat(self.lines, 2),
        )  # fmt: skip
        entry = jit.kernel(emit_correlation, self.dtype)
        workers = workers_for(chunks=planes, flops=2 * planes * places * lines * self.width)
        slots = ((_SLOT["out"], self.out), (_SLOT["w"], self.w), (_SLOT["x"], self.x))
        return Step(entry, arguments, slots, 0, workers)


def _compute(p: Problem, x: View) -> Step:
    """Compute `p` result by result from its padded input."""
    lines = [(p.channels, p.w.strides[1], x.strides[1])]
    lines += [
        (p.taps[axis], p.w.strides[2 + axis], x.strides[2 + axis] * p.dilation[axis])
        for axis in (0, 1)
    ]
    return Correlation(
        dtype=p.dtype,
        out=p.out.place,
        w=p.w.place,
        x=x.place,
        width=p.taps[2],
        x_step=x.strides[4] * p.dilation[2],
        places=place_axes(p, x),
        planes=plane_axes(p, x),
        lines=lines,
    ).step()


def _cost(p: Problem) -> float:
    lanes = host_target().lanes(SCALARS[p.dtype])
    lines = prod(p.w.shape[1:4])
    line = _LINE + _PRODUCT * -(-p.taps[2] // lanes)
    return copy_cost(p) + p.w.shape[0] * prod(p.places) * (_RESULT + lines * line)


CORRELATION = Strategy(
    name="correlation",
    applies=lambda p: 0 not in p.w.shape and p.w.strides[4] == 1 and p.dilation[2] <= 2,
    cost=_cost,
    plan=lambda p: on_copies(p, _compute),
)

"""Padding: constants around a tensor, or more of its own elements."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, final

import numpy as np

from lamina.errors import ArgumentError, ShapeError
from lamina.memory import Spec
from lamina.memory.array import NDArray, scratch_full
from lamina.ops.layers.axis_map import AxisRule, Taps, map_axis
from lamina.ops.registry import Op, Value, define

Edge = Literal["reflect", "replicate", "circular"]


@define
@final
@dataclass(frozen=True, slots=True)
class Pad(Op):
    """`value` put before (`low`) and behind (`high`) each axis; negative numbers cut off."""

    name = "pad"
    saves = ()
    low: tuple[int, ...]
    high: tuple[int, ...]
    value: float = 0.0

    def infer(self, *inputs: Spec) -> Spec:
        (x,) = inputs
        if not len(self.low) == len(self.high) == len(x.shape):
            raise ShapeError(f"pad: pads {self.low}, {self.high} given for {x.shape}")
        sizes = tuple(n + a + b for n, a, b in zip(x.shape, self.low, self.high, strict=True))
        if min(sizes, default=0) < 0:
            raise ShapeError(
                f"pad: {self.low} before and {self.high} behind {x.shape} leave {sizes}; cut less"
            )
        return Spec(sizes, x.dtype)

    def ref(self, *inputs: NDArray) -> NDArray:
        (x,) = inputs
        limits = list(zip(x.shape, self.low, self.high, strict=True))
        kept = x[tuple(slice(max(-a, 0), n - max(-b, 0)) for n, a, b in limits)]
        out = scratch_full([n + a + b for n, a, b in limits], x.dtype, self.value)
        out[tuple(slice(max(a, 0), n + a + b - max(b, 0)) for n, a, b in limits)] = kept
        return out

    def vjp(self, grad: Value, out: Value, *inputs: Value) -> tuple[Any, ...]:
        return (Pad(tuple(-a for a in self.low), tuple(-b for b in self.high))(grad),)


@final
@dataclass(frozen=True, slots=True)
class Extension(AxisRule):
    """An axis continued beyond its ends by its own elements, `low` of them before."""

    low: int
    mode: Edge

    def taps(self) -> Taps:
        place = np.arange(-self.low, self.target - self.low)
        match self.mode:
            case "replicate":
                place = np.clip(place, 0, self.source - 1)
            case "circular":
                place %= self.source
            case "reflect":
                last = self.source - 1
                place = last - np.abs(last - np.abs(place))
        return Taps(place[None], None)


def pad(
    x: Value,
    pads: Sequence[int],
    mode: Literal["constant"] | Edge = "constant",
    value: float | None = None,
) -> Value:
    """Return `x` with `pads` places more: (before, behind) of the last axis, of the one before, ….

    The places hold `value` (0 by default), or what lies mirrored about the edge ("reflect"), on the
    edge ("replicate") or at the other end ("circular"). Negative pads cut places off. ShapeError
    where an axis is too short to mirror or to go round.

    >>> import lamina
    >>> pad(lamina.tensor([1.0, 2.0, 3.0]), (2, 1), mode="reflect")
    Tensor([3., 2., 1., 2., 3., 2.])
    """
    numbers = tuple(pads)
    ndim = len(x.shape)
    if len(numbers) % 2 or len(numbers) > 2 * ndim:
        raise ShapeError(
            f"pad: {len(numbers)} pads given for {ndim} axes; expected two an axis, from the last"
        )
    low, high = [0] * ndim, [0] * ndim
    for place in range(len(numbers) // 2):
        low[ndim - 1 - place], high[ndim - 1 - place] = numbers[2 * place : 2 * place + 2]
    if mode == "constant":
        return Pad(tuple(low), tuple(high), 0.0 if value is None else value)(x)
    if mode not in ("reflect", "replicate", "circular"):
        raise ArgumentError(
            f'pad: mode {mode!r} given; expected "constant", "reflect", "replicate" or "circular"'
        )
    if value is not None:
        raise ArgumentError(f'pad: value {value} given with mode {mode!r}; it goes with "constant"')
    for axis, (before, behind) in enumerate(zip(low, high, strict=True)):
        if before or behind:
            x = map_axis(x, axis, _extension(x.shape[axis], before, behind, mode))
    return x


def _extension(size: int, before: int, behind: int, mode: Edge) -> Extension:
    most = {"reflect": size - 1, "circular": size, "replicate": max(before, behind)}[mode]
    if max(before, behind) > most or size == 0 or size + before + behind < 0:
        raise ShapeError(
            f"pad: ({before}, {behind}) given for an axis of {size} in mode {mode!r}; expected at "
            f"most {most} a side and a size that stays positive"
        )
    return Extension(size, size + before + behind, before, mode)

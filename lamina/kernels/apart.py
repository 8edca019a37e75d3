"""Whether operands share memory: found out before any of it is touched."""

from collections.abc import Sequence
from dataclasses import dataclass

from lamina.errors import LayoutError
from lamina.layout import Layout, Shape


@dataclass(frozen=True, slots=True)
class Extent:
    """The bytes of an operand, seen from its address: from `low` to before `high`; its axes."""

    low: int
    high: int
    axes: tuple[tuple[int, int], ...]
    itemsize: int
    shape: Shape

    @staticmethod
    def of(shape: Shape, strides: Shape, itemsize: int) -> "Extent":
        """Return the extent of an operand whose strides count elements.

        >>> Extent.of((2, 3), (-3, 1), 4).low
        -12
        """
        low, high = Layout(shape, strides).span
        axes = tuple(
            (size, abs(stride) * itemsize)
            for size, stride in zip(shape, strides, strict=True)
            if size > 1 and stride != 0
        )
        return Extent(low * itemsize, high * itemsize, axes, itemsize, shape)


@dataclass(frozen=True, slots=True)
class Neighbours:
    """An output and the operands that must not share memory with it."""

    name: str
    extents: tuple[Extent, ...]
    # For each operand, the distances of addresses between which the bytes of both may meet.
    bounds: tuple[tuple[int, int], ...]

    @staticmethod
    def of(name: str, extents: Sequence[Extent]) -> "Neighbours":
        """Return the first of `extents`, the output of `name`, beside the others."""
        out, *others = extents
        bounds = tuple(
            (0, 0)
            if 0 in (*other.shape, *out.shape)
            else (out.low - other.high, out.high - other.low)
            for other in others
        )
        return Neighbours(name, tuple(extents), bounds)

    def check(self, addresses: Sequence[int]) -> None:
        """Raise LayoutError where the output, the first at these addresses, shares memory."""
        start = addresses[0]
        for place, (low, high) in enumerate(self.bounds, 1):
            if low < addresses[place] - start < high:
                self._check_one(place, addresses[place] - start)

    def _check_one(self, place: int, apart: int) -> None:
        out, other = self.extents[0], self.extents[place]
        if not _interleave(out, other, apart + other.low - out.low):
            raise LayoutError(
                f"{self.name}: the output {out.shape} shares memory with an operand {other.shape}; "
                "write to memory of its own, or copy that operand first"
            )


def _interleave(out: Extent, other: Extent, distance: int) -> bool:
    """Return whether two operands lie between each other without sharing a byte, as columns of one
    matrix do; cautious where strides have no common period.
    """
    steps = {step for _, step in (*out.axes, *other.axes)}
    return any(_misses(out, other, distance % step, step) for step in steps)


def _misses(out: Extent, other: Extent, distance: int, period: int) -> bool:
    """Return whether both repeat with `period`, each within a part of it of its own."""
    widths = []
    for extent in (out, other):
        inner = [axis for axis in extent.axes if axis[1] % period]
        widths.append(sum((size - 1) * step for size, step in inner) + extent.itemsize)
    return widths[0] <= distance and distance + widths[1] <= period

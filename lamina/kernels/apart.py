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


def check_apart(name: str, extents: Sequence[Extent], addresses: Sequence[int]) -> None:
    """Raise LayoutError where the first operand shares memory with one of the others."""
    out = extents[0]
    low, high = addresses[0] + out.low, addresses[0] + out.high
    for extent, address in zip(extents[1:], addresses[1:], strict=True):
        start, end = address + extent.low, address + extent.high
        if start < high and low < end and start < end:
            distance = start - low
            if not _interleave(out, extent, distance):
                raise LayoutError(
                    f"{name}: the output {out.shape} shares memory with an operand "
                    f"{extent.shape}; write to memory of its own, or copy that operand first"
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

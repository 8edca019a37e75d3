"""From an index over several axes to offsets in memory: one index at a time, or as a table."""

from lamina.codegen.builder import Builder, Cell, Function, KernelModule
from lamina.codegen.types import Pointer, Type, i64
from lamina.codegen.values import Value
from lamina.kernels.operand import AXES

_INDEX = Pointer(i64)


def locate(k: Builder, args: Value, axes: int, index: Value, tables: int) -> list[Value]:
    """Return what index `index` over the axes at `axes` adds to each of `tables` addresses."""
    offsets = [k.integer(0)] * tables
    for axis in reversed(range(AXES)):
        size = args[axes + axis]
        digit = index % size
        index = index // size
        for which in range(tables):
            offsets[which] = offsets[which] + digit * args[axes + (which + 1) * AXES + axis]
    return offsets


class _Odometer:
    """An index over four axes as digits, and the offsets that the three outer ones make."""

    def __init__(self, k: Builder, axes: Value, start: Value) -> None:
        self.k = k
        self.sizes, *self.strides = (
            [axes[row * AXES + axis] for axis in range(AXES)] for row in range(3)
        )
        self.digits: list[Cell] = []
        for size in reversed(self.sizes):
            self.digits.insert(0, k.cell(i64, start % size))
            start = start // size
        self.bases = [k.cell(i64, self._outer(strides)) for strides in self.strides]

    def _outer(self, strides: list[Value]) -> Value:
        total = self.k.integer(0)
        for digit, stride in zip(self.digits[:-1], strides, strict=False):
            total = total + digit.get() * stride
        return total

    def next_line(self) -> None:
        """Go to the start of the next line of the innermost axis."""
        self.digits[-1].set(0)
        carry = self.k.integer(1)
        zero = self.k.integer(0)
        for axis in reversed(range(AXES - 1)):
            digit = self.digits[axis].get() + carry
            wraps = digit.equals(self.sizes[axis])
            back = self.k.select(wraps, self.sizes[axis], zero)
            for base, strides in zip(self.bases, self.strides, strict=True):
                base.set(base.get() + (carry - back) * strides[axis])
            self.digits[axis].set(digit - back)
            carry = self.k.select(wraps, self.k.integer(1), zero)


def _fill_line(
    k: Builder, odometer: _Odometer, tables: list[Value], begin: Value, count: Value
) -> None:
    digit = odometer.digits[-1].get()
    for table, base, strides in zip(tables, odometer.bases, odometer.strides, strict=True):
        first = base.get() + digit * strides[-1]
        with k.loop(count, carry=[first]) as turn:
            (table + begin)[turn.index] = turn.carried[0]
            turn.next = [turn.carried[0] + strides[-1]]


def _fill_runs(k: Builder, offsets: Value, runs: Value, count: Value, step: Value | int) -> None:
    last = count - 1
    runs[last] = 1
    with k.loop(last, carry=[k.integer(1)]) as turn:
        place = last - 1 - turn.index
        runs_on = offsets[place + 1].equals(offsets[place] + step)
        run = k.select(runs_on, turn.carried[0] + 1, k.integer(1))
        runs[place] = run
        turn.next = [run]


def emit_table(module: KernelModule) -> Function:
    """Define `_table(axes, start, count, step, first, first_runs, second, second_runs)`.

    `axes` holds 4 sizes, then 4 strides for the first table, then 4 for the second; the innermost
    axis comes last. Fills `count` entries, those of the indices from `start` on. Runs of the table
    of B, which is the second, are of elements `step` apart.
    """
    parameters: dict[str, Type] = {
        "axes": _INDEX, "start": i64, "count": i64, "step": i64,
        "first": _INDEX, "first_runs": _INDEX, "second": _INDEX, "second_runs": _INDEX,
    }  # fmt: skip
    with module.function("_table", parameters, inline="never") as opened:
        k, axes, start, count, step, first, first_runs, second, second_runs = opened
        odometer = _Odometer(k, axes, start)
        filled = k.cell(i64, 0)
        with k.repeat_while(lambda: filled.get() < count):
            left = odometer.sizes[-1] - odometer.digits[-1].get()
            length = k.minimum(left, count - filled.get())
            _fill_line(k, odometer, [first, second], filled.get(), length)
            filled.set(filled.get() + length)
            odometer.next_line()
        with k.when(count > 0):
            _fill_runs(k, first, first_runs, count, 1)
            _fill_runs(k, second, second_runs, count, step)
        handle: Function = k.handle
    return handle

"""Walking over the elements of a result: chunks are claimed, and lines of elements gone along."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lamina.codegen.builder import Builder
from lamina.codegen.types import i64
from lamina.codegen.values import Value


@dataclass(frozen=True, slots=True)
class Axes:
    """Axes that a kernel is told of at run time: sizes, then each operand's strides.

    They lie in the arguments from `start` on, `count` of each, outermost first.
    """

    k: Builder
    args: Value
    start: int
    count: int
    operands: int

    @property
    def end(self) -> int:
        """Where in the arguments what follows begins."""
        return self.start + self.count * (self.operands + 1)

    @property
    def inner_size(self) -> Value:
        return self.args[self.start + self.count - 1]

    def inner_stride(self, operand: int) -> Value:
        """Return the step of an operand along the innermost axis."""
        return self.args[self.start + (operand + 2) * self.count - 1]

    def locate(self, index: Value) -> list[Value]:
        """Return where element `index`, in C order, lies in each operand."""
        if self.count == 1:
            return [index * self.inner_stride(operand) for operand in range(self.operands)]
        offsets = [self.k.integer(0)] * self.operands
        for axis in reversed(range(self.count)):
            size = self.args[self.start + axis]
            digit = index % size if axis else index
            index = index // size
            for operand in range(self.operands):
                stride = self.args[self.start + (operand + 1) * self.count + axis]
                offsets[operand] = offsets[operand] + digit * stride
        return offsets

    def lines(
        self, first: Value, last: Value, body: Callable[[Value, Value, list[Value]], None]
    ) -> None:
        """Emit `body(done, length, offsets)` for each line of the elements from `first` to `last`.

        A line is a stretch along the innermost axis; `done` elements lie before it.
        """
        k = self.k
        if self.count == 1:
            body(k.integer(0), last - first, self.locate(first))
            return
        position = k.cell(i64, first)
        with k.repeat_while(lambda: position.get() < last):
            here = position.get()
            left = self.inner_size - here % self.inner_size
            length = k.minimum(left, last - here)
            body(here - first, length, self.locate(here))
            position.set(here + length)

    def each(self, first: Value, last: Value, body: Callable[[list[Value]], None]) -> None:
        """Emit `body(offsets)` for every element from `first` to before `last`."""

        def along(_: Value, length: Value, offsets: list[Value]) -> None:
            steps = [self.inner_stride(operand) for operand in range(self.operands)]
            with self.k.loop(length, carry=offsets) as turn:
                body(turn.carried)
                turn.next = [at + step for at, step in zip(turn.carried, steps, strict=True)]

        self.lines(first, last, along)


def flat_axes(axes: Sequence[tuple[int, ...]], operands: int) -> list[int]:
    """Return what `Axes` reads of axes (size, stride, stride …): as many as `rounded` says.

    >>> flat_axes([(2, 12), (3, 4), (5, 1)], 1)
    [1, 2, 3, 5, 0, 12, 4, 1]
    """
    missing = rounded(len(axes)) - len(axes)
    numbers = [1] * missing + [axis[0] for axis in axes]
    for operand in range(1, operands + 1):
        numbers += [0] * missing + [axis[operand] for axis in axes]
    return numbers


def rounded(count: int) -> int:
    """Return for how many axes a kernel is compiled that is to walk over `count`: a power of two.

    >>> [rounded(count) for count in (0, 1, 3, 5)]
    [1, 1, 4, 8]
    """
    return 1 << max(count - 1, 0).bit_length()

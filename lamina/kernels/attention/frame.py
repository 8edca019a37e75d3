"""The arguments of the attention kernels, as who calls lays them down and as kernels read them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from lamina.codegen.builder import Builder
from lamina.codegen.types import Scalar, f64
from lamina.codegen.values import Value
from lamina.kernels.offsets import locate
from lamina.kernels.operand import AXES

HEAD = ("counter", "chunks", "queries", "keys", "features", "values", "parts", "scale")
_SLOT = {name: place for place, name in enumerate(HEAD)}
SCALE = _SLOT["scale"]
_PER_MATRIX = 3


class Recipe(NamedTuple):
    """What attention is compiled for: the dtype of all numbers, that of the mask if there is one,
    and whether queries look back alone.
    """

    dtype: str
    mask: str | None
    is_causal: bool


@dataclass(frozen=True, slots=True)
class Matrix:
    """One matrix of an operand: its first element, and the steps to the next row and column."""

    pointer: Value
    row: Value
    column: Value

    def at(self, row: Value) -> Value:
        """Return where a row starts."""
        return self.pointer + row * self.row


@dataclass(frozen=True, slots=True)
class Frame:
    """Reads arguments: `HEAD`, then address, row and column step of each operand of `scalars`, then
    the batch axes.
    """

    k: Builder
    args: Value
    scalars: dict[str, Scalar]

    def get(self, name: str) -> Value:
        """Return a number of `HEAD`."""
        return self.args[_SLOT[name]]

    def scale(self, scalar: Scalar) -> Value:
        """Return what scores are multiplied by."""
        return self.k.convert(self.k.cast_pointer(self.args, f64)[SCALE], scalar)

    def matrices(self, batch: Value) -> dict[str, Matrix]:
        """Return the matrix of each operand at index `batch` over the batch axes."""
        starts = locate(self.k, self.args, batch_axes(len(self.scalars)), batch, len(self.scalars))
        found = {}
        for number, (name, scalar) in enumerate(self.scalars.items()):
            address, row, column = (self.args[slot] for slot in _slots(number))
            pointer = self.k.pointer_at(address, scalar) + starts[number]
            found[name] = Matrix(pointer, row, column)
        return found


def _slots(number: int) -> range:
    start = len(HEAD) + _PER_MATRIX * number
    return range(start, start + _PER_MATRIX)


def address_slot(number: int) -> int:
    """Return where the address of an operand goes."""
    return _slots(number)[0]


def batch_axes(operands: int) -> int:
    """Return where the batch axes start, which have `AXES` sizes and then strides per operand."""
    return _slots(operands)[0]


def words(head: Sequence[int], steps: Sequence[tuple[int, int]], batch: Sequence[int]) -> list[int]:
    """Return arguments whose addresses are to be filled in."""
    assert len(batch) == AXES * (len(steps) + 1), "each operand has strides along the batch axes"
    return [*head, *(number for row, column in steps for number in (0, row, column)), *batch]

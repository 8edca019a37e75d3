"""How the kernels of Winograd's filtering go through tiles."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from lamina.codegen.builder import Builder
from lamina.codegen.types import i64
from lamina.codegen.values import Value
from lamina.kernels.convolution.winograd_stages import LONGEST_RUN


@dataclass(frozen=True, slots=True)
class Run:
    """Neighbouring tiles of one row: the number of the first in its block, its place, how many."""

    first: Value
    image: Value
    row: Value
    column: Value
    tiles: Value


@contextmanager
def runs(k: Builder, start: Value, tiles: Value, rows: Value, columns: Value) -> Iterator[Run]:
    """Go through `tiles` tiles from tile `start` on, a run at a time; an image has rows × columns
    of them.
    """
    at = k.cell(i64, 0)
    with k.repeat_while(lambda: at.get() < tiles):
        tile = start + at.get()
        column, line = tile % columns, tile // columns
        left = k.minimum(columns - column, tiles - at.get())
        count = k.minimum(left, LONGEST_RUN)
        yield Run(at.get(), line // rows, line % rows, column, count)
        at.set(at.get() + count)

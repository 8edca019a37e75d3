"""Memory for the results of a program, lent to the caller and used again when it is let go."""

import sys
from collections import deque
from collections.abc import Sequence
from typing import final

from lamina.dtypes import DType
from lamina.layout import Layout
from lamina.memory import Array, allocate

_Kind = tuple[int, Layout, DType]
# Without a lock of the interpreter's own a count is no proof that nobody else holds something.
_is_counted = getattr(sys, "_is_gil_enabled", lambda: True)


@final
class Lending:
    """Gives arrays of such (bytes, layout, dtype) for results.

    Those of the last run are taken again if nobody holds them any more: neither the arrays, nor
    their storage, nor the bytes, of which numpy's views keep hold.
    """

    def __init__(self, kinds: Sequence[_Kind]) -> None:
        self._kinds = kinds
        self._lent: deque[list[Array]] = deque(maxlen=1)
        self._alone = _holders(self._new()) if _is_counted() and kinds else None

    def take(self) -> list[Array]:
        """Return arrays whose content is undefined."""
        try:
            arrays = self._lent.pop()
        except IndexError:
            return self._new()
        return arrays if _holders(arrays) == self._alone else self._new()

    def give(self, arrays: list[Array]) -> None:
        """Keep in mind what is lent now."""
        if self._alone is not None:
            self._lent.append(arrays)

    def release(self) -> None:
        """Forget what is lent."""
        self._lent.clear()

    def _new(self) -> list[Array]:
        return [Array(allocate(nbytes), layout, dtype) for nbytes, layout, dtype in self._kinds]


def _holders(arrays: list[Array]) -> list[int]:
    """Return how many references there are to each array, its storage and its bytes, not counting
    those of a view that nobody else holds.
    """
    count = sys.getrefcount
    found: list[int] = []
    for array in arrays:
        array.let_go_of_view()
        storage = array.storage
        found += (count(array), count(storage), count(storage.buffer))
    return found

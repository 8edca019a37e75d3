"""Which bytes are saved: what tensors share once, what lies between them not at all."""

from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple, final

import numpy as np

from lamina.layout import Layout, contiguous
from lamina.memory import Array
from lamina.memory.array import NDArray

# Storage, dtype and layout: arrays of one key are the same elements.
Key = tuple[int, str, Layout]


class Home(NamedTuple):
    """Where a tensor lies: in which section, and how, counted in elements of that section."""

    section: int
    layout: Layout


@final
class Sections:
    """The sections of a file to be written, and the home of each array in them."""

    def __init__(self, arrays: Iterable[Array]) -> None:
        self.data: list[NDArray] = []
        self._homes: dict[Key, Home] = {}
        distinct = {_key(a): a for a in arrays}
        sharing: defaultdict[tuple[int, str], list[Array]] = defaultdict(list)
        for array in distinct.values():
            if array.layout.overlaps_itself or not array.layout.size:
                self._add_alone(array)
            else:
                sharing[_key(array)[:2]].append(array)
        for group in sharing.values():
            for cluster in _clusters(group):
                self._add(cluster)

    def home_of(self, array: Array) -> Home:
        """Return where one of the arrays lies."""
        return self._homes[_key(array)]

    def _add(self, cluster: list[Array]) -> None:
        low, high = _reach(cluster)
        if high - low > sum(a.layout.size for a in cluster):
            for array in cluster:
                self._add_alone(array)
            return
        for array in cluster:
            layout = array.layout
            home = Home(len(self.data), layout._replace(offset=layout.offset - low))
            self._homes[_key(array)] = home
        size = cluster[0].dtype.itemsize
        memory = cluster[0].storage.buffer
        self.data.append(np.ndarray(((high - low) * size,), np.uint8, memory, low * size))

    def _add_alone(self, array: Array) -> None:
        self._homes[_key(array)] = Home(len(self.data), contiguous(array.shape))
        values = np.asarray(array.numpy(), order="C")
        self.data.append(values.reshape(-1).view(np.uint8))


def _key(array: Array) -> Key:
    return id(array.storage), array.dtype.name, array.layout


def _reach(cluster: list[Array]) -> tuple[int, int]:
    """Return the first and one-past-last element that any of the arrays touches."""
    spans = [a.layout.span for a in cluster]
    return min(low for low, _ in spans), max(high for _, high in spans)


def _clusters(arrays: list[Array]) -> list[list[Array]]:
    """Return arrays of one storage in groups whose spans overlap."""
    clusters: list[list[Array]] = []
    end = 0
    for array in sorted(arrays, key=lambda a: a.layout.span):
        low, high = array.layout.span
        if clusters and low < end:
            clusters[-1].append(array)
        else:
            clusters.append([array])
        end = max(end, high)
    return clusters

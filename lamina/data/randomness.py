"""Random numbers that belong to a sample: the same whichever thread makes it, and when.

They are a function of the epoch's draw and of the sample's place in the epoch. Outside a loader
they come from Lamina's default generator.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from lamina.philox import State, default_generator

Place = tuple[int, int]


class _Current(threading.local):
    place: tuple[State, Place] | None = None
    generator: np.random.Generator | None = None


_current = _Current()


@contextmanager
def sample_at(epoch: State, place: Place) -> Iterator[None]:
    """Let `sample_generator` in this thread be that of a sample: batch and place in the batch."""
    before = _current.place, _current.generator
    _current.place, _current.generator = (epoch, place), None
    try:
        yield
    finally:
        _current.place, _current.generator = before


def sample_generator() -> np.random.Generator:
    """Return the random numbers of the sample that is being made in this thread.

    For a `Dataset` or transform that augments: what it draws here is repeatable, whatever the
    number of workers, and after a restart in the middle of an epoch.
    """
    if _current.place is None:
        return default_generator.next()
    if _current.generator is None:
        (seed, draw), (batch, index) = _current.place
        # The order of the epoch is drawn from the numbers of this draw that begin at 0, 0.
        counter: Any = np.array([0, (batch << 32) + index + 1, draw, 0], np.uint64)
        _current.generator = np.random.Generator(np.random.Philox(key=seed, counter=counter))
    return _current.generator

"""Counter-based random numbers: draw n of seed s is a function of (s, n), whatever ran before.

Philox4x64-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011), numpy's own.
The whole state is two integers, so it can be saved, restored and replayed exactly.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, final

import numpy as np

from lamina.errors import ArgumentError, CaptureError

State = tuple[int, int]
Numbers = np.ndarray[Any, np.dtype[np.uint64]]


@final
class Generator:
    """A stream of draws: `seed`, and the number of draws made. Safe to use from any thread.

    >>> stream = Generator(7)
    >>> before = stream.state
    >>> first = stream.next().random()
    >>> stream.state = before
    >>> stream.next().random() == first
    True
    """

    def __init__(self, seed: int = 0) -> None:
        self._lock = threading.Lock()
        self.manual_seed(seed)

    def manual_seed(self, seed: int) -> "Generator":
        """Start again from `seed`; return the generator itself."""
        if not hasattr(seed, "__index__") or not 0 <= seed < 1 << 64:
            raise ArgumentError(f"seed {seed!r} given; expected a whole number from 0 to 2**64 − 1")
        self._seed, self._draws = seed, 0
        return self

    @property
    def state(self) -> State:
        """Seed and number of draws so far; assign it to go back to that point."""
        return self._seed, self._draws

    @state.setter
    def state(self, value: State) -> None:
        self._seed, self._draws = value

    def advance(self) -> State:
        """Return the state of the next draw, and go past it."""
        with self._lock:
            draw = self._draws
            self._draws += 1
        return self._seed, draw

    def numbers(self) -> Numbers:
        """Return the state of the next draw as an array, and go past it: kernels read it there."""
        numbers: Numbers = np.array(self.advance(), np.uint64)
        if _watch.draws is not None:
            _watch.draws.append((self, numbers))
        return numbers

    def next(self) -> np.random.Generator:
        """Return numpy's generator for the next draw."""
        if _watch.draws is not None:
            raise CaptureError(
                "random numbers were drawn in a function that is being compiled, and would be the "
                "same in each call; draw them outside and pass them in, or use dropout"
            )
        return stream(self.advance())


Draws = list[tuple[Generator, Numbers]]


class _Watch(threading.local):
    """Who wants to know of this thread's draws."""

    draws: Draws | None = None


_watch = _Watch()


@contextmanager
def watched() -> Iterator[Draws]:
    """Give the list of draws made by `numbers` in this thread; generators stand still meanwhile."""
    before, _watch.draws = _watch.draws, []
    found = _watch.draws
    try:
        yield found
    finally:
        _watch.draws = before
        # The latest first: the state of a generator goes back to what it was before its first draw.
        for generator, numbers in reversed(found):
            generator.state = (int(numbers[0]), int(numbers[1]))


def stream(state: State) -> np.random.Generator:
    """Return numpy's generator for one draw of a seed; each draw has 2¹²⁸ numbers of its own."""
    seed, draw = state
    counter: Any = np.array([0, 0, draw, 0], np.uint64)
    return np.random.Generator(np.random.Philox(key=seed, counter=counter))


default_generator = Generator(0)

"""Where ops go while a function is compiled: into a graph instead of being run.

The tape and the tensors know a recorder only by this face.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, final

from lamina.memory import Array
from lamina.memory.array import NDArray
from lamina.ops.registry import Arrays, Op

Undo = Callable[[], None]
Fill = Callable[[], tuple[Sequence[float], Undo]]
"""Gives the numbers of a run, and what undoes all that was moved on for them."""


class Unready(Exception):
    """What is done now differs from what will be done in all later runs: run it once as it is."""


class Changed(Exception):
    """What was taken down is no longer what would be done."""


@final
class Changes:
    """Counts what may break a guard: a mode, a part of a module, an option that was set."""

    count = 0


changes = Changes()


class Recorder(ABC):
    """Takes down what a function does to arrays."""

    __slots__ = ()

    @abstractmethod
    def apply(self, op: Op, inputs: Sequence[Array]) -> Arrays:
        """Return what stands for the output of `op`."""

    @abstractmethod
    def meet(self, tensors: Sequence[Any]) -> None:
        """Hear which tensors an op is about to be applied to."""

    @abstractmethod
    def write(self, target: Array, value: Array) -> None:
        """Let `target`, and all that views its memory, hold `value` from here on."""

    @abstractmethod
    def feed(self, example: NDArray, fill: Fill) -> Array:
        """Return numbers like `example`, which `fill` gives anew for each run."""

    @abstractmethod
    def keep(self, array: Array) -> None:
        """Let `array` count as made before the function was compiled: it lasts between runs."""

    @abstractmethod
    def note_gradient(self, leaf: Any) -> None:
        """Hear that a gradient is about to be added to what `leaf` has."""

    @abstractmethod
    def spend_gradient(self, leaf: Any) -> None:
        """Hear that an optimiser has used the gradient of `leaf`: nobody reads it after the run."""

    @abstractmethod
    def guard(self, holds: Callable[[], bool]) -> None:
        """Let what is recorded stand only while `holds()`; it is asked when `changes` moved on."""

"""Programs that are timed call by call."""

from collections.abc import Iterable
from time import perf_counter
from typing import Any, final

from lamina.graph.bind import HostCall
from lamina.graph.program import Frame, Program
from lamina.kernels.launch import Launch


@final
class TimedProgram(Program):
    """A program that makes its calls one at a time, and notes how long each takes."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.seconds: list[float] = []

    def _runs(self, calls: Iterable[Launch | HostCall]) -> Iterable[list[Launch] | HostCall]:
        for call in calls:
            yield [call] if isinstance(call, Launch) else call

    def _make(self, part: Any, frame: Frame) -> None:
        start = perf_counter()
        super()._make(part, frame)
        self.seconds.append(perf_counter() - start)

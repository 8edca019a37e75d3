"""Programs that are timed call by call."""

from collections.abc import Iterable
from time import perf_counter
from typing import Any, final

from lamina.graph.bind import Call, HostCall
from lamina.graph.program import Frame, Program
from lamina.graph.tables import Jump, Label, Step


@final
class TimedProgram(Program):
    """A program that makes its calls one at a time, and notes how long each takes."""

    def __init__(self, *given: Any) -> None:
        self.titles: list[str] = []
        super().__init__(*given)
        self.seconds: list[float] = []

    def _runs(self, calls: Iterable[Call]) -> Iterable[list[Step] | HostCall]:
        region: list[Step] = []
        left = sum(isinstance(call, Jump | Label) for call in calls)
        for name, call in self.calls:
            left -= isinstance(call, Jump | Label)
            if isinstance(call, HostCall):
                self.titles.append(name)
                yield call
                continue
            region.append(call)
            # From the first jump or label to the last, calls are made together.
            if left == 0 or not any(isinstance(step, Jump | Label) for step in region):
                self.titles.append(name)
                yield region
                region = []

    def _make(self, part: Any, frame: Frame) -> None:
        start = perf_counter()
        super()._make(part, frame)
        self.seconds.append(perf_counter() - start)

"""The live line of a training run."""

from types import TracebackType
from typing import Any, final

from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn


@final
class TrainingBar:
    """A progress bar with loss, accuracy, samples a second and the time that is left."""

    def __init__(self, epochs: int, batches: Any, *, visible: bool) -> None:
        self.epochs = epochs
        count = _count(batches)
        steps = None if count is None else epochs * count
        self._bar = Progress(
            TextColumn("epoch {task.fields[epoch]}/{task.fields[epochs]}"),
            BarColumn(bar_width=None),
            TextColumn("loss {task.fields[loss]:.4f}"),
            TextColumn("accuracy {task.fields[metric]:.2%}"),
            TextColumn("{task.fields[rate]:,.0f} samples/s"),
            TextColumn("ETA"),
            TimeRemainingColumn(compact=True),
            disable=not visible,
        )
        self._samples = 0
        self._task = self._bar.add_task(
            "train", total=steps, epoch=0, epochs=epochs, loss=0.0, metric=0.0, rate=0.0
        )

    def __enter__(self) -> "TrainingBar":
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def advance(self, epoch: int, loss: float, metric: float, samples: int) -> None:
        """Show one more batch of `samples`, and the epoch's means so far."""
        self._samples += samples
        elapsed = self._bar.tasks[0].elapsed or 0.0
        rate = self._samples / elapsed if elapsed else 0.0
        self._bar.update(self._task, advance=1, epoch=epoch, loss=loss, metric=metric, rate=rate)


def _count(batches: Any) -> int | None:
    """Return how many batches an epoch has; None where that is not known before it ends."""
    try:
        return len(batches)
    except TypeError:
        return None

"""The training loop and its counterpart on held-out data."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from lamina.autograd import no_grad
from lamina.nn import Module
from lamina.ops.shapes.copying import concat
from lamina.optim import Optimizer
from lamina.tensor import Tensor
from lamina.train.progress import TrainingBar

Loss = Callable[[Tensor, Tensor], Tensor]
Metric = Callable[[Tensor, Tensor], float]
Batches = Iterable[tuple[Tensor, Tensor]]


@dataclass(frozen=True, slots=True)
class EpochResult:
    """What one pass over the data came to; `metric` and the held-out figures where asked for."""

    epoch: int
    loss: float
    metric: float | None
    held_out_loss: float | None
    held_out_metric: float | None
    samples: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A model's outputs on a data set, beside what was expected of it."""

    outputs: Tensor
    targets: Tensor
    loss: float


def accuracy(outputs: Tensor, targets: Tensor) -> float:
    """Return the share of rows whose largest score is at the target class.

    >>> accuracy(Tensor([[0.1, 0.9], [0.8, 0.2]]), Tensor([1, 1]))
    0.5
    """
    return float((outputs.argmax(1) == targets).to("float32").mean().item())


def train_step(
    model: Module, optimizer: Optimizer, loss: Loss, inputs: Tensor, targets: Tensor
) -> tuple[float, Tensor]:
    """Update the model once from a batch; return the loss before the update, and the outputs."""
    optimizer.zero_grad()
    outputs = model(inputs)
    value = loss(outputs, targets)
    value.backward()
    optimizer.step()
    return value.item(), outputs.detach()


def evaluate(model: Module, batches: Batches, loss: Loss) -> Evaluation:
    """Return what the model, in evaluation mode and without recording, makes of all batches."""
    was_training = model.training
    model.eval()
    outputs, targets, total, seen = [], [], 0.0, 0
    with no_grad():
        for x, y in batches:
            out = model(x)
            total += loss(out, y).item() * len(y)
            seen += len(y)
            outputs.append(out)
            targets.append(y)
    model.train(was_training)
    return Evaluation(concat(outputs), concat(targets), total / max(seen, 1))


def fit(
    model: Module,
    batches: Batches,
    *,
    loss: Loss,
    optimizer: Optimizer,
    epochs: int,
    metric: Metric | None = None,
    held_out: Batches | None = None,
    scheduler: Any = None,
    show: str = "bar",
) -> list[EpochResult]:
    """Train for `epochs` passes over `batches`; return a result for each.

    `scheduler.step()` is called after every batch. `show` is "bar" (a live line in the terminal) or
    "nothing". The loss and metric of an epoch are means over its samples, taken during training.
    """
    results: list[EpochResult] = []
    with TrainingBar(epochs, batches, visible=show == "bar") as bar:
        for epoch in range(1, epochs + 1):
            started = time.perf_counter()
            model.train()
            loss_sum = metric_sum = 0.0
            samples = 0
            for inputs, targets in batches:
                value, outputs = train_step(model, optimizer, loss, inputs, targets)
                if scheduler is not None:
                    scheduler.step()
                count = len(targets)
                samples += count
                loss_sum += value * count
                metric_sum += metric(outputs, targets) * count if metric else 0.0
                bar.advance(epoch, loss_sum / samples, metric_sum / samples, count)
            seconds = time.perf_counter() - started
            results.append(
                _epoch_result(
                    (epoch, samples, seconds),
                    (loss_sum, metric_sum),
                    metric,
                    evaluate(model, held_out, loss) if held_out is not None else None,
                )
            )
    return results


def _epoch_result(
    run: tuple[int, int, float],
    sums: tuple[float, float],
    metric: Metric | None,
    held_out: Evaluation | None,
) -> EpochResult:
    epoch, samples, seconds = run
    count = max(samples, 1)
    beside = metric(held_out.outputs, held_out.targets) if metric and held_out else None
    return EpochResult(
        epoch=epoch,
        loss=sums[0] / count,
        metric=sums[1] / count if metric else None,
        held_out_loss=held_out.loss if held_out else None,
        held_out_metric=beside,
        samples=samples,
        seconds=seconds,
    )

"""Pictures of a training run, through matplotlib (extra `viz`)."""

import os
from collections.abc import Sequence
from typing import Any

from lamina.errors import MissingExtraError
from lamina.tensor import Tensor
from lamina.train.loop import EpochResult


def _new_figure(width: float, height: float) -> Any:
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingExtraError(
            "pictures need matplotlib, which is not installed; run pip install 'lamina[viz]'"
        ) from None
    return Figure(figsize=(width, height), layout="constrained")


def draw_training(
    path: str | os.PathLike[str],
    results: Sequence[EpochResult],
    confusion: Tensor,
    names: Sequence[str],
) -> None:
    """Write a PNG: the learning curves on the left, the confusion matrix on the right."""
    figure = _new_figure(12, 5)
    curves, matrix = figure.subplots(1, 2)
    _draw_curves(curves, results)
    _draw_confusion(matrix, confusion, names)
    figure.savefig(os.fspath(path), dpi=120)


def _draw_curves(axes: Any, results: Sequence[EpochResult]) -> None:
    epochs = [r.epoch for r in results]
    axes.plot(epochs, [r.loss for r in results], color="tab:blue", label="training loss")
    axes.plot(
        epochs, [r.held_out_loss for r in results], color="tab:blue", ls="--", label="held-out loss"
    )
    axes.set(xlabel="epoch", ylabel="cross-entropy (nats)", yscale="log", title="Learning curve")
    shares = axes.twinx()
    shares.plot(epochs, [r.metric for r in results], color="tab:orange", label="training accuracy")
    shares.plot(
        epochs,
        [r.held_out_metric for r in results],
        color="tab:orange",
        ls="--",
        label="held-out accuracy",
    )
    shares.set(ylabel="accuracy", ylim=(0.8, 1.002))
    lines = [*axes.get_lines(), *shares.get_lines()]
    axes.legend(lines, [line.get_label() for line in lines], loc="center right")


def _draw_confusion(axes: Any, confusion: Tensor, names: Sequence[str]) -> None:
    counts = confusion.numpy()
    shares = counts / counts.sum(axis=1, keepdims=True).clip(1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for row, column in ((r, c) for r in range(len(names)) for c in range(len(names))):
        if counts[row, column]:
            shade = "white" if shares[row, column] > 0.5 else "black"
            axes.text(column, row, counts[row, column], ha="center", va="center", color=shade)
    axes.set(xlabel="predicted", ylabel="true", title="Confusion on held-out images")
    axes.set_xticks(range(len(names)), names)
    axes.set_yticks(range(len(names)), names)

"""`lamina quickstart`: a small CNN on handwritten digits, from the first line to a picture."""

import time
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

import lamina.nn.functional as F
from lamina import nn, optim
from lamina.codegen.threads import num_threads, set_num_threads
from lamina.data import DataLoader, Dataset, digits
from lamina.data.transforms import RandomAffine
from lamina.errors import MissingExtraError
from lamina.formats import load, save
from lamina.tensor import Tensor
from lamina.tensor.random import manual_seed
from lamina.train import (
    EpochResult,
    Evaluation,
    accuracy,
    class_scores,
    confusion_matrix,
    draw_training,
    evaluate,
    fit,
)

NAMES = [str(digit) for digit in range(10)]


class DigitNet(nn.Module):
    """Three 3×3 convolutions and two linear layers for 8×8 images: 40,618 parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            *(nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU()),
            *(nn.Conv2d(16, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Conv2d(32, 64, 3, padding=1), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(2)),
        )
        self.classify = nn.Sequential(
            *(nn.Flatten(), nn.Dropout(0.25), nn.Linear(64 * 2 * 2, 64), nn.ReLU()),
            *(nn.Dropout(0.25), nn.Linear(64, 10)),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return the scores (N, 10) of images (N, 1, 8, 8)."""
        return self.classify(self.features(x))


class Varied(Dataset):
    """Labelled images, each a little turned, moved and scaled anew whenever it is drawn."""

    def __init__(self, images: Dataset) -> None:
        self.images = images
        self.vary = RandomAffine(degrees=12, translate=(0.1, 0.1), scale=(0.85, 1.15))

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        image, label = self.images[index]
        return self.vary(image), label

    def __len__(self) -> int:
        return len(self.images)


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


@click.command()
@click.option("--epochs", default=24, show_default=True, type=click.IntRange(1), help="Passes.")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0), help="Random seed.")
@click.option("--threads", default=None, type=click.IntRange(1), help="Size of the thread team.")
@click.option(
    "--out",
    default="lamina-quickstart",
    show_default=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for the checkpoint and the picture.",
)
def quickstart(epochs: int, seed: int, threads: int | None, out: Path) -> None:
    """Train a small CNN on handwritten digits and judge it."""
    console = Console()
    if threads is not None:
        set_num_threads(threads)
    out.mkdir(parents=True, exist_ok=True)
    started = time.perf_counter()
    manual_seed(seed)
    model = DigitNet()
    train = DataLoader(Varied(digits("train")), batch_size=32, shuffle=True, drop_last=True)
    held_out = DataLoader(digits("test"), batch_size=360)
    console.print(
        f"{len(train.dataset)} images to learn from, {len(held_out.dataset)} held out, "
        f"{sum(p.numel() for p in model.parameters()):,} parameters, "
        f"{_counted(num_threads(), 'thread')}"
    )
    optimizer = optim.AdamW(model.parameters(), weight_decay=1e-2)
    steps = epochs * len(train)
    schedule = optim.lr_scheduler.OneCycleLR(optimizer, max_lr=3e-3, total_steps=steps)
    results = fit(
        model,
        train,
        loss=F.cross_entropy,
        optimizer=optimizer,
        epochs=epochs,
        metric=accuracy,
        held_out=held_out,
        scheduler=schedule,
    )
    checkpoint = out / "digits.lamina"
    save({"model": model.state_dict(), "seed": seed, "epochs": epochs}, checkpoint)
    restored = DigitNet()
    restored.load_state_dict(load(checkpoint)["model"])
    judged = evaluate(restored, held_out, F.cross_entropy)
    _report(console, judged)
    _draw(console, out / "digits.png", results, judged)
    console.print(
        f"checkpoint {checkpoint} ({checkpoint.stat().st_size:,} bytes), reloaded and judged: "
        f"[bold]{accuracy(judged.outputs, judged.targets):.2%}[/bold] of held-out images right, "
        f"loss {judged.loss:.6f}, {time.perf_counter() - started:.1f} s in all"
    )
    _next_commands(console)


def _predictions(judged: Evaluation) -> Tensor:
    return judged.outputs.argmax(1)


def _report(console: Console, judged: Evaluation) -> None:
    table = Table(title="Held-out images, class by class", title_justify="left")
    for column in ("digit", "images", "precision", "recall", "F1"):
        table.add_column(column, justify="right")
    for score in class_scores(confusion_matrix(_predictions(judged), judged.targets, 10)):
        table.add_row(
            NAMES[score.label],
            str(score.count),
            *(f"{share:.1%}" for share in (score.precision, score.recall, score.f1)),
        )
    console.print(table)


def _draw(console: Console, path: Path, results: list[EpochResult], judged: Evaluation) -> None:
    confusion = confusion_matrix(_predictions(judged), judged.targets, 10)
    try:
        draw_training(path, results, confusion, NAMES)
    except MissingExtraError as missing:
        console.print(f"no picture: {missing}")
    else:
        console.print(f"picture {path}: learning curve and confusion matrix")


def _next_commands(console: Console) -> None:
    console.print("\nNext:")
    for command, purpose in (
        ("lamina quickstart --seed 1 --epochs 12", "another start, half as long"),
        ("lamina doctor", "what this processor can do"),
        ("python examples/xor.py", "a network of nine weights learns XOR from a CSV file"),
    ):
        console.print(f"  [bold]{command}[/bold]  [dim]# {purpose}[/dim]", highlight=False)

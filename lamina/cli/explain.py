"""`lamina explain`: what runs in one function of tensors, for shapes given on the command line."""

from typing import get_args

import click

import lamina.nn.functional as F
from lamina import array_api
from lamina.errors import ArgumentError
from lamina.operate.explain import Stage
from lamina.operate.explain import explain as explain_call
from lamina.tensor import Tensor
from lamina.tensor.random import randn


@click.command()
@click.argument("name")
@click.argument("shapes", nargs=-1, required=True)
@click.option(
    "--stage",
    type=click.Choice(get_args(Stage)),
    default="summary",
    show_default=True,
    help="How deep to look.",
)
def explain(name: str, shapes: tuple[str, ...], stage: Stage) -> None:
    """Print what runs in function NAME of random float32 tensors of SHAPES, such as 64x3x3.

    NAME is that of a function of `lamina` or of `lamina.nn.functional`: matmul, exp, conv2d …
    """
    function = getattr(array_api, name, None) or getattr(F, name, None)
    if not callable(function):
        raise ArgumentError(f"explain: no function is named {name!r}; try matmul, exp or conv2d")
    explain_call(function, *map(_random, shapes), stage=stage)


def _random(shape: str) -> Tensor:
    sizes = shape.split("x")
    if not all(size.isdigit() for size in sizes):
        raise ArgumentError(f"explain: {shape!r} is no shape; write 64x32 for (64, 32)")
    return randn(*map(int, sizes))

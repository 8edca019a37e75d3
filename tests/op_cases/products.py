"""Matrix products: leading axes that stretch, empty and large ones."""

import numpy as np

from lamina.ops.algebra.products import Matmul

from .case import NUMBERS, Case
from .drawing import normal


def row(label: str, left: tuple[int, ...], right: tuple[int, ...], *more: object) -> Case:
    return Case(
        Matmul(),
        (normal(*left), normal(*right)),
        np.matmul,
        ulp=8,
        why="a sum of at most 40 products, of about 1 each",
        scale=8,
        label=label,
        dtypes=NUMBERS,
        shapes=more,  # type: ignore[arg-type]
    )


CASES = [
    row("plain", (3, 4), (4, 5), ((0, 4), (4, 5)), ((3, 0), (0, 5)), ((1, 40), (40, 1))),
    row("batch", (2, 3, 4), (2, 4, 2)),
    row("stretched", (2, 1, 3, 4), (3, 4, 2)),
    row("shared", (2, 3, 4), (4, 5)),
    row("tiles", (17, 9), (9, 35)),
]

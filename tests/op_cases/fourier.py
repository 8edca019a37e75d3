"""Fourier transforms against the sums that define them."""

from collections.abc import Callable
from typing import Any

import numpy as np

from lamina.ops.algebra.fourier import Fourier

from .case import COMPLEX, Case
from .drawing import normal

REAL = ("float64", "float32")
WHY = "log₂ N roundings of the largest term"


def phases(n: int, sign: int) -> Any:
    """exp(±2πi·jk/n) in extended precision."""
    steps = np.outer(np.arange(n), np.arange(n)) % n
    turn = 2 * np.arctan2(np.longdouble(0), np.longdouble(-1)) * steps / n
    return np.cos(turn) + sign * 1j * np.sin(turn)


def transform(x: Any, n: int, axis: int, sign: int = -1) -> Any:
    """Σⱼ x[j]·exp(±2πi·jk/n) along an axis, of `x` cut or filled with zeros to `n`."""
    moved = np.moveaxis(x, axis, -1)[..., :n]
    filled = np.zeros((*moved.shape[:-1], n), np.clongdouble)
    filled[..., : moved.shape[-1]] = moved
    return np.moveaxis(filled @ phases(n, sign), -1, axis)


def mirrored(half: Any, n: int) -> Any:
    """The Hermitian whole of a half of the last axis; what has no partner counts as real."""
    whole = np.zeros((*half.shape[:-1], n), np.clongdouble)
    whole[..., : n // 2 + 1] = half
    whole[..., n // 2 + 1 :] = np.conj(half[..., (n - 1) // 2 : 0 : -1])
    alone = [0] if n % 2 else [0, n // 2]
    whole[..., alone] = whole[..., alone].real
    return whole


def row(
    kind: Any, sizes: Any, axes: Any, norm: Any, oracle: Callable[[Any], Any], **options: Any
) -> Case:
    label = f"{kind} {sizes} {axes} {norm}"
    op = Fourier(kind, sizes, axes, norm)
    settings = {"inputs": (normal(2, 5),), "dtypes": (*REAL, *COMPLEX), **options}
    return Case(op, oracle=oracle, label=label, ulp=8, why=WHY, scale=4.0, **settings)


CASES = [
    row("fftn", (5,), (1,), "backward", lambda x: transform(x, 5, 1)),
    row("fftn", (8,), (1,), "ortho", lambda x: transform(x, 8, 1) / np.sqrt(np.longdouble(8))),
    row("fftn", (3, 4), (0, 1), "forward", lambda x: transform(transform(x, 4, 1), 3, 0) / 12),
    row("ifftn", (4,), (1,), "backward", lambda x: transform(x, 4, 1, 1) / 4),
    row("rfftn", (5,), (1,), "backward", lambda x: transform(x, 5, 1)[:, :3], dtypes=REAL),
    row(
        "rfftn",
        (2, 6),
        (0, 1),
        "backward",
        lambda x: transform(transform(x, 6, 1)[:, :4], 2, 0),
        dtypes=REAL,
    ),
    row(
        "irfftn",
        (8,),
        (1,),
        "backward",
        lambda x: transform(mirrored(x, 8), 8, 1, 1).real / 8,
        dtypes=COMPLEX,
    ),
    row(
        "irfftn",
        (7,),
        (1,),
        "forward",
        lambda x: transform(mirrored(x[:, :4], 7), 7, 1, 1).real,
        dtypes=COMPLEX,
    ),
]

"""Convolution: strides, paddings, gaps in kernel and input, groups of channels and of samples."""

from itertools import product
from typing import Any

import numpy as np

from lamina.ops.layers.convolution import Conv

from .case import NUMBERS, Case
from .drawing import normal


def summed(op: Conv) -> Any:
    """The defining sum, one output place and one tap at a time."""

    def oracle(x: Any, w: Any) -> Any:
        batch, outputs = len(x) // op.batch_groups, len(w)
        out = np.zeros((batch, outputs, *op.out_spatial), x.dtype)
        each = outputs // (op.groups * op.batch_groups)
        for o, place, tap in product(range(outputs), places(op.out_spatial), places(w.shape[2:])):
            source = read_at(op, place, tap, x.shape[2:])
            if source is None:
                continue
            part = o // each
            samples = (
                slice(part * batch, (part + 1) * batch) if op.batch_groups > 1 else slice(None)
            )
            first = part * w.shape[1] if op.groups > 1 else 0
            values = x[(samples, slice(first, first + w.shape[1]), *source)]
            out[(slice(None), o, *place)] += values @ w[(o, slice(None), *tap)]
        return out

    return oracle


def places(sizes: tuple[int, ...]) -> Any:
    return product(*map(range, sizes))


def read_at(op: Conv, place: Any, tap: Any, sizes: tuple[int, ...]) -> tuple[int, ...] | None:
    """Where an output place reads for a tap; None: a zero of the padding or of a gap."""
    options = zip(op.stride, op.dilation, op.padding, strict=True)
    spread = [
        p * stride + k * dilation - padding
        for p, k, (stride, dilation, padding) in zip(place, tap, options, strict=True)
    ]
    if any(at % gap for at, gap in zip(spread, op.input_dilation, strict=True)):
        return None
    found = tuple(at // gap for at, gap in zip(spread, op.input_dilation, strict=True))
    inside = all(0 <= at < n for at, n in zip(found, sizes, strict=True))
    return found if inside else None


def row(label: str, x: Any, w: Any, spatial: Any, *settings: Any, **groups: int) -> Case:
    count = len(spatial)
    stride, padding, dilation, gaps = ((s,) * count if isinstance(s, int) else s for s in settings)
    op = Conv(spatial, stride, padding, dilation, gaps, **groups)
    why = "a sum of at most 16 products, of about 1 each"
    dtypes = NUMBERS if label == "plane" else None
    return Case(op, (x, w), summed(op), ulp=6, why=why, scale=4, label=label, dtypes=dtypes)


CASES = [
    row("line", normal(2, 2, 6), normal(3, 2, 3), (4,), 1, 0, 1, 1),
    row("plane", normal(2, 2, 4, 5), normal(3, 2, 3, 2), (2, 3), 2, 1, 1, 1),
    row("volume", normal(1, 2, 3, 3, 4), normal(2, 2, 2, 1, 2), (2, 3, 3), 1, 0, 1, 1),
    row("dilated", normal(1, 2, 5, 6), normal(2, 2, 2, 2), (3, 3), 1, 0, (2, 3), 1),
    row("spread", normal(1, 2, 3, 2), normal(2, 2, 2, 3), (5, 4), 1, (1, 2), 1, (2, 3)),
    row("cut", normal(1, 2, 6), normal(2, 2, 2), (3,), 1, -1, 1, 1),
    row("long", normal(1, 1, 3), normal(2, 1, 2), (6,), 1, 1, 1, 1),
    row("groups", normal(2, 4, 4), normal(4, 2, 2), (3,), 1, 0, 1, 1, groups=2),
    row("depthwise", normal(1, 3, 3, 3), normal(6, 1, 2, 2), (2, 2), 1, 0, 1, 1, groups=3),
    row("batch-groups", normal(4, 2, 4), normal(4, 2, 2), (3,), 1, 0, 1, 1, batch_groups=2),
    row("strided-spread", normal(1, 1, 4), normal(1, 1, 3), (3,), 3, 2, 2, 2),
]

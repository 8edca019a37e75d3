"""Tensors taken apart along an axis: every part is a view."""

from collections.abc import Sequence
from itertools import pairwise

from lamina.errors import ArgumentError, ShapeError
from lamina.layout import normalize_axis
from lamina.ops.registry import Value


def cut(x: Value, axis: int, start: int, stop: int) -> Value:
    """Return a view of the places from `start` to short of `stop` of an axis."""
    return x[(slice(None),) * axis + (slice(start, stop),)]


def split(x: Value, size: int | Sequence[int], axis: int = 0) -> tuple[Value, ...]:
    """Return parts of `size` places each, the last perhaps smaller; or of the sizes listed.

    >>> import lamina
    >>> split(lamina.arange(5), 2)
    (Tensor([0, 1]), Tensor([2, 3]), Tensor([4]))
    """
    place = normalize_axis(axis, len(x.shape))
    total = x.shape[place]
    if isinstance(size, int):
        if size < 1 and total:
            raise ArgumentError(f"split: parts of {size} given; expected 1 or more")
        bounds = [*range(0, total, max(size, 1)), total] if total else [0, 0]
    else:
        bounds = [0]
        for n in size:
            bounds.append(bounds[-1] + n)
        if bounds[-1] != total or min(size, default=0) < 0:
            raise ShapeError(f"split: sizes {tuple(size)} given for {total}; expected that sum")
    return _between(x, bounds, place)


def chunk(x: Value, chunks: int, axis: int = 0) -> tuple[Value, ...]:
    """Return at most `chunks` parts of equal size, the last perhaps smaller."""
    if chunks < 1:
        raise ArgumentError(f"chunk: {chunks} chunks given; expected 1 or more")
    total = x.shape[normalize_axis(axis, len(x.shape))]
    if not total:
        return (x,) * chunks
    return split(x, -(-total // chunks), axis)


def tensor_split(x: Value, sections: int | Sequence[int], axis: int = 0) -> tuple[Value, ...]:
    """Return `sections` parts whose sizes differ by at most 1, or parts cut before those places."""
    place = normalize_axis(axis, len(x.shape))
    total = x.shape[place]
    if not isinstance(sections, int):
        return _between(x, [0, *(slice(0, s).indices(total)[1] for s in sections), total], place)
    if sections < 1:
        raise ArgumentError(f"tensor_split: {sections} sections given; expected 1 or more")
    share, longer = divmod(total, sections)
    bounds = [i * share + min(i, longer) for i in range(sections + 1)]
    return _between(x, bounds, place)


def unstack(x: Value, axis: int = 0) -> tuple[Value, ...]:
    """Return a view of each place of an axis, that axis gone."""
    place = normalize_axis(axis, len(x.shape))
    return tuple(x[(slice(None),) * place + (i,)] for i in range(x.shape[place]))


def _between(x: Value, bounds: Sequence[int], axis: int) -> tuple[Value, ...]:
    return tuple(cut(x, axis, a, max(a, b)) for a, b in pairwise(bounds))

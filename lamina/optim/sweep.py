"""One pass of a rule over a parameter, a run of elements at a time.

A rule makes about a dozen passes over its arrays; in runs of this length they meet the data in the
cache, whatever the size of the parameter. The length does not change a single bit: rules work
element by element.
"""

from collections.abc import Sequence
from typing import Any, final

import numpy as np

from lamina import dtypes
from lamina.dtypes import DType
from lamina.memory.array import NDArray
from lamina.optim.rule import SCRATCH_ARRAYS, Rule

RUN_ELEMENTS = 32768


def computed_in(dtype: DType) -> DType:
    """Return the dtype that parameters of `dtype` are updated in: float32 at least."""
    return dtypes.float32 if dtype.itemsize < 4 else dtype


@final
class Scratch:
    """Working arrays that are kept from step to step, one set a dtype."""

    def __init__(self) -> None:
        self._arrays: dict[np.dtype[Any], list[NDArray]] = {}

    def take(self, dtype: np.dtype[Any], size: int) -> list[NDArray]:
        """Return flat arrays of at least `size` elements: the rule's, and one for a gradient."""
        arrays = self._arrays.get(dtype)
        if arrays is None or arrays[0].size < size:
            arrays = [np.empty(size, dtype) for _ in range(SCRATCH_ARRAYS + 1)]
            self._arrays[dtype] = arrays
        return arrays


def sweep(rule: Rule, p: NDArray, g: NDArray, slots: Sequence[NDArray], scratch: Scratch) -> None:
    """Apply `rule` to all elements of `p`; all arrays are of its shape, `slots` of one dtype.

    `g` may be of another dtype. Where `p` is of a narrower one, the last slot is its master copy in
    the dtype of the others: the rule moves that, and `p` is rounded from it.
    """
    arrays = [p, g, *slots]
    dtype = slots[-1].dtype if slots else p.dtype
    if not all(a.flags.c_contiguous for a in arrays):
        _sweep_strided(rule, arrays, scratch.take(dtype, p.size))
        return
    flat = [a.reshape(-1) for a in arrays]
    work = scratch.take(dtype, min(p.size, RUN_ELEMENTS))
    for start in range(0, p.size, RUN_ELEMENTS):
        run = [a[start : start + RUN_ELEMENTS] for a in flat]
        _apply(rule, run, [w[: run[0].size] for w in work])


def _sweep_strided(rule: Rule, arrays: list[NDArray], work: list[NDArray]) -> None:
    shape, size = arrays[0].shape, arrays[0].size
    _apply(rule, arrays, [w[:size].reshape(shape) for w in work])


def _apply(rule: Rule, arrays: list[NDArray], work: list[NDArray]) -> None:
    p, g, *slots = arrays
    own, spare = work[:SCRATCH_ARRAYS], work[SCRATCH_ARRAYS]
    if g.dtype != spare.dtype:
        np.copyto(spare, g)
        g = spare
    if p.dtype == spare.dtype:
        rule.update(p, g, slots, own)
        return
    master = slots.pop()
    # The parameter was written by somebody else wherever its master does not round to it.
    np.copyto(master, p, where=master.astype(p.dtype) != p)
    rule.update(master, g, slots, own)
    p[...] = master

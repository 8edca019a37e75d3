"""What an optimiser does to one run of elements: the contract, and the steps that rules share.

A rule reads the coefficients of this step from its fields and writes into the arrays it is given,
by ufuncs with `out=` alone: it allocates nothing, and whatever answers to numpy's ufuncs can stand
in for the arrays.
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from lamina.memory.array import NDArray

SCRATCH_ARRAYS = 3


class Rule(Protocol):
    """The update of one step, its coefficients known."""

    def update(
        self, p: NDArray, g: NDArray, slots: Sequence[NDArray], work: Sequence[NDArray]
    ) -> None:
        """Move `p` by the gradient `g`, which is left as it is.

        `slots` are the optimiser's own arrays for these elements, in the order of
        `Optimizer.slots`; `work` are three more to scribble in. All are of one shape and dtype.
        """
        ...


def regularized(p: NDArray, g: NDArray, work: NDArray, *, decay: float, maximize: bool) -> NDArray:
    """Return g + decay·p, with −g for g to maximise; it is `g` itself or lies in `work`."""
    if not decay:
        return np.negative(g, out=work) if maximize else g
    np.multiply(p, decay, out=work)
    return np.subtract(work, g, out=work) if maximize else np.add(work, g, out=work)


def blend(average: NDArray, value: NDArray, keep: float, work: NDArray) -> None:
    """Set average ← keep·average + (1 − keep)·value."""
    np.multiply(average, keep, out=average)
    np.multiply(value, 1 - keep, out=work)
    np.add(average, work, out=average)


def blend_square(average: NDArray, value: NDArray, keep: float, work: NDArray) -> None:
    """Set average ← keep·average + (1 − keep)·value²."""
    np.multiply(average, keep, out=average)
    np.multiply(value, value, out=work)
    np.multiply(work, 1 - keep, out=work)
    np.add(average, work, out=average)


def descend(p: NDArray, numerator: NDArray, divisor: NDArray, rate: float) -> None:
    """Set p ← p − rate·numerator/divisor; `divisor` is used up."""
    np.divide(numerator, divisor, out=divisor)
    np.multiply(divisor, rate, out=divisor)
    np.subtract(p, divisor, out=p)

"""What a strategy is: a record of functions of the problem."""

from collections.abc import Callable
from dataclasses import dataclass
from math import prod

from lamina.kernels.convolution.problem import Problem
from lamina.kernels.launch import Plan, Step

# Cycles: of a weight packed whose neighbours lie along the sum, across it, or nowhere near; of a
# result that lies apart from its neighbours.
_ALONG, _ACROSS, _APART, _RESULT = 1.0, 2.0, 4.0, 3.0


@dataclass(frozen=True, slots=True)
class Strategy:
    """One way to compute a convolution.

    `cost` estimates the cycles of one core for one sample, in vector instructions of which two
    are issued a cycle; it and `applies` are asked with a batch of one, so that neither batch nor
    threads choose the algorithm. `fuses` says whether the plan does what comes after the sums.
    `prepared` gives how weights can be laid out ahead, None where that gains nothing.
    """

    name: str
    applies: Callable[[Problem], bool]
    cost: Callable[[Problem], float]
    plan: Callable[[Problem], Plan]
    fuses: Callable[[Problem], bool] = lambda _: False
    prepared: Callable[[Problem], "Prepared | None"] = lambda _: None


@dataclass(frozen=True, slots=True)
class Prepared:
    """The call that lays weights out ahead, from RIGHT to OUT, and how many bytes they take."""

    step: Step
    nbytes: int


def weights_cost(p: Problem) -> float:
    """Return the cycles that it takes a matrix kernel to pack the weights of `p` as they lie, once.

    Where the taps are more than the places, as in a gradient of weights, they serve many samples.
    """
    is_along = p.w.strides[1] == 1 or (p.taps[2] > 1 and p.w.strides[4] in (1, -1))
    each = _ALONG if is_along else _ACROSS if p.w.strides[0] == 1 else _APART
    weights = prod(p.w.shape) if prod(p.places) >= prod(p.taps) else 0
    return each * weights


def layout_cost(p: Problem) -> float:
    """Return the cycles of packing the weights, and of writing results that lie apart."""
    results = p.w.shape[0] * prod(p.places) if p.out.strides[4] != 1 else 0
    return weights_cost(p) + _RESULT * results


def reads_no_residual(p: Problem) -> bool:
    """Return whether what comes after the sums needs no more than a bias."""
    return p.after is None or not p.after.has_residual

"""What a strategy is: a record of functions of the problem."""

from collections.abc import Callable
from dataclasses import dataclass

from lamina.kernels.convolution.problem import Problem
from lamina.kernels.launch import Plan


@dataclass(frozen=True, slots=True)
class Strategy:
    """One way to compute a convolution.

    `cost` estimates the cycles of one core for one sample, in vector instructions of which two
    are issued a cycle; it and `applies` are asked with a batch of one, so that neither batch nor
    threads choose the algorithm.
    """

    name: str
    applies: Callable[[Problem], bool]
    cost: Callable[[Problem], float]
    plan: Callable[[Problem], Plan]

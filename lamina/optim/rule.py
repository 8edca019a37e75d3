"""What an optimiser does to one element: the contract, and the steps that rules share.

A rule is a record of the coefficients of one step. Its `update` is written once, over scalar
expressions, and becomes one native loop over all parameters; the coefficients are read when it
runs, so that a rate may change at every step without compiling anew.
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from lamina.kernels.expression import Expression, apply

Coefficient = float | Expression
"""A number of this step; the expression that reads it while `update` is being compiled."""


class Update(NamedTuple):
    """The new value of a parameter, and of the optimiser's own values for it."""

    p: Expression
    slots: Sequence[Expression]


class Rule(Protocol):
    """The update of one step, its coefficients known: a named tuple of them and of switches.

    Coefficients are floats, alone or in tuples. Those of exactly 0 or 1 are part of the formula:
    `if self.decay:` leaves a term out. All else that is no float is a switch.
    """

    def update(self, p: Expression, g: Expression, slots: Sequence[Expression]) -> Update:
        """Return what becomes of `p`, given its gradient `g`.

        `slots` are the optimiser's own values, in the order of `Optimizer.slots`.
        """
        ...


class Blend(NamedTuple):
    """Weights of a moving average: keep·average + take·value."""

    keep: Coefficient
    take: Coefficient

    @classmethod
    def of(cls, keep: float) -> "Blend":
        """Return the weights `keep` and 1 − `keep`."""
        return cls(keep, 1 - keep)

    def moved(self, average: Expression, value: Expression) -> Expression:
        """Return the average with `value` taken in."""
        return average * self.keep + value * self.take


def regularized(p: Expression, g: Expression, *, decay: Coefficient, maximize: bool) -> Expression:
    """Return g + decay·p, with −g for g to maximise."""
    if not decay:
        return -g if maximize else g
    return p * decay - g if maximize else p * decay + g


def root(x: Expression) -> Expression:
    """Return √x."""
    return apply("sqrt", x)


def shrunk(p: Expression, shrink: Coefficient) -> Expression:
    """Return shrink·p."""
    return p if shrink == 1 else p * shrink


def descended(
    p: Expression, numerator: Expression, divisor: Expression, rate: Coefficient
) -> Expression:
    """Return p − rate·numerator/divisor."""
    return p - numerator / divisor * rate

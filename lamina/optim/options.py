"""What the options of optimisers may be: one table, checked wherever a parameter group is made."""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from lamina.errors import ArgumentError, DTypeError


class Range(NamedTuple):
    """Numbers from `low` to `high`; the upper end belongs to it only if `closed`."""

    low: float
    high: float = math.inf
    closed: bool = False

    def __contains__(self, value: object) -> bool:
        if not isinstance(value, int | float):
            return False
        return self.low <= value < self.high or (self.closed and value == self.high)

    def __str__(self) -> str:
        if self.high == math.inf:
            return f"a finite number ≥ {self.low:g}"
        return f"a number from {self.low:g} to {self.high:g}, {self.high:g} " + (
            "included" if self.closed else "excluded"
        )


NOT_NEGATIVE = Range(0)
RANGES = {
    "lr": NOT_NEGATIVE,
    "momentum": NOT_NEGATIVE,
    "dampening": Range(-math.inf),
    "weight_decay": NOT_NEGATIVE,
    "betas": Range(0, 1),
    "eps": NOT_NEGATIVE,
    "alpha": Range(0, 1, closed=True),
    "rho": Range(0, 1, closed=True),
    "lr_decay": NOT_NEGATIVE,
    "initial_accumulator_value": NOT_NEGATIVE,
    "momentum_decay": NOT_NEGATIVE,
}
SWITCHES = {"maximize", "nesterov", "amsgrad", "centered", "decoupled_weight_decay"}


def check_options(optimizer: str, options: Mapping[str, Any]) -> None:
    """Raise a typed error for the first option with a value outside what is allowed."""
    for name, value in options.items():
        if name == "betas":
            _check_betas(optimizer, value)
        elif name in RANGES:
            _check_number(optimizer, name, value, RANGES[name])
        elif name in SWITCHES and not isinstance(value, bool):
            raise DTypeError(f"{optimizer}: {name}={value!r} given; expected True or False")
    if options.get("nesterov") and not (options["momentum"] > 0 and options["dampening"] == 0):
        raise ArgumentError(
            f"{optimizer}: nesterov=True with momentum={options['momentum']} and dampening="
            f"{options['dampening']}; it needs a momentum above 0 and no dampening"
        )


def _check_number(optimizer: str, name: str, value: Any, allowed: Range) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise DTypeError(
            f"{optimizer}: {name} is a {type(value).__name__}; expected a Python number"
        )
    if value not in allowed or value == -math.inf:
        raise ArgumentError(f"{optimizer}: {name}={value} given; expected {allowed}")


def _check_betas(optimizer: str, betas: Any) -> None:
    if not isinstance(betas, tuple | list) or len(betas) != 2:
        raise ArgumentError(f"{optimizer}: betas={betas!r} given; expected a pair of numbers")
    for place, beta in enumerate(betas):
        _check_number(optimizer, f"betas[{place}]", beta, RANGES["betas"])

"""LRScheduler, and the schedules that are curves over the count of steps."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lamina.errors import ArgumentError, DTypeError, StateError
from lamina.optim.optimizer import Optimizer

COMMON_STATE = ("last_epoch", "base_lrs", "_last_lr")


class LRScheduler(ABC):
    """Sets `lr` in the parameter groups of an optimiser, step by step.

    Call `step()` after `optimizer.step()`, once an epoch or once a batch as the schedule is meant.
    """

    optimizer: Optimizer
    last_epoch: int
    base_lrs: list[float]
    _last_lr: list[float]
    # Fields that `state_dict` holds beside the common ones.
    saved: tuple[str, ...] = ()

    def _attach(self, optimizer: Any) -> None:
        if not isinstance(optimizer, Optimizer):
            raise DTypeError(
                f"{type(self).__name__} was given a {type(optimizer).__name__}; expected an "
                "optimizer from lamina.optim"
            )
        self.optimizer = optimizer

    def get_last_lr(self) -> list[float]:
        """Return the rate of each group as this schedule left it."""
        return list(self._last_lr)

    def _note_rates(self) -> None:
        self._last_lr = [group["lr"] for group in self.optimizer.param_groups]

    def _set_rates(self, rates: Sequence[float]) -> None:
        for group, rate in zip(self.optimizer.param_groups, rates, strict=True):
            group["lr"] = rate
        self._last_lr = list(rates)

    def state_dict(self) -> dict[str, Any]:
        """Return where the schedule stands, and its constants."""
        state = {name: getattr(self, name) for name in (*COMMON_STATE, *self.saved)}
        return {k: list(v) if isinstance(v, list) else v for k, v in state.items()}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Continue from what `state_dict` returned; the groups get the rates noted there.

        StateError where something is missing or the number of groups differs.
        """
        name = type(self).__name__
        missing = {*COMMON_STATE, *self.saved} - state_dict.keys()
        if missing:
            raise StateError(
                f"{name}: the state given lacks {min(missing)!r}; was it saved by another schedule?"
            )
        groups = len(self.optimizer.param_groups)
        if len(state_dict["_last_lr"]) != groups:
            raise StateError(
                f"{name}: rates of {len(state_dict['_last_lr'])} groups were saved; the optimiser "
                f"has {groups}"
            )
        for field in (*COMMON_STATE, *self.saved):
            value = state_dict[field]
            setattr(self, field, list(value) if isinstance(value, list) else value)
        self._set_rates(self._last_lr)


class CurveLR(LRScheduler):
    """A schedule given by a curve: the rate of a group as a function of the count of steps.

    `step()` multiplies the rate it finds by the curve's own ratio from the step before, so several
    schedules on one optimiser multiply, and a rate changed by hand stays changed. Where the curve
    `overrides`, it sets its own value whatever it finds.
    """

    overrides = False

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1) -> None:
        self._attach(optimizer)
        for place, group in enumerate(optimizer.param_groups):
            if last_epoch == -1:
                group.setdefault("initial_lr", group["lr"])
            elif "initial_lr" not in group:
                raise StateError(
                    f"{type(self).__name__}: last_epoch={last_epoch} given, but group {place} has "
                    "no 'initial_lr'; load the optimiser's state first, or leave last_epoch at -1"
                )
        self.base_lrs = [group["initial_lr"] for group in optimizer.param_groups]
        self.last_epoch = last_epoch
        self.step()

    @property
    def floor(self) -> float:
        """What the curve settles on; ratios are taken above it."""
        return 0.0

    @abstractmethod
    def rate_at(self, place: int, base: float, epoch: int) -> float:
        """Return the rate at `epoch` of group `place`, whose initial rate was `base`."""

    def step(self) -> None:
        """Go one step along the curve."""
        self._check_groups()
        self.last_epoch += 1
        groups = enumerate(zip(self.optimizer.param_groups, self.base_lrs, strict=True))
        self._set_rates([self._next(i, group["lr"], base) for i, (group, base) in groups])

    def restart(self) -> None:
        """Go to the beginning of the curve, whatever the rates are now."""
        self._check_groups()
        self.last_epoch = 0
        self._set_rates([self.rate_at(i, base, 0) for i, base in enumerate(self.base_lrs)])

    def _next(self, place: int, rate: float, base: float) -> float:
        after = self.rate_at(place, base, self.last_epoch)
        if self.overrides:
            return after
        before = base if self.last_epoch == 0 else self.rate_at(place, base, self.last_epoch - 1)
        if rate == before or before == self.floor:
            return after
        return (rate - self.floor) * ((after - self.floor) / (before - self.floor)) + self.floor

    def _check_groups(self) -> None:
        if len(self.optimizer.param_groups) != len(self.base_lrs):
            raise StateError(
                f"{type(self).__name__} was made for {len(self.base_lrs)} parameter groups; the "
                f"optimiser has {len(self.optimizer.param_groups)} now: make the schedule after "
                "the groups"
            )


def check_count(schedule: str, name: str, value: Any, minimum: int) -> None:
    """Raise ArgumentError unless `value` is a whole number of at least `minimum`."""
    if isinstance(value, bool) or not isinstance(value, int) or value < minimum:
        raise ArgumentError(
            f"{schedule}: {name}={value!r} given; expected a whole number ≥ {minimum}"
        )


def check_number(
    schedule: str, name: str, value: Any, allowed: Callable[[float], bool], expected: str
) -> None:
    """Raise ArgumentError unless `value` is a number that is `allowed`."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not allowed(value):
        raise ArgumentError(f"{schedule}: {name}={value!r} given; expected {expected}")


def per_group(schedule: str, name: str, value: Any, optimizer: Optimizer) -> list[float]:
    """Return one number a group, from one number or a list of them."""
    count = len(optimizer.param_groups)
    values = list(value) if isinstance(value, list | tuple) else [value] * count
    if len(values) != count:
        raise ArgumentError(
            f"{schedule}: {len(values)} values of {name} given for {count} parameter groups"
        )
    for number in values:
        check_number(schedule, name, number, lambda v: v >= 0, "a number ≥ 0")
    return values

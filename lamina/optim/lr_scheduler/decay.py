"""Schedules that rise or fall by a formula of the step: in stairs, geometric, linear, powers."""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from typing import final

from lamina.errors import ArgumentError
from lamina.optim.lr_scheduler.schedule import CurveLR, check_count, check_number
from lamina.optim.optimizer import Optimizer


def _check_factor(schedule: str, name: str, value: float) -> None:
    check_number(schedule, name, value, lambda v: 0 <= v <= 1, "a number from 0 to 1")


@final
class StepLR(CurveLR):
    """The rate times `gamma` every `step_size` steps.

    >>> optimizer = lamina.optim.SGD([lamina.ones(1)], lr=1.0)
    >>> schedule = StepLR(optimizer, step_size=2, gamma=0.5)
    >>> rates = []
    >>> for _ in range(5):
    ...     rates += schedule.get_last_lr()
    ...     schedule.step()
    >>> rates
    [1.0, 1.0, 0.5, 0.5, 0.25]
    """

    saved = ("step_size", "gamma")

    def __init__(
        self, optimizer: Optimizer, step_size: int, gamma: float = 0.1, last_epoch: int = -1
    ) -> None:
        check_count("StepLR", "step_size", step_size, 1)
        check_number("StepLR", "gamma", gamma, lambda v: v >= 0, "a number ≥ 0")
        self.step_size = step_size
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def rate_at(self, place: int, base: float, epoch: int) -> float:
        return base * self.gamma ** (epoch // self.step_size)


@final
class MultiStepLR(CurveLR):
    """The rate times `gamma` at each of `milestones`."""

    saved = ("milestones", "gamma")

    def __init__(
        self,
        optimizer: Optimizer,
        milestones: Iterable[int],
        gamma: float = 0.1,
        last_epoch: int = -1,
    ) -> None:
        check_number("MultiStepLR", "gamma", gamma, lambda v: v >= 0, "a number ≥ 0")
        self.milestones = sorted(milestones)
        for milestone in self.milestones:
            check_count("MultiStepLR", "milestone", milestone, 0)
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def rate_at(self, place: int, base: float, epoch: int) -> float:
        return float(base * self.gamma ** bisect_right(self.milestones, epoch))


@final
class ExponentialLR(CurveLR):
    """The rate times `gamma` at every step."""

    saved = ("gamma",)

    def __init__(self, optimizer: Optimizer, gamma: float, last_epoch: int = -1) -> None:
        check_number("ExponentialLR", "gamma", gamma, lambda v: v >= 0, "a number ≥ 0")
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def rate_at(self, place: int, base: float, epoch: int) -> float:
        return base * self.gamma**epoch


@final
class ConstantLR(CurveLR):
    """The rate times `factor` for the first `total_iters` steps, whole from then on."""

    saved = ("factor", "total_iters")

    def __init__(
        self,
        optimizer: Optimizer,
        factor: float = 1 / 3,
        total_iters: int = 5,
        last_epoch: int = -1,
    ) -> None:
        _check_factor("ConstantLR", "factor", factor)
        check_count("ConstantLR", "total_iters", total_iters, 0)
        self.factor = factor
        self.total_iters = total_iters
        super().__init__(optimizer, last_epoch)

    def rate_at(self, place: int, base: float, epoch: int) -> float:
        return base * self.factor if epoch < self.total_iters else base


@final
class LinearLR(CurveLR):
    """The rate times a factor that goes from `start_factor` to `end_factor` in `total_iters` steps.

    With the defaults a warm-up.
    """

    saved = ("start_factor", "end_factor", "total_iters")

    def __init__(
        self,
        optimizer: Optimizer,
        start_factor: float = 1 / 3,
        end_factor: float = 1.0,
        total_iters: int = 5,
        last_epoch: int = -1,
    ) -> None:
        expected = "a number above 0, up to 1"
        check_number("LinearLR", "start_factor", start_factor, lambda v: 0 < v <= 1, expected)
        _check_factor("LinearLR", "end_factor", end_factor)
        check_count("LinearLR", "total_iters", total_iters, 0)
        self.start_factor = start_factor
        self.end_factor = end_factor
        self.total_iters = total_iters
        super().__init__(optimizer, last_epoch)

    def rate_at(self, place: int, base: float, epoch: int) -> float:
        if epoch >= self.total_iters and epoch > 0:
            return base * self.end_factor
        way = epoch / max(self.total_iters, 1)
        return base * (self.start_factor + (self.end_factor - self.start_factor) * way)


@final
class PolynomialLR(CurveLR):
    """The rate times (1 − t/total_iters)^power, 0 from `total_iters` on."""

    saved = ("total_iters", "power")

    def __init__(
        self,
        optimizer: Optimizer,
        total_iters: int = 5,
        power: float = 1.0,
        last_epoch: int = -1,
    ) -> None:
        check_count("PolynomialLR", "total_iters", total_iters, 1)
        check_number("PolynomialLR", "power", power, lambda v: v >= 0, "a number ≥ 0")
        self.total_iters = total_iters
        self.power = power
        super().__init__(optimizer, last_epoch)

    def rate_at(self, place: int, base: float, epoch: int) -> float:
        left = 1 - min(epoch, self.total_iters) / self.total_iters
        return float(base * left**self.power)


@final
class LambdaLR(CurveLR):
    """The initial rate times `lr_lambda(t)`; a list gives each group its own function.

    The functions are not part of the state.
    """

    overrides = True

    def __init__(
        self,
        optimizer: Optimizer,
        lr_lambda: Callable[[int], float] | Sequence[Callable[[int], float]],
        last_epoch: int = -1,
    ) -> None:
        self._attach(optimizer)
        groups = len(optimizer.param_groups)
        self.lr_lambdas = [lr_lambda] * groups if callable(lr_lambda) else list(lr_lambda)
        if len(self.lr_lambdas) != groups:
            raise ArgumentError(
                f"LambdaLR: {len(self.lr_lambdas)} functions given for {groups} parameter groups"
            )
        super().__init__(optimizer, last_epoch)

    def rate_at(self, place: int, base: float, epoch: int) -> float:
        return base * self.lr_lambdas[place](epoch)

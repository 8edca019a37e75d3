"""Schedules along a cosine: once, with restarts, and up and down in one cycle."""

import math
from typing import Any, NamedTuple, final

from lamina.errors import ArgumentError
from lamina.optim.lr_scheduler.schedule import CurveLR, check_count, check_number, per_group
from lamina.optim.optimizer import Group, Optimizer


@final
class CosineAnnealingLR(CurveLR):
    """η = η_min + (η₀ − η_min)(1 + cos(πt/T_max))/2, and so on beyond `T_max`.

    Loshchilov & Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts", ICLR 2017, without
    the restarts.
    """

    saved = ("T_max", "eta_min")

    def __init__(
        self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0, last_epoch: int = -1
    ) -> None:
        check_count("CosineAnnealingLR", "T_max", T_max, 1)
        check_number("CosineAnnealingLR", "eta_min", eta_min, lambda v: v >= 0, "a number ≥ 0")
        self.T_max = T_max
        self.eta_min = eta_min
        super().__init__(optimizer, last_epoch)

    @property
    def floor(self) -> float:
        return self.eta_min

    def rate_at(self, place: int, base: float, epoch: int) -> float:
        return _between(base, self.eta_min, epoch / self.T_max)


def _between(start: float, end: float, way: float) -> float:
    """Return the point a share `way` along half a cosine from `start` to `end`."""
    return end + (start - end) * (1 + math.cos(math.pi * way)) / 2


@final
class CosineAnnealingWarmRestarts(CurveLR):
    """Half a cosine from the initial rate to `eta_min`, again and again (SGDR).

    The first takes `T_0` steps, each next one `T_mult` times as many. `step(epoch)` goes to any
    point, a fraction of an epoch included.
    """

    overrides = True
    saved = ("T_0", "T_mult", "eta_min")

    def __init__(
        self,
        optimizer: Optimizer,
        T_0: int,
        T_mult: int = 1,
        eta_min: float = 0.0,
        last_epoch: int = -1,
    ) -> None:
        name = "CosineAnnealingWarmRestarts"
        check_count(name, "T_0", T_0, 1)
        check_count(name, "T_mult", T_mult, 1)
        check_number(name, "eta_min", eta_min, lambda v: v >= 0, "a number ≥ 0")
        self.T_0 = T_0
        self.T_mult = T_mult
        self.eta_min = eta_min
        super().__init__(optimizer, last_epoch)

    def step(self, epoch: float | None = None) -> None:
        """Go one step along the curve, or to `epoch`."""
        if epoch is None:
            super().step()
            return
        check_number(
            "CosineAnnealingWarmRestarts", "epoch", epoch, lambda v: v >= 0, "a number ≥ 0"
        )
        self.last_epoch = math.floor(epoch)
        self._set_rates([self._rate(base, epoch) for base in self.base_lrs])

    def rate_at(self, place: int, base: float, epoch: int) -> float:
        return self._rate(base, epoch)

    def _rate(self, base: float, epoch: float) -> float:
        since, length = self._within_period(epoch)
        return _between(base, self.eta_min, since / length)

    def _within_period(self, epoch: float) -> tuple[float, int]:
        if self.T_mult == 1:
            return epoch % self.T_0, self.T_0
        length = self.T_0
        while epoch >= length:
            epoch -= length
            length *= self.T_mult
        return epoch, length


class Phase(NamedTuple):
    """A part of the one-cycle schedule: up to step `end`, between two named rates."""

    end: float
    rates: tuple[str, str]
    momenta: tuple[str, str]


@final
class OneCycleLR(CurveLR):
    """Up from max_lr/div_factor to `max_lr`, then down to 1/final_div_factor of the beginning.

    Smith & Topin, "Super-Convergence", 2018. Step it after every batch, `total_steps` times (or
    `epochs` · `steps_per_epoch`); the rise takes the share `pct_start` of them. With `three_phase`
    the rate falls to its beginning as fast as it rose, and then on. `anneal_strategy` is "cos" or
    "linear". With `cycle_momentum` the momentum (β₁ in Adam's kin) moves the other way, from
    `max_momentum` to `base_momentum` and back. Rates and momenta may be lists, one value a group.
    """

    overrides = True
    saved = ("total_steps",)

    def __init__(
        self,
        optimizer: Optimizer,
        max_lr: float | list[float],
        total_steps: int | None = None,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        pct_start: float = 0.3,
        anneal_strategy: str = "cos",
        cycle_momentum: bool = True,
        base_momentum: float | list[float] = 0.85,
        max_momentum: float | list[float] = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
        last_epoch: int = -1,
    ) -> None:
        self._attach(optimizer)
        if anneal_strategy not in ("cos", "linear"):
            raise ArgumentError(
                f"OneCycleLR: anneal_strategy={anneal_strategy!r} given; expected 'cos' or 'linear'"
            )
        check_number("OneCycleLR", "pct_start", pct_start, lambda v: 0 <= v <= 1, "a share, 0 to 1")
        for name, factor in (("div_factor", div_factor), ("final_div_factor", final_div_factor)):
            check_number("OneCycleLR", name, factor, lambda v: v > 0, "a number above 0")
        self.total_steps = _count_steps(total_steps, epochs, steps_per_epoch)
        self.anneal_strategy = anneal_strategy
        self.phases = _phases(self.total_steps, pct_start, three_phase=three_phase)
        self.momentum_name = _momentum_name(optimizer) if cycle_momentum else None
        highest = per_group("OneCycleLR", "max_lr", max_lr, optimizer)
        calm = per_group("OneCycleLR", "max_momentum", max_momentum, optimizer)
        brisk = per_group("OneCycleLR", "base_momentum", base_momentum, optimizer)
        if last_epoch == -1:
            for place, group in enumerate(optimizer.param_groups):
                group["max_lr"] = highest[place]
                group["initial_lr"] = highest[place] / div_factor
                group["min_lr"] = group["initial_lr"] / final_div_factor
                if cycle_momentum:
                    group["max_momentum"], group["base_momentum"] = calm[place], brisk[place]
        super().__init__(optimizer, last_epoch)

    def step(self) -> None:
        """Go one step along the curve; ArgumentError past its end."""
        if self.last_epoch >= self.total_steps:
            raise ArgumentError(
                f"OneCycleLR: step {self.last_epoch + 1} of a schedule of {self.total_steps}; give "
                "it total_steps for the whole training"
            )
        super().step()
        self._set_momenta()

    def restart(self) -> None:
        """Go to the beginning of the curve."""
        super().restart()
        self._set_momenta()

    def rate_at(self, place: int, base: float, epoch: int) -> float:
        phase, way = self._phase_at(epoch)
        return self._anneal(self.optimizer.param_groups[place], phase.rates, way)

    def _set_momenta(self) -> None:
        if self.momentum_name is None:
            return
        phase, way = self._phase_at(self.last_epoch)
        for group in self.optimizer.param_groups:
            momentum = self._anneal(group, phase.momenta, way)
            if self.momentum_name == "betas":
                group["betas"] = (momentum, *group["betas"][1:])
            else:
                group["momentum"] = momentum

    def _phase_at(self, epoch: int) -> tuple[Phase, float]:
        start = 0.0
        for phase in self.phases[:-1]:
            if epoch <= phase.end:
                return phase, _share(epoch, start, phase.end)
            start = phase.end
        return self.phases[-1], _share(epoch, start, self.phases[-1].end)

    def _anneal(self, group: Group, ends: tuple[str, str], way: float) -> float:
        start, end = (float(group[name]) for name in ends)
        if self.anneal_strategy == "cos":
            return _between(start, end, way)
        return start + (end - start) * way


def _share(epoch: float, start: float, end: float) -> float:
    return (epoch - start) / (end - start) if end != start else 1.0


def _count_steps(total: Any, epochs: Any, steps_per_epoch: Any) -> int:
    if total is not None:
        check_count("OneCycleLR", "total_steps", total, 1)
        return int(total)
    if epochs is None or steps_per_epoch is None:
        raise ArgumentError(
            "OneCycleLR: no length given; give total_steps, or epochs and steps_per_epoch"
        )
    check_count("OneCycleLR", "epochs", epochs, 1)
    check_count("OneCycleLR", "steps_per_epoch", steps_per_epoch, 1)
    return int(epochs * steps_per_epoch)


def _phases(total: int, rise: float, *, three_phase: bool) -> list[Phase]:
    up = Phase(rise * total - 1, ("initial_lr", "max_lr"), ("max_momentum", "base_momentum"))
    if not three_phase:
        down = ("base_momentum", "max_momentum")
        return [up, Phase(total - 1, ("max_lr", "min_lr"), down)]
    return [
        up,
        Phase(2 * rise * total - 2, ("max_lr", "initial_lr"), ("base_momentum", "max_momentum")),
        Phase(total - 1, ("initial_lr", "min_lr"), ("max_momentum", "max_momentum")),
    ]


def _momentum_name(optimizer: Optimizer) -> str:
    for name in ("betas", "momentum"):
        if name in optimizer.defaults:
            return name
    raise ArgumentError(
        f"OneCycleLR: {type(optimizer).__name__} has no momentum to cycle; pass "
        "cycle_momentum=False"
    )

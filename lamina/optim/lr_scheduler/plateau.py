"""The schedule that follows a metric."""

import math
from collections.abc import Sequence
from typing import Any, final

from lamina.errors import ArgumentError
from lamina.optim.lr_scheduler.schedule import LRScheduler, check_count, check_number, per_group
from lamina.optim.optimizer import Optimizer


@final
class ReduceLROnPlateau(LRScheduler):
    """The rate times `factor` once a metric has not improved for more than `patience` steps.

    An improvement ("min": downwards, "max": upwards) is one by more than `threshold`, as a share of
    the best value ("rel") or in absolute terms ("abs"). After a reduction bad steps are not counted
    for `cooldown` steps. The rate stays at or above `min_lr`; changes below `eps` are left out.

    >>> optimizer = lamina.optim.SGD([lamina.ones(1)], lr=1.0)
    >>> schedule = ReduceLROnPlateau(optimizer, patience=1)
    >>> for loss in (3.0, 2.0, 2.0, 2.0):
    ...     schedule.step(loss)
    >>> schedule.get_last_lr()
    [0.1]
    """

    saved = (
        *("mode", "factor", "patience", "threshold", "threshold_mode", "cooldown"),
        *("min_lrs", "eps", "best", "num_bad_epochs", "cooldown_counter"),
    )

    def __init__(
        self,
        optimizer: Optimizer,
        mode: str = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: str = "rel",
        cooldown: int = 0,
        min_lr: float | Sequence[float] = 0.0,
        eps: float = 1e-8,
    ) -> None:
        name = "ReduceLROnPlateau"
        self._attach(optimizer)
        for option, value, allowed in (
            ("mode", mode, ("min", "max")),
            ("threshold_mode", threshold_mode, ("rel", "abs")),
        ):
            if value not in allowed:
                raise ArgumentError(f"{name}: {option}={value!r} given; expected one of {allowed}")
        check_number(name, "factor", factor, lambda v: 0 <= v < 1, "a number from 0 to below 1")
        check_number(name, "threshold", threshold, lambda v: v >= 0, "a number ≥ 0")
        check_count(name, "patience", patience, 0)
        check_count(name, "cooldown", cooldown, 0)
        self.mode = mode
        self.factor = factor
        self.patience = patience
        self.threshold = threshold
        self.threshold_mode = threshold_mode
        self.cooldown = cooldown
        self.min_lrs = per_group(name, "min_lr", min_lr, optimizer)
        self.eps = eps
        self.best = math.inf if mode == "min" else -math.inf
        self.num_bad_epochs = 0
        self.cooldown_counter = 0
        self.last_epoch = 0
        self._note_rates()
        self.base_lrs = self.get_last_lr()

    def step(self, metrics: Any) -> None:
        """Take note of the metric: a number or a tensor of one element."""
        current = float(metrics)
        self.last_epoch += 1
        self.num_bad_epochs += 1
        if self._is_better(current):
            self.best = current
            self.num_bad_epochs = 0
        if self.cooldown_counter > 0:
            self.cooldown_counter -= 1
            self.num_bad_epochs = 0
        if self.num_bad_epochs > self.patience:
            self._reduce()
            self.cooldown_counter = self.cooldown
            self.num_bad_epochs = 0
        self._note_rates()

    def _is_better(self, value: float) -> bool:
        sign = 1 if self.mode == "max" else -1
        if self.threshold_mode == "abs":
            return sign * (value - self.best) > self.threshold
        return sign * value > sign * self.best * (1 + sign * self.threshold)

    def _reduce(self) -> None:
        for group, lowest in zip(self.optimizer.param_groups, self.min_lrs, strict=True):
            rate = max(group["lr"] * self.factor, lowest)
            if group["lr"] - rate > self.eps:
                group["lr"] = rate

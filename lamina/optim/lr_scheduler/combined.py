"""Schedules made of schedules: one after another, or all at once."""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import Any, final

from lamina.errors import ArgumentError, StateError
from lamina.optim.lr_scheduler.schedule import CurveLR, LRScheduler
from lamina.optim.optimizer import Optimizer


def _check_members(name: str, optimizer: Optimizer, schedulers: Sequence[Any]) -> None:
    if not schedulers:
        raise ArgumentError(f"{name}: no schedules given; give at least one")
    for place, member in enumerate(schedulers):
        if not isinstance(member, CurveLR | SequentialLR | ChainedScheduler):
            raise ArgumentError(
                f"{name}: schedule {place} is a {type(member).__name__}; expected one whose step() "
                "needs no argument"
            )
        if member.optimizer is not optimizer:
            raise ArgumentError(
                f"{name}: schedule {place} belongs to another optimiser; make all for the same one"
            )


def _load_members(name: str, members: Sequence[LRScheduler], states: Any) -> None:
    if not isinstance(states, list | tuple) or len(states) != len(members):
        raise StateError(f"{name}: the state given is not one of {len(members)} schedules")
    for member, state in zip(members, states, strict=True):
        member.load_state_dict(state)


@final
class SequentialLR(LRScheduler):
    """One schedule after another: the next begins, from its own start, at each of `milestones`.

    >>> from lamina.optim.lr_scheduler import ExponentialLR, LinearLR
    >>> optimizer = lamina.optim.SGD([lamina.ones(1)], lr=1.0)
    >>> parts = [LinearLR(optimizer, 0.5, total_iters=2), ExponentialLR(optimizer, 0.5)]
    >>> schedule = SequentialLR(optimizer, parts, milestones=[2])
    >>> rates = []
    >>> for _ in range(5):
    ...     rates += schedule.get_last_lr()
    ...     schedule.step()
    >>> rates
    [0.5, 0.75, 1.0, 0.5, 0.25]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        schedulers: Sequence[CurveLR],
        milestones: Sequence[int],
        last_epoch: int = -1,
    ) -> None:
        self._attach(optimizer)
        _check_members("SequentialLR", optimizer, schedulers)
        if len(milestones) != len(schedulers) - 1 or list(milestones) != sorted(milestones):
            raise ArgumentError(
                f"SequentialLR: milestones {list(milestones)} given for {len(schedulers)} "
                f"schedules; expected {len(schedulers) - 1} in ascending order"
            )
        self.schedulers = list(schedulers)
        self.milestones = list(milestones)
        self.last_epoch = last_epoch + 1
        self.base_lrs = [group["initial_lr"] for group in optimizer.param_groups]
        first = self.schedulers[bisect_right(self.milestones, 0)]
        for group, rate in zip(optimizer.param_groups, self.base_lrs, strict=True):
            group["lr"] = rate
        first.restart()
        self._note_rates()

    def step(self) -> None:
        """Go one step along the schedule whose turn it is."""
        self.last_epoch += 1
        turn = bisect_right(self.milestones, self.last_epoch)
        if turn > 0 and self.milestones[turn - 1] == self.last_epoch:
            self.schedulers[turn].restart()
        else:
            self.schedulers[turn].step()
        self._note_rates()

    def restart(self) -> None:
        """Go to the beginning of the first schedule."""
        self.last_epoch = 0
        self.schedulers[bisect_right(self.milestones, 0)].restart()
        self._note_rates()

    def state_dict(self) -> dict[str, Any]:
        """Return where this schedule and its members stand."""
        members = [s.state_dict() for s in self.schedulers]
        return {**super().state_dict(), "_schedulers": members}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Continue from what `state_dict` returned."""
        _load_members("SequentialLR", self.schedulers, state_dict.get("_schedulers"))
        super().load_state_dict(state_dict)


@final
class ChainedScheduler(LRScheduler):
    """All of `schedulers` at once: their factors multiply."""

    def __init__(self, schedulers: Sequence[CurveLR], optimizer: Optimizer | None = None) -> None:
        if not schedulers:
            raise ArgumentError("ChainedScheduler: no schedules given; give at least one")
        self._attach(optimizer or schedulers[0].optimizer)
        _check_members("ChainedScheduler", self.optimizer, schedulers)
        self.schedulers = list(schedulers)
        self.last_epoch = 0
        self.base_lrs = [group["initial_lr"] for group in self.optimizer.param_groups]
        self._note_rates()

    def step(self) -> None:
        """Go one step along every schedule, in order."""
        self.last_epoch += 1
        for member in self.schedulers:
            member.step()
        self._note_rates()

    def restart(self) -> None:
        """Go to the beginning of every schedule."""
        self.last_epoch = 0
        for group, base in zip(self.optimizer.param_groups, self.base_lrs, strict=True):
            group["lr"] = base
        for member in self.schedulers:
            member.last_epoch = -1
            member.step()
        self._note_rates()

    def state_dict(self) -> dict[str, Any]:
        """Return where this schedule and its members stand."""
        members = [s.state_dict() for s in self.schedulers]
        return {**super().state_dict(), "_schedulers": members}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Continue from what `state_dict` returned."""
        _load_members("ChainedScheduler", self.schedulers, state_dict.get("_schedulers"))
        super().load_state_dict(state_dict)

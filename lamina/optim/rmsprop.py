"""RMSprop: gradients divided by their recent root mean square."""

from collections.abc import Sequence
from typing import NamedTuple, final

import numpy as np

from lamina.memory.array import NDArray
from lamina.optim.optimizer import Group, Optimizer, Parameters, State, count_step
from lamina.optim.rule import blend, blend_square, descend, regularized


class RMSpropRule(NamedTuple):
    """One step of RMSprop."""

    lr: float
    alpha: float
    eps: float
    decay: float
    momentum: float
    centered: bool
    maximize: bool

    def update(
        self, p: NDArray, g: NDArray, slots: Sequence[NDArray], work: Sequence[NDArray]
    ) -> None:
        g = regularized(p, g, work[0], decay=self.decay, maximize=self.maximize)
        divisor = self._divisor(g, slots, work[1])
        if not self.momentum:
            descend(p, g, divisor, self.lr)
            return
        velocity = slots[2] if self.centered else slots[1]
        np.divide(g, divisor, out=divisor)
        np.multiply(velocity, self.momentum, out=velocity)
        np.add(velocity, divisor, out=velocity)
        np.multiply(velocity, self.lr, out=divisor)
        np.subtract(p, divisor, out=p)

    def _divisor(self, g: NDArray, slots: Sequence[NDArray], work: NDArray) -> NDArray:
        square = slots[0]
        blend_square(square, g, self.alpha, work)
        if self.centered:
            mean = slots[1]
            blend(mean, g, self.alpha, work)
            np.multiply(mean, mean, out=work)
            square = np.subtract(square, work, out=work)
        np.sqrt(square, out=work)
        return np.add(work, self.eps, out=work)


@final
class RMSprop(Optimizer):
    """RMSprop:  v ← αv + (1−α)g²,  p ← p − lr·g/(√v + ε).

    Hinton, "Neural Networks for Machine Learning", lecture 6e, 2012. `centered` subtracts the
    squared mean of g from v (Graves, arXiv:1308.0850); with `momentum` μ the step is along
    b ← μb + g/(√v + ε).
    """

    def __init__(
        self,
        params: Parameters,
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum: float = 0.0,
        centered: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        fused: bool | None = None,
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "alpha": alpha,
                "eps": eps,
                "weight_decay": weight_decay,
                "momentum": momentum,
                "centered": centered,
                "maximize": maximize,
            },
        )

    def slots(self, group: Group) -> dict[str, float]:
        names = ["square_avg"]
        if group["centered"]:
            names.append("grad_avg")
        if group["momentum"]:
            names.append("momentum_buffer")
        return dict.fromkeys(names, 0.0)

    def rule(self, group: Group, state: State) -> RMSpropRule:
        count_step(state)
        return RMSpropRule(
            lr=group["lr"],
            alpha=group["alpha"],
            eps=group["eps"],
            decay=group["weight_decay"],
            momentum=group["momentum"],
            centered=group["centered"],
            maximize=group["maximize"],
        )

"""Stochastic gradient descent, with momentum."""

from collections.abc import Sequence
from typing import NamedTuple, final

import numpy as np

from lamina.memory.array import NDArray
from lamina.optim.optimizer import Group, Optimizer, Parameters, State
from lamina.optim.rule import regularized


class SGDRule(NamedTuple):
    """One step of SGD."""

    lr: float
    momentum: float
    dampening: float
    weight_decay: float
    nesterov: bool
    maximize: bool
    is_first: bool

    def update(
        self, p: NDArray, g: NDArray, slots: Sequence[NDArray], work: Sequence[NDArray]
    ) -> None:
        g = regularized(p, g, work[0], decay=self.weight_decay, maximize=self.maximize)
        if self.momentum:
            g = self._average(g, slots[0], work)
        np.multiply(g, self.lr, out=work[1])
        np.subtract(p, work[1], out=p)

    def _average(self, g: NDArray, velocity: NDArray, work: Sequence[NDArray]) -> NDArray:
        if self.is_first:
            np.copyto(velocity, g)
        else:
            np.multiply(velocity, self.momentum, out=velocity)
            np.multiply(g, 1 - self.dampening, out=work[1])
            np.add(velocity, work[1], out=velocity)
        if not self.nesterov:
            return velocity
        np.multiply(velocity, self.momentum, out=work[1])
        return np.add(g, work[1], out=work[1])


@final
class SGD(Optimizer):
    """Stochastic gradient descent:  v ← μ·v + (1 − τ)·g,  p ← p − lr·v.

    `momentum` μ, `dampening` τ (not applied in the first step, where v = g), `weight_decay` λ adds
    λ·p to g; with `nesterov` the step is along g + μ·v (Sutskever et al., "On the importance of
    initialization and momentum in deep learning", ICML 2013); `maximize` climbs instead.

    >>> w = lamina.tensor([1.0, 2.0], requires_grad=True)
    >>> optimizer = SGD([w], lr=0.1)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w
    Tensor([0.8, 1.6], requires_grad=True)
    """

    def __init__(
        self,
        params: Parameters,
        lr: float = 1e-3,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        fused: bool | None = None,
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "momentum": momentum,
                "dampening": dampening,
                "weight_decay": weight_decay,
                "nesterov": nesterov,
                "maximize": maximize,
            },
        )

    def slots(self, group: Group) -> dict[str, float]:
        return {"momentum_buffer": 0.0} if group["momentum"] else {}

    def rule(self, group: Group, state: State) -> SGDRule:
        return SGDRule(
            lr=group["lr"],
            momentum=group["momentum"],
            dampening=group["dampening"],
            weight_decay=group["weight_decay"],
            nesterov=group["nesterov"],
            maximize=group["maximize"],
            is_first="momentum_buffer" not in state,
        )

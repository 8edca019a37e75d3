"""Stochastic gradient descent, with momentum."""

from collections.abc import Sequence
from typing import NamedTuple, final

from lamina.kernels.expression import Expression
from lamina.optim.optimizer import Group, Optimizer, Parameters, State
from lamina.optim.rule import Coefficient, Update, regularized


class SGDRule(NamedTuple):
    """One step of SGD."""

    lr: Coefficient
    momentum: Coefficient
    share: Coefficient
    decay: Coefficient
    nesterov: bool
    maximize: bool
    is_first: bool

    def update(self, p: Expression, g: Expression, slots: Sequence[Expression]) -> Update:
        g = regularized(p, g, decay=self.decay, maximize=self.maximize)
        if not self.momentum:
            return Update(p - g * self.lr, ())
        (velocity,) = slots
        velocity = g if self.is_first else velocity * self.momentum + g * self.share
        step = g + velocity * self.momentum if self.nesterov else velocity
        return Update(p - step * self.lr, (velocity,))


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
            share=1 - group["dampening"],
            decay=group["weight_decay"],
            nesterov=group["nesterov"],
            maximize=group["maximize"],
            is_first="momentum_buffer" not in state,
        )

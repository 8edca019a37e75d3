"""Adam and AdamW: one rule, with weight decay in the gradient or beside it."""

import math
from collections.abc import Sequence
from typing import NamedTuple, final

import numpy as np

from lamina.memory.array import NDArray
from lamina.optim.optimizer import Group, Optimizer, Parameters, State, count_step
from lamina.optim.rule import blend, blend_square, descend, regularized


class AdamRule(NamedTuple):
    """One step of Adam; `root` is √(1 − β₂ᵗ), folded into the rate and ε to save a pass."""

    rate: float
    root: float
    beta1: float
    beta2: float
    eps: float
    decay: float
    shrink: float
    amsgrad: bool
    maximize: bool

    def update(
        self, p: NDArray, g: NDArray, slots: Sequence[NDArray], work: Sequence[NDArray]
    ) -> None:
        mean, square = slots[:2]
        if self.shrink != 1:
            np.multiply(p, self.shrink, out=p)
        g = regularized(p, g, work[0], decay=self.decay, maximize=self.maximize)
        blend(mean, g, self.beta1, work[1])
        blend_square(square, g, self.beta2, work[1])
        if self.amsgrad:
            square = np.maximum(slots[2], square, out=slots[2])
        np.sqrt(square, out=work[1])
        np.add(work[1], self.eps * self.root, out=work[1])
        descend(p, mean, work[1], self.rate * self.root)


def _slots(group: Group) -> dict[str, float]:
    own = {"exp_avg": 0.0, "exp_avg_sq": 0.0}
    return {**own, "max_exp_avg_sq": 0.0} if group["amsgrad"] else own


def _rule(group: Group, state: State) -> AdamRule:
    step = count_step(state)
    beta1, beta2 = group["betas"]
    lr, decay = group["lr"], group["weight_decay"]
    decoupled = group["decoupled_weight_decay"]
    return AdamRule(
        rate=lr / (1 - beta1**step),
        root=math.sqrt(1 - beta2**step),
        beta1=beta1,
        beta2=beta2,
        eps=group["eps"],
        decay=0.0 if decoupled else decay,
        shrink=1 - lr * decay if decoupled else 1.0,
        amsgrad=group["amsgrad"],
        maximize=group["maximize"],
    )


@final
class Adam(Optimizer):
    """Adam:  m ← β₁m + (1−β₁)g,  v ← β₂v + (1−β₂)g²,  p ← p − lr·m̂/(√v̂ + ε).

    m̂ = m/(1−β₁ᵗ), v̂ = v/(1−β₂ᵗ) (Kingma & Ba, "Adam: A Method for Stochastic Optimization", ICLR
    2015). `weight_decay` λ adds λ·p to g, or with `decoupled_weight_decay` shrinks p as AdamW does.
    `amsgrad` divides by the largest v so far (Reddi et al., ICLR 2018).

    >>> w = lamina.tensor([1.0], requires_grad=True)
    >>> optimizer = Adam([w], lr=0.5)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w
    Tensor([0.5], requires_grad=True)
    """

    def __init__(
        self,
        params: Parameters,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        decoupled_weight_decay: bool = False,
        foreach: bool | None = None,
        fused: bool | None = None,
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "betas": betas,
                "eps": eps,
                "weight_decay": weight_decay,
                "amsgrad": amsgrad,
                "maximize": maximize,
                "decoupled_weight_decay": decoupled_weight_decay,
            },
        )

    def slots(self, group: Group) -> dict[str, float]:
        return _slots(group)

    def rule(self, group: Group, state: State) -> AdamRule:
        return _rule(group, state)


@final
class AdamW(Optimizer):
    """Adam with the weights shrunk apart from the gradient:  p ← (1 − lr·λ)·p, then Adam's step.

    Loshchilov & Hutter, "Decoupled Weight Decay Regularization", ICLR 2019. λ is `weight_decay`.

    >>> w = lamina.tensor([1.0], requires_grad=True)
    >>> optimizer = AdamW([w], lr=0.1, weight_decay=1.0)
    >>> (w * 0).sum().backward()
    >>> optimizer.step()
    >>> w
    Tensor([0.9], requires_grad=True)
    """

    def __init__(
        self,
        params: Parameters,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        fused: bool | None = None,
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "betas": betas,
                "eps": eps,
                "weight_decay": weight_decay,
                "amsgrad": amsgrad,
                "maximize": maximize,
                "decoupled_weight_decay": True,
            },
        )

    def slots(self, group: Group) -> dict[str, float]:
        return _slots(group)

    def rule(self, group: Group, state: State) -> AdamRule:
        return _rule(group, state)

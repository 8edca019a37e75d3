"""NAdam: Adam with Nesterov's momentum."""

from collections.abc import Sequence
from typing import NamedTuple, final

import numpy as np

from lamina.memory.array import NDArray
from lamina.optim.optimizer import Group, Optimizer, Parameters, State, count_step, scale_scalar
from lamina.optim.rule import blend, blend_square, regularized


class NAdamRule(NamedTuple):
    """One step of NAdam: how far to go along the gradient and along its mean."""

    gradient_rate: float
    mean_rate: float
    correction: float
    beta1: float
    beta2: float
    eps: float
    decay: float
    shrink: float
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
        np.multiply(g, self.gradient_rate, out=work[0])
        np.multiply(mean, self.mean_rate, out=work[1])
        np.add(work[0], work[1], out=work[0])
        np.divide(square, self.correction, out=work[1])
        np.sqrt(work[1], out=work[1])
        np.add(work[1], self.eps, out=work[1])
        np.divide(work[0], work[1], out=work[0])
        np.subtract(p, work[0], out=p)


@final
class NAdam(Optimizer):
    """NAdam:  p ← p − lr·(μₜ₊₁·m/(1 − Πμ·μₜ₊₁) + (1 − μₜ)·g/(1 − Πμ)) / (√v̂ + ε).

    m, v and v̂ as in Adam; μₜ = β₁(1 − 0.96^(tψ)/2) with ψ the `momentum_decay`, Πμ = μ₁·…·μₜ
    (Dozat, "Incorporating Nesterov Momentum into Adam", ICLR workshop 2016).
    """

    def __init__(
        self,
        params: Parameters,
        lr: float = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum_decay: float = 4e-3,
        decoupled_weight_decay: bool = False,
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
                "momentum_decay": momentum_decay,
                "decoupled_weight_decay": decoupled_weight_decay,
                "maximize": maximize,
            },
        )

    def slots(self, group: Group) -> dict[str, float]:
        return {"exp_avg": 0.0, "exp_avg_sq": 0.0}

    def rule(self, group: Group, state: State) -> NAdamRule:
        step = count_step(state)
        beta1, beta2 = group["betas"]
        lr, decay, slowing = group["lr"], group["weight_decay"], group["momentum_decay"]
        now = beta1 * (1 - 0.5 * 0.96 ** (step * slowing))
        following = beta1 * (1 - 0.5 * 0.96 ** ((step + 1) * slowing))
        product = scale_scalar(state, "mu_product", start=1.0, factor=now)
        decoupled = group["decoupled_weight_decay"]
        return NAdamRule(
            gradient_rate=lr * (1 - now) / (1 - product),
            mean_rate=lr * following / (1 - product * following),
            correction=1 - beta2**step,
            beta1=beta1,
            beta2=beta2,
            eps=group["eps"],
            decay=0.0 if decoupled else decay,
            shrink=1 - lr * decay if decoupled else 1.0,
            maximize=group["maximize"],
        )

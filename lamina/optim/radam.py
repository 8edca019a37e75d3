"""RAdam: Adam that waits with its adaptive step until the variance is known."""

import math
from collections.abc import Sequence
from typing import NamedTuple, final

from lamina.kernels.expression import Expression
from lamina.optim.optimizer import Group, Optimizer, Parameters, State, count_step
from lamina.optim.rule import Blend, Coefficient, Update, descended, regularized, root, shrunk


class RAdamRule(NamedTuple):
    """One step of RAdam; `adapts` once the variance can be rectified."""

    rate: Coefficient
    adapts: bool
    first: Blend
    second: Blend
    eps: Coefficient
    decay: Coefficient
    shrink: Coefficient
    maximize: bool

    def update(self, p: Expression, g: Expression, slots: Sequence[Expression]) -> Update:
        mean, square = slots
        p = shrunk(p, self.shrink)
        g = regularized(p, g, decay=self.decay, maximize=self.maximize)
        mean, square = self.first.moved(mean, g), self.second.moved(square, g * g)
        if not self.adapts:
            return Update(p - mean * self.rate, (mean, square))
        return Update(descended(p, mean, root(square) + self.eps, self.rate), (mean, square))


def rectified_rate(rate: float, beta2: float, step: int) -> tuple[float, bool]:
    """Return the step size in front of m (or of m/√v), and whether it is to be divided by √v.

    ρ∞ = 2/(1−β₂) − 1, ρₜ = ρ∞ − 2tβ₂ᵗ/(1−β₂ᵗ); the variance is tractable where ρₜ > 5.
    """
    unbiased = 1 - beta2**step
    longest = 2 / (1 - beta2) - 1
    length = longest - 2 * step * beta2**step / unbiased
    if length <= 5:
        return rate, False
    variance = (length - 4) * (length - 2) * longest / ((longest - 4) * (longest - 2) * length)
    return rate * math.sqrt(variance * unbiased), True


@final
class RAdam(Optimizer):
    """RAdam:  p ← p − lr·r·m̂/(√v̂ + ε) once the rectification r of the variance is defined.

    m̂ and v̂ as in Adam; before that p ← p − lr·m̂ (Liu et al., "On the Variance of the Adaptive
    Learning Rate and Beyond", ICLR 2020). ε is added to √v, as PyTorch does.
    """

    def __init__(
        self,
        params: Parameters,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
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
                "decoupled_weight_decay": decoupled_weight_decay,
                "maximize": maximize,
            },
        )

    def slots(self, group: Group) -> dict[str, float]:
        return {"exp_avg": 0.0, "exp_avg_sq": 0.0}

    def rule(self, group: Group, state: State) -> RAdamRule:
        step = count_step(state)
        beta1, beta2 = group["betas"]
        lr, decay = group["lr"], group["weight_decay"]
        decoupled = group["decoupled_weight_decay"]
        rate, adapts = rectified_rate(lr / (1 - beta1**step), beta2, step)
        return RAdamRule(
            rate=rate,
            adapts=adapts,
            first=Blend.of(beta1),
            second=Blend.of(beta2),
            eps=group["eps"],
            decay=0.0 if decoupled else decay,
            shrink=1 - lr * decay if decoupled else 1.0,
            maximize=group["maximize"],
        )

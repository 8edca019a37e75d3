"""Adamax: Adam by the largest gradient instead of the mean square."""

from collections.abc import Sequence
from typing import NamedTuple, final

from lamina.kernels.expression import Expression, apply
from lamina.optim.optimizer import Group, Optimizer, Parameters, State, count_step
from lamina.optim.rule import Blend, Coefficient, Update, descended, regularized


class AdamaxRule(NamedTuple):
    """One step of Adamax."""

    rate: Coefficient
    blend: Blend
    beta2: Coefficient
    eps: Coefficient
    decay: Coefficient
    maximize: bool

    def update(self, p: Expression, g: Expression, slots: Sequence[Expression]) -> Update:
        mean, largest = slots
        g = regularized(p, g, decay=self.decay, maximize=self.maximize)
        mean = self.blend.moved(mean, g)
        largest = apply("maximum", largest * self.beta2, apply("absolute", g) + self.eps)
        return Update(descended(p, mean, largest, self.rate), (mean, largest))


@final
class Adamax(Optimizer):
    """Adamax:  m ← β₁m + (1−β₁)g,  u ← max(β₂u, |g| + ε),  p ← p − lr/(1−β₁ᵗ)·m/u.

    Kingma & Ba, "Adam: A Method for Stochastic Optimization", ICLR 2015, section 7.1.
    """

    def __init__(
        self,
        params: Parameters,
        lr: float = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
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
                "maximize": maximize,
            },
        )

    def slots(self, group: Group) -> dict[str, float]:
        return {"exp_avg": 0.0, "exp_inf": 0.0}

    def rule(self, group: Group, state: State) -> AdamaxRule:
        beta1, beta2 = group["betas"]
        return AdamaxRule(
            rate=group["lr"] / (1 - beta1 ** count_step(state)),
            blend=Blend.of(beta1),
            beta2=beta2,
            eps=group["eps"],
            decay=group["weight_decay"],
            maximize=group["maximize"],
        )

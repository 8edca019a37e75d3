"""NAdam: Adam with Nesterov's momentum."""

from collections.abc import Sequence
from typing import NamedTuple, final

from lamina.kernels.expression import Expression
from lamina.optim.optimizer import Group, Optimizer, Parameters, State, count_step, scale_scalar
from lamina.optim.rule import Blend, Coefficient, Update, regularized, root, shrunk


class NAdamRule(NamedTuple):
    """One step of NAdam: how far to go along the gradient and along its mean."""

    gradient_rate: Coefficient
    mean_rate: Coefficient
    correction: Coefficient
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
        step = g * self.gradient_rate + mean * self.mean_rate
        divisor = root(square / self.correction) + self.eps
        return Update(p - step / divisor, (mean, square))


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
            first=Blend.of(beta1),
            second=Blend.of(beta2),
            eps=group["eps"],
            decay=0.0 if decoupled else decay,
            shrink=1 - lr * decay if decoupled else 1.0,
            maximize=group["maximize"],
        )

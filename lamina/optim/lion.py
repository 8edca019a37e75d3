"""Lion: steps of one size, by the sign of a momentum."""

from collections.abc import Sequence
from typing import NamedTuple, final

from lamina.kernels.expression import Expression, apply
from lamina.optim.optimizer import Group, Optimizer, Parameters, State
from lamina.optim.rule import Blend, Coefficient, Update, regularized, shrunk


class LionRule(NamedTuple):
    """One step of Lion."""

    lr: Coefficient
    first: Blend
    second: Blend
    shrink: Coefficient
    maximize: bool

    def update(self, p: Expression, g: Expression, slots: Sequence[Expression]) -> Update:
        (mean,) = slots
        p = shrunk(p, self.shrink)
        g = regularized(p, g, decay=0.0, maximize=self.maximize)
        step = apply("sign", self.first.moved(mean, g))
        return Update(p - step * self.lr, (self.second.moved(mean, g),))


@final
class Lion(Optimizer):
    """Lion:  p ← (1 − lr·λ)·p − lr·sign(β₁m + (1−β₁)g),  then m ← β₂m + (1−β₂)g.

    Chen et al., "Symbolic Discovery of Optimization Algorithms", NeurIPS 2023. λ is `weight_decay`.
    Steps are larger than Adam's: a rate 3 to 10 times smaller is usual.
    """

    def __init__(
        self,
        params: Parameters,
        lr: float = 1e-4,
        betas: tuple[float, float] = (0.9, 0.99),
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        fused: bool | None = None,
    ) -> None:
        super().__init__(
            params,
            {"lr": lr, "betas": betas, "weight_decay": weight_decay, "maximize": maximize},
        )

    def slots(self, group: Group) -> dict[str, float]:
        return {"exp_avg": 0.0}

    def rule(self, group: Group, state: State) -> LionRule:
        beta1, beta2 = group["betas"]
        lr = group["lr"]
        return LionRule(
            lr=lr,
            first=Blend.of(beta1),
            second=Blend.of(beta2),
            shrink=1 - lr * group["weight_decay"],
            maximize=group["maximize"],
        )

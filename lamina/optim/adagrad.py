"""Adagrad: gradients divided by the root of the sum of all their squares."""

from collections.abc import Sequence
from typing import NamedTuple, final

from lamina.kernels.expression import Expression
from lamina.optim.optimizer import Group, Optimizer, Parameters, State, count_step
from lamina.optim.rule import Coefficient, Update, descended, regularized, root


class AdagradRule(NamedTuple):
    """One step of Adagrad."""

    rate: Coefficient
    eps: Coefficient
    decay: Coefficient
    maximize: bool

    def update(self, p: Expression, g: Expression, slots: Sequence[Expression]) -> Update:
        g = regularized(p, g, decay=self.decay, maximize=self.maximize)
        total = slots[0] + g * g
        return Update(descended(p, g, root(total) + self.eps, self.rate), (total,))


@final
class Adagrad(Optimizer):
    """Adagrad:  s ← s + g²,  p ← p − lr/(1 + (t−1)·lr_decay)·g/(√s + ε).

    s begins at `initial_accumulator_value` (Duchi et al., "Adaptive Subgradient Methods for Online
    Learning and Stochastic Optimization", JMLR 12, 2011).
    """

    def __init__(
        self,
        params: Parameters,
        lr: float = 1e-2,
        lr_decay: float = 0.0,
        weight_decay: float = 0.0,
        initial_accumulator_value: float = 0.0,
        eps: float = 1e-10,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        fused: bool | None = None,
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "lr_decay": lr_decay,
                "weight_decay": weight_decay,
                "initial_accumulator_value": initial_accumulator_value,
                "eps": eps,
                "maximize": maximize,
            },
        )

    def slots(self, group: Group) -> dict[str, float]:
        return {"sum": group["initial_accumulator_value"]}

    def rule(self, group: Group, state: State) -> AdagradRule:
        step = count_step(state)
        return AdagradRule(
            rate=group["lr"] / (1 + (step - 1) * group["lr_decay"]),
            eps=group["eps"],
            decay=group["weight_decay"],
            maximize=group["maximize"],
        )

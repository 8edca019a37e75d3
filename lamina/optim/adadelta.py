"""Adadelta: steps as large as the recent steps were, in proportion to the gradient."""

from collections.abc import Sequence
from typing import NamedTuple, final

from lamina.kernels.expression import Expression
from lamina.optim.optimizer import Group, Optimizer, Parameters, State, count_step
from lamina.optim.rule import Blend, Coefficient, Update, regularized, root


class AdadeltaRule(NamedTuple):
    """One step of Adadelta."""

    lr: Coefficient
    blend: Blend
    eps: Coefficient
    decay: Coefficient
    maximize: bool

    def update(self, p: Expression, g: Expression, slots: Sequence[Expression]) -> Update:
        square, moved = slots
        g = regularized(p, g, decay=self.decay, maximize=self.maximize)
        square = self.blend.moved(square, g * g)
        step = root(moved + self.eps) / root(square + self.eps) * g
        return Update(p - step * self.lr, (square, self.blend.moved(moved, step * step)))


@final
class Adadelta(Optimizer):
    """Adadelta:  v ← ρv + (1−ρ)g²,  Δ = √(u+ε)/√(v+ε)·g,  u ← ρu + (1−ρ)Δ²,  p ← p − lr·Δ.

    Zeiler, "ADADELTA: An Adaptive Learning Rate Method", arXiv:1212.5701.
    """

    def __init__(
        self,
        params: Parameters,
        lr: float = 1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        fused: bool | None = None,
    ) -> None:
        super().__init__(
            params,
            {"lr": lr, "rho": rho, "eps": eps, "weight_decay": weight_decay, "maximize": maximize},
        )

    def slots(self, group: Group) -> dict[str, float]:
        return {"square_avg": 0.0, "acc_delta": 0.0}

    def rule(self, group: Group, state: State) -> AdadeltaRule:
        count_step(state)
        return AdadeltaRule(
            lr=group["lr"],
            blend=Blend.of(group["rho"]),
            eps=group["eps"],
            decay=group["weight_decay"],
            maximize=group["maximize"],
        )

"""Adadelta: steps as large as the recent steps were, in proportion to the gradient."""

from collections.abc import Sequence
from typing import NamedTuple, final

import numpy as np

from lamina.memory.array import NDArray
from lamina.optim.optimizer import Group, Optimizer, Parameters, State, count_step
from lamina.optim.rule import blend_square, regularized


class AdadeltaRule(NamedTuple):
    """One step of Adadelta."""

    lr: float
    rho: float
    eps: float
    decay: float
    maximize: bool

    def update(
        self, p: NDArray, g: NDArray, slots: Sequence[NDArray], work: Sequence[NDArray]
    ) -> None:
        square, moved = slots[:2]
        g = regularized(p, g, work[0], decay=self.decay, maximize=self.maximize)
        blend_square(square, g, self.rho, work[1])
        np.add(square, self.eps, out=work[1])
        np.sqrt(work[1], out=work[1])
        np.add(moved, self.eps, out=work[2])
        np.sqrt(work[2], out=work[2])
        np.divide(work[2], work[1], out=work[1])
        np.multiply(work[1], g, out=work[1])
        blend_square(moved, work[1], self.rho, work[2])
        np.multiply(work[1], self.lr, out=work[1])
        np.subtract(p, work[1], out=p)


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
            rho=group["rho"],
            eps=group["eps"],
            decay=group["weight_decay"],
            maximize=group["maximize"],
        )

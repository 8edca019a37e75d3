"""Lion: steps of one size, by the sign of a momentum."""

from collections.abc import Sequence
from typing import NamedTuple, final

import numpy as np

from lamina.memory.array import NDArray
from lamina.optim.optimizer import Group, Optimizer, Parameters, State
from lamina.optim.rule import blend, regularized


class LionRule(NamedTuple):
    """One step of Lion."""

    lr: float
    beta1: float
    beta2: float
    shrink: float
    maximize: bool

    def update(
        self, p: NDArray, g: NDArray, slots: Sequence[NDArray], work: Sequence[NDArray]
    ) -> None:
        mean = slots[0]
        if self.shrink != 1:
            np.multiply(p, self.shrink, out=p)
        g = regularized(p, g, work[0], decay=0.0, maximize=self.maximize)
        np.multiply(mean, self.beta1, out=work[1])
        np.multiply(g, 1 - self.beta1, out=work[2])
        np.add(work[1], work[2], out=work[1])
        np.sign(work[1], out=work[1])
        np.multiply(work[1], self.lr, out=work[1])
        np.subtract(p, work[1], out=p)
        blend(mean, g, self.beta2, work[2])


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
            beta1=beta1,
            beta2=beta2,
            shrink=1 - lr * group["weight_decay"],
            maximize=group["maximize"],
        )

"""Adam and AdamW: one rule, with weight decay in the gradient or beside it."""

import math
from collections.abc import Sequence
from typing import NamedTuple, final

from lamina.kernels.expression import Expression, apply
from lamina.optim.optimizer import Group, Optimizer, Parameters, State, count_step
from lamina.optim.rule import Blend, Coefficient, Update, descended, regularized, root, shrunk


class AdamRule(NamedTuple):
    """One step of Adam; √(1 − β₂ᵗ) is in the rate and in ε, which saves a division."""

    rate: Coefficient
    first: Blend
    second: Blend
    eps: Coefficient
    decay: Coefficient
    shrink: Coefficient
    amsgrad: bool
    maximize: bool

    def update(self, p: Expression, g: Expression, slots: Sequence[Expression]) -> Update:
        mean, square, *largest = slots
        p = shrunk(p, self.shrink)
        g = regularized(p, g, decay=self.decay, maximize=self.maximize)
        mean, square = self.first.moved(mean, g), self.second.moved(square, g * g)
        if self.amsgrad:
            largest = [apply("maximum", largest[0], square)]
        divisor = root(largest[0] if self.amsgrad else square) + self.eps
        return Update(descended(p, mean, divisor, self.rate), (mean, square, *largest))


def _slots(group: Group) -> dict[str, float]:
    own = {"exp_avg": 0.0, "exp_avg_sq": 0.0}
    return {**own, "max_exp_avg_sq": 0.0} if group["amsgrad"] else own


def _rule(group: Group, state: State) -> AdamRule:
    step = count_step(state)
    beta1, beta2 = group["betas"]
    lr, decay = group["lr"], group["weight_decay"]
    decoupled = group["decoupled_weight_decay"]
    root_of_bias = math.sqrt(1 - beta2**step)
    return AdamRule(
        rate=lr / (1 - beta1**step) * root_of_bias,
        first=Blend.of(beta1),
        second=Blend.of(beta2),
        eps=group["eps"] * root_of_bias,
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

"""RMSprop: gradients divided by their recent root mean square."""

from collections.abc import Sequence
from typing import NamedTuple, final

from lamina.kernels.expression import Expression
from lamina.optim.optimizer import Group, Optimizer, Parameters, State, count_step
from lamina.optim.rule import Blend, Coefficient, Update, descended, regularized, root


class RMSpropRule(NamedTuple):
    """One step of RMSprop."""

    lr: Coefficient
    blend: Blend
    eps: Coefficient
    decay: Coefficient
    momentum: Coefficient
    centered: bool
    maximize: bool

    def update(self, p: Expression, g: Expression, slots: Sequence[Expression]) -> Update:
        own = list(slots)
        g = regularized(p, g, decay=self.decay, maximize=self.maximize)
        variance = own[0] = self.blend.moved(own[0], g * g)
        if self.centered:
            own[1] = self.blend.moved(own[1], g)
            variance = variance - own[1] * own[1]
        divisor = root(variance) + self.eps
        if not self.momentum:
            return Update(descended(p, g, divisor, self.lr), own)
        own[-1] = own[-1] * self.momentum + g / divisor
        return Update(p - own[-1] * self.lr, own)


@final
class RMSprop(Optimizer):
    """RMSprop:  v ← αv + (1−α)g²,  p ← p − lr·g/(√v + ε).

    Hinton, "Neural Networks for Machine Learning", lecture 6e, 2012. `centered` subtracts the
    squared mean of g from v (Graves, arXiv:1308.0850); with `momentum` μ the step is along
    b ← μb + g/(√v + ε).
    """

    def __init__(
        self,
        params: Parameters,
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum: float = 0.0,
        centered: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        fused: bool | None = None,
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "alpha": alpha,
                "eps": eps,
                "weight_decay": weight_decay,
                "momentum": momentum,
                "centered": centered,
                "maximize": maximize,
            },
        )

    def slots(self, group: Group) -> dict[str, float]:
        names = ["square_avg"]
        if group["centered"]:
            names.append("grad_avg")
        if group["momentum"]:
            names.append("momentum_buffer")
        return dict.fromkeys(names, 0.0)

    def rule(self, group: Group, state: State) -> RMSpropRule:
        count_step(state)
        return RMSpropRule(
            lr=group["lr"],
            blend=Blend.of(group["alpha"]),
            eps=group["eps"],
            decay=group["weight_decay"],
            momentum=group["momentum"],
            centered=group["centered"],
            maximize=group["maximize"],
        )

"""The table of strategies, and the choice between them: by shape, never by batch or threads."""

from lamina.errors import ArgumentError
from lamina.kernels.convolution import choices
from lamina.kernels.convolution.correlation import CORRELATION
from lamina.kernels.convolution.depthwise import DEPTHWISE
from lamina.kernels.convolution.depthwise_last import DEPTHWISE_LAST
from lamina.kernels.convolution.direct import DIRECT, DIRECT_LAST, DIRECT_UNBLOCKED
from lamina.kernels.convolution.im2col import IM2COL
from lamina.kernels.convolution.input_gradient import INPUT_GRADIENT
from lamina.kernels.convolution.padded import PADDED
from lamina.kernels.convolution.planes_last import PLANES_LAST
from lamina.kernels.convolution.pointwise import POINTWISE
from lamina.kernels.convolution.problem import Problem, phases
from lamina.kernels.convolution.row_by_row import ROW_BY_ROW
from lamina.kernels.convolution.strategy import Strategy
from lamina.kernels.convolution.winograd import WINOGRAD
from lamina.kernels.convolution.winograd_gradient import WINOGRAD_GRADIENT

# Where costs are equal the first one is taken; the last one applies to everything.
STRATEGIES = (
    DEPTHWISE_LAST, DEPTHWISE, POINTWISE, PLANES_LAST, ROW_BY_ROW, CORRELATION, *WINOGRAD,
    WINOGRAD_GRADIENT, INPUT_GRADIENT, DIRECT_LAST, DIRECT, DIRECT_UNBLOCKED, IM2COL, PADDED,
)  # fmt: skip


def preferred(p: Problem) -> list[Strategy]:
    """Return the strategies that can compute `p`: the one that was measured to be best, where
    `lamina tune` did, then the cheapest first.
    """
    sample = p.of_one_sample()
    found = [strategy for strategy in STRATEGIES if strategy.applies(sample)]
    tuned = choices.recall(sample)
    return sorted(found, key=lambda strategy: (strategy.name != tuned, strategy.cost(sample)))


def choose(p: Problem, name: str | None = None) -> Strategy:
    """Return the preferred strategy for `p`, or the one called `name`.

    Raises ArgumentError where there is none of that name, or it does not apply.
    """
    found = preferred(p)
    for strategy in found:
        if name in (None, strategy.name):
            return strategy
    names = ", ".join(strategy.name for strategy in found)
    raise ArgumentError(
        f"conv: strategy {name!r} given for output {p.out.shape} and kernel {p.w.shape}; "
        f"expected one that applies: {names}"
    )


def divided(p: Problem, name: str | None = None) -> list[Problem]:
    """Return the problems that `p` is computed as by the strategy `name`, or by the cheapest: `p`
    itself, or one for each phase of an input with gaps.
    """
    parts = list(phases(p))
    if len(parts) < 2:
        return parts
    if name is None:
        return [p] if _least_cost(p) < sum(map(_least_cost, parts)) else parts
    return parts if all(_has(part, name) for part in parts) else [p]


def _has(p: Problem, name: str) -> bool:
    return any(strategy.name == name for strategy in preferred(p))


def _least_cost(p: Problem) -> float:
    return preferred(p)[0].cost(p.of_one_sample())

"""Convolution of one to three spatial axes: forward, and both of its gradients."""

from dataclasses import dataclass, replace
from functools import lru_cache

from lamina.codegen import threads
from lamina.errors import ArgumentError, DTypeError, ShapeError
from lamina.kernels.convolution import choices
from lamina.kernels.convolution.problem import After, Problem, simplified, spatial3
from lamina.kernels.convolution.results import SUM
from lamina.kernels.convolution.table import choose, divided, preferred
from lamina.kernels.elementwise import compute
from lamina.kernels.expression import Expression, Input, substituted
from lamina.kernels.launch import FURTHER, LEFT, OUT, PLANS_KEPT, RIGHT, Place, Plan, View
from lamina.kernels.operand import Named, Operand, Shape
from lamina.kernels.scalars import SCALARS

Layout = tuple[Shape, Shape]
_Call = tuple[tuple[str, ...], Layout, Layout, Layout, tuple[Shape, ...], tuple[int, int]]


def conv(
    out: Operand,
    x: Operand,
    w: Operand,
    *,
    stride: Shape,
    padding: Shape,
    dilation: Shape,
    input_dilation: Shape,
    groups: int = 1,
    batch_groups: int = 1,
    strategy: str | None = None,
    epilogue: Expression = SUM,
    bias: Operand | None = None,
    residual: Operand | None = None,
    prepared: Operand | None = None,
) -> None:
    """Write the convolution of `x` with `w` into `out`, through an epilogue.

        out[n, o, p] = epilogue(Σ_{c, k} w[o, c, k] · x̂[n, c, p·stride − padding + k·dilation], …)

    where x̂ is `x` with input_dilation − 1 zeros between neighbours, and 0 outside. Shapes: x (B,
    C, *S), w (O, C / groups, *K), out (B / batch_groups, O, *P). `padding` is that before each
    axis and may be negative; `out` says where it ends. Feature group g of `x` feeds channel group
    g of `out`; so does batch group g, where batch_groups > 1. Strides are free; `out` must not
    overlap the others. The bits of a sample do not depend on the batch nor on threads.

    `strategy` names a row of the table of strategies; without it the cheapest is taken. An
    `epilogue` is an expression of SUM, of BIAS, a number for each channel, and of RESIDUAL, an
    operand that lies as `out` does; the bits are those of that expression over stored sums.
    `prepared` is what `ahead.prepare` made of w for the strategy named. Raises DTypeError,
    ShapeError, and ArgumentError, also where that strategy does not apply.
    """
    call = _described(
        out, x, w, (stride, padding, dilation, input_dilation), (groups, batch_groups)
    )
    if bias is not None and (bias.shape, bias.strides) != ((out.shape[1],), (1,)):
        raise ShapeError(f"conv: bias {bias.shape} given; expected ({out.shape[1]},), side by side")
    if residual is not None and (residual.shape, residual.strides) != (out.shape, out.strides):
        raise ShapeError(f"conv: residual {residual.shape} given; expected it to lie as out does")
    after = None if epilogue == SUM else After(epilogue)
    plan, is_fused = _plan(*call, strategy, after, prepared is not None, threads.num_threads())
    others = [operand.address if operand else 0 for operand in (bias, residual, prepared)]
    plan.run(out.address, x.address, w.address, *others)
    if not is_fused:
        _go_on(epilogue, out, bias, residual)


def _go_on(
    epilogue: Expression, out: Operand, bias: Operand | None, residual: Operand | None
) -> None:
    """Apply an epilogue to stored sums."""
    inputs = [out]
    places: list[Expression] = [SUM, SUM, SUM]
    if bias is not None:
        places[1] = Input(len(inputs))
        inputs.append(_Channels(bias, len(out.shape) - 2))
    if residual is not None:
        places[2] = Input(len(inputs))
        inputs.append(residual)
    compute([substituted(epilogue, places)], [out], inputs)


@dataclass(frozen=True, slots=True)
class _Channels:
    """A number for each channel, seen as an operand of images of so many spatial axes."""

    numbers: Operand
    axes: int

    @property
    def address(self) -> int:
        return self.numbers.address

    @property
    def dtype(self) -> Named:
        return self.numbers.dtype

    @property
    def shape(self) -> Shape:
        return (*self.numbers.shape, *(1,) * self.axes)

    @property
    def strides(self) -> Shape:
        return (1, *(0,) * self.axes)


def parts(
    out: Operand,
    x: Operand,
    w: Operand,
    *,
    stride: Shape,
    padding: Shape,
    dilation: Shape,
    input_dilation: Shape,
    groups: int = 1,
    batch_groups: int = 1,
    strategy: str | None = None,
) -> list[Problem]:
    """Return the problems that `conv` solves for these operands, one after the other."""
    options = (stride, padding, dilation, input_dilation)
    problem = problem_of(*_described(out, x, w, options, (groups, batch_groups)))
    return divided(simplified(problem), strategy)


def strategies(problems: list[Problem]) -> dict[str, float]:
    """Return the strategies that can compute all of `problems`, in the order in which they are
    preferred for the first, each with its estimated cycles for one sample.
    """
    costs = [
        {strategy.name: strategy.cost(problem.of_one_sample()) for strategy in preferred(problem)}
        for problem in problems
    ]
    return {
        name: sum(cost[name] for cost in costs)
        for name in costs[0]
        if all(name in cost for cost in costs)
    }


def remember(problems: list[Problem], name: str) -> None:
    """Prefer strategy `name` for problems of these shapes from now on, in later processes too.

    Neither the batch nor the number of threads tells shapes apart.
    """
    for problem in problems:
        choices.remember(problem, name)
    _plan.cache_clear()


def _described(
    out: Operand, x: Operand, w: Operand, options: tuple[Shape, ...], groups: tuple[int, int]
) -> _Call:
    """Return all of a call but its addresses."""
    return (
        (out.dtype.name, x.dtype.name, w.dtype.name),
        (out.shape, out.strides),
        (x.shape, x.strides),
        (w.shape, w.strides),
        tuple(tuple(option) for option in options),
        groups,
    )


@lru_cache(maxsize=PLANS_KEPT)
def _plan(
    dtypes: tuple[str, ...],
    out: Layout,
    x: Layout,
    w: Layout,
    options: tuple[Shape, ...],
    groups: tuple[int, int],
    strategy: str | None,
    after: After | None,
    is_prepared: bool,
    workers: int,
) -> tuple[Plan, bool]:
    """Return the calls, and whether they do what comes after the sums."""
    problem = problem_of(dtypes, out, x, w, options, groups)
    if is_prepared:
        problem = replace(problem, prepared=Place(FURTHER + 2, 0))
    if 0 in out[0]:
        return Plan(()), True
    pieces = [(piece, choose(piece, strategy)) for piece in divided(simplified(problem), strategy)]
    going_on = [replace(piece, after=after) for piece, _ in pieces]
    is_fused = after is None or all(
        chosen.fuses(piece) for piece, (_, chosen) in zip(going_on, pieces, strict=True)
    )
    plans = [
        chosen.plan(whole if is_fused else piece)
        for whole, (piece, chosen) in zip(going_on, pieces, strict=True)
    ]
    steps = tuple(step for plan in plans for step in plan.steps)
    return Plan(steps, max(plan.workspace_bytes for plan in plans)), is_fused


def problem_of(
    dtypes: tuple[str, ...],
    out: Layout,
    x: Layout,
    w: Layout,
    options: tuple[Shape, ...],
    groups: tuple[int, int],
) -> Problem:
    """Return the problem of operands of these dtypes, layouts and options."""
    _check(dtypes, out[0], x[0], w[0], options, groups)
    itemsize = SCALARS[dtypes[0]].bytes
    bases = zip((OUT, LEFT, RIGHT), (out, x, w), strict=True)
    out_view, x_view, w_view = (
        spatial3(View(Place(base, 0), *layout, itemsize)) for base, layout in bases
    )
    fill = 5 - len(out[0])
    stride, padding, dilation, spread = options
    return Problem(
        out=out_view,
        x=x_view,
        w=w_view,
        dtype=dtypes[0],
        stride=(1,) * fill + stride,
        padding=(0,) * fill + padding,
        dilation=(1,) * fill + dilation,
        spread=(1,) * fill + spread,
        groups=groups[0],
        batch_groups=groups[1],
    )


def _check(
    dtypes: tuple[str, ...],
    out: Shape,
    x: Shape,
    w: Shape,
    options: tuple[Shape, ...],
    groups: tuple[int, int],
) -> None:
    if dtypes[0] not in SCALARS or dtypes != (dtypes[0],) * 3:
        raise DTypeError(f"conv: dtypes {dtypes}; expected float32 or float64, the same for all")
    axes = len(out) - 2
    if axes not in (1, 2, 3) or len(x) != axes + 2 or len(w) != axes + 2:
        raise ShapeError(f"conv: shapes {out}, {x}, {w}; expected the same 1, 2 or 3 spatial axes")
    stride, _, dilation, spread = options
    if any(len(option) != axes for option in options) or min(*stride, *dilation, *spread) < 1:
        raise ArgumentError(f"conv: options {options}; expected {axes} each, steps of at least 1")
    if min(groups) != 1:
        raise ArgumentError(
            f"conv: (groups, batch_groups) = {groups}; expected one of them to be 1"
        )
    batch, channels = out[0] * groups[1], w[1] * groups[0]
    if x[:2] != (batch, channels) or out[1] != w[0] or w[0] % max(groups):
        raise ShapeError(f"conv: x {x} and w {w} do not give {out}, groups {groups}")

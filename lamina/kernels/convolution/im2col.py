"""One matrix product for each group: the weights are one matrix, the other is read from the image
by offsets while it is packed (im2col that exists only as a panel in the first cache).
"""

from math import prod

from lamina.codegen.target import host_target
from lamina.kernels.convolution.problem import Problem, group_axis, sum_axes
from lamina.kernels.convolution.results import SUM
from lamina.kernels.convolution.strategy import Strategy, layout_cost
from lamina.kernels.expression import Input, substituted
from lamina.kernels.gemm.arithmetic import Recipe
from lamina.kernels.gemm.contract import Contraction, FurtherOperand
from lamina.kernels.gemm.epilogue import Epilogue
from lamina.kernels.gemm.finish import CONSTANT, SIDE_BY_SIDE
from lamina.kernels.gemm.tiles import columns, k_block, tile_for
from lamina.kernels.launch import Plan, Step, View
from lamina.kernels.operand import coalesce
from lamina.kernels.scalars import SCALARS

# Cycles: of a register packed along a row, of one packed from runs, of an element packed alone, of
# a panel, and of a product in a full tile.
_PACKED, _PIECED, _SCATTERED, _PANEL, _PRODUCT = 1.5, 4.0, 2.0, 400, 0.55


def multiply(p: Problem, x: View, *, slack: bool) -> Step:
    """Compute `p` as one matrix product for each group, reading the padded input `x`.

    `slack` says that two registers may be read past the end of x.
    """
    steps = (1, *(x.strides[2 + axis] * p.stride[axis] for axis in range(3)))
    places = (p.out.shape[0], *p.places)
    axes = zip(
        places, (p.out.strides[0], *p.out.strides[2:]), (x.strides[0], *steps[1:]), strict=True
    )
    w, x, sums = sum_axes(p, x)
    recipe, further = _after(p)
    batch = group_axis(p, x)
    # Of a group the bias begins at its first output; a residual is as far on as the output.
    steps_further = [p.outputs if operand.column == 0 else batch[1] for operand in further]
    return Contraction(
        recipe=recipe,
        out=p.out.place,
        a=w.place,
        b=x.place,
        m=p.outputs,
        out_row=p.out.strides[1],
        a_row=p.w.strides[0],
        columns=coalesce(list(axes)),
        sums=coalesce(sums),
        batch=coalesce([(*batch, *steps_further)]),
        slack=slack,
        further=further,
    ).step()


def _after(p: Problem) -> tuple[Recipe, tuple[FurtherOperand, ...]]:
    """Return what the product is of and goes on with, and the operands of that."""
    if p.after is None:
        return Recipe.of(p.dtype), ()
    places = p.after.places(p.out.place)
    lies = {"bias": (1, 0, CONSTANT), "residual": (p.out.strides[1], 1, SIDE_BY_SIDE)}
    # In an epilogue of products the operands are numbered without gaps.
    numbers = {operand: Input(1 + n) for n, operand in enumerate(places)}
    inputs = [SUM, *(numbers.get(name, SUM) for name in ("bias", "residual"))]
    expression = substituted(p.after.expression, inputs)
    recipe = Recipe.of(p.dtype)._replace(
        epilogue=Epilogue(expression), inputs=tuple((p.dtype, lies[name][2]) for name in places)
    )
    further = (FurtherOperand(place, *lies[name][:2]) for name, place in places.items())
    return recipe, tuple(further)


def fuses(p: Problem) -> bool:
    """Return whether the results of a group follow each other along a row of the product, and no
    sum has to wait for a further block of terms.
    """
    depth = prod(p.w.shape[1:])
    if k_block(depth, tile_for(host_target())) < depth:
        return False
    sizes = (p.out.shape[0], *p.places)
    strides = (p.out.strides[0], *p.out.strides[2:])
    axes = coalesce(list(zip(sizes, strides, strict=True)))
    return p.batch_groups == 1 and len(axes) == 1 and axes[0][1] == 1


def product_cost(p: Problem, *, is_scattered: bool = False) -> float:
    """Return the cycles of the matrix products of one sample, its packing included.

    Panels run on over samples, but where samples fall into groups: a last panel that is part empty
    counts half. Weights are packed once for all samples and do not count.
    """
    target, scalar = host_target(), SCALARS[p.dtype]
    tile, lanes = tile_for(target), target.lanes(scalar)
    width = columns(tile, target, scalar)
    rows = p.outputs // tile.rows * tile.rows
    rest = p.outputs - rows
    rows += min(height for height in (0, *tile.heights) if height >= rest)
    packing = _SCATTERED * lanes if is_scattered else _PACKED if prod(p.taps) == 1 else _PIECED
    depth = prod(p.w.shape[1:])
    panels, whole = prod(p.places) / width, -(-prod(p.places) // width)
    if p.batch_groups > 1:
        panels = whole
    elif panels > 1:
        panels = (panels + whole) / 2
    each = _PANEL + depth * width / lanes * (rows * _PRODUCT + packing)
    return p.parts * panels * each + layout_cost(p)


def _is_scattered(p: Problem) -> bool:
    """Return whether packing finds no two neighbours side by side."""
    along = p.stride[2] if p.places[2] > p.taps[2] else p.dilation[2]
    return p.x.strides[4] * along != 1 and (prod(p.taps) > 1 or p.x.strides[1] != 1)


def _plan(p: Problem) -> Plan:
    start = -sum(a * b for a, b in zip(p.padding, p.x.strides[2:], strict=True))
    return Plan((multiply(p, p.x.moved(start), slack=False),))


IM2COL = Strategy(
    name="im2col",
    applies=lambda p: p.is_inside,
    cost=lambda p: product_cost(p, is_scattered=_is_scattered(p)),
    plan=_plan,
    fuses=fuses,
)

"""One product of matrices whose rows are pixels: for kernels of one tap, where the channels of a
pixel lie side by side.

    out[p, o] = Σ_c x[p, c] · w[o, c]

Nothing is packed but the weights, and those can be packed ahead.
"""

from math import prod

from lamina.codegen.target import host_target
from lamina.kernels.convolution.problem import Problem, is_channels_last
from lamina.kernels.convolution.results import SUM
from lamina.kernels.convolution.strategy import (
    Prepared,
    Strategy,
    weights_cost,
)
from lamina.kernels.expression import Input, substituted
from lamina.kernels.gemm.arithmetic import Recipe
from lamina.kernels.gemm.contract import Contraction, FurtherOperand
from lamina.kernels.gemm.epilogue import Epilogue
from lamina.kernels.gemm.finish import SIDE_BY_SIDE
from lamina.kernels.gemm.packed import packed_size, packing
from lamina.kernels.gemm.tiles import columns, tile_for
from lamina.kernels.launch import OUT, Place, Plan, View
from lamina.kernels.operand import Axes, coalesce
from lamina.kernels.scalars import SCALARS

# Of fewer pixels a product reads the weights as they are.
_FEW_PIXELS = 4
# Cycles: of a product in a full tile, of a call, of a tile.
_PRODUCT, _CALL, _TILE = 0.55, 1000, 40


def _pixels(p: Problem, view: View) -> Axes:
    """Return the axes over the places of an image, with their strides in a view, joined."""
    return coalesce(list(zip(p.places, view.strides[2:], strict=True)))


def _applies(p: Problem) -> bool:
    is_plain = prod(p.taps) == 1 and p.stride == p.spread == (1, 1, 1) and p.parts == 1
    return (
        is_plain
        and p.is_inside
        and prod(p.places) >= _FEW_PIXELS
        and all(is_channels_last(x) and len(_pixels(p, x)) == 1 for x in (p.x, p.out))
    )


def _after(p: Problem) -> tuple[Recipe, tuple[FurtherOperand, ...]]:
    """Return what the product is of and goes on with, and the operands of that."""
    recipe = Recipe.of(p.dtype)._replace(is_packed=p.prepared is not None)
    if p.after is None:
        return recipe, ()
    places = p.after.places(p.out.place)
    [(_, out_row)] = _pixels(p, p.out)
    rows = {"bias": 0, "residual": out_row}
    # In an epilogue of products the operands are numbered without gaps.
    numbers = {operand: Input(1 + n) for n, operand in enumerate(places)}
    inputs = [SUM, *(numbers.get(name, SUM) for name in ("bias", "residual"))]
    recipe = recipe._replace(
        epilogue=Epilogue(substituted(p.after.expression, inputs)),
        inputs=((p.dtype, SIDE_BY_SIDE),) * len(places),
    )
    return recipe, tuple(FurtherOperand(place, rows[name], 1) for name, place in places.items())


def _plan(p: Problem) -> Plan:
    x = p.x.moved(-sum(a * b for a, b in zip(p.padding, p.x.strides[2:], strict=True)))
    [(pixels, out_row)], [(_, x_row)] = _pixels(p, p.out), _pixels(p, x)
    recipe, further = _after(p)
    images, batch = p.out.shape[0], []
    if (p.out.strides[0], x.strides[0]) == (pixels * out_row, pixels * x_row):
        pixels *= images
    else:
        # Only a residual goes on from image to image, as the output does.
        steps = (p.out.strides[0] if operand.row else 0 for operand in further)
        batch = coalesce([(images, p.out.strides[0], x.strides[0], 0, *steps)])
    product = Contraction(
        recipe=recipe,
        out=p.out.place,
        a=x.place,
        b=p.w.place if p.prepared is None else p.prepared,
        m=pixels,
        out_row=out_row,
        a_row=x_row,
        columns=[(p.outputs, 1, p.w.strides[0])],
        sums=[(p.channels, 1, p.w.strides[1])],
        batch=batch,
        further=further,
    )
    return Plan((product.step(),))


def _prepared(p: Problem) -> Prepared:
    shape, strides = (p.channels, p.outputs), (p.w.strides[1], p.w.strides[0])
    step = packing(shape, strides, p.dtype, Place(OUT, 0), p.w.place)
    return Prepared(step, packed_size(shape, p.dtype) * SCALARS[p.dtype].bytes)


def _cost(p: Problem) -> float:
    target, scalar = host_target(), SCALARS[p.dtype]
    tile, lanes = tile_for(target), target.lanes(scalar)
    panels = -(-p.outputs // columns(tile, target, scalar))
    pixels = prod(p.places)
    each = p.channels * tile.vectors * _PRODUCT + _TILE / tile.rows
    packing = pixels * p.channels / lanes
    return _CALL + pixels * panels * each + packing + weights_cost(p)


POINTWISE = Strategy(
    name="pointwise",
    applies=_applies,
    cost=_cost,
    plan=_plan,
    fuses=lambda _: True,
    prepared=_prepared,
)

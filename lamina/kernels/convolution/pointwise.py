"""One product of matrices whose rows are pixels: for kernels of one tap, where the channels of a
pixel lie side by side.

    out[p, o] = Σ_c x[p, c] · w[o, c]

Nothing is packed but the weights, and those can be packed ahead. Pixels that lie at unequal
distances, such as every second one of every second row, are copied together first.
"""

from math import prod

from lamina.codegen.target import host_target
from lamina.kernels.convolution.padded import Padding, padded
from lamina.kernels.convolution.problem import Problem
from lamina.kernels.convolution.results import SUM
from lamina.kernels.convolution.strategy import (
    Prepared,
    Strategy,
    is_channels_last,
    weights_cost,
)
from lamina.kernels.expression import Input, substituted
from lamina.kernels.gemm.arithmetic import Recipe
from lamina.kernels.gemm.contract import Contraction, FurtherOperand
from lamina.kernels.gemm.epilogue import Epilogue
from lamina.kernels.gemm.finish import SIDE_BY_SIDE
from lamina.kernels.gemm.packed import packed_size, packing
from lamina.kernels.gemm.tiles import columns, tile_for
from lamina.kernels.launch import OUT, Place, Plan, Step, View
from lamina.kernels.operand import Axes, coalesce
from lamina.kernels.scalars import SCALARS

# Of fewer pixels a product reads the weights as they are.
_FEW_PIXELS = 4
# Cycles: of a product in a full tile, of a call, of a tile, of a register copied.
_PRODUCT, _CALL, _TILE, _COPIED = 0.55, 1000, 40, 3.0


def _pixels(p: Problem, view: View) -> Axes:
    """Return the axes over images and places, with their strides in a view, joined."""
    sizes, strides = (p.out.shape[0], *p.places), (view.strides[0], *view.strides[2:])
    return coalesce(list(zip(sizes, strides, strict=True)))


def _applies(p: Problem) -> bool:
    is_plain = prod(p.taps) == 1 and p.stride == p.spread == (1, 1, 1) and p.parts == 1
    return (
        is_plain
        and p.is_inside
        and is_channels_last(p.x)
        and is_channels_last(p.out)
        and prod(p.places) >= _FEW_PIXELS
        and len(_pixels(p, p.out)) == 1
        and (p.places[0] == 1 or len(_pixels(p, p.x)) == 1)
    )


def _after(p: Problem) -> tuple[Recipe, tuple[FurtherOperand, ...]]:
    """Return what the product is of and goes on with, and the operands of that."""
    recipe = Recipe.of(p.dtype)._replace(is_packed=p.prepared is not None)
    if p.after is None:
        return recipe, ()
    places = p.after.places(p.out.place)
    rows = {"bias": 0, "residual": _pixels(p, p.out)[0][1]}
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
    pixels = _pixels(p, x)
    if len(pixels) == 1:
        return Plan((_product(p, x.place, pixels[0][1]),))
    # A row of pixels is a plane to the copy, so that rows are shared out.
    images, channels, (depth, height, width) = p.out.shape[0], p.channels, p.places
    rows = View(
        x.place, (images, height, depth, width, channels),
        (x.strides[0], x.strides[3], x.strides[2], x.strides[4], 1), x.itemsize,
    )  # fmt: skip
    together = Padding((0, 0, 0), (1, 1, 1), (depth, width, channels))
    copying, copy, size = padded(rows, together, p.dtype)
    return Plan((copying, _product(p, copy.place, channels)), size)


def _product(p: Problem, x: Place, x_row: int) -> Step:
    """Return the call that multiplies pixels that lie `x_row` apart."""
    recipe, further = _after(p)
    return Contraction(
        recipe=recipe,
        out=p.out.place,
        a=x,
        b=p.w.place if p.prepared is None else p.prepared,
        m=p.out.shape[0] * prod(p.places),
        out_row=_pixels(p, p.out)[0][1],
        a_row=x_row,
        columns=[(p.outputs, 1, p.w.strides[0])],
        sums=[(p.channels, 1, p.w.strides[1])],
        batch=[],
        further=further,
    ).step()


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
    moved = pixels * p.channels / lanes * (1 if len(_pixels(p, p.x)) == 1 else 1 + _COPIED)
    return _CALL + pixels * panels * each + moved + weights_cost(p)


POINTWISE = Strategy(
    name="pointwise",
    applies=_applies,
    cost=_cost,
    plan=_plan,
    fuses=lambda _: True,
    prepared=_prepared,
)

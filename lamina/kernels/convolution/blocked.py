"""Convolution of operands in the blocked layout, with weights packed ahead and an epilogue.

A blocked operand has shape (N, blocks, *S, block): `block` channels lie side by side, and channels
past the last are zeros. What writes it for a convolution to read may leave room for zeros around
each plane, so that nothing is copied.
"""

from functools import lru_cache
from math import prod

from lamina.codegen import threads
from lamina.codegen.target import host_target
from lamina.errors import DTypeError, LayoutError, ShapeError
from lamina.kernels.convolution.channel_blocks import blocked_copy
from lamina.kernels.convolution.filters import filter_bytes, packed_filters
from lamina.kernels.convolution.padded import Padding, padded
from lamina.kernels.convolution.results import BIAS, RESIDUAL, SUM, reads
from lamina.kernels.convolution.tiled import Tiled, band_of
from lamina.kernels.convolution.tiling import Tiling, channel_block, tiling_for
from lamina.kernels.expression import Expression
from lamina.kernels.launch import FURTHER, LEFT, OUT, PLANS_KEPT, RIGHT, Place, Plan, Step, View
from lamina.kernels.operand import Operand, Shape, coalesce
from lamina.kernels.scalars import SCALARS

__all__ = [
    "BIAS",
    "RESIDUAL",
    "SUM",
    "block_of",
    "conv",
    "pack_weights",
    "packed_size",
    "to_blocks",
]

_Layout = tuple[Shape, Shape]


def block_of(dtype: str) -> int:
    """Return how many channels lie side by side in the blocked layout on this machine.

    >>> block_of("float32") % 8
    0
    """
    return channel_block(host_target(), SCALARS[dtype])


def _tiling(dtype: str) -> Tiling:
    return tiling_for(host_target(), SCALARS[dtype], block_of(dtype))


def packed_size(shape: Shape, dtype: str, *, groups: int = 1) -> int:
    """Return how many scalars weights of `shape` (O, C / groups, *K) take when packed."""
    return filter_bytes(shape, groups, _tiling(dtype), dtype) // SCALARS[dtype].bytes


def pack_weights(out: Operand, w: Operand, *, groups: int = 1) -> None:
    """Pack weights (O, C / groups, *K) into `out`, which has `packed_size` scalars in a row.

    Raises DTypeError, ShapeError.
    """
    dtype = _dtype("pack_weights", out, w)
    if out.shape != (packed_size(w.shape, dtype, groups=groups),) or out.strides != (1,):
        raise ShapeError(
            f"pack_weights: out {out.shape} given for weights {w.shape}, groups={groups}; expected "
            f"({packed_size(w.shape, dtype, groups=groups)},), side by side"
        )
    axes = [(size, stride, 0) for size, stride in zip(w.shape[1:], w.strides[1:], strict=True)]
    step = packed_filters(
        Place(LEFT, 0), Place(OUT, 0), dtype=dtype, tiling=_tiling(dtype), groups=groups,
        outputs=w.shape[0] // groups, channels=w.shape[1], row=w.strides[0], sums=axes,
    )  # fmt: skip
    Plan((step,)).run(out.address, w.address, 0)


def to_blocks(out: Operand, x: Operand) -> None:
    """Copy `x` (N, C, *S) into the blocked layout: `out` (N, ⌈C / block⌉, *S, block), contiguous.

    Raises DTypeError, ShapeError.
    """
    dtype = _dtype("to_blocks", out, x)
    block = block_of(dtype)
    blocks = -(-x.shape[1] // block)
    wanted = (x.shape[0], blocks, *x.shape[2:], block)
    if out.shape != wanted or out.strides != _contiguous(wanted):
        raise ShapeError(
            f"to_blocks: out {out.shape} with strides {out.strides} given; expected {wanted}, "
            "contiguous"
        )
    if 0 in out.shape:
        return
    view = View(Place(LEFT, 0), *_three_axes(x.shape, x.strides), SCALARS[dtype].bytes)
    padding = Padding((0, 0, 0), (1, 1, 1), view.shape[2:])
    plane = prod(view.shape[2:]) * block
    step = blocked_copy(view, padding, dtype, 1, Place(OUT, 0), plane)
    Plan((step,)).run(out.address, x.address, 0)


def conv(
    out: Operand,
    x: Operand,
    w: Operand,
    *,
    taps: Shape,
    channels: int,
    outputs: int,
    stride: Shape,
    padding: Shape,
    dilation: Shape,
    groups: int = 1,
    halo: int = 0,
    epilogue: Expression = SUM,
    bias: Operand | None = None,
    residual: Operand | None = None,
) -> None:
    """Write a convolution of blocked `x` with packed weights `w` into blocked `out`.

        out[n, o, p] = epilogue(Σ_{c, k} w[o, c, k] · x[n, c, p·stride − padding + k·dilation], …)

    `epilogue` is an expression of SUM, of BIAS (`outputs` numbers, one a channel) and of RESIDUAL
    (an operand of the shape and strides of out). `x` has `channels` channels and, where its memory
    has that many places of zeros around each plane, a `halo`: with enough of it nothing is copied.
    Pixels of a row lie side by side. Groups are of whole blocks. The bits of a sample depend on
    neither batch nor threads. Raises DTypeError, ShapeError, LayoutError.

    >>> from lamina.kernels.convolution.blocked import BIAS, SUM
    >>> from lamina.kernels.expression import apply
    >>> apply("maximum", SUM + BIAS, 0.0)
    maximum(add(x0,x1),0.0)
    """
    dtype = _dtype("conv", out, x, w, *(operand for operand in (bias, residual) if operand))
    given = (bias is not None, residual is not None)
    _check(out, x, (taps, channels, outputs, groups), epilogue, given)
    weights = (outputs, channels // groups, *taps)
    size = packed_size(weights, dtype, groups=groups)
    if out.shape[0] != x.shape[0] or (w.shape, w.strides) != ((size,), (1,)):
        raise ShapeError(
            f"conv: x {x.shape}, out {out.shape} and packed weights {w.shape} given; expected as "
            f"many images in both, and ({size},) side by side, as pack_weights makes of {weights}"
        )
    if residual is not None and (residual.shape, residual.strides) != (out.shape, out.strides):
        raise ShapeError(f"conv: residual {residual.shape} given; expected it to lie as out does")
    if bias is not None and (bias.shape, bias.strides) != ((outputs,), (1,)):
        raise ShapeError(f"conv: bias {bias.shape} given; expected ({outputs},), side by side")
    options = (tuple(taps), tuple(stride), tuple(padding), tuple(dilation))
    sizes = (channels, outputs, groups, halo)
    layouts = ((out.shape, out.strides), (x.shape, x.strides))
    plan = _plan(dtype, *layouts, options, sizes, epilogue, threads.num_threads())
    others = (operand.address if operand else 0 for operand in (bias, residual))
    plan.run(out.address, x.address, w.address, *others)


def _dtype(name: str, *operands: Operand) -> str:
    names = {operand.dtype.name for operand in operands}
    if len(names) > 1 or not names <= SCALARS.keys():
        raise DTypeError(f"{name}: dtypes {sorted(names)}; expected float32 or float64 for all")
    return operands[0].dtype.name


def _check(
    out: Operand,
    x: Operand,
    sizes: tuple[Shape, int, int, int],
    epilogue: Expression,
    given: tuple[bool, bool],
) -> None:
    taps, channels, outputs, groups = sizes
    block, axes = block_of(x.dtype.name), len(taps)
    blocks = [-(-count // block) for count in (outputs, channels)]
    for name, operand, count in zip(("out", "x"), (out, x), blocks, strict=True):
        if len(operand.shape) != axes + 3 or operand.shape[1 :: axes + 1] != (count, block):
            raise ShapeError(
                f"conv: {name} {operand.shape} given; expected (N, {count}, *S, {block}) with "
                f"{axes} spatial axes"
            )
        if operand.strides[-2:] != (block, 1) or operand.strides[1] % block:
            raise LayoutError(
                f"conv: {name} with strides {operand.strides} given; expected channels of a block "
                "side by side, and so the pixels of a row"
            )
    if groups > 1 and (channels // groups % block or outputs // groups % block):
        raise ShapeError(
            f"conv: {channels} and {outputs} channels in {groups} groups given; expected groups of "
            f"whole blocks of {block}"
        )
    if (reads(epilogue, BIAS), reads(epilogue, RESIDUAL)) != given:
        raise ShapeError(
            f"conv: epilogue {epilogue!r} given; expected it to use x1 where a bias is given, x2 "
            "where a residual is, and neither elsewhere"
        )


def _contiguous(shape: Shape) -> Shape:
    return tuple(prod(shape[axis + 1 :]) for axis in range(len(shape)))


def _three_axes(shape: Shape, strides: Shape) -> _Layout:
    """Return (N, C, *S) with spatial axes of one place put before its own, three in all."""
    fill = 5 - len(shape)
    return (*shape[:2], *(1,) * fill, *shape[2:]), (*strides[:2], *(0,) * fill, *strides[2:])


@lru_cache(maxsize=PLANS_KEPT)
def _plan(
    dtype: str,
    out: _Layout,
    x: _Layout,
    options: tuple[Shape, ...],
    sizes: tuple[int, int, int, int],
    epilogue: Expression,
    workers: int,
) -> Plan:
    if 0 in out[0]:
        return Plan(())
    channels, outputs, groups, halo = sizes
    block, itemsize = block_of(dtype), SCALARS[dtype].bytes
    fill = 3 - len(options[0])
    ones, zeros = (1,) * fill, (0,) * fill
    taps, stride, dilation = (ones + options[place] for place in (0, 1, 3))
    padding = zeros + options[2]
    places, out_strides = _three_axes(out[0][:-1], out[1][:-1])
    image = View(Place(LEFT, 0), *_three_axes(x[0][:-1], x[1][:-1]), itemsize)
    extent = tuple(
        (p - 1) * s + (k - 1) * d + 1
        for p, s, k, d in zip(places[2:], stride, taps, dilation, strict=True)
    )
    copying, image, size = _with_zeros(image, padding, extent, halo, dtype)
    # Channels of a block count as if they lay apart by the block's stride, shared among them.
    sums: list[tuple[int, ...]] = [(channels // groups, 0, image.strides[1] // block)]
    sums += [(k, 0, s * d) for k, s, d in zip(taps, image.strides[2:], dilation, strict=True)]
    steps = (1, *stride)
    pixels: list[tuple[int, ...]] = [
        (count, out_strides[axis], image.strides[axis] * step)
        for axis, count, step in zip((0, 2, 3, 4), (places[0], *places[2:]), steps, strict=True)
    ]
    tiled = Tiled(
        dtype=dtype,
        block=block,
        out=Place(OUT, 0),
        x=image.place,
        w=Place(RIGHT, 0),
        packs=False,
        groups=groups,
        outputs=outputs // groups,
        channels=channels // groups,
        out_channel=out_strides[1] // block,
        out_group=outputs // groups // block * out_strides[1],
        x_group=channels // groups // block * image.strides[1],
        w_row=0,
        pixels=coalesce(pixels),
        sums=sums,
        band=band_of(
            places[0] * prod(places[2:]), prod(taps), channels // groups * itemsize, _tiling(dtype)
        ),
        epilogue=epilogue,
        is_blocked=True,
        bias=Place(FURTHER, 0),
        residual=Place(FURTHER + 1, 0),
    )
    return Plan((*copying, tiled.step()), size)


def _with_zeros(
    image: View, padding: Shape, extent: Shape, halo: int, dtype: str
) -> tuple[list[Step], View, int]:
    """Return a view of `image` that begins `padding` before it, with zeros where it ends: of its
    own memory where its halo has enough of them, of a copy elsewhere.
    """
    block = block_of(dtype)
    behind = (e - p - n for e, p, n in zip(extent, padding, image.shape[2:], strict=True))
    if max(*padding, *behind) <= halo:
        start = sum(p * s for p, s in zip(padding, image.strides[2:], strict=True))
        return [], image.moved(-start), 0
    rows = View(
        image.place,
        (*image.shape[:4], image.shape[4] * block),
        (*image.strides[:4], 1),
        image.itemsize,
    )
    low, size = (*padding[:2], padding[2] * block), (*extent[:2], extent[2] * block)
    step, copy, nbytes = padded(rows, Padding(low, (1, 1, 1), size), dtype)
    view = View(copy.place, (*copy.shape[:4], extent[2]), (*copy.strides[:4], block), copy.itemsize)
    return [step], view, nbytes

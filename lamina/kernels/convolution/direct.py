"""Direct convolution: of a copy of x in blocks of channels; where channels are last or few, of x as
it lies or a padded copy of it.
"""

from collections.abc import Callable
from math import prod

from lamina.codegen.target import host_target
from lamina.kernels.convolution.channel_blocks import blocked_copy, plane_size
from lamina.kernels.convolution.filters import filter_bytes, packed_filters
from lamina.kernels.convolution.padded import Padding, copy_cost, padded, padded_pixels
from lamina.kernels.convolution.problem import Problem, images, is_channels_last, sum_axes
from lamina.kernels.convolution.results import SUM
from lamina.kernels.convolution.strategy import (
    Prepared,
    Strategy,
    layout_cost,
    weights_cost,
)
from lamina.kernels.convolution.tiled import Tiled, band_of
from lamina.kernels.convolution.tiling import Tiling, channel_block, tiling_for
from lamina.kernels.launch import OUT, WORKSPACE, Place, Plan, Step, View
from lamina.kernels.operand import coalesce
from lamina.kernels.scalars import SCALARS

# Images are copied as long as the copies stay in the caches.
_COPY_BYTES = 2 << 20
_MOST_TAPS = 512
# Cycles: of a product of registers, of a register turned and of one copied, of one stored, and of a
# call.
_PRODUCT, _COPIED, _MOVED, _STORED, _CALL = 0.55, 5.0, 2.0, 8.0, 3000


def _applies(p: Problem) -> bool:
    is_whole = p.batch_groups == 1 and p.spread == (1, 1, 1)
    return is_whole and prod(p.w.shape[1:]) > 0 and prod(p.taps) <= _MOST_TAPS


def _block(p: Problem) -> int:
    return channel_block(host_target(), SCALARS[p.dtype])


def _copied_blocks(p: Problem) -> Plan:
    """Return the plan that computes `p` from blocked copies, a few images at a time."""
    block = _block(p)
    blocks = -(-p.channels // block)
    _, height, width = p.extent
    plane = plane_size(p.extent, p.x.itemsize, block)
    image_bytes = p.groups * blocks * plane * p.x.itemsize
    together = min(p.out.shape[0], max(1, _COPY_BYTES // image_bytes))
    packing, w, start = _weights(p, block, together)
    copy = Place(WORKSPACE, start)
    steps: list[Step] = packing
    for first in range(0, p.out.shape[0], together):
        [part] = images(p, first, min(together, p.out.shape[0] - first))
        padding = Padding(p.padding, p.spread, p.extent)
        steps.append(blocked_copy(part.x, padding, p.dtype, p.groups, copy, plane))
        # Channels of a block count as if they lay a plane of pixels apart.
        strides = (p.groups * blocks * plane, plane // block, height * width * block,
                   width * block, block)  # fmt: skip
        x = View(copy, (part.x.shape[0], p.x.shape[1], *p.extent), strides, p.x.itemsize)
        steps.append(_compute(part, x, block, w, group=blocks * plane))
    return Plan(tuple(steps), start + together * image_bytes)


def _weights(p: Problem, block: int, together: int) -> tuple[list[Step], Place | None, int]:
    """Return the call that packs the weights, their place in the workspace and their size there.

    Nothing is packed ahead where each panel of weights is used in one place only.
    """
    if p.prepared is not None:
        return [], p.prepared, 0
    tiling = tiling_for(host_target(), SCALARS[p.dtype], block)
    pixels = together * prod(p.places)
    is_used_once = together == p.out.shape[0] and _band(p, pixels, tiling) >= pixels
    if is_used_once:
        return [], None, 0
    target = Place(WORKSPACE, 0)
    packed = _packed(p, block, target)
    return [packed.step], target, packed.nbytes


def _packed(p: Problem, block: int, target: Place) -> Prepared:
    """Return the call that packs the weights, and how many bytes they take then."""
    tiling = tiling_for(host_target(), SCALARS[p.dtype], block)
    w, _, sums = sum_axes(p, p.x)
    step = packed_filters(
        w.place, target, dtype=p.dtype, tiling=tiling, groups=p.groups, outputs=p.outputs,
        channels=p.channels, row=p.w.strides[0], sums=sums,
    )  # fmt: skip
    return Prepared(step, filter_bytes(p.w.shape, p.groups, tiling, p.dtype))


def _compute(p: Problem, x: View, block: int, packed: Place | None, group: int) -> Step:
    """Return the call that computes `p` from x, of which `block` channels lie side by side and
    groups `group` apart.
    """
    tiling = tiling_for(host_target(), SCALARS[p.dtype], block)
    w, here, sums = sum_axes(p, x)
    pixels = zip(
        (p.out.shape[0], *p.places),
        (p.out.strides[0], *p.out.strides[2:]),
        (x.strides[0], *(x.strides[2 + axis] * p.stride[axis] for axis in range(3))),
        strict=True,
    )
    after = {} if p.after is None else p.after.places(p.out.place)
    return Tiled(
        dtype=p.dtype,
        block=block,
        out=p.out.place,
        x=here.place,
        w=packed or w.place,
        packs=packed is None,
        groups=p.groups,
        outputs=p.outputs,
        channels=p.channels,
        out_channel=p.out.strides[1],
        out_group=p.outputs * p.out.strides[1],
        x_group=group,
        w_row=p.w.strides[0],
        pixels=coalesce(list(pixels)),
        sums=sums,
        band=_band(p, p.out.shape[0] * prod(p.places), tiling),
        epilogue=SUM if p.after is None else p.after.expression,
        is_last=is_channels_last(p.out),
        bias=after.get("bias"),
        residual=after.get("residual"),
    ).step()


def _band(p: Problem, pixels: int, tiling: Tiling) -> int:
    return band_of(pixels, prod(p.taps), p.channels * p.x.itemsize, tiling)


def _as_it_lies(
    p: Problem, block: int, copied: Callable[[View, Padding, str, int], tuple[Step, View, int]]
) -> Plan:
    """Return the plan that computes `p` from x, of which `block` channels lie side by side, or from
    copies with zeros around.
    """
    if p.is_inside:
        packing, w, start = _weights(p, block, p.out.shape[0])
        x = p.x.moved(-sum(a * b for a, b in zip(p.padding, p.x.strides[2:], strict=True)))
        step = _compute(p, x, block, w, group=p.channels * x.strides[1])
        return Plan((*packing, step), start)
    image_bytes = p.x.shape[1] * prod(p.extent) * p.x.itemsize
    together = min(p.out.shape[0], max(1, _COPY_BYTES // image_bytes))
    packing, w, start = _weights(p, block, together)
    steps: list[Step] = packing
    most = 0
    for first in range(0, p.out.shape[0], together):
        [part] = images(p, first, min(together, p.out.shape[0] - first))
        copying, x, size = copied(part.x, Padding(p.padding, p.spread, p.extent), p.dtype, start)
        steps += [copying, _compute(part, x, block, w, group=p.channels * x.strides[1])]
        most = max(most, size)
    return Plan(tuple(steps), start + most)


def _last_block(p: Problem) -> int:
    """Return how many channels of a pixel a tile reads in a row: all blocks are whole."""
    return next(size for size in (_block(p), 8, 4, 1) if p.channels % size == 0)


def _applies_last(p: Problem) -> bool:
    rows_are_whole = p.x.strides[4] == p.x.shape[1] or p.is_inside
    return _applies(p) and is_channels_last(p.x) and is_channels_last(p.out) and rows_are_whole


def _last_cost(p: Problem) -> float:
    lanes = host_target().lanes(SCALARS[p.dtype])
    copied = 0 if p.is_inside else p.x.shape[1] * prod(p.extent) // lanes
    return copied * _MOVED + _product_cost(p, _last_block(p))


def _product_cost(p: Problem, block: int) -> float:
    scalar = SCALARS[p.dtype]
    tiling = tiling_for(host_target(), scalar, block)
    panels = -(-p.outputs // tiling.panel) * tiling.vectors
    depth = -(-p.channels // block) * block * prod(p.taps)
    pixels = p.groups * prod(p.places)
    layout = weights_cost(p) if is_channels_last(p.out) else layout_cost(p)
    return _CALL + pixels * panels * (depth * _PRODUCT + _STORED) + layout


def _blocked_cost(p: Problem) -> float:
    block = _block(p)
    lanes = host_target().lanes(SCALARS[p.dtype])
    registers = p.groups * -(-p.channels // block) * block // lanes * prod(p.extent)
    return _CALL + registers * _COPIED + _product_cost(p, block)


def _unblocked_cost(p: Problem) -> float:
    # Without a block each channel's plane is read at a place of its own.
    factor = 1.0 if p.channels < _block(p) else 1.2
    return factor * _product_cost(p, 1) + (0 if p.is_inside else copy_cost(p))


DIRECT = Strategy(
    name="direct",
    applies=_applies,
    cost=_blocked_cost,
    plan=_copied_blocks,
    fuses=lambda _: True,
    prepared=lambda p: _packed(p, _block(p), Place(OUT, 0)),
)
DIRECT_UNBLOCKED = Strategy(
    name="direct unblocked",
    applies=_applies,
    cost=_unblocked_cost,
    plan=lambda p: _as_it_lies(p, 1, padded),
    fuses=lambda _: True,
    prepared=lambda p: _packed(p, 1, Place(OUT, 0)),
)
DIRECT_LAST = Strategy(
    name="direct channels last",
    applies=_applies_last,
    cost=_last_cost,
    plan=lambda p: _as_it_lies(p, _last_block(p), padded_pixels),
    fuses=lambda _: True,
    prepared=lambda p: _packed(p, _last_block(p), Place(OUT, 0)),
)

"""Convolution of one to three spatial axes: forward, and both of its gradients.

The sum over channels and taps is one matrix product for each group: the weights are one matrix, the
other is read from the image by offsets while it is packed (im2col that exists only as a panel in the
first cache).
"""

from dataclasses import dataclass, replace

from lamina.errors import ArgumentError, DTypeError, ShapeError
from lamina.kernels.contract import Contraction
from lamina.kernels.direct import MOST_TAPS, DirectConvolution
from lamina.kernels.operand import Operand, Shape, View, coalesce
from lamina.kernels.pad import Padding, padded
from lamina.kernels.scalars import SCALARS

_COPY_BYTES = 8 << 20
_FEW_ROWS = 2


@dataclass(frozen=True, slots=True)
class _Problem:
    """A convolution of three spatial axes: views (batch, channels, depth, height, width)."""

    out: View
    x: View
    w: View
    stride: Shape
    padding: Shape
    dilation: Shape
    spread: Shape
    groups: int
    batch_groups: int


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
) -> None:
    """Write the convolution of `x` with `w` into `out`.

        out[n, o, p] = Σ_{c, k} w[o, c, k] · x̂[n, c, p·stride − padding + k·dilation]

    where x̂ is `x` with input_dilation − 1 zeros between neighbours, and 0 outside. Shapes: x (B, C, *S),
    w (O, C / groups, *K), out (B / batch_groups, O, *P). `padding` is that before each axis and may be
    negative; `out` says where it ends. Feature group g of `x` feeds channel group g of `out`; so does
    batch group g, where batch_groups > 1. Strides are free; `out` must not overlap the others. The bits
    of a sample do not depend on the batch nor on threads. Raises DTypeError, ShapeError, ArgumentError.
    """
    axes = len(out.shape) - 2
    _check(out, x, w, (stride, padding, dilation, input_dilation), groups, batch_groups)
    if 0 in out.shape:
        return
    views = (_spatial3(operand) for operand in (out, x, w))
    fill = 3 - axes
    problem = _Problem(
        *views,
        stride=(1,) * fill + tuple(stride),
        padding=(0,) * fill + tuple(padding),
        dilation=(1,) * fill + tuple(dilation),
        spread=(1,) * fill + tuple(input_dilation),
        groups=groups,
        batch_groups=batch_groups,
    )
    _run(_simplified(problem))


def _check(
    out: Operand, x: Operand, w: Operand, options: tuple[Shape, ...], groups: int, batch_groups: int
) -> None:
    names = (out.dtype.name, x.dtype.name, w.dtype.name)
    if names[0] not in SCALARS or names != (names[0],) * 3:
        raise DTypeError(f"conv: dtypes {names}; expected float32 or float64, the same for all three")
    axes = len(out.shape) - 2
    if axes not in (1, 2, 3) or len(x.shape) != axes + 2 or len(w.shape) != axes + 2:
        shapes = (out.shape, x.shape, w.shape)
        raise ShapeError(f"conv: shapes {shapes}; expected 1, 2 or 3 spatial axes, the same number")
    stride, padding, dilation, spread = options
    if any(len(option) != axes for option in options) or min(*stride, *dilation, *spread) < 1:
        raise ArgumentError(f"conv: options {options}; expected {axes} each, steps of at least 1")
    if groups < 1 or batch_groups < 1 or (groups > 1 and batch_groups > 1):
        text = f"groups={groups}, batch_groups={batch_groups}"
        raise ArgumentError(f"conv: {text}; expected both at least 1 and one of them 1")
    is_divided = w.shape[0] % (groups * batch_groups) == 0
    batch, channels = out.shape[0] * batch_groups, w.shape[1] * groups
    if x.shape[:2] != (batch, channels) or out.shape[1] != w.shape[0] or not is_divided:
        text = f"groups={groups}, batch_groups={batch_groups}"
        raise ShapeError(f"conv: x {x.shape} and w {w.shape} do not give {out.shape} with {text}")


def _spatial3(operand: Operand) -> View:
    fill = 5 - len(operand.shape)
    shape = (*operand.shape[:2], *(1,) * fill, *operand.shape[2:])
    strides = (*operand.strides[:2], *(0,) * fill, *operand.strides[2:])
    return View(operand.address, shape, strides, operand.dtype)


def _with(values: Shape, axis: int, value: int) -> Shape:
    return (*values[:axis], value, *values[axis + 1 :])


def _sliced(view: View, axis: int, start: int, size: int, step: int) -> View:
    """Return `size` elements of spatial axis `axis`, from `start` on, `step` apart."""
    stride = view.strides[2 + axis]
    return replace(
        view,
        address=view.address + start * stride * SCALARS[view.dtype.name].bytes,
        shape=_with(view.shape, 2 + axis, size),
        strides=_with(view.strides, 2 + axis, stride * step),
    )


def _simplified(p: _Problem) -> _Problem:
    """Return the same problem with steps taken into the view of x where an axis reads no neighbours.

    A kernel of one tap reads x[p·stride − padding]; an output of one place reads x[k·dilation − padding].
    """
    for axis in range(3):
        places, taps = p.out.shape[2 + axis], p.w.shape[2 + axis]
        count, step = (places, p.stride[axis]) if taps == 1 else (taps, p.dilation[axis])
        start = -p.padding[axis]
        end = start + (count - 1) * step
        is_inside = start >= 0 and end < p.x.shape[2 + axis] and p.spread[axis] == 1
        if (taps == 1 or places == 1) and is_inside and p.w.shape[1]:
            p = replace(
                p,
                x=_sliced(p.x, axis, start, count, step),
                padding=_with(p.padding, axis, 0),
                stride=_with(p.stride, axis, 1),
                dilation=_with(p.dilation, axis, 1),
            )
    return p


def _run(p: _Problem) -> None:
    """Compute `p`, one phase of the output after the other along axes whose input has gaps.

    An output place p meets elements of x only at taps k with p − padding + k ≡ 0 (mod spread): each
    residue of p is a convolution without gaps, of every spread-th tap.
    """
    for axis in range(3):
        if p.spread[axis] > 1 and p.stride[axis] == 1 and p.dilation[axis] == 1:
            for phase in range(min(p.spread[axis], p.out.shape[2 + axis])):
                _run(_phase(p, axis, phase))
            return
    _run_in_parts(p)


def _phase(p: _Problem, axis: int, phase: int) -> _Problem:
    spread, places, taps = p.spread[axis], p.out.shape[2 + axis], p.w.shape[2 + axis]
    first = (p.padding[axis] - phase) % spread
    return replace(
        p,
        out=_sliced(p.out, axis, phase, -(-(places - phase) // spread), spread),
        w=_sliced(p.w, axis, first, max(0, -(-(taps - first) // spread)), spread),
        padding=_with(p.padding, axis, (p.padding[axis] - phase - first) // spread),
        spread=_with(p.spread, axis, 1),
    )


def _extent(p: _Problem) -> Shape:
    """Return how many places of the padded input are read along each spatial axis."""
    rows = zip(p.out.shape[2:], p.w.shape[2:], p.stride, p.dilation, strict=True)
    return tuple(
        (places - 1) * stride + (max(taps, 1) - 1) * dilation + 1
        for places, taps, stride, dilation in rows
    )


def _is_few(p: _Problem) -> bool:
    """Return whether a group has too few output channels to fill a tile of the matrix kernel."""
    rows = p.w.shape[0] // (p.groups * p.batch_groups)
    taps = p.w.shape[1] * p.w.shape[2] * p.w.shape[3] * p.w.shape[4]
    is_small = rows <= _FEW_ROWS and taps <= MOST_TAPS
    return is_small and p.stride[2] <= 2 and p.out.shape[4] > p.w.shape[4]


def _must_copy(p: _Problem, extent: Shape) -> bool:
    inside = all(
        padding <= 0 and extent_ - padding <= size and spread == 1
        for padding, extent_, size, spread in zip(
            p.padding, extent, p.x.shape[2:], p.spread, strict=True
        )
    )
    along = p.stride[2] if p.out.shape[4] > p.w.shape[4] else p.dilation[2]
    has_taps = p.w.shape[2] * p.w.shape[3] * p.w.shape[4] > 1
    is_scattered = p.x.strides[4] * along != 1 and (has_taps or p.x.strides[1] != 1)
    return not inside or is_scattered or _is_few(p)


def _run_in_parts(p: _Problem) -> None:
    extent = _extent(p)
    if not _must_copy(p, extent):
        start = -sum(a * b for a, b in zip(p.padding, p.x.strides[2:], strict=True))
        address = p.x.address + start * SCALARS[p.x.dtype.name].bytes
        _multiply(p, replace(p.x, address=address), slack=False)
        return
    depth, height, width = extent
    channels, itemsize = p.x.shape[1], SCALARS[p.x.dtype.name].bytes
    image_bytes = max(1, channels * depth * height * width * itemsize)
    together = max(1, _COPY_BYTES // (image_bytes * p.batch_groups))
    copies = Padding(p.padding, p.spread, extent)
    for first in range(0, p.out.shape[0], together):
        part = _images(p, first, min(together, p.out.shape[0] - first))
        for piece in _batch_group_pieces(part):
            compute = _compute_few if _is_few(piece) else _multiply_copy
            compute(piece, padded(piece.x, copies))


def _images(p: _Problem, first: int, count: int) -> _Problem:
    itemsize = SCALARS[p.x.dtype.name].bytes
    out = replace(
        p.out,
        address=p.out.address + first * p.out.strides[0] * itemsize,
        shape=(count, *p.out.shape[1:]),
    )
    x = replace(p.x, address=p.x.address + first * p.x.strides[0] * itemsize)
    if p.batch_groups == 1:
        x = replace(x, shape=(count, *x.shape[1:]))
    return replace(p, out=out, x=x)


def _batch_group_pieces(p: _Problem) -> list[_Problem]:
    """Return `p` itself, or one problem for each batch group where those are cut out of the batch."""
    count = p.out.shape[0]
    if count * p.batch_groups == p.x.shape[0]:
        return [p]
    each, outputs = p.x.shape[0] // p.batch_groups, p.w.shape[0] // p.batch_groups
    itemsize = SCALARS[p.x.dtype.name].bytes
    pieces = []
    for group in range(p.batch_groups):
        x_start = p.x.address + group * each * p.x.strides[0] * itemsize
        w_start = p.w.address + group * outputs * p.w.strides[0] * itemsize
        out_start = p.out.address + group * outputs * p.out.strides[1] * itemsize
        pieces.append(
            replace(
                p,
                x=replace(p.x, address=x_start, shape=(count, *p.x.shape[1:])),
                w=replace(p.w, address=w_start, shape=(outputs, *p.w.shape[1:])),
                out=replace(
                    p.out, address=out_start, shape=(count, outputs, *p.out.shape[2:])
                ),
                batch_groups=1,
            )
        )
    return pieces


def _multiply_copy(p: _Problem, x: View) -> None:
    _multiply(p, x, slack=True)


def _group_axis(p: _Problem, x: View) -> tuple[int, int, int, int]:
    """Return the axis over groups: its size, and its strides in out, w and x."""
    count = p.groups * p.batch_groups
    outputs = p.w.shape[0] // count
    step = p.w.shape[1] * x.strides[1] if p.groups > 1 else p.out.shape[0] * x.strides[0]
    return (count, outputs * p.out.strides[1], outputs * p.w.strides[0], step)


def _multiply(p: _Problem, x: View, *, slack: bool) -> None:
    """Compute `p` as one matrix product for each group, reading the padded input `x`."""
    steps = (1, *(x.strides[2 + axis] * p.stride[axis] for axis in range(3)))
    places = (p.out.shape[0], *p.out.shape[2:])
    columns = zip(
        places, (p.out.strides[0], *p.out.strides[2:]), (x.strides[0], *steps[1:]), strict=True
    )
    taps = (x.strides[2 + axis] * p.dilation[axis] for axis in range(3))
    sums = zip(p.w.shape[1:], p.w.strides[1:], (x.strides[1], *taps), strict=True)
    Contraction(
        dtype=p.out.dtype.name,
        out=p.out.address,
        a=p.w.address,
        b=x.address,
        m=p.w.shape[0] // (p.groups * p.batch_groups),
        out_row=p.out.strides[1],
        a_row=p.w.strides[0],
        columns=coalesce(list(columns)),
        sums=coalesce(list(sums)),
        batch=coalesce([_group_axis(p, x)]),
        slack=slack,
    ).run()


def _compute_few(p: _Problem, x: View) -> None:
    """Compute `p` row by row: few output channels a group leave a matrix tile empty."""
    outputs = p.w.shape[0] // (p.groups * p.batch_groups)
    taps = (x.strides[2 + axis] * p.dilation[axis] for axis in range(3))
    sums = zip(p.w.shape[1:], p.w.strides[1:], (x.strides[1], *taps), strict=True)
    step = x.strides[4] * p.stride[2]
    DirectConvolution(
        dtype=p.out.dtype.name,
        out=p.out.address,
        w=p.w.address,
        x=x.address,
        width=p.out.shape[4],
        out_step=p.out.strides[4],
        step=step,
        taps=coalesce(list(sums)),
        planes=[
            (p.out.shape[0], p.out.strides[0], 0, x.strides[0]),
            _group_axis(p, x),
            (outputs, p.out.strides[1], p.w.strides[0], 0),
        ],
        lines=[
            (p.out.shape[2 + axis], p.out.strides[2 + axis], x.strides[2 + axis] * p.stride[axis])
            for axis in (0, 1)
        ],
    ).run()

"""Convolution of one to three spatial axes: forward, and both of its gradients.

The sum over channels and taps is one matrix product for each group: the weights are one matrix,
the other is read from the image by offsets while it is packed (im2col that exists only as a panel
in the first cache).
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

from lamina.codegen import threads
from lamina.errors import ArgumentError, DTypeError, ShapeError
from lamina.kernels.correlate import Correlation
from lamina.kernels.depthwise import MOST_PLANE_BYTES, Depthwise, Strides
from lamina.kernels.depthwise import MOST_TAPS as MOST_DEPTHWISE_TAPS
from lamina.kernels.direct import MOST_TAPS, DirectConvolution
from lamina.kernels.gemm.contract import Contraction
from lamina.kernels.launch import LEFT, OUT, PLANS_KEPT, RIGHT, Place, Plan, Step, View
from lamina.kernels.operand import Operand, Shape, coalesce
from lamina.kernels.pad import Padding, padded
from lamina.kernels.scalars import SCALARS

Layout = tuple[Shape, Shape]
Work = tuple[list[Step], int]
_COPY_BYTES = 8 << 20
_FEW_ROWS = 2
_FEW_RESULTS = 4


@dataclass(frozen=True, slots=True)
class _Problem:
    """A convolution of three spatial axes: views (batch, channels, depth, height, width)."""

    out: View
    x: View
    w: View
    dtype: str
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

    where x̂ is `x` with input_dilation − 1 zeros between neighbours, and 0 outside. Shapes: x (B,
    C, *S), w (O, C / groups, *K), out (B / batch_groups, O, *P). `padding` is that before each
    axis and may be negative; `out` says where it ends. Feature group g of `x` feeds channel group
    g of `out`; so does batch group g, where batch_groups > 1. Strides are free; `out` must not
    overlap the others. The bits of a sample do not depend on the batch nor on threads. Raises
    DTypeError, ShapeError, ArgumentError.
    """
    plan = _plan(
        (out.dtype.name, x.dtype.name, w.dtype.name),
        (out.shape, out.strides),
        (x.shape, x.strides),
        (w.shape, w.strides),
        (tuple(stride), tuple(padding), tuple(dilation), tuple(input_dilation)),
        (groups, batch_groups),
        threads.num_threads(),
    )
    plan.run(out.address, x.address, w.address)


@lru_cache(maxsize=PLANS_KEPT)
def _plan(
    dtypes: tuple[str, ...],
    out: Layout,
    x: Layout,
    w: Layout,
    options: tuple[Shape, ...],
    groups: tuple[int, int],
    workers: int,
) -> Plan:
    _check(dtypes, out[0], x[0], w[0], options, groups)
    if 0 in out[0]:
        return Plan(())
    itemsize = SCALARS[dtypes[0]].bytes
    bases = zip((OUT, LEFT, RIGHT), (out, x, w), strict=True)
    out_view, x_view, w_view = (
        _spatial3(View(Place(base, 0), *layout, itemsize)) for base, layout in bases
    )
    fill = 5 - len(out[0])
    stride, padding, dilation, spread = options
    problem = _Problem(
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
    work = list(_phases(_simplified(problem)))
    return Plan(tuple(step for steps, _ in work for step in steps), max(size for _, size in work))


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


def _spatial3(view: View) -> View:
    fill = 5 - len(view.shape)
    return replace(
        view,
        shape=(*view.shape[:2], *(1,) * fill, *view.shape[2:]),
        strides=(*view.strides[:2], *(0,) * fill, *view.strides[2:]),
    )


def _with(values: Shape, axis: int, value: int) -> Shape:
    return (*values[:axis], value, *values[axis + 1 :])


def _sliced(view: View, axis: int, start: int, size: int, step: int) -> View:
    """Return `size` elements of spatial axis `axis`, from `start` on, `step` apart."""
    stride = view.strides[2 + axis]
    return replace(
        view.moved(start * stride),
        shape=_with(view.shape, 2 + axis, size),
        strides=_with(view.strides, 2 + axis, stride * step),
    )


def _simplified(p: _Problem) -> _Problem:
    """Return the same problem with steps taken into the view of x where an axis reads no
    neighbours.

    A kernel of one tap reads x[p·stride − padding]; an output of one place reads x[k·dilation −
    padding].
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


def _phases(p: _Problem) -> Iterator[Work]:
    """Yield the work of `p`, one phase of the output after the other where the input has gaps.

    An output place p meets elements of x only at taps k with p − padding + k ≡ 0 (mod spread): each
    residue of p is a convolution without gaps, of every spread-th tap.
    """
    for axis in range(3):
        if p.spread[axis] > 1 and p.stride[axis] == 1 and p.dilation[axis] == 1:
            for phase in range(min(p.spread[axis], p.out.shape[2 + axis])):
                yield from _phases(_phase(p, axis, phase))
            return
    yield from _parts(p)


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


def _is_correlation(p: _Problem) -> bool:
    """Return whether few results a group are long sums, as in a depthwise weight gradient."""
    rows = p.w.shape[0] // (p.groups * p.batch_groups)
    is_long = 4 <= p.w.shape[4] >= p.out.shape[4] and p.w.strides[4] == 1
    return rows <= _FEW_ROWS and is_long and p.dilation[2] <= 2


def _depthwise_kind(p: _Problem, extent: Shape) -> str:
    """Return which way the depthwise kernel computes `p`, or "" where it does not."""
    groups = p.groups * p.batch_groups
    is_plane = p.w.shape[2] == p.out.shape[2] == extent[0] == 1 and p.spread == (1, 1, 1)
    plane_bytes = extent[1] * extent[2] * p.x.itemsize
    if not is_plane or 0 in p.w.shape:
        return ""
    places, taps = p.out.shape[3:], p.w.shape[3:]
    if p.batch_groups == 1 and _is_unrolled(taps, p.stride, p.dilation) and places[1] > taps[1]:
        is_single = p.w.shape[1] == 1 and groups > 1
        is_few = p.w.shape[0] <= _FEW_RESULTS * groups and taps[0] * taps[1] > 1
        fits = p.w.shape[1] * plane_bytes <= MOST_PLANE_BYTES
        return ("one channel" if is_single else "channels" if is_few else "") if fits else ""
    # With feature groups the first axis of out is the batch, which must not choose the algorithm.
    is_gradient = p.out.shape[0] == 1 < p.batch_groups == p.w.shape[0] and p.w.strides[4] == 1
    is_gradient = is_gradient and _is_unrolled(places, p.dilation, p.stride)
    fits = is_gradient and taps[1] >= places[1] and plane_bytes <= MOST_PLANE_BYTES
    return "weight gradient" if fits else ""


def _is_unrolled(taps: Shape, step: Shape, other: Shape) -> bool:
    return taps[0] * taps[1] <= MOST_DEPTHWISE_TAPS and (
        step[1] == step[2] <= 2 and other[1:] == (1, 1)
    )


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
    return not inside or is_scattered or _is_few(p) or _is_correlation(p)


def _parts(p: _Problem) -> Iterator[Work]:
    """Yield the work of `p`, a few images at a time where they have to be copied."""
    extent = _extent(p)
    kind = _depthwise_kind(p, extent)
    if kind:
        yield [_depthwise(p, extent, kind)], 0
        return
    if not _must_copy(p, extent):
        start = -sum(a * b for a, b in zip(p.padding, p.x.strides[2:], strict=True))
        yield [_multiply(p, p.x.moved(start), slack=False)], 0
        return
    depth, height, width = extent
    image_bytes = max(1, p.x.shape[1] * depth * height * width * p.x.itemsize)
    together = max(1, _COPY_BYTES // (image_bytes * p.batch_groups))
    copies = Padding(p.padding, p.spread, extent)
    for first in range(0, p.out.shape[0], together):
        for piece in _images(p, first, min(together, p.out.shape[0] - first)):
            copying, x, size = padded(piece.x, copies, p.dtype)
            yield [copying, _compute(piece, x)], size


def _compute(p: _Problem, x: View) -> Step:
    """Return the call that computes `p` from its padded input."""
    if _is_few(p):
        return _few(p, x)
    if _is_correlation(p):
        return _correlate(p, x)
    return _multiply(p, x, slack=True)


def _images(p: _Problem, first: int, count: int) -> list[_Problem]:
    """Return the problems of images `first` to `first` + `count`: one for each batch group, if
    cut.
    """
    x = p.x.moved(first * p.x.strides[0])
    out = p.out.moved(first * p.out.strides[0])
    if count == p.out.shape[0]:
        return [p]
    each, outputs = p.out.shape[0], p.w.shape[0] // p.batch_groups
    return [
        replace(
            p,
            x=replace(x.moved(group * each * x.strides[0]), shape=(count, *x.shape[1:])),
            w=replace(p.w.moved(group * outputs * p.w.strides[0]), shape=(outputs, *p.w.shape[1:])),
            out=replace(
                out.moved(group * outputs * out.strides[1]),
                shape=(count, outputs, *out.shape[2:]),
            ),
            batch_groups=1,
        )
        for group in range(p.batch_groups)
    ]


def _group_axis(p: _Problem, x: View) -> tuple[int, int, int, int]:
    """Return the axis over groups: its size, and its strides in out, w and x."""
    count = p.groups * p.batch_groups
    outputs = p.w.shape[0] // count
    step = p.w.shape[1] * x.strides[1] if p.groups > 1 else p.out.shape[0] * x.strides[0]
    return (count, outputs * p.out.strides[1], outputs * p.w.strides[0], step)


def _sum_axes(p: _Problem, x: View) -> tuple[View, View, list[tuple[int, ...]]]:
    """Return w, x and the axes (size, stride in w, stride in x) of the sum over channels and taps.

    Axes that w is stored backwards along are walked from their end: packing likes ascending runs.
    """
    w = p.w
    axes: list[tuple[int, ...]] = []
    strides = (x.strides[1], *(x.strides[2 + axis] * p.dilation[axis] for axis in range(3)))
    for size, w_stride, x_stride in zip(w.shape[1:], w.strides[1:], strides, strict=True):
        if w_stride < 0 < size:
            w, x = w.moved((size - 1) * w_stride), x.moved((size - 1) * x_stride)
            w_stride, x_stride = -w_stride, -x_stride
        axes.append((size, w_stride, x_stride))
    return w, x, axes


def _multiply(p: _Problem, x: View, *, slack: bool) -> Step:
    """Compute `p` as one matrix product for each group, reading the padded input `x`."""
    steps = (1, *(x.strides[2 + axis] * p.stride[axis] for axis in range(3)))
    places = (p.out.shape[0], *p.out.shape[2:])
    columns = zip(
        places, (p.out.strides[0], *p.out.strides[2:]), (x.strides[0], *steps[1:]), strict=True
    )
    w, x, sums = _sum_axes(p, x)
    return Contraction(
        dtype=p.dtype,
        out=p.out.place,
        a=w.place,
        b=x.place,
        m=p.w.shape[0] // (p.groups * p.batch_groups),
        out_row=p.out.strides[1],
        a_row=p.w.strides[0],
        columns=coalesce(list(columns)),
        sums=coalesce(sums),
        batch=coalesce([_group_axis(p, x)]),
        slack=slack,
    ).step()


def _few(p: _Problem, x: View) -> Step:
    """Compute `p` row by row: few output channels a group leave a matrix tile empty."""
    planes = _planes(p, x)
    w, x, sums = _sum_axes(p, x)
    return DirectConvolution(
        dtype=p.dtype,
        out=p.out.place,
        w=w.place,
        x=x.place,
        width=p.out.shape[4],
        out_step=p.out.strides[4],
        x_step=x.strides[4] * p.stride[2],
        taps=coalesce(sums),
        planes=planes,
        lines=[
            (p.out.shape[2 + axis], p.out.strides[2 + axis], x.strides[2 + axis] * p.stride[axis])
            for axis in (0, 1)
        ],
    ).step()


def _planes(p: _Problem, x: View) -> list[tuple[int, ...]]:
    """Return the axes over images, groups and the output channels of a group."""
    outputs = p.w.shape[0] // (p.groups * p.batch_groups)
    return [
        (p.out.shape[0], p.out.strides[0], 0, x.strides[0]),
        _group_axis(p, x),
        (outputs, p.out.strides[1], p.w.strides[0], 0),
    ]


def _correlate(p: _Problem, x: View) -> Step:
    """Compute `p` result by result: each is a long sum of products of neighbours."""
    return Correlation(
        dtype=p.dtype,
        out=p.out.place,
        w=p.w.place,
        x=x.place,
        width=p.w.shape[4],
        x_step=x.strides[4] * p.dilation[2],
        places=[
            (p.out.shape[2 + axis], p.out.strides[2 + axis], x.strides[2 + axis] * p.stride[axis])
            for axis in range(3)
        ],
        planes=_planes(p, x),
        lines=[
            (p.w.shape[1], p.w.strides[1], x.strides[1]),
            *(
                (p.w.shape[2 + a], p.w.strides[2 + a], x.strides[2 + a] * p.dilation[a])
                for a in (0, 1)
            ),
        ],
    ).step()


def _depthwise(p: _Problem, extent: Shape, kind: str) -> Step:
    """Compute `p`, of one channel a group, plane by plane."""
    count, out_group, w_group, x_group = _group_axis(p, p.x)
    out, w, x = p.out.strides, p.w.strides, p.x.strides
    strides: tuple[Strides, ...]
    if kind != "weight gradient":
        taps, places, step = p.w.shape[3:], p.out.shape[3:], p.stride[2]
        repeats = p.w.shape[0] // count
        strides = (
            Strides(out[0], out_group, out[1], *out[3:]),
            Strides(0, w_group, w[0], *w[3:]),
            Strides(x[0], x_group, x[1], *x[3:]),
        )
    else:
        taps, places, step = p.out.shape[3:], p.w.shape[3:], p.dilation[2]
        repeats = p.w.shape[1]
        strides = (
            Strides(out[0], out_group, 0, *out[3:]),
            Strides(0, w_group, w[1], *w[3:]),
            Strides(x[0], x_group, x[1], *x[3:]),
        )
    return Depthwise(
        dtype=p.dtype,
        kind=kind,
        chunks=(p.out.shape[0], count),
        repeats=repeats,
        taps=(taps[0], taps[1]),
        places=(places[0], places[1]),
        stride=step,
        padding=Padding(p.padding, p.spread, extent),
        out=p.out.place,
        out_strides=strides[0],
        w=p.w.place,
        w_strides=strides[1],
        x=p.x,
        x_strides=strides[2],
        channels=1 if kind == "weight gradient" else p.w.shape[1],
        w_channel=w[1],
    ).step()

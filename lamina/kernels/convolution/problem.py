"""The problem that every strategy solves: a convolution of three spatial axes, brought to its
simplest form.

Fewer axes are filled up with axes of one place; steps that read no neighbours go into the view of
x; an input with gaps is cut into convolutions without them, one for each phase of the output.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import prod

from lamina.kernels.convolution.results import BIAS, RESIDUAL, reads
from lamina.kernels.expression import Expression
from lamina.kernels.launch import FURTHER, Place, View
from lamina.kernels.operand import Shape


@dataclass(frozen=True, slots=True)
class After:
    """What becomes of each sum before it is stored: an expression of SUM, BIAS and RESIDUAL.

    A bias has a number for each output channel; a residual lies as the output does.
    """

    expression: Expression

    @property
    def has_bias(self) -> bool:
        return reads(self.expression, BIAS)

    @property
    def has_residual(self) -> bool:
        return reads(self.expression, RESIDUAL)

    def places(self, out: Place) -> dict[str, Place]:
        """Return where bias and residual lie, for an output that begins at `out`."""
        found = {"bias": Place(FURTHER, 0), "residual": Place(FURTHER + 1, out.offset)}
        wanted = {"bias": self.has_bias, "residual": self.has_residual}
        return {name: place for name, place in found.items() if wanted[name]}


@dataclass(frozen=True, slots=True)
class Problem:
    """A convolution to compute; views are (batch, channels, depth, height, width).

    `padding` is that before each axis, `spread` the distance of neighbours of x. One of `groups`
    (of channels) and `batch_groups` (of samples) is 1.
    """

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
    after: After | None = None
    # Where the weights lie as the strategy wants them, if that was done ahead.
    prepared: Place | None = None

    @property
    def parts(self) -> int:
        """How many groups there are, of either kind."""
        return self.groups * self.batch_groups

    @property
    def outputs(self) -> int:
        """How many output channels a group has."""
        return self.w.shape[0] // self.parts

    @property
    def channels(self) -> int:
        """How many channels are summed over."""
        return self.w.shape[1]

    @property
    def taps(self) -> Shape:
        """The size of the kernel along the spatial axes."""
        return self.w.shape[2:]

    @property
    def places(self) -> Shape:
        """The size of the output along the spatial axes."""
        return self.out.shape[2:]

    @property
    def extent(self) -> Shape:
        """How many places of the padded input are read along each spatial axis."""
        rows = zip(self.places, self.taps, self.stride, self.dilation, strict=True)
        return tuple(
            (places - 1) * stride + (max(taps, 1) - 1) * dilation + 1
            for places, taps, stride, dilation in rows
        )

    @property
    def is_inside(self) -> bool:
        """Whether no place outside x is read, and x has no gaps."""
        axes = zip(self.padding, self.extent, self.x.shape[2:], self.spread, strict=True)
        return all(
            padding <= 0 and extent - padding <= size and spread == 1
            for padding, extent, size, spread in axes
        )

    @property
    def products(self) -> int:
        """How many products one sample sums up."""
        return prod(self.places) * self.w.shape[0] * prod(self.w.shape[1:])

    def of_one_sample(self) -> "Problem":
        """Return the same problem with a batch of one: all that a choice may depend on."""
        return replace(
            self,
            out=replace(self.out, shape=(1, *self.out.shape[1:])),
            x=replace(self.x, shape=(self.batch_groups, *self.x.shape[1:])),
        )


def is_channels_last(view: View) -> bool:
    """Return whether the channels of a pixel lie side by side."""
    return view.shape[1] > 1 and view.strides[1] == 1


def spatial3(view: View) -> View:
    """Return `view` with spatial axes of one place put before its own, three in all."""
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


def simplified(p: Problem) -> Problem:
    """Return the same problem with steps taken into the view of x where an axis reads no
    neighbours.

    A kernel of one tap reads x[p·stride − padding]; an output of one place reads x[k·dilation −
    padding].
    """
    for axis in range(3):
        places, taps = p.places[axis], p.taps[axis]
        count, step = (places, p.stride[axis]) if taps == 1 else (taps, p.dilation[axis])
        start = -p.padding[axis]
        end = start + (count - 1) * step
        is_inside = start >= 0 and end < p.x.shape[2 + axis] and p.spread[axis] == 1
        if (taps == 1 or places == 1) and is_inside and p.channels:
            p = replace(
                p,
                x=_sliced(p.x, axis, start, count, step),
                padding=_with(p.padding, axis, 0),
                stride=_with(p.stride, axis, 1),
                dilation=_with(p.dilation, axis, 1),
            )
    return _merged(p)


def _merged(p: Problem) -> Problem:
    """Return the same problem with its last two spatial axes as one, where taps have neither and
    places lie one after the other.
    """
    is_plain = p.taps[1:] == p.stride[1:] == p.spread[1:] == (1, 1) and p.padding[1:] == (0, 0)
    height, width = p.places[1:]
    runs_on = all(view.strides[3] == width * view.strides[4] for view in (p.out, p.x))
    if not is_plain or not runs_on or p.x.shape[3:] != (height, width) or 0 in p.w.shape:
        return p
    return replace(p, out=_one_row(p.out), x=_one_row(p.x))


def _one_row(view: View) -> View:
    return replace(
        view,
        shape=(*view.shape[:3], 1, view.shape[3] * view.shape[4]),
        strides=(*view.strides[:3], 0, view.strides[4]),
    )


def phases(p: Problem) -> Iterator[Problem]:
    """Yield problems without gaps in the input that make up `p`, one for each phase of the output.

    An output place p meets elements of x only at taps k with p − padding + k ≡ 0 (mod spread): each
    residue of p is a convolution without gaps, of every spread-th tap. With a stride or a dilation
    the gaps stay.
    """
    for axis in range(3):
        if p.spread[axis] > 1 and p.stride[axis] == 1 and p.dilation[axis] == 1:
            for phase in range(min(p.spread[axis], p.places[axis])):
                yield from phases(_phase(p, axis, phase))
            return
    yield p


def _phase(p: Problem, axis: int, phase: int) -> Problem:
    spread, places, taps = p.spread[axis], p.places[axis], p.taps[axis]
    first = (p.padding[axis] - phase) % spread
    return replace(
        p,
        out=_sliced(p.out, axis, phase, -(-(places - phase) // spread), spread),
        w=_sliced(p.w, axis, first, max(0, -(-(taps - first) // spread)), spread),
        padding=_with(p.padding, axis, (p.padding[axis] - phase - first) // spread),
        spread=_with(p.spread, axis, 1),
    )


def images(p: Problem, first: int, count: int) -> list[Problem]:
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


def group_axis(p: Problem, x: View) -> tuple[int, int, int, int]:
    """Return the axis over groups: its size, and its strides in out, w and x."""
    step = p.channels * x.strides[1] if p.groups > 1 else p.out.shape[0] * x.strides[0]
    return (p.parts, p.outputs * p.out.strides[1], p.outputs * p.w.strides[0], step)


def sum_axes(p: Problem, x: View) -> tuple[View, View, list[tuple[int, ...]]]:
    """Return w, x and the axes (size, stride in w, stride in x) of the sum over channels and taps.

    Taps that w is stored backwards along are walked from their end: packing likes ascending runs.
    """
    w = p.w
    axes: list[tuple[int, ...]] = [(p.channels, w.strides[1], x.strides[1])]
    for axis, size in enumerate(p.taps):
        w_stride, x_stride = w.strides[2 + axis], x.strides[2 + axis] * p.dilation[axis]
        if w_stride < 0 < size:
            w, x = w.moved((size - 1) * w_stride), x.moved((size - 1) * x_stride)
            w_stride, x_stride = -w_stride, -x_stride
        axes.append((size, w_stride, x_stride))
    return w, x, axes


def plane_axes(p: Problem, x: View) -> list[tuple[int, ...]]:
    """Return the axes over images, groups and the output channels of a group, with their strides
    in out, w and x.
    """
    return [
        (p.out.shape[0], p.out.strides[0], 0, x.strides[0]),
        group_axis(p, x),
        (p.outputs, p.out.strides[1], p.w.strides[0], 0),
    ]


def place_axes(p: Problem, x: View) -> list[tuple[int, ...]]:
    """Return the spatial axes of the output, with their strides in out and x."""
    return [
        (p.places[axis], p.out.strides[2 + axis], x.strides[2 + axis] * p.stride[axis])
        for axis in range(3)
    ]


def plane_fields(p: Problem) -> dict[str, int]:
    """Return sizes, padding and strides of `p` under the names that kernels of planes give them.

    `<operand>_<axis>` is a stride. Groups, images, channels, rows and columns are axes of out and
    x; of w too, but that has outputs for images.
    """
    _, *groups = group_axis(p, p.x)
    fields = {
        "top": p.padding[1], "left": p.padding[2], "height": p.x.shape[3], "width": p.x.shape[4],
        "out_height": p.places[1], "out_width": p.places[2],
        "w_height": p.taps[1], "w_width": p.taps[2],
    }  # fmt: skip
    views = {"out": p.out, "w": p.w, "x": p.x}
    for (name, view), group in zip(views.items(), groups, strict=True):
        first = "output" if name == "w" else "image"
        axes = (first, "channel", "depth", "row", "column")
        fields |= {f"{name}_{axis}": n for axis, n in zip(axes, view.strides, strict=True)}
        fields[f"{name}_group"] = group
    return fields

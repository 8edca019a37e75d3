"""Layout algebra: where the elements of a tensor lie in its storage, as plain integers.

Element (i₀, i₁, …) of a layout lies at `offset + Σ iₐ·stridesₐ`, counted in elements. Every
function
here returns a new layout over the same storage; none touches memory. A size broadcast has stride 0,
a flipped axis a negative stride.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from math import prod
from typing import NamedTuple

from lamina.errors import AxisError, LayoutError, ShapeError

Shape = tuple[int, ...]


class Layout(NamedTuple):
    """Sizes and steps of a tensor in its storage, in elements."""

    shape: Shape
    strides: tuple[int, ...]
    offset: int = 0

    @property
    def size(self) -> int:
        return prod(self.shape)

    @property
    def is_contiguous(self) -> bool:
        """Whether the elements lie one after another in C (row-major) order."""
        return _is_dense(self.shape, self.strides, reversed(range(len(self.shape))))

    @property
    def is_fortran(self) -> bool:
        """Whether the elements lie one after another in Fortran (column-major) order."""
        return _is_dense(self.shape, self.strides, range(len(self.shape)))

    @property
    def span(self) -> tuple[int, int]:
        """First and one-past-last element that the layout touches in its storage."""
        if 0 in self.shape:
            return self.offset, self.offset
        steps = [(n - 1) * s for n, s in zip(self.shape, self.strides, strict=True)]
        low = self.offset + sum(step for step in steps if step < 0)
        return low, self.offset + sum(step for step in steps if step > 0) + 1

    @property
    def overlaps_itself(self) -> bool:
        """Whether two indices may name one element (exact for strides that nest, else cautious)."""
        reach = 0
        axes = sorted((abs(s), n) for n, s in zip(self.shape, self.strides, strict=True) if n > 1)
        for stride, n in axes:
            if stride <= reach:
                return 0 not in self.shape
            reach += (n - 1) * stride
        return False


def _is_dense(shape: Shape, strides: tuple[int, ...], order: Iterable[int]) -> bool:
    if 0 in shape:
        return True
    expected = 1
    for axis in order:
        if shape[axis] != 1 and strides[axis] != expected:
            return False
        expected *= shape[axis]
    return True


@lru_cache(maxsize=4096)
def contiguous(shape: Shape) -> Layout:
    """Return the C-ordered layout of `shape`, from the storage's first element.

    >>> contiguous((2, 3))
    Layout(shape=(2, 3), strides=(3, 1), offset=0)
    """
    strides = [1] * len(shape)
    for axis in range(len(shape) - 2, -1, -1):
        strides[axis] = strides[axis + 1] * max(shape[axis + 1], 1)
    return Layout(shape, tuple(strides), 0)


def normalize_axis(axis: int, ndim: int) -> int:
    """Return `axis` counted from the front; AxisError when there is no such axis."""
    if not -ndim <= axis < ndim:
        allowed = f"{-ndim} to {ndim - 1}" if ndim else "none: the tensor is 0-d"
        raise AxisError(f"axis {axis} given for {ndim} axes; expected {allowed}")
    return axis % ndim


def normalize_axes(axes: int | Iterable[int] | None, ndim: int) -> tuple[int, ...]:
    """Return `axes` counted from the front, each once; None means all of them."""
    if axes is None:
        return tuple(range(ndim))
    named = (axes,) if isinstance(axes, int) else tuple(axes)
    found = tuple(normalize_axis(a, ndim) for a in named)
    if len(set(found)) != len(found):
        raise AxisError(f"axes {named} name an axis twice; name each axis once")
    return found


def broadcast_shapes(*shapes: Shape) -> Shape:
    """Return the shape that all `shapes` stretch to; sizes of 1 stretch, missing axes count as 1.

    >>> broadcast_shapes((8, 1), (3,))
    (8, 3)
    """
    if all(s == shapes[0] for s in shapes[1:]):
        return shapes[0] if shapes else ()
    ndim = max(len(s) for s in shapes)
    result = [1] * ndim
    for shape in shapes:
        for axis in range(-len(shape), 0):
            size, have = shape[axis], result[axis]
            if have == 1:
                result[axis] = size
            elif size not in (1, have):
                listed = " with ".join(str(s) for s in shapes)
                raise ShapeError(
                    f"cannot broadcast {listed}: sizes {have} and {size} differ at axis {axis}; "
                    "make them equal or one of them 1"
                )
    return tuple(result)


def expand(layout: Layout, shape: Shape) -> Layout:
    """Return `layout` stretched to `shape` by strides of 0."""
    lead = len(shape) - len(layout.shape)
    if lead < 0:
        raise ShapeError(
            f"cannot expand {layout.shape} to {shape}: it has more axes; reshape it first"
        )
    strides = [0] * lead
    for size, stride, want in zip(layout.shape, layout.strides, shape[lead:], strict=True):
        if size not in (1, want):
            raise ShapeError(f"cannot expand {layout.shape} to {shape}: only sizes of 1 stretch")
        strides.append(stride if size == want else 0)
    return Layout(shape, tuple(strides), layout.offset)


def permute(layout: Layout, axes: Sequence[int]) -> Layout:
    """Return the layout whose axis i is axis `axes[i]` of the given one."""
    order = normalize_axes(axes, len(layout.shape))
    if len(order) != len(layout.shape):
        raise AxisError(
            f"permute of {len(layout.shape)} axes was given {len(order)}; name every axis"
        )
    shape = tuple(layout.shape[a] for a in order)
    return Layout(shape, tuple(layout.strides[a] for a in order), layout.offset)


def flip(layout: Layout, axes: Iterable[int]) -> Layout:
    """Return the layout that runs backwards along `axes`."""
    strides = list(layout.strides)
    offset = layout.offset
    for a in axes:
        offset += max(layout.shape[a] - 1, 0) * strides[a]
        strides[a] = -strides[a]
    return Layout(layout.shape, tuple(strides), offset)


def cut(layout: Layout, axis: int, start: int, step: int, count: int) -> Layout:
    """Return `count` places of `axis` from `start`, `step` apart."""
    shape, strides = list(layout.shape), list(layout.strides)
    shape[axis] = count
    offset = layout.offset + (start * strides[axis] if count else 0)
    strides[axis] *= step
    return Layout(tuple(shape), tuple(strides), offset)


def select(layout: Layout, axis: int, index: int) -> Layout:
    """Return the layout with `axis` held at `index` and dropped."""
    shape = layout.shape[:axis] + layout.shape[axis + 1 :]
    strides = layout.strides[:axis] + layout.strides[axis + 1 :]
    return Layout(shape, strides, layout.offset + index * layout.strides[axis])


def insert_axis(layout: Layout, axis: int) -> Layout:
    """Return the layout with a size-1 axis before place `axis`."""
    shape = (*layout.shape[:axis], 1, *layout.shape[axis:])
    return Layout(shape, (*layout.strides[:axis], 0, *layout.strides[axis:]), layout.offset)


def drop_axes(layout: Layout, axes: Iterable[int]) -> Layout:
    """Return the layout without `axes`, which must have size 1."""
    gone = set(axes)
    for a in gone:
        if layout.shape[a] != 1:
            raise ShapeError(f"cannot squeeze axis {a} of {layout.shape}: its size is not 1")
    kept = [a for a in range(len(layout.shape)) if a not in gone]
    shape = tuple(layout.shape[a] for a in kept)
    return Layout(shape, tuple(layout.strides[a] for a in kept), layout.offset)


def windows(layout: Layout, axis: int, size: int, step: int = 1, dilation: int = 1) -> Layout:
    """Return the layout of every window along `axis`, the place in the window as a new last axis.

    im2col is this view, taken along every spatial axis.
    """
    reach = dilation * (size - 1) + 1
    if size < 1 or step < 1 or dilation < 1 or reach > layout.shape[axis]:
        raise ShapeError(
            f"a window of {size} (dilation {dilation}, step {step}) does not fit axis {axis} of "
            f"{layout.shape}; expected at most {layout.shape[axis]} places, step and dilation ≥ 1"
        )
    count = (layout.shape[axis] - reach) // step + 1
    moved = cut(layout, axis, 0, step, count)
    stride = layout.strides[axis] * dilation
    return Layout((*moved.shape, size), (*moved.strides, stride), layout.offset)


def diagonal(layout: Layout, offset: int, first: int, second: int) -> Layout:
    """Return the layout of the diagonal of two axes, as a new last axis."""
    rows, columns = layout.shape[first], layout.shape[second]
    start = (max(-offset, 0), max(offset, 0))
    count = max(min(rows - start[0], columns - start[1]), 0)
    kept = [a for a in range(len(layout.shape)) if a not in (first, second)]
    shift = start[0] * layout.strides[first] + start[1] * layout.strides[second] if count else 0
    return Layout(
        (*(layout.shape[a] for a in kept), count),
        (*(layout.strides[a] for a in kept), layout.strides[first] + layout.strides[second]),
        layout.offset + shift,
    )


def infer_shape(size: int, shape: Sequence[int]) -> Shape:
    """Return `shape` with a single −1 replaced by what makes it hold `size` elements."""
    known = prod(n for n in shape if n != -1)
    unknown = sum(1 for n in shape if n == -1)
    fits = known == size if not unknown else known > 0 and size % known == 0
    if unknown > 1 or any(n < -1 for n in shape) or not fits:
        raise ShapeError(
            f"cannot reshape {size} elements to {tuple(shape)}; "
            f"expected sizes whose product is {size}, at most one of them -1"
        )
    return tuple(size // known if n == -1 else n for n in shape)


def reshape(layout: Layout, shape: Shape) -> Layout | None:
    """Return the layout of the same elements, in the same order, as `shape`; None if that takes a
    copy.

    Old and new axes are walked together in groups of equal product; a group can be cut anew only
    when its old axes nest (each stride is the next one's stride times its size).
    """
    if layout.shape == shape:
        return layout
    if layout.size == 0 or layout.is_contiguous:
        return contiguous(shape)._replace(offset=layout.offset)
    old = [(n, s) for n, s in zip(layout.shape, layout.strides, strict=True) if n != 1]
    strides = [0] * len(shape)
    new_axis = len(shape)
    while old:
        size, step = old.pop()
        merged, inner = size, step
        filled = 1
        while True:
            if filled == merged:
                break
            if filled < merged and merged % filled == 0 and new_axis > 0:
                new_axis -= 1
                strides[new_axis] = step * filled
                filled *= shape[new_axis]
                continue
            if not old or old[-1][1] != inner * size:
                return None
            size, inner = old.pop()
            merged *= size
    return Layout(shape, tuple(strides), layout.offset)


def strided(shape: Shape, strides: Sequence[int], offset: int, available: int) -> Layout:
    """Return exactly this layout, checked to stay inside a storage of `available` elements."""
    if len(shape) != len(strides):
        raise LayoutError(
            f"{len(shape)} sizes were given with {len(strides)} strides; give one each"
        )
    layout = Layout(shape, tuple(strides), offset)
    low, high = layout.span
    if low < 0 or high > available:
        raise LayoutError(
            f"elements {low} to {high} were asked of a storage of {available}; "
            "choose sizes, strides and offset that stay inside"
        )
    return layout

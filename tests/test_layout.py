"""Layout algebra against numpy: every view it describes holds what numpy's own view holds."""

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lamina import layout as lay
from lamina.errors import AxisError, LayoutError, ShapeError
from lamina.layout import Layout

Draw = Callable[[st.SearchStrategy[Any]], Any]
SHAPES = st.lists(st.integers(0, 5), max_size=4).map(tuple)


@dataclass(frozen=True)
class Pair:
    """A layout, and a numpy view of 0, 1, 2, …: each element tells its own place in memory."""

    layout: Layout
    array: np.ndarray


def places_of(layout: Layout) -> np.ndarray:
    """The places that the definition of a layout gives: offset + Σ index·stride."""
    places = np.full(layout.shape, layout.offset)
    for axis, (size, stride) in enumerate(zip(layout.shape, layout.strides, strict=True)):
        steps = np.arange(size) * stride
        places = places + steps.reshape(-1, *[1] * (len(layout.shape) - axis - 1))
    return places


def fresh(shape: tuple[int, ...]) -> Pair:
    return Pair(lay.contiguous(shape), np.arange(prod(shape)).reshape(shape))


def permuted(pair: Pair, draw: Draw) -> Pair:
    axes = draw(st.permutations(range(pair.array.ndim)))
    return Pair(lay.permute(pair.layout, axes), pair.array.transpose(axes))


def flipped(pair: Pair, draw: Draw) -> Pair:
    axes = tuple(a for a in range(pair.array.ndim) if draw(st.booleans()))
    return Pair(lay.flip(pair.layout, axes), np.flip(pair.array, axes) if axes else pair.array)


def cut(pair: Pair, draw: Draw) -> Pair:
    if not pair.array.ndim:
        return pair
    axis = draw(st.integers(0, pair.array.ndim - 1))
    part = draw(st.slices(pair.array.shape[axis]))
    start, stop, step = part.indices(pair.array.shape[axis])
    count = len(range(start, stop, step))
    index = (slice(None),) * axis + (part,)
    return Pair(lay.cut(pair.layout, axis, start, step, count), pair.array[index])


def selected(pair: Pair, draw: Draw) -> Pair:
    axes = [a for a, n in enumerate(pair.array.shape) if n]
    if len(axes) < 2:
        return pair
    axis = draw(st.sampled_from(axes))
    index = draw(st.integers(0, pair.array.shape[axis] - 1))
    taken = pair.array[(*(slice(None),) * axis, index)]
    return Pair(lay.select(pair.layout, axis, index), taken)


def with_axis(pair: Pair, draw: Draw) -> Pair:
    axis = draw(st.integers(0, pair.array.ndim))
    return Pair(lay.insert_axis(pair.layout, axis), np.expand_dims(pair.array, axis))


def expanded(pair: Pair, draw: Draw) -> Pair:
    sizes = [draw(st.integers(0, 3)) if n == 1 else n for n in pair.array.shape]
    shape = (*draw(st.lists(st.integers(0, 3), max_size=1)), *sizes)
    return Pair(lay.expand(pair.layout, shape), np.broadcast_to(pair.array, shape))


def windowed(pair: Pair, draw: Draw) -> Pair:
    axes = [a for a, n in enumerate(pair.array.shape) if n]
    if not axes:
        return pair
    axis = draw(st.sampled_from(axes))
    size = draw(st.integers(1, pair.array.shape[axis]))
    step = draw(st.integers(1, 3))
    every = np.lib.stride_tricks.sliding_window_view(pair.array, size, axis=axis)
    picked = every[(*(slice(None),) * axis, slice(None, None, step))]
    return Pair(lay.windows(pair.layout, axis, size, step), picked)


def diagonal(pair: Pair, draw: Draw) -> Pair:
    if pair.array.ndim < 2:
        return pair
    first, second = draw(st.permutations(range(pair.array.ndim)))[:2]
    offset = draw(st.integers(-3, 3))
    layout = lay.diagonal(pair.layout, offset, first, second)
    return Pair(layout, np.diagonal(pair.array, offset, first, second))


MOVES = (permuted, flipped, cut, selected, with_axis, expanded, windowed, diagonal)


@st.composite
def pairs(draw: Draw) -> Pair:
    pair = fresh(draw(SHAPES))
    for move in draw(st.lists(st.sampled_from(MOVES), max_size=5)):
        pair = move(pair, draw)
    return pair


@given(pairs())
def test_a_chain_of_views_holds_what_numpys_holds(pair: Pair) -> None:
    assert pair.layout.shape == pair.array.shape
    assert pair.layout.size == pair.array.size
    np.testing.assert_array_equal(places_of(pair.layout), pair.array)


@given(pairs())
def test_numpy_sees_the_same_through_as_strided(pair: Pair) -> None:
    memory = np.arange(int(pair.array.max(initial=0)) + 1)
    layout = pair.layout
    start = memory[layout.offset :] if layout.size else memory
    steps = tuple(8 * s for s in layout.strides)
    seen = np.lib.stride_tricks.as_strided(start, layout.shape, steps)
    np.testing.assert_array_equal(seen, pair.array)


@given(pairs())
def test_the_span_runs_from_the_first_to_the_last_element(pair: Pair) -> None:
    low, high = pair.layout.span
    if pair.array.size:
        assert (low, high) == (pair.array.min(), pair.array.max() + 1)
    else:
        assert low == high


@given(pairs())
def test_contiguity_is_what_numpy_says(pair: Pair) -> None:
    assert pair.layout.is_contiguous == pair.array.flags.c_contiguous
    assert pair.layout.is_fortran == pair.array.flags.f_contiguous


@given(pairs())
def test_no_overlap_goes_unseen(pair: Pair) -> None:
    if np.unique(pair.array).size < pair.array.size:
        assert pair.layout.overlaps_itself


@given(SHAPES, st.data())
def test_what_nests_is_no_overlap(shape: tuple[int, ...], data: st.DataObject) -> None:
    pair = fresh(shape)
    for move in data.draw(st.lists(st.sampled_from((permuted, flipped, cut, selected)))):
        pair = move(pair, data.draw)
    assert not pair.layout.overlaps_itself


@st.composite
def shapes_of(draw: Draw, size: int) -> tuple[int, ...]:
    """Shapes of `size` elements."""
    shape: list[int] = []
    while size > 1:
        factor = draw(st.sampled_from([n for n in range(2, size + 1) if size % n == 0]))
        shape.append(factor)
        size //= factor
    for _ in range(draw(st.integers(0, 2))):
        shape.insert(draw(st.integers(0, len(shape))), 1)
    if size == 0:
        shape.insert(draw(st.integers(0, len(shape))), 0)
    return tuple(shape)


@given(pairs(), st.data())
def test_reshape_is_a_view_exactly_where_numpy_has_one(pair: Pair, data: st.DataObject) -> None:
    shape = data.draw(shapes_of(pair.array.size))
    found = lay.reshape(pair.layout, shape)
    try:
        expected = np.reshape(pair.array, shape, copy=False)
    except ValueError:
        assert found is None
        return
    assert found is not None
    np.testing.assert_array_equal(places_of(found), expected)


@given(st.lists(SHAPES, max_size=3))
def test_shapes_broadcast_as_in_numpy(shapes: list[tuple[int, ...]]) -> None:
    try:
        expected = np.broadcast_shapes(*shapes)
    except ValueError:
        with pytest.raises(ShapeError, match="cannot broadcast"):
            lay.broadcast_shapes(*shapes)
    else:
        assert lay.broadcast_shapes(*shapes) == expected


@given(st.integers(0, 24), st.lists(st.integers(-2, 6), max_size=4))
def test_a_size_left_open_is_filled_in_as_in_numpy(size: int, shape: list[int]) -> None:
    try:
        expected = np.zeros(size).reshape(shape).shape if min(shape, default=0) > -2 else None
    except ValueError:
        expected = None
    if expected is None:
        with pytest.raises(ShapeError, match=f"cannot reshape {size} elements"):
            lay.infer_shape(size, shape)
    else:
        assert lay.infer_shape(size, shape) == expected


@given(st.integers(0, 5), st.integers(-7, 7))
def test_axes_count_from_either_end(ndim: int, axis: int) -> None:
    if -ndim <= axis < ndim:
        assert lay.normalize_axis(axis, ndim) == range(ndim)[axis]
    else:
        with pytest.raises(AxisError, match=f"axis {axis} given for {ndim} axes"):
            lay.normalize_axis(axis, ndim)


def test_no_axes_named_means_all() -> None:
    assert lay.normalize_axes(None, 3) == (0, 1, 2)
    assert lay.normalize_axes(-1, 3) == (2,)
    with pytest.raises(AxisError, match="name an axis twice"):
        lay.normalize_axes((0, -3), 3)


@given(SHAPES.filter(bool), st.data())
def test_a_layout_given_stays_inside_its_storage(
    shape: tuple[int, ...], data: st.DataObject
) -> None:
    strides = data.draw(st.lists(st.integers(-4, 4), min_size=len(shape), max_size=len(shape)))
    offset, available = data.draw(st.integers(-3, 20)), data.draw(st.integers(0, 30))
    places = places_of(Layout(shape, tuple(strides), offset))
    inside = places.min(initial=offset) >= 0 and places.max(initial=offset - 1) < available
    if not places.size:
        inside = 0 <= offset <= available
    if inside:
        assert lay.strided(shape, strides, offset, available).strides == tuple(strides)
    else:
        with pytest.raises(LayoutError, match=f"of a storage of {available}"):
            lay.strided(shape, strides, offset, available)


WRONG: dict[str, tuple[Callable[[], object], type[Exception], str]] = {
    "expand a size": (lambda: lay.expand(lay.contiguous((2,)), (3,)), ShapeError, "only sizes of"),
    "expand away": (lambda: lay.expand(lay.contiguous((1, 2)), (2,)), ShapeError, "more axes"),
    "permute too few": (lambda: lay.permute(lay.contiguous((2, 3)), (0,)), AxisError, "every axis"),
    "permute twice": (lambda: lay.permute(lay.contiguous((2, 3)), (0, 0)), AxisError, "twice"),
    "squeeze a size": (lambda: lay.drop_axes(lay.contiguous((2,)), (0,)), ShapeError, "not 1"),
    "window too wide": (lambda: lay.windows(lay.contiguous((3,)), 0, 4), ShapeError, "not fit"),
    "window too far apart": (
        lambda: lay.windows(lay.contiguous((4,)), 0, 3, dilation=2),
        ShapeError,
        "not fit",
    ),
    "window of nothing": (lambda: lay.windows(lay.contiguous((3,)), 0, 0), ShapeError, "not fit"),
    "window without step": (
        lambda: lay.windows(lay.contiguous((3,)), 0, 1, 0),
        ShapeError,
        "not fit",
    ),
    "strides missing": (lambda: lay.strided((2, 3), (1,), 0, 9), LayoutError, "one each"),
}


@pytest.mark.parametrize("case", WRONG.values(), ids=WRONG.keys())
def test_what_cannot_be_is_said(case: tuple[Callable[[], object], type[Exception], str]) -> None:
    call, error, message = case
    with pytest.raises(error, match=message):
        call()

"""Functions that read from places of a tensor and write to them."""

from typing import Any

import numpy as np

from lamina import layout as lay
from lamina.errors import AxisError, IndexingError, ShapeError
from lamina.layout import Shape, broadcast_shapes, normalize_axis
from lamina.ops.elementwise.arithmetic import cast, where
from lamina.ops.indices.gathering import (
    Argwhere,
    ArrayAdd,
    ArrayIndex,
    ArrayPut,
    Embedding,
    Gather,
    GatherAdd,
    Scatter,
    is_mask,
)
from lamina.ops.indices.selection import (
    BasicIndex,
    Choice,
    as_entry,
    as_places,
    basic_steps,
    choice,
)
from lamina.ops.registry import Op, Operand, Value
from lamina.ops.shapes.movement import expand, flatten, reshape
from lamina.ops.shapes.strided import StridedWrite


def array_index(x: Value, index: Any) -> Value:
    """Return the elements of `x` that arrays of places, or of truth values, choose; a copy.

    `index` is what stands between the brackets of `x[…]`: integers, slices, None, an ellipsis,
    arrays, with numpy's meaning. IndexingError names a place outside its axis.

    >>> import lamina
    >>> array_index(lamina.tensor([[1, 2], [3, 4]]), ([0, 1, 1], [1, 0, 1]))
    Tensor([2, 3, 4])
    """
    if not isinstance(index, tuple) and x.shape:
        places = as_entry(index)
        if not is_mask(places):
            return ArrayIndex((0,), 0)(x, places)
    chosen = choice(index, x.shape)
    return _choose(ArrayIndex(tuple(chosen.axes), chosen.place), chosen, _seen(x, chosen))


def index_put(x: Value, index: Any, values: Value, *, accumulate: bool = False) -> Value:
    """Return a copy of `x` with `values` at `index`, replacing what was there or added to it.

    `values` broadcast to the shape that the index selects. Where a place is named several times the
    last value stays; with `accumulate` all of them are added, in order.

    >>> import lamina
    >>> index_put(lamina.zeros(3), [0, 2, 2], lamina.tensor([1.0, 2.0, 3.0]), accumulate=True)
    Tensor([1., 0., 5.])
    """
    if _is_fill(index, values) and not accumulate:
        return masked_fill(x, reshape(index, _padded(index.shape, x.shape)), _values(x, values, ()))
    steps = basic_steps(index, x.shape)
    if steps is not None:
        region = BasicIndex(steps)(x)
        new = _values(x, values, region.shape)
        return _written(x, steps, region + new if accumulate else new)
    chosen = choice(index, x.shape)
    region = _seen(x, chosen)
    axes, place = tuple(chosen.axes), chosen.place
    new = _values(x, values, chosen.selected)
    if accumulate:
        added = _choose(ArrayAdd(axes, place, region.shape), chosen, new)
        return _written(x, tuple(chosen.steps), region + added)
    put = _choose(ArrayPut(axes, place), chosen, region, new)
    return _written(x, tuple(chosen.steps), put)


def _is_fill(index: Any, values: Any) -> bool:
    return isinstance(index, Operand) and is_mask(index) and not np.shape(values)


def _padded(mask: Shape, shape: Shape) -> Shape:
    """Return the shape of a mask over the first axes of `shape` that broadcasts to all of them."""
    if mask != shape[: len(mask)]:
        raise IndexingError(
            f"a mask of shape {mask} given for a tensor of shape {shape}; expected its first sizes"
        )
    return mask + (1,) * (len(shape) - len(mask))


def _seen(x: Value, chosen: Choice) -> Value:
    """Return the view of `x` that the places choose from."""
    steps = tuple(chosen.steps)
    is_whole = len(steps) == len(x.shape) and all(
        s == ("slice", 0, 1, n) for s, n in zip(steps, x.shape, strict=True)
    )
    view = x if is_whole else BasicIndex(steps)(x)
    shape = tuple(chosen.shape)
    return view if shape == view.shape else reshape(view, shape)


def _choose(op: Op, chosen: Choice, *inputs: Value) -> Value:
    try:
        return op(*inputs, *chosen.places)
    except IndexingError:
        # The op knows the axes of the view; the message should name those of the tensor.
        chosen.check()
        raise


def _written(x: Value, steps: Any, region: Value) -> Value:
    """Return `x` with what a basic index sees of it replaced by `region`, reshaped."""
    layout = BasicIndex(steps).relayout(lay.contiguous(x.shape))
    region = reshape(region, layout.shape)
    return region if layout == lay.contiguous(x.shape) else StridedWrite(layout)(x, region)


def _values(x: Value, values: Any, shape: Shape) -> Value:
    """Return `values` in the dtype of `x`, stretched to `shape`."""
    if not isinstance(values, Operand):
        values = x.new_tensor(values)
    extra = len(values.shape) - len(shape)
    if extra > 0 and values.shape[:extra] == (1,) * extra:
        values = reshape(values, values.shape[extra:])
    try:
        return expand(cast(values, x.dtype), shape)
    except ShapeError:
        raise ShapeError(
            f"values of shape {values.shape} given where the index selects {shape}; "
            "expected sizes that broadcast to those"
        ) from None


def take(x: Value, indices: Any, axis: int | None = None) -> Value:
    """Return the elements of `x` at `indices` along `axis`, whose place the axes of `indices` take.

    None takes from all elements in C order.

    >>> import lamina
    >>> take(lamina.tensor([[1, 2], [3, 4]]), [1, 0, 1], 1)
    Tensor([[2, 1, 2],
            [4, 3, 4]])
    """
    if axis is None:
        x, axis = flatten(x), 0
    place = normalize_axis(axis, len(x.shape))
    return ArrayIndex((place,), place)(x, as_places(indices))


def embedding(weight: Value, indices: Any, padding_idx: int | None = None) -> Value:
    """Return rows of `weight` (rows, features): (…) indices give (…, features).

    The row `padding_idx` receives no gradient. IndexingError names an index outside the rows.

    >>> import lamina
    >>> embedding(lamina.tensor([[1.0, 2.0], [3.0, 4.0]]), [1, 1])
    Tensor([[3., 4.],
            [3., 4.]])
    """
    if padding_idx is not None:
        rows = weight.shape[0]
        if not -rows <= padding_idx < rows:
            raise IndexingError(f"padding_idx {padding_idx} is outside the {rows} rows of weight")
        padding_idx %= rows
    return Embedding(padding_idx)(weight, as_places(indices))


def gather(x: Value, axis: int, index: Any) -> Value:
    """Return out[…, i, …] = x[…, index[…, i, …], …], the index read along `axis`.

    `index` has as many axes as `x`, and none but `axis` longer. IndexingError names a place
    outside.

    >>> import lamina
    >>> gather(lamina.tensor([[1, 2], [3, 4]]), 1, [[0, 0], [1, 0]])
    Tensor([[1, 1],
            [4, 3]])
    """
    return Gather(normalize_axis(axis, len(x.shape)))(x, as_places(index))


def take_along_axis(x: Value, indices: Any, axis: int = -1) -> Value:
    """Return `gather` of `x` along `axis`, the other axes of both broadcast together.

    >>> import lamina
    >>> take_along_axis(lamina.tensor([[1, 2], [3, 4]]), [[1]], 1)
    Tensor([[2],
            [4]])
    """
    index = as_places(indices)
    place = normalize_axis(axis, len(x.shape))
    if len(index.shape) != len(x.shape):
        raise ShapeError(
            f"take_along_axis: indices of shape {tuple(index.shape)} given for {x.shape}; "
            "expected as many axes"
        )
    common = broadcast_shapes(_without(x.shape, place), _without(tuple(index.shape), place))
    stretched = (*common[:place], index.shape[place], *common[place + 1 :])
    if isinstance(index, Operand):
        index = expand(index, stretched)
    else:
        index = np.broadcast_to(index, stretched)
    return Gather(place)(expand(x, (*common[:place], x.shape[place], *common[place + 1 :])), index)


def _without(shape: Shape, axis: int) -> Shape:
    return (*shape[:axis], 1, *shape[axis + 1 :])


def scatter(x: Value, axis: int, index: Any, src: Any) -> Value:
    """Return `x` with `src` written to the places `index` along `axis`; the last of equals stays.

    `src` is a number, or a tensor of which the part that `index` covers is used.

    >>> import lamina
    >>> scatter(lamina.zeros(3), 0, [2, 0], lamina.tensor([5.0, 6.0]))
    Tensor([6., 0., 5.])
    """
    index = as_places(index)
    place = normalize_axis(axis, len(x.shape))
    return Scatter(place)(x, _covered(x, src, tuple(index.shape)), index)


def scatter_add(x: Value, axis: int, index: Any, src: Any) -> Value:
    """Return `x` with `src` added at the places `index` along `axis`, in order.

    >>> import lamina
    >>> scatter_add(lamina.zeros(2), 0, [1, 1, 0], lamina.tensor([1.0, 2.0, 3.0]))
    Tensor([3., 3.])
    """
    index = as_places(index)
    place = normalize_axis(axis, len(x.shape))
    return x + GatherAdd(place, x.shape)(_covered(x, src, tuple(index.shape)), index)


def _covered(x: Value, src: Any, shape: Shape) -> Value:
    """Return the part of `src` that an index of `shape` covers, in the dtype of `x`."""
    if not np.shape(src):
        return _values(x, src, shape)
    if len(src.shape) != len(shape) or any(n > m for n, m in zip(shape, src.shape, strict=True)):
        raise ShapeError(
            f"src of shape {tuple(src.shape)} given for an index of shape {shape}; expected as "
            "many axes, each at least as long"
        )
    return cast(src[tuple(slice(n) for n in shape)], x.dtype)


def index_add(x: Value, axis: int, index: Any, source: Value, *, alpha: float = 1) -> Value:
    """Return `x` with alpha·`source` added to its parts at `index` along `axis`.

    >>> import lamina
    >>> index_add(lamina.zeros(2, 2), 0, [1, 1], lamina.ones(2, 2))
    Tensor([[0., 0.],
            [2., 2.]])
    """
    place = normalize_axis(axis, len(x.shape))
    values = source if alpha == 1 else source * alpha
    return x + ArrayAdd((place,), place, x.shape)(cast(values, x.dtype), as_places(index))


def index_copy(x: Value, axis: int, index: Any, source: Any) -> Value:
    """Return `x` with its parts at `index` along `axis` replaced by those of `source`.

    >>> import lamina
    >>> index_copy(lamina.zeros(2, 2), 0, [1], lamina.ones(1, 2))
    Tensor([[0., 0.],
            [1., 1.]])
    """
    places = as_places(index)
    place = normalize_axis(axis, len(x.shape))
    shape = (*x.shape[:place], *places.shape, *x.shape[place + 1 :])
    return ArrayPut((place,), place)(x, _values(x, source, shape), places)


def argwhere(x: Value) -> Value:
    """Return the places of the elements that are not zero, a row each, in C order.

    >>> import lamina
    >>> argwhere(lamina.tensor([[0, 3], [4, 0]]))
    Tensor([[0, 1],
            [1, 0]])
    """
    return Argwhere()(x)


def nonzero(x: Value) -> tuple[Value, ...]:
    """Return the places of the elements that are not zero, one tensor for each axis, in C order.

    >>> import lamina
    >>> nonzero(lamina.tensor([[0, 3], [4, 0]]))
    (Tensor([0, 1]), Tensor([1, 0]))
    """
    if not x.shape:
        raise AxisError("nonzero of a 0-d tensor: it has no axes; compare it with 0")
    places = argwhere(x)
    return tuple(places[:, axis] for axis in range(len(x.shape)))


def masked_select(x: Value, mask: Value) -> Value:
    """Return the elements of `x` where `mask` holds, both broadcast together, in C order.

    >>> import lamina
    >>> masked_select(lamina.tensor([1, 2, 3]), lamina.tensor([True, False, True]))
    Tensor([1, 3])
    """
    shape = broadcast_shapes(x.shape, mask.shape)
    return array_index(expand(x, shape), expand(mask, shape))


def masked_fill(x: Value, mask: Value, value: Any) -> Value:
    """Return `x` with `value`, a number, where `mask` holds.

    >>> import lamina
    >>> masked_fill(lamina.tensor([1, 2]), lamina.tensor([True, False]), 0)
    Tensor([0, 2])
    """
    filled = value if not isinstance(value, Operand) else cast(value, x.dtype)
    return where(mask, filled, x)

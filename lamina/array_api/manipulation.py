"""Other shapes and orders of the elements, and tensors joined and taken apart."""

from collections.abc import Sequence

from lamina import layout
from lamina.errors import ArgumentError, LayoutError
from lamina.layout import Shape
from lamina.ops.orders import partition
from lamina.ops.shapes import copying, movement, rearranging
from lamina.tensor import Tensor
from lamina.tensor.guard import takes_tensors
from lamina.tensor.keywords import second_keywords

__all__ = [
    "broadcast_arrays",
    "broadcast_shapes",
    "broadcast_to",
    "concat",
    "expand_dims",
    "flip",
    "moveaxis",
    "permute_dims",
    "repeat",
    "reshape",
    "roll",
    "squeeze",
    "stack",
    "tile",
    "unstack",
]

Axis = int | Sequence[int] | None


def broadcast_shapes(*shapes: Shape) -> Shape:
    """Return the shape that all `shapes` stretch to; ShapeError where there is none."""
    return layout.broadcast_shapes(*(tuple(s) for s in shapes))


@takes_tensors
def broadcast_arrays(*arrays: Tensor) -> tuple[Tensor, ...]:
    """Return views of the tensors, all stretched to one shape."""
    shape = layout.broadcast_shapes(*(x.shape for x in arrays))
    return tuple(movement.expand(x, shape) for x in arrays)


@second_keywords
def broadcast_to(x: Tensor, shape: Sequence[int]) -> Tensor:
    """Return a view of `x` stretched to `shape`."""
    return movement.expand(x, tuple(shape))


@second_keywords
def concat(arrays: Sequence[Tensor], axis: int | None = 0) -> Tensor:
    """Return tensors joined end to end along `axis`; None flattens them first.

    >>> import lamina
    >>> lamina.concat((lamina.tensor([1]), lamina.tensor([2.5])))
    Tensor([1. , 2.5])
    """
    return copying.concat(arrays, axis)


@second_keywords
def stack(arrays: Sequence[Tensor], axis: int = 0) -> Tensor:
    """Return tensors of one shape joined along a new axis."""
    return copying.stack(arrays, axis)


@second_keywords
def unstack(x: Tensor, axis: int = 0) -> tuple[Tensor, ...]:
    """Return a view of each place of `axis`."""
    return partition.unstack(x, axis)


@second_keywords
def expand_dims(x: Tensor, axis: int | Sequence[int] = 0) -> Tensor:
    """Return a view of `x` with new axes of size 1 at the places `axis`."""
    return movement.expand_dims(x, axis)


@second_keywords
def flip(x: Tensor, axis: Axis = None) -> Tensor:
    """Return a view of `x` with the order reversed along `axis`, by default along all."""
    return movement.flip(x, axis)


@takes_tensors
def moveaxis(x: Tensor, source: int | Sequence[int], destination: int | Sequence[int]) -> Tensor:
    """Return a view of `x` with axes moved to new places, the others in their order."""
    return movement.move_axes(x, source, destination)


@second_keywords
def permute_dims(x: Tensor, axes: Sequence[int]) -> Tensor:
    """Return a view of `x` whose axis i is its axis `axes[i]`."""
    return movement.permute(x, axes)


@second_keywords
def reshape(x: Tensor, shape: Sequence[int], *, copy: bool | None = None) -> Tensor:
    """Return the elements of `x`, in order, as `shape`, of which one size may be −1.

    A view where one exists and `copy` is not True; LayoutError where `copy` is False and none does.
    """
    if copy is False:
        wanted = layout.infer_shape(x.size, tuple(shape))
        if layout.reshape(x.array.layout, wanted) is None:
            raise LayoutError(f"reshape: {x.shape} is no view as {wanted}; pass copy=None")
    return movement.reshape(x.clone() if copy else x, tuple(shape))


def roll(
    x: Tensor,
    shift: int | Sequence[int] | None = None,
    axis: Axis = None,
    *,
    shifts: int | Sequence[int] | None = None,
    dims: Axis = None,
) -> Tensor:
    """Return `x` moved round by `shift` places along `axis`; None rolls the elements in C order."""
    by = shifts if shift is None else shift
    if by is None:
        raise ArgumentError("roll: no shift given; say by how many places")
    return copying.roll(x, by, dims if axis is None else axis)


@takes_tensors
def squeeze(x: Tensor, axis: Axis = None, *, dim: Axis = None) -> Tensor:
    """Return a view of `x` without the size-1 axes named, by default without any.

    Another size is a ShapeError under `axis`; `dim` leaves such axes alone, as in PyTorch.
    """
    return x.squeeze(dim) if axis is None else movement.squeeze(x, axis)


@second_keywords
def tile(x: Tensor, repetitions: Sequence[int]) -> Tensor:
    """Return `x` laid side by side with itself; axes that `x` lacks are put in front."""
    return copying.tile(x, repetitions)


@second_keywords
def repeat(x: Tensor, repeats: int | Tensor, axis: int | None = None) -> Tensor:
    """Return `x` with every place of `axis` repeated: a number of times, or one number a place.

    >>> import lamina
    >>> lamina.repeat(lamina.tensor([5, 7]), lamina.tensor([1, 2]))
    Tensor([5, 7, 7])
    """
    return rearranging.repeat(x, repeats, axis)

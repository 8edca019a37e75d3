"""Other shapes, orders and parts of a tensor, as methods; views wherever the layout allows."""

from collections.abc import Sequence
from typing import Any

from lamina.errors import AxisError, LayoutError, ShapeError
from lamina.layout import Shape, infer_shape, normalize_axis, reshape
from lamina.memory import Array
from lamina.ops.registry import Operand
from lamina.ops.shapes import copying
from lamina.ops.shapes import movement as ops

Tensor = Any


class Size(int):
    """The number of elements; called, as PyTorch's `size()` is, the sizes of the axes."""

    shape: Shape

    def __call__(self, dim: int | None = None) -> Any:
        return self.shape if dim is None else self.shape[normalize_axis(dim, len(self.shape))]


class Shaping(Operand):
    """Methods that move no data, and the few that copy because they must."""

    __slots__ = ()

    array: Array

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    def dim(self) -> int:
        """Return the number of axes."""
        return len(self.shape)

    @property
    def size(self) -> Size:
        """Number of elements (an int); `x.size()` and `x.size(axis)` give sizes, as in PyTorch."""
        size = Size(self.array.layout.size)
        size.shape = self.shape
        return size

    def numel(self) -> int:
        """Return the number of elements."""
        return self.array.layout.size

    @property
    def itemsize(self) -> int:
        """Bytes of one element."""
        return self.array.dtype.itemsize

    @property
    def nbytes(self) -> int:
        """Bytes of all elements."""
        return self.array.layout.size * self.array.dtype.itemsize

    @property
    def strides(self) -> tuple[int, ...]:
        """Steps between neighbours along each axis, in elements."""
        return self.array.layout.strides

    def stride(self, dim: int | None = None) -> Any:
        """Return the steps between neighbours, in elements, of all axes or of one."""
        strides = self.array.layout.strides
        return strides if dim is None else strides[normalize_axis(dim, len(strides))]

    def storage_offset(self) -> int:
        """Return the place of the first element in its storage, in elements."""
        return self.array.layout.offset

    def data_ptr(self) -> int:
        """Return the address of the first element."""
        return self.array.address

    def is_contiguous(self) -> bool:
        """Return whether the elements lie in C order without gaps."""
        return self.array.layout.is_contiguous

    def __len__(self) -> int:
        if not self.shape:
            raise AxisError("len() of a 0-d tensor; it has no axes")
        return self.shape[0]

    def reshape(self, *shape: Any) -> Tensor:
        """Return the elements in order as `shape` (one size may be −1); a view if one exists."""
        return ops.reshape(self, sizes(shape))

    def view(self, *shape: Any) -> Tensor:
        """Return a view as `shape`; LayoutError where that would take a copy."""
        wanted = infer_shape(self.numel(), sizes(shape))
        if reshape(self.array.layout, wanted) is None:
            raise LayoutError(
                f"{self.shape} with strides {self.strides} is no view as {wanted}; use reshape()"
            )
        return ops.reshape(self, wanted)

    def view_as(self, other: Tensor) -> Tensor:
        """Return a view with the shape of `other`."""
        return self.view(other.shape)

    def reshape_as(self, other: Tensor) -> Tensor:
        """Return the elements in the shape of `other`."""
        return ops.reshape(self, other.shape)

    def permute(self, *axes: Any) -> Tensor:
        """Return a view whose axis i is axis `axes[i]`."""
        return ops.permute(self, sizes(axes))

    def transpose(self, dim0: int, dim1: int) -> Tensor:
        """Return a view with two axes exchanged."""
        return ops.swap_axes(self, dim0, dim1)

    swapaxes = transpose

    def t(self) -> Tensor:
        """Return the transpose of a matrix; tensors of fewer axes as they are."""
        return self if len(self.shape) < 2 else self.T

    @property
    def T(self) -> Tensor:
        """The transpose of a matrix."""
        if len(self.shape) != 2:
            raise ShapeError(f".T needs 2 axes, {len(self.shape)} given; use .mT or permute()")
        return ops.swap_axes(self, 0, 1)

    @property
    def mT(self) -> Tensor:
        """Every matrix of the last two axes transposed."""
        if len(self.shape) < 2:
            raise ShapeError(f".mT needs at least 2 axes, {len(self.shape)} given")
        return ops.swap_axes(self, -1, -2)

    def moveaxis(self, source: Any, destination: Any) -> Tensor:
        """Return a view with axes moved to new places."""
        return ops.move_axes(self, source, destination)

    movedim = moveaxis

    def expand(self, *shape: Any) -> Tensor:
        """Return a view stretched to `shape` without a copy; −1 keeps a size."""
        return ops.expand(self, sizes(shape))

    def expand_as(self, other: Tensor) -> Tensor:
        """Return a view stretched to the shape of `other`."""
        return ops.expand(self, other.shape)

    broadcast_to = expand

    def flip(self, *axes: Any) -> Tensor:
        """Return a view with the order reversed along `axes`."""
        return ops.flip(self, sizes(axes) if axes else None)

    def squeeze(self, dim: Any = None) -> Tensor:
        """Return a view without size-1 axes: all, or those of `dim` that have size 1."""
        if dim is None:
            return ops.squeeze(self)
        named = (dim,) if isinstance(dim, int) else tuple(dim)
        return ops.squeeze(self, tuple(a for a in named if self.size(a) == 1))

    def unsqueeze(self, dim: int) -> Tensor:
        """Return a view with a new axis of size 1 at place `dim`."""
        return ops.expand_dims(self, dim)

    def flatten(self, start_dim: int = 0, end_dim: int = -1) -> Tensor:
        """Return the axes from `start_dim` to `end_dim` made one."""
        return ops.flatten(self, start_dim, end_dim)

    def ravel(self) -> Tensor:
        """Return all elements along one axis."""
        return ops.flatten(self)

    def unflatten(self, dim: int, sizes: Sequence[int]) -> Tensor:
        """Return one axis split into `sizes`."""
        return ops.unflatten(self, dim, sizes)

    def unfold(self, dimension: int, size: int, step: int) -> Tensor:
        """Return a view of every window along an axis, as a new last axis."""
        return ops.unfold(self, dimension, size, step)

    def diagonal(self, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
        """Return a view of the diagonal of two axes, as a new last axis."""
        return ops.diagonal(self, offset, dim1, dim2)

    def contiguous(self) -> Tensor:
        """Return the tensor in C order: itself where it is, else a copy."""
        return self if self.is_contiguous() else self.clone()

    def clone(self) -> Tensor:
        """Return a copy, in C order; gradients pass through."""
        return self.apply(copying.copy, (self,))

    def narrow(self, dim: int, start: int, length: int) -> Tensor:
        """Return a view of `length` places of an axis from `start`."""
        place = normalize_axis(dim, len(self.shape))
        if not 0 <= start <= start + length <= self.shape[place]:
            raise ShapeError(
                f"narrow: {start} to {start + length} asked of axis {place} of {self.shape}"
            )
        return self[(slice(None),) * place + (slice(start, start + length),)]  # type: ignore[index]

    def select(self, dim: int, index: int) -> Tensor:
        """Return a view with an axis held at `index` and dropped."""
        place = normalize_axis(dim, len(self.shape))
        return self[(slice(None),) * place + (index,)]  # type: ignore[index]


def sizes(given: tuple[Any, ...]) -> tuple[int, ...]:
    """Return `f(2, 3)` and `f((2, 3))` alike as (2, 3)."""
    if len(given) == 1 and isinstance(given[0], list | tuple):
        given = tuple(given[0])
    if not all(isinstance(n, int) or hasattr(n, "__index__") for n in given):
        raise ShapeError(f"sizes {given} given; expected whole numbers")
    return tuple(int(n) for n in given)

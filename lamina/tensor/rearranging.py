"""A tensor taken apart, repeated, rolled and turned."""

from collections.abc import Sequence
from typing import Any

from lamina.ops.orders import partition
from lamina.ops.registry import Operand
from lamina.ops.shapes import copying, movement, rearranging
from lamina.tensor.shaping import sizes

Tensor = Any


class Rearranging(Operand):
    """Parts are views; what repeats elements copies."""

    __slots__ = ()

    def split(self, split_size: Any, dim: int = 0) -> tuple[Tensor, ...]:
        """Return views of parts of one size, the last perhaps smaller, or of the sizes listed."""
        return partition.split(self, split_size, dim)

    def chunk(self, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
        """Return views of at most `chunks` parts of equal size, the last perhaps smaller."""
        return partition.chunk(self, chunks, dim)

    def tensor_split(self, indices_or_sections: Any, dim: int = 0) -> tuple[Tensor, ...]:
        """Return views of parts whose sizes differ by at most 1, or of parts cut before places."""
        return partition.tensor_split(self, indices_or_sections, dim)

    def unbind(self, dim: int = 0) -> tuple[Tensor, ...]:
        """Return a view of each place of an axis."""
        return partition.unstack(self, dim)

    def repeat(self, *repeats: Any) -> Tensor:
        """Return the tensor side by side with itself, `repeats[a]` times along axis a.

        As in PyTorch; a place repeated in a row is `repeat_interleave`.

        >>> import lamina
        >>> lamina.tensor([1, 2]).repeat(2, 2)
        Tensor([[1, 2, 1, 2],
                [1, 2, 1, 2]])
        """
        return copying.tile(self, sizes(repeats))

    def tile(self, *dims: Any) -> Tensor:
        """Return the tensor side by side with itself; axes that `dims` lacks are not repeated."""
        return copying.tile(self, sizes(dims))

    def repeat_interleave(self, repeats: Any, dim: int | None = None) -> Tensor:
        """Return every place of an axis repeated: a number of times, or one number a place."""
        return rearranging.repeat(self, repeats, dim)

    def roll(self, shifts: int | Sequence[int], dims: Any = None) -> Tensor:
        """Return the elements moved round by `shifts` places; without `dims` in C order."""
        return copying.roll(self, shifts, dims)

    def rot90(self, k: int = 1, dims: Sequence[int] = (0, 1)) -> Tensor:
        """Return a view turned `k` quarters from the first of two axes towards the second."""
        return rearranging.rotate(self, k, dims)

    def fliplr(self) -> Tensor:
        """Return a view with the columns in reverse."""
        return movement.flip(self, 1)

    def flipud(self) -> Tensor:
        """Return a view with the rows in reverse."""
        return movement.flip(self, 0)

    def tril(self, diagonal: int = 0) -> Tensor:
        """Return the tensor with zeros above a diagonal of each matrix."""
        return copying.tril(self, diagonal)

    def triu(self, diagonal: int = 0) -> Tensor:
        """Return the tensor with zeros below a diagonal of each matrix."""
        return copying.triu(self, diagonal)

    def diag(self, diagonal: int = 0) -> Tensor:
        """Return a diagonal of a matrix, or the matrix with a vector on that diagonal."""
        return rearranging.diag(self, diagonal)

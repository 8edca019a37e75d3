"""Methods that write into a tensor's own memory. Each bumps the storage's version."""

from typing import Any, Self

import numpy as np

from lamina.autograd.grad_mode import state
from lamina.errors import DTypeError
from lamina.memory import Array, empty
from lamina.ops.elementwise import arithmetic as ops
from lamina.ops.elementwise import powers
from lamina.ops.elementwise.arithmetic import cast
from lamina.ops.elementwise.functions import clip
from lamina.ops.pointwise import Elementwise
from lamina.ops.registry import Op, Operand
from lamina.ops.shapes.copying import copy
from lamina.ops.shapes.movement import expand, reshape
from lamina.tensor.conversion import array_of
from lamina.tensor.views import (
    assign,
    become,
    check_write,
    is_tracked,
    refresh_history,
    rejoin_base,
)

Tensor = Any

# Below this numpy's call is the shorter one; it rounds as a kernel does.
_WORTH_A_KERNEL = 1 << 15


class InPlace(Operand):
    """`x += y`, `x.copy_(y)` and the like. Recorded like any op, unless `x` is a leaf."""

    __slots__ = ()

    array: Array
    requires_grad: bool
    base: Tensor
    node: Any
    index: int

    def refresh(self) -> None:
        """Take up the history that writes to the memory which this tensor views have had since."""
        if self.base is not None:
            refresh_history(self)

    def _update(self, op: Op, other: Any) -> Self:
        """Replace self by op(self, other)."""
        if is_tracked(self, other):
            rejoin_base(self)
            before = self._before(other) if _keeps_first(op, other) else self
            return self._replace(self.apply(op, (before, before if other is self else other)))
        if (
            isinstance(op, Elementwise)
            and isinstance(op.fn, np.ufunc)
            and self._is_beside(other)
            and not state.anomaly
            and state.recorder is None
        ):
            check_write(self, tracked=False)
            mine = self.array
            if mine.storage.nbytes < _WORTH_A_KERNEL or not op.write(
                mine, mine, self._beside(other)
            ):
                target = mine.numpy()
                value = other.array.numpy() if isinstance(other, InPlace) else other
                with np.errstate(all="ignore"):
                    op.fn(target, value, out=target)
            mine.storage.version += 1
            return self
        return self._replace(self.apply(op, (self, other)))

    def _beside(self, other: Any) -> Array:
        if isinstance(other, InPlace):
            return other.array
        return array_of(other, self.array.dtype, copy=False)

    def _before(self, other: Any = None) -> Self:
        """Return what a derivative rule may keep of this tensor, about to be written from `other`.

        A copy with the same history; the tensor itself where the write is not recorded.
        """
        if not is_tracked(self, other):
            return self
        rejoin_base(self)
        check_write(self, tracked=True)
        if state.recorder is not None:
            array: Any = state.recorder.apply(copy, (self.array,))
        else:
            array = empty(*self.array.spec)
            array.numpy()[...] = self.array.numpy()
        source = (self.node, self.index) if self.requires_grad else None
        return self.of_history(array, source)  # type: ignore[attr-defined]

    def _is_beside(self, other: Any) -> bool:
        """Whether numpy would compute with `other` in this tensor's own dtype and shape."""
        if isinstance(other, InPlace):
            return (
                other.array.dtype is self.array.dtype
                and other.array.shape == self.array.shape
                and other.array.storage is not self.array.storage
            )
        return type(other) is float and self.array.dtype.kind == "float"

    def _replace(self, value: Tensor) -> Self:
        mine, theirs = self.array.dtype, value.dtype
        if theirs is not mine and theirs.kind != mine.kind:
            raise DTypeError(
                f"a {theirs.name} result cannot be written in place to a {mine.name} tensor; "
                f"convert it with .to(lamina.{mine.name}), or do not work in place"
            )
        become(self, cast(value, mine))
        return self

    def __iadd__(self, other: Any) -> Self:
        return self._update(ops.add, other)

    def __isub__(self, other: Any) -> Self:
        return self._update(ops.subtract, other)

    def __imul__(self, other: Any) -> Self:
        return self._update(ops.multiply, other)

    def __itruediv__(self, other: Any) -> Self:
        return self._update(ops.divide, other)

    def __ifloordiv__(self, other: Any) -> Self:
        return self._update(ops.floor_divide, other)

    def __imod__(self, other: Any) -> Self:
        return self._update(ops.remainder, other)

    def __ipow__(self, other: Any) -> Self:
        if isinstance(other, Operand):
            return self._update(ops.power, other)
        return self._replace(powers.raised(self._before(other), other))

    def __imatmul__(self, other: Any) -> Self:
        return self._replace(self._before(other) @ other)

    def __iand__(self, other: Any) -> Self:
        return self._update(ops.bitwise_and, other)

    def __ior__(self, other: Any) -> Self:
        return self._update(ops.bitwise_or, other)

    def __ixor__(self, other: Any) -> Self:
        return self._update(ops.bitwise_xor, other)

    def __ilshift__(self, other: Any) -> Self:
        return self._update(ops.bitwise_left_shift, other)

    def __irshift__(self, other: Any) -> Self:
        return self._update(ops.bitwise_right_shift, other)

    def add_(self, other: Any, *, alpha: float = 1) -> Self:
        """Add alpha·other in place."""
        return self._update(ops.add, other if alpha == 1 else other * alpha)

    def sub_(self, other: Any, *, alpha: float = 1) -> Self:
        """Subtract alpha·other in place."""
        return self._update(ops.subtract, other if alpha == 1 else other * alpha)

    def mul_(self, other: Any) -> Self:
        """Multiply in place."""
        return self._update(ops.multiply, other)

    def div_(self, other: Any) -> Self:
        """Divide in place."""
        return self._update(ops.divide, other)

    def pow_(self, exponent: Any) -> Self:
        """Raise to a power in place."""
        return self.__ipow__(exponent)

    def lerp_(self, end: Tensor, weight: float) -> Self:
        """Move towards `end` by the share `weight`, in place."""
        return self._replace(self + (end - self) * weight)

    def addcmul_(self, first: Tensor, second: Tensor, *, value: float = 1) -> Self:
        """Add value·first·second in place."""
        return self._update(ops.add, first * second * value)

    def addcdiv_(self, first: Tensor, second: Tensor, *, value: float = 1) -> Self:
        """Add value·first/second in place."""
        return self._update(ops.add, first / second * value)

    def copy_(self, source: Any) -> Self:
        """Write `source`, converted and broadcast, over this tensor."""
        value = source if isinstance(source, InPlace) else self.new_tensor(source)  # type: ignore[attr-defined]
        extra = len(value.shape) - len(self.shape)
        if extra > 0 and set(value.shape[:extra]) == {1}:
            value = reshape(value, value.shape[extra:])
        assign(self, expand(cast(value, self.array.dtype), self.shape))
        return self

    def fill_(self, value: Any) -> Self:
        """Write one number everywhere."""
        is_recorded = is_tracked(self, value) or state.recorder is not None
        if is_recorded or isinstance(value, InPlace):
            return self.copy_(value)
        check_write(self, tracked=False)
        self.array.numpy()[...] = value
        self.array.storage.version += 1
        return self

    def zero_(self) -> Self:
        """Write 0 everywhere."""
        return self.fill_(0)

    def clamp_(self, min: Any = None, max: Any = None) -> Self:
        """Limit to the range from `min` to `max` in place."""
        return self._replace(clip(self._before(), min, max))

    def masked_fill_(self, mask: Tensor, value: Any) -> Self:
        """Write `value` where `mask` holds."""
        return self._replace(ops.where(mask, value, self))


def _keeps_first(op: Op, other: Any) -> bool:
    """Whether the derivative of `op` reads its first input."""
    if op.bilinear:
        return getattr(other, "requires_grad", False)
    return op.saves is None or 0 in op.saves

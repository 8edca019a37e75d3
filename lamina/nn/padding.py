"""Layers that put values around the last one, two or three axes."""

from typing import final

from lamina.errors import ArgumentError
from lamina.layout import Shape
from lamina.nn import functional as F
from lamina.nn.functional.spatial import PadMode
from lamina.nn.module import Module
from lamina.ops.layers.spatial import Sizes
from lamina.tensor import Tensor


def _ends(padding: Sizes, count: int) -> Shape:
    """Return a number for each end. Negative ones crop, where the mode lets them."""
    given = (padding,) * count if isinstance(padding, int) else tuple(padding)
    if len(given) != count:
        raise ArgumentError(f"padding {padding} given; expected a whole number, or {count} of them")
    return given


class _Pad(Module):
    """Padding of `rank` axes. `padding` is a number for all ends, or one for each: before and
    behind the last axis first, then the axis before it."""

    rank: int
    mode: PadMode

    def __init__(self, padding: Sizes) -> None:
        super().__init__()
        self.padding = _ends(padding, 2 * self.rank)

    def forward(self, input: Tensor) -> Tensor:
        return F.pad(input, self.padding, mode=self.mode, value=self._value())

    def _value(self) -> float | None:
        return None

    def extra_repr(self) -> str:
        return f"{self.padding}"


class _ConstantPad(_Pad):
    """Padding with one number."""

    mode: PadMode = "constant"

    def __init__(self, padding: Sizes, value: float) -> None:
        super().__init__(padding)
        self.value = value

    def _value(self) -> float:
        return self.value

    def extra_repr(self) -> str:
        return f"padding={self.padding}, value={self.value}"


@final
class ConstantPad1d(_ConstantPad):
    """`value` put before and behind the last axis.

    >>> from lamina import nn
    >>> nn.ConstantPad1d((1, 2), 9.0)(lamina.zeros(1, 2))
    Tensor([[9., 0., 0., 9., 9.]])
    """

    rank = 1


@final
class ConstantPad2d(_ConstantPad):
    """`value` put around the last two axes: (left, right, top, bottom), or one number for all."""

    rank = 2


@final
class ConstantPad3d(_ConstantPad):
    """`value` put around the last three axes: (left, right, top, bottom, front, back)."""

    rank = 3


class _ZeroPad(_Pad):
    """Padding with zeros."""

    mode: PadMode = "constant"

    def _value(self) -> float:
        return 0.0


@final
class ZeroPad1d(_ZeroPad):
    """Zeros put before and behind the last axis."""

    rank = 1


@final
class ZeroPad2d(_ZeroPad):
    """Zeros put around the last two axes: (left, right, top, bottom), or one number for all.

    >>> from lamina import nn
    >>> nn.ZeroPad2d(1)(lamina.ones(1, 1, 2, 2)).shape
    (1, 1, 4, 4)
    """

    rank = 2


@final
class ZeroPad3d(_ZeroPad):
    """Zeros put around the last three axes: (left, right, top, bottom, front, back)."""

    rank = 3


@final
class ReflectionPad1d(_Pad):
    """The last axis continued by its mirror image, the end itself not repeated.

    >>> from lamina import nn
    >>> nn.ReflectionPad1d(2)(lamina.tensor([[1.0, 2.0, 3.0]]))
    Tensor([[3., 2., 1., 2., 3., 2., 1.]])
    """

    rank = 1
    mode: PadMode = "reflect"


@final
class ReflectionPad2d(_Pad):
    """The last two axes continued by their mirror image; see `ReflectionPad1d`."""

    rank = 2
    mode: PadMode = "reflect"


@final
class ReflectionPad3d(_Pad):
    """The last three axes continued by their mirror image; see `ReflectionPad1d`."""

    rank = 3
    mode: PadMode = "reflect"


@final
class ReplicationPad1d(_Pad):
    """The last axis continued by the value at its end.

    >>> from lamina import nn
    >>> nn.ReplicationPad1d(1)(lamina.tensor([[1.0, 2.0, 3.0]]))
    Tensor([[1., 1., 2., 3., 3.]])
    """

    rank = 1
    mode: PadMode = "replicate"


@final
class ReplicationPad2d(_Pad):
    """The last two axes continued by the values at their ends."""

    rank = 2
    mode: PadMode = "replicate"


@final
class ReplicationPad3d(_Pad):
    """The last three axes continued by the values at their ends."""

    rank = 3
    mode: PadMode = "replicate"


@final
class CircularPad1d(_Pad):
    """The last axis continued from its other end.

    >>> from lamina import nn
    >>> nn.CircularPad1d(1)(lamina.tensor([[1.0, 2.0, 3.0]]))
    Tensor([[3., 1., 2., 3., 1.]])
    """

    rank = 1
    mode: PadMode = "circular"


@final
class CircularPad2d(_Pad):
    """The last two axes continued from their other ends."""

    rank = 2
    mode: PadMode = "circular"


@final
class CircularPad3d(_Pad):
    """The last three axes continued from their other ends."""

    rank = 3
    mode: PadMode = "circular"

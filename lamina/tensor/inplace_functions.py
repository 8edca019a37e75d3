"""Elementary functions that write into a tensor's own memory."""

from typing import Self

from lamina.ops.elementwise import activations
from lamina.ops.elementwise import arithmetic as ar
from lamina.ops.elementwise import functions as fn
from lamina.ops.registry import Op
from lamina.tensor.inplace import InPlace
from lamina.tensor.views import is_tracked, rejoin_base


class InPlaceFunctions(InPlace):
    """`x.exp_()` and the like: x becomes the function of itself, recorded as any op is."""

    __slots__ = ()

    def _apply_to_self(self, op: Op) -> Self:
        source = self
        if is_tracked(self, None):
            rejoin_base(self)
            if op.saves is None or 0 in op.saves:
                source = self._before()
        return self._replace(self.apply(op, (source,)))

    def abs_(self) -> Self:
        """Write |x| over x."""
        return self._apply_to_self(ar.absolute)

    def neg_(self) -> Self:
        """Write −x over x."""
        return self._apply_to_self(ar.negative)

    def exp_(self) -> Self:
        """Write eˣ over x."""
        return self._apply_to_self(fn.exp)

    def expm1_(self) -> Self:
        """Write eˣ − 1 over x."""
        return self._apply_to_self(fn.expm1)

    def log_(self) -> Self:
        """Write log x over x."""
        return self._apply_to_self(fn.log)

    def log1p_(self) -> Self:
        """Write log(1 + x) over x."""
        return self._apply_to_self(fn.log1p)

    def sqrt_(self) -> Self:
        """Write √x over x."""
        return self._apply_to_self(fn.sqrt)

    def rsqrt_(self) -> Self:
        """Write 1/√x over x."""
        return self._apply_to_self(fn.rsqrt)

    def square_(self) -> Self:
        """Write x² over x."""
        return self._apply_to_self(fn.square)

    def reciprocal_(self) -> Self:
        """Write 1/x over x."""
        return self._apply_to_self(fn.reciprocal)

    def sin_(self) -> Self:
        """Write sin x over x."""
        return self._apply_to_self(fn.sin)

    def cos_(self) -> Self:
        """Write cos x over x."""
        return self._apply_to_self(fn.cos)

    def tanh_(self) -> Self:
        """Write tanh x over x."""
        return self._apply_to_self(fn.tanh)

    def sigmoid_(self) -> Self:
        """Write 1/(1 + e⁻ˣ) over x."""
        return self._apply_to_self(fn.sigmoid)

    def erfinv_(self) -> Self:
        """Write the number whose error function x is over x."""
        return self._apply_to_self(fn.erfinv)

    def relu_(self) -> Self:
        """Write max(x, 0) over x."""
        return self._apply_to_self(activations.relu)

    def floor_(self) -> Self:
        """Write ⌊x⌋ over x."""
        return self._apply_to_self(fn.floor)

    def ceil_(self) -> Self:
        """Write ⌈x⌉ over x."""
        return self._apply_to_self(fn.ceil)

    def round_(self) -> Self:
        """Write the nearest whole number over x."""
        return self._apply_to_self(fn.round)

    def trunc_(self) -> Self:
        """Write x without its fraction over x."""
        return self._apply_to_self(ar.trunc)

    def sign_(self) -> Self:
        """Write the sign of x over x."""
        return self._apply_to_self(ar.sign)

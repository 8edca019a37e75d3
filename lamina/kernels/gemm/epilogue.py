"""What becomes of each sum of a product before it is stored: no second pass over memory."""

from dataclasses import dataclass

from lamina.kernels.expression import Expression, Input, in_order


@dataclass(frozen=True, slots=True)
class Epilogue:
    """out[m, n] = expression(Σ_k a[m, k]·b[k, n], …), as the sum leaves the registers.

    `Input(0)` is the sum; `Input(1)` and on are further operands that broadcast to `out`: a bias of
    a row, one of a column, a residual. The bits are those of the same expression over a stored sum.

    >>> from lamina.kernels.expression import Input, apply
    >>> Epilogue(apply("maximum", 0.0, Input(0) + Input(1))).inputs
    1
    """

    expression: Expression

    @property
    def inputs(self) -> int:
        """How many operands there are beside the sum."""
        leaves = [self.expression]
        leaves += [leaf for node in in_order(self.expression) for leaf in node.operands]
        return max((leaf.place for leaf in leaves if isinstance(leaf, Input)), default=0)

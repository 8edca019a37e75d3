"""Weights laid out ahead, for operands whose channels are first or last: by the strategy that would
be chosen.
"""

from dataclasses import dataclass
from functools import lru_cache

from lamina.codegen import threads
from lamina.kernels.convolution.entry import problem_of
from lamina.kernels.convolution.problem import simplified
from lamina.kernels.convolution.strategy import Prepared
from lamina.kernels.convolution.table import choose, divided
from lamina.kernels.launch import PLANS_KEPT, Plan
from lamina.kernels.operand import Operand, Shape
from lamina.kernels.scalars import SCALARS
from lamina.layout import contiguous


@dataclass(frozen=True, slots=True)
class Layer:
    """A convolution but for its values: shapes of a sample, options as `conv` takes them.

    Channels of x and out lie right after the batch in memory, or last.
    """

    dtype: str
    out: Shape
    x: Shape
    w: Shape
    options: tuple[Shape, Shape, Shape, Shape]
    groups: int = 1
    x_last: bool = False
    out_last: bool = False

    @property
    def strategy(self) -> str | None:
        """The strategy that lays the weights out ahead; None where there is no use in that."""
        return _found(self, threads.num_threads())[0]

    @property
    def size(self) -> int:
        """How many scalars the weights take then."""
        _, prepared = _found(self, threads.num_threads())
        return 0 if prepared is None else -(-prepared.nbytes // SCALARS[self.dtype].bytes)

    def prepare(self, out: Operand, w: Operand) -> None:
        """Write the weights `w`, in C order, to the `size` scalars of `out`."""
        _, prepared = _found(self, threads.num_threads())
        assert prepared is not None, "there is a strategy that wants it"
        Plan((prepared.step,)).run(out.address, 0, w.address)


@lru_cache(maxsize=PLANS_KEPT)
def _found(layer: Layer, _: int) -> tuple[str | None, Prepared | None]:
    out, x, w = (
        (shape, _laid(shape, is_last=is_last))
        for shape, is_last in (
            (layer.out, layer.out_last), (layer.x, layer.x_last), (layer.w, False),
        )
    )  # fmt: skip
    problem = problem_of((layer.dtype,) * 3, out, x, w, layer.options, (layer.groups, 1))
    pieces = divided(simplified(problem))
    if len(pieces) > 1 or 0 in layer.w or 0 in layer.out:
        return None, None
    strategy = choose(pieces[0])
    prepared = strategy.prepared(pieces[0])
    return (None if prepared is None else strategy.name), prepared


def _laid(shape: Shape, *, is_last: bool) -> Shape:
    """Return the strides of images (N, C, *S) that lie in that order, or with channels last."""
    if is_last:
        batch, *spatial, channel = contiguous((shape[0], *shape[2:], shape[1])).strides
        return (batch, channel, *spatial)
    return contiguous(shape).strides

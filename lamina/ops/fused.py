"""Scalar expressions over arrays: what the layouts of the inputs fix is worked out once."""

from math import prod
from typing import NamedTuple

from lamina.dtypes import DType
from lamina.kernels.elementwise import Laid, Plan, plan
from lamina.kernels.expression import Expression
from lamina.layout import Layout, contiguous, expand
from lamina.memory import Array, Spec


class Prepared(NamedTuple):
    """A kernel call for inputs of known layouts; memory for the output and addresses are missing.

    `offsets` are bytes from the start of each input's storage to its first element.
    """

    plan: Plan
    layout: Layout
    dtype: DType
    nbytes: int
    offsets: tuple[int, ...]


def prepare(
    expression: Expression, expected: Spec, inputs: tuple[Array, ...], out: Layout | None = None
) -> Prepared:
    """Return the run of `expression` whose output is `expected`, laid out like `out` if given."""
    shape, dtype = expected
    layout = contiguous(shape) if out is None else out
    laid = [Laid(x.dtype.name, expand(x.layout, shape).strides) for x in inputs]
    return Prepared(
        plan=plan((expression,), shape, (Laid(dtype.name, layout.strides),), tuple(laid)),
        layout=layout,
        dtype=dtype,
        nbytes=prod(shape) * dtype.itemsize,
        offsets=tuple(x.layout.offset * x.dtype.itemsize for x in inputs),
    )

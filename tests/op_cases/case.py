"""A row of the table that `tests/test_ops.py` loops over."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lamina.ops.pointwise import Pointwise
from lamina.ops.registry import Op

from .drawing import Draw, kind_of

FLOATS = ("float64", "float32", "float16", "bfloat16")
INTEGERS = ("int64", "int32", "int8", "uint8")
NUMBERS = (*FLOATS, *INTEGERS)
ALL = (*NUMBERS, "bool")
HALVES = ("float16", "bfloat16")
COMPLEX = ("complex64", "complex128")

Shapes = tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Case:
    """One row: an op, how its inputs are drawn, and what its output must be.

    `oracle` is a formula that knows nothing of Lamina. It gets float inputs in np.longdouble
    (complex ones in np.clongdouble), all others as they are, and gives the output, or a tuple.
    The loop compares the op with it on every layout and dtype, differentiates it by central
    differences, and differentiates the first derivative again.
    """

    op: Op
    inputs: tuple[Draw, ...]
    oracle: Callable[..., Any]
    # The error allowed, in units of the last place of the output's dtype, and why.
    ulp: float = 0.501
    why: str = "rounded once"
    # As `ulp`, in 16-bit floats: computed as float32 and rounded.
    half_ulp: float = 0.51
    # As `ulp`, by dtype, where a kernel computes and is better than the reference in numpy.
    kernel_ulp: Mapping[str, float] = field(default_factory=dict)
    # Numbers below this one count their error in its units: the result of a cancellation.
    scale: float = 0.0
    # None: what a pointwise op takes by its `kinds`, else the four floats.
    dtypes: tuple[str, ...] | None = None
    # Tells cases of one op apart.
    label: str = ""
    # Shapes of the inputs beside those drawn by default; pointwise ops get theirs by themselves.
    shapes: tuple[Shapes, ...] = ()
    # How often the op is differentiated; what is below 2 says why.
    order: int = 2
    why_order: str = ""
    # NaN, ±∞ and ±0 in every combination; None: for pointwise ops of floats.
    special: bool | None = None
    # Whether a zero must have the sign that the oracle's has.
    signed_zeros: bool = True
    # Whether the first slice of an input, repeated, is an input too.
    repeatable: bool = True
    # False for an op whose output's shape depends on the elements.
    is_shape_known: bool = True

    def __post_init__(self) -> None:
        if self.order < 2 and self.op.differentiable and not self.why_order:
            raise ValueError(f"{self}: checked to order {self.order}; say why in why_order")

    def __str__(self) -> str:
        return f"{self.op.name}-{self.label}" if self.label else self.op.name

    @property
    def swept(self) -> tuple[str, ...]:
        """The dtypes that the case runs in."""
        if self.dtypes is not None:
            return self.dtypes
        if isinstance(self.op, Pointwise):
            return tuple(name for name in ALL if kind_of(name) in self.op.kinds)
        return FLOATS

    @property
    def derivatives(self) -> int:
        """How often the loop differentiates the op."""
        return self.order if self.op.differentiable and "float64" in self.swept else 0

    @property
    def checks_special(self) -> bool:
        is_plain = isinstance(self.op, Pointwise) and "float64" in self.swept
        return is_plain if self.special is None else self.special

    def shape_sets(self) -> Iterator[Shapes]:
        """Every set of input shapes: the one drawn first, then the others."""
        yield tuple(draw.shape for draw in self.inputs)
        yield from self.shapes
        if isinstance(self.op, Pointwise) and not self.shapes:
            yield from pointwise_shapes(len(self.inputs))

    def draw(self, rng: np.random.Generator, dtype: str, shapes: Shapes | None = None) -> list[Any]:
        """Inputs as numpy arrays; those that are swept in `dtype`."""
        chosen = shapes or tuple(draw.shape for draw in self.inputs)
        return [d.array(rng, dtype, shape) for d, shape in zip(self.inputs, chosen, strict=True)]


def pointwise_shapes(count: int) -> Iterator[Shapes]:
    """0-d, empty and broadcast shapes of so many inputs."""
    yield ((),) * count
    yield ((0, 3),) * count
    if count > 1:
        yield ((3, 1), *((1, 4),) * (count - 1))
        yield (*((2, 3),) * (count - 1), ())

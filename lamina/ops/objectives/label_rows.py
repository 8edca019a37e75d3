"""Rows of scores with a label each, natively: what cross-entropy and its gradient are made of."""

from dataclasses import dataclass
from functools import lru_cache
from math import nan, prod
from typing import final

import numpy as np

from lamina import dtypes
from lamina.kernels.elementwise import compute
from lamina.kernels.expression import Constant, Expression, Input, apply
from lamina.kernels.gather import add_rows, read_rows
from lamina.kernels.reduction.plan import reduce, run
from lamina.kernels.softmax import log_total_program, softmax_program
from lamina.layout import Shape, contiguous, permute
from lamina.memory import Array, Spec, empty, of_numpy
from lamina.ops.indices.labels import Over
from lamina.ops.registry import in_c_order

_LABEL = Input(0)
_INDEX = "to_int64"


@final
@dataclass(frozen=True, slots=True)
class LabelRows:
    """Scores as rows (n, classes), and a label for each; labels that are `ignored` count 0.

    A label that is neither a class nor ignored makes its row NaN.
    """

    scores: Array
    labels: Array
    ignored: int | None

    @staticmethod
    def of(scores: Array, labels: Array, axis: int, ignored: int | None) -> "LabelRows":
        """Return the rows along `axis` of the scores."""
        order = _axis_last(len(scores.shape), axis)
        moved = in_c_order(scores.with_layout(permute(scores.layout, order)))
        classes = scores.shape[axis]
        flat = in_c_order(labels)
        rows = moved.with_layout(contiguous((flat.layout.size, classes)))
        return LabelRows(rows, flat.with_layout(contiguous((flat.layout.size,))), ignored)

    @property
    def count(self) -> int:
        """How many rows there are."""
        return self.scores.shape[0]

    @property
    def classes(self) -> int:
        """How many scores each row has."""
        return self.scores.shape[1]

    def _numbers(self) -> Array:
        return empty((self.count,), self.scores.dtype)

    def _or_ignored(
        self, value: Expression, otherwise: Expression, label: Expression
    ) -> Expression:
        """Return `value` where the label counts, NaN where it is no class, else `otherwise`."""
        number = apply(_INDEX, label)
        is_class = apply("logical_and", number >= 0, number < self.classes)
        checked = apply("where", is_class, value, Constant(nan))
        if self.ignored is None:
            return checked
        return apply("where", apply("equal", number, self.ignored), otherwise, checked)

    def spots(self) -> Array:
        """Return where each label's score lies, counted over all rows; −1 where there is none."""
        spots = empty((self.count,), dtypes.int64)
        number = apply(_INDEX, _LABEL)
        is_class = apply("logical_and", number >= 0, number < self.classes)
        if self.ignored is not None:
            counts = apply("not_equal", number, self.ignored)
            is_class = apply("logical_and", is_class, counts)
        place = apply("where", is_class, number + Input(1), Constant(-1, "int64"))
        compute([place], [spots], [self.labels, _starts(self.count, self.classes)])
        return spots

    def losses(self) -> Array:
        """Return −log softmax at the label of each row."""
        dtype = self.scores.dtype
        own, greatest, total, losses = (self._numbers() for _ in range(4))
        shape = (1, self.count * self.classes, self.count, 1)
        spots = self.spots()
        addresses = (own.address, self.scores.address, spots.address)
        read_rows(*addresses, shape=shape, itemsize=dtype.itemsize)
        along = ((1, 0), (1, 0), self.scores.strides)
        operands = (greatest, total, self.scores)
        run(log_total_program(dtype.name), self.scores.shape, ((1,),), operands, along, ())
        loss = Input(3) - (Input(1) - Input(2))
        zero = Constant(0.0, dtype.name)
        value = self._or_ignored(loss, zero, _LABEL)
        compute([value], [losses], [self.labels, own, greatest, total])
        return losses

    def share(self) -> Array:
        """Return 1 by the number of rows that count, as a number of no axes."""
        dtype = self.scores.dtype.name
        counts, count = self._numbers(), empty((), self.scores.dtype)
        number = apply(_INDEX, _LABEL)
        is_counted: Expression = apply("equal", number, number)
        if self.ignored is not None:
            is_counted = apply("not_equal", number, self.ignored)
        compute([apply(f"to_{dtype}", is_counted)], [counts], [self.labels])
        reduce("sum", count, (counts,), (0,))
        share = empty((), self.scores.dtype)
        compute([1.0 / Input(0)], [share], [count])
        return share

    def folded(self, over: Over, shape: Shape) -> Array:
        """Return the losses in `shape`, or their sum or mean."""
        losses = self.losses()
        if over == "none":
            return losses.with_layout(contiguous(shape))
        total, out = (empty((), self.scores.dtype) for _ in range(2))
        reduce("sum", total, (losses,), (0,))
        if over == "sum":
            return total
        compute([Input(0) * Input(1)], [out], [total, self.share()])
        return out

    def gradient(self, grad: Array, over: Over) -> Array:
        """Return (softmax − 1 at the label) · grad, as rows; `grad` has one number, or one each."""
        dtype = self.scores.dtype
        given = grad
        if over == "none":
            given = in_c_order(grad).with_layout(contiguous((self.count,)))
        weight, minus = self._numbers(), self._numbers()
        value = Input(1) * Input(2) if over == "mean" else Input(1)
        shares = [self.share()] if over == "mean" else []
        scaled = self._or_ignored(value, Constant(0.0, dtype.name), _LABEL)
        compute([scaled, -scaled], [weight, minus], [self.labels, given, *shares])
        out = empty(*self.scores.spec)
        program = softmax_program(dtype.name, empty_is_zero=False, is_scaled=True)
        strides = (out.strides, self.scores.strides, (1, 0), out.strides)
        operands = (out, self.scores, weight, out)
        run(program, self.scores.shape, ((1,),), operands, strides, ())
        size = self.count * self.classes
        spots = self.spots()
        addresses = (out.address, minus.address, spots.address)
        add_rows(*addresses, shape=(size, self.count, 1), dtype=dtype.name, starts_empty=False)
        return out


def unmoved(rows: Array, spec: Spec, axis: int) -> Array:
    """Return rows (n, classes) as an array of `spec`, whose `axis` has the classes, in C order."""
    order = _axis_last(len(spec.shape), axis)
    shape = tuple(spec.shape[a] for a in order)
    back = tuple(order.index(a) for a in range(len(order)))
    return in_c_order(rows.with_layout(permute(contiguous(shape), back)))


def _axis_last(rank: int, axis: int) -> tuple[int, ...]:
    return (*(a for a in range(rank) if a != axis), axis)


@lru_cache(maxsize=64)
def _starts(count: int, classes: int) -> Array:
    """Return where each row begins."""
    return of_numpy(np.arange(count, dtype=np.int64) * classes)


def fits(scores: Spec) -> bool:
    """Return whether there is a native form for such scores."""
    return scores.dtype.name in ("float32", "float64") and prod(scores.shape) > 0

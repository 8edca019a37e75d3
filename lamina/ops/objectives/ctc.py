"""Connectionist temporal classification: the loss, its gradient and its curvature as ops."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, final

import numpy as np

from lamina.errors import ArgumentError, DTypeError, GradientError, LabelError, ShapeError
from lamina.layout import Shape
from lamina.memory import Spec
from lamina.memory.array import NDArray
from lamina.ops.elementwise.arithmetic import isinf, maximum, where
from lamina.ops.indices.labels import as_labels, checked_reduction
from lamina.ops.objectives.alignments import Lattice, lattice, log_likelihood, posterior
from lamina.ops.registry import Op, Value, define, require
from lamina.ops.shapes.movement import expand_dims, reshape


@dataclass(frozen=True, slots=True)
class _Alignment(Op):
    """An op over log-probabilities (time, batch, class), targets (batch, labels) and lengths.

    Further inputs stand between the first and the targets.
    """

    blank: int
    promotes_from = 1 << 10

    @abstractmethod
    def ref(self, *inputs: NDArray) -> NDArray: ...

    def infer(self, *inputs: Spec) -> Spec:
        log_probs, targets, input_lengths, target_lengths = (inputs[0], *inputs[-3:])
        require(
            log_probs.dtype.is_floating_point and len(log_probs.shape) == 3,
            self,
            DTypeError if len(log_probs.shape) == 3 else ShapeError,
            f"log_probs of {log_probs.dtype.name} and shape {log_probs.shape} given; expected "
            "floats, (time, batch, class)",
        )
        batch, classes = log_probs.shape[1:]
        self._check("targets", targets, (batch, *targets.shape[-1:]))
        self._check("input_lengths", input_lengths, (batch,))
        self._check("target_lengths", target_lengths, (batch,))
        require(
            0 <= self.blank < classes,
            self,
            LabelError,
            f"blank {self.blank} is outside the {classes} classes",
        )
        return self.result(log_probs)

    def _check(self, what: str, given: Spec, shape: Shape) -> None:
        fits = given.shape == shape and given.dtype.is_integer
        require(
            fits,
            self,
            ShapeError if given.shape != shape else DTypeError,
            f"{what} of {given.dtype.name} and shape {given.shape} given; expected integers "
            f"of shape {shape}",
        )

    def result(self, log_probs: Spec) -> Spec:
        """Return shape and dtype of the output."""
        return log_probs

    def grid(self, inputs: tuple[NDArray, ...]) -> Lattice:
        """Return the lattice of the inputs, after a look at their values."""
        log_probs, targets, input_lengths, target_lengths = (inputs[0], *inputs[-3:])
        _check_lengths("input", input_lengths, len(log_probs))
        _check_lengths("target", target_lengths, targets.shape[1])
        _check_targets(targets, target_lengths, log_probs.shape[2], self.blank)
        return lattice(log_probs, targets, input_lengths, target_lengths, blank=self.blank)


def _check_lengths(what: str, lengths: NDArray, longest: int) -> None:
    wrong = np.flatnonzero((lengths < 0) | (lengths > longest))
    if wrong.size:
        raise ArgumentError(
            f"ctc_loss: {what} length {lengths[wrong[0]]} of sample {wrong[0]} given; expected 0 "
            f"to {longest}, the length of the padded {what}s"
        )


def _check_targets(targets: NDArray, lengths: NDArray, classes: int, blank: int) -> None:
    counts = np.arange(targets.shape[1]) < lengths[:, None]
    wrong = counts & ((targets < 0) | (targets >= classes) | (targets == blank))
    if wrong.any():
        position = tuple(np.argwhere(wrong)[0].tolist())
        raise LabelError(
            f"ctc_loss: label {targets[position]} at position {position} of the targets; expected "
            f"one of the {classes} classes, 0 to {classes - 1}, other than the blank {blank}"
        )


@define
@final
@dataclass(frozen=True, slots=True)
class CTC(_Alignment):
    """−log of the probability of each target sequence, summed over its alignments."""

    name = "ctc"

    def result(self, log_probs: Spec) -> Spec:
        return Spec(log_probs.shape[1:2], log_probs.dtype)

    def ref(self, *inputs: NDArray) -> NDArray:
        return -log_likelihood(self.grid(inputs))

    def vjp(self, grad: Value, out: Value, *inputs: Value) -> tuple[Any, ...]:
        slope = CTCGradient(self.blank)(*inputs)
        return (slope * expand_dims(grad, -1), None, None, None)


@define
@final
@dataclass(frozen=True, slots=True)
class CTCGradient(_Alignment):
    """∂loss/∂log_probs: minus the share of alignments that emit a class at a time."""

    name = "ctc_gradient"

    def ref(self, *inputs: NDArray) -> NDArray:
        grid = self.grid(inputs)
        return -grid.by_class(posterior(grid), inputs[0].shape[2])

    def vjp(self, grad: Value, out: Value, *inputs: Value) -> tuple[Any, ...]:
        log_probs, *rest = inputs
        # The second derivative is symmetric: its transpose applied to grad is itself applied to it.
        return (CTCCurvature(self.blank)(log_probs, grad, *rest), None, None, None)


@define
@final
@dataclass(frozen=True, slots=True)
class CTCCurvature(_Alignment):
    """The change of `ctc_gradient` when the log-probabilities change by the second input."""

    name = "ctc_curvature"

    def ref(self, *inputs: NDArray) -> NDArray:
        grid = self.grid(inputs)
        shares = posterior(grid, grid.emission(inputs[1]))
        return -grid.by_class(shares, inputs[0].shape[2])

    def vjp(self, grad: Value, out: Value, *inputs: Value) -> tuple[Any, ...]:
        log_probs, _, *rest = inputs
        return (self._third, lambda: self(log_probs, grad, *rest), None, None, None)

    def _third(self) -> Value:
        raise GradientError("ctc_loss is differentiable twice; a third derivative was asked of it")


def ctc_loss(
    log_probs: Value,
    targets: Any,
    input_lengths: Any,
    target_lengths: Any,
    blank: int = 0,
    reduction: str = "mean",
    zero_infinity: bool = False,
) -> Value:
    """Return −log p(targets | log_probs), summed over all alignments (Graves et al., ICML 2006).

    `log_probs` is (time, batch, class) or (time, class), log-probabilities over the classes of
    which `blank` is the one that says nothing. `targets` is (batch, labels), padded, or all labels
    one after another. "mean" divides each loss by the length of its target, then averages. A target
    that no alignment fits costs infinity, or 0 with `zero_infinity`; it has no gradient either way.
    Differentiable twice. LabelError for a label outside the classes.

    >>> import lamina
    >>> even = lamina.zeros(3, 1, 2) - 0.6931472
    >>> ctc_loss(even, lamina.tensor([[1]]), [3], [1]).exp()
    Tensor(1.3333)
    """
    is_single = len(log_probs.shape) == 2
    if is_single:
        log_probs = expand_dims(log_probs, 1)
    heard, said = (as_labels(n, log_probs).reshape((-1,)) for n in (input_lengths, target_lengths))
    rows = _in_rows(as_labels(targets, log_probs), said, log_probs.shape[1])
    loss = CTC(blank)(log_probs, rows, heard, said)
    if zero_infinity:
        loss = where(isinf(loss), 0.0, loss)
    match checked_reduction(reduction):
        case "none":
            return reshape(loss, ()) if is_single else loss
        case "sum":
            return loss.sum()
        case "mean":
            return (loss / maximum(said, 1)).mean()


def _in_rows(targets: Any, lengths: Any, batch: int) -> Any:
    """Return targets as (batch, labels): padded already, or laid one after another."""
    if len(targets.shape) == 2:
        return targets
    if batch == 1:
        return targets.reshape((1, -1))
    labels, counts = np.asarray(targets), np.asarray(lengths)
    if counts.sum() != labels.size:
        raise ShapeError(
            f"ctc_loss: {labels.size} labels given in a row; the target lengths add up to "
            f"{counts.sum()}"
        )
    rows = np.zeros((batch, int(counts.max(initial=0))), np.int64)
    rows[np.arange(rows.shape[1]) < counts[:, None]] = labels
    return rows

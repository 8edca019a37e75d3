"""Anomaly mode: find the op, and the line of the user, where the first NaN or Inf appeared."""

import os
import traceback
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, final

import numpy as np

from lamina.autograd.grad_mode import state
from lamina.autograd.tape import Node
from lamina.errors import AnomalyError
from lamina.memory.array import NDArray

_PACKAGE = str(Path(__file__).parent.parent) + os.sep


@final
class detect_anomaly:
    """Stop at the first NaN, or at the first Inf made of finite values, forward or backward.

    Raises AnomalyError with the op's name and the line that called it; backward, the line that ran
    the op forward in anomaly mode. An Inf that was there already, as in a mask of −Inf, is let
    through. Costs a look at every value.

    >>> import lamina
    >>> x = lamina.tensor([1.0, 0.0], requires_grad=True)
    >>> with detect_anomaly():
    ...     x.log()
    Traceback (most recent call last):
    ...
    lamina.errors.AnomalyError: log made -inf at index (1,) of its output, at ...; check its inputs
    """

    def __enter__(self) -> "detect_anomaly":
        self._before = state.anomaly
        state.anomaly = True
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        state.anomaly = self._before


def callers_line() -> str:
    """Return file, line and text of the innermost frame outside Lamina."""
    for frame in reversed(traceback.extract_stack()):
        if not frame.filename.startswith(_PACKAGE):
            return f"{frame.filename}:{frame.lineno}: {frame.line}"
    return "unknown line"


def check_output(name: str, inputs: Iterable[Any], tensor: Any) -> None:
    """Raise AnomalyError if op `name` has just made a NaN or Inf of `inputs`."""
    found = _first_bad(tensor, inputs)
    if found:
        raise AnomalyError(
            f"{name} made {found} of its output, at {callers_line()}; check its inputs"
        )


def check_gradients(node: Node, arrived: Iterable[Any], grad: Any) -> None:
    """Raise AnomalyError if the derivative of `node` has just made a NaN or Inf of `arrived`."""
    found = _first_bad(grad, arrived)
    if found:
        raise AnomalyError(
            f"the derivative of {node.op.name} made {found} of a gradient; "
            f"the op ran at {node.trace or 'a line recorded outside anomaly mode'}"
        )


def _first_bad(tensor: Any, inputs: Iterable[Any]) -> str | None:
    if not tensor.array.dtype.is_floating_point:
        return None
    values = tensor.array.numpy()
    bad = ~_is_finite(values)
    if not bad.any():
        return None
    if not np.isnan(values).any() and not all(_is_finite(x.array.numpy()).all() for x in inputs):
        return None
    index = tuple(int(i) for i in np.argwhere(bad)[0])
    return f"{values[index]} at index {index}"


def _is_finite(values: NDArray) -> Any:
    if values.dtype.kind in "biu":
        return np.ones((), np.bool_)
    return np.isfinite(values)

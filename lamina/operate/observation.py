"""Watching eager ops: what runs on which inputs, which kernels it asks for, how long it takes."""

import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from typing import Any

from lamina.codegen import jit
from lamina.memory import Array, Spec
from lamina.ops.pointwise import forget_prepared
from lamina.ops.registry import Op
from lamina.tensor import Tensor

_SECONDS = 0.05
_ROUNDS = 7


@dataclass(frozen=True, slots=True)
class Observed:
    """One op that ran: what it took and gave, the kernels it asked for, its median time."""

    op: Op
    inputs: tuple[Spec, ...]
    output: Spec
    kernels: tuple[jit.Kernel, ...]
    seconds: float

    @property
    def operations(self) -> int:
        """How many arithmetic operations the output takes."""
        return self.op.operations(self.output, *self.inputs)

    @property
    def bytes(self) -> int:
        """How many bytes are read and written at least: each operand once."""
        return sum(prod(s.shape) * s.dtype.itemsize for s in (*self.inputs, self.output))


def observe(function: Callable[..., Any], *inputs: Any) -> list[Observed]:
    """Return the ops that `function(*inputs)` ran, those aside that move no data."""
    seen: list[Observed] = []
    apply = Tensor.apply

    def watched(op: Op, given: tuple[Any, ...]) -> Any:
        with _asking_anew(), jit.recording() as kernels:
            result = apply(op, given)
        outputs = result if isinstance(result, tuple) else (result,)
        arrays = [value.array for value in given if isinstance(value, Tensor)]
        if kernels or not _is_view(arrays, outputs[0].array):
            specs = tuple(array.spec for array in arrays)
            distinct = tuple(dict.fromkeys(kernels))
            time_taken = _median_seconds(lambda: apply(op, given))
            seen.append(Observed(op, specs, outputs[0].array.spec, distinct, time_taken))
        return result

    # Exchanged for the time of the call: an op pays nothing when nobody looks.
    Tensor.apply = staticmethod(watched)  # type: ignore[method-assign, assignment]
    try:
        function(*inputs)
    finally:
        Tensor.apply = staticmethod(apply)  # type: ignore[method-assign]
    return seen


def _is_view(inputs: list[Array], output: Array) -> bool:
    return any(output.storage is array.storage for array in inputs)


@contextmanager
def _asking_anew() -> Iterator[None]:
    """Let plans be made again, so that they ask for their kernels."""
    forget_prepared()
    for name, module in list(sys.modules.items()):
        if name.startswith(("lamina.kernels.", "lamina.ops.")):
            for value in vars(module).values():
                if hasattr(value, "cache_clear"):
                    value.cache_clear()
    yield


def _median_seconds(call: Callable[[], object]) -> float:
    call()
    seconds: list[float] = []
    end = time.perf_counter() + _SECONDS
    while len(seconds) < _ROUNDS or time.perf_counter() < end:
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)

"""Ops whose native form is a program over the terms of each result: see `kernels.reduction`."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from lamina.codegen.target import compiles_here
from lamina.kernels.reduction.plan import Calls, Groups, plan, run
from lamina.kernels.reduction.program import Program
from lamina.layout import Shape, contiguous, expand
from lamina.memory import Array, Spec, empty, of_numpy
from lamina.memory.array import NDArray
from lamina.ops.registry import Arrays, Op, Specs, in_c_order


@dataclass(frozen=True, slots=True)
class Work:
    """A program to run, and along which axes of the first input its terms lie.

    With `reads_back` the first output is the program's last input too.
    """

    program: Program
    groups: Groups
    numbers: tuple[float, ...]
    reads_back: bool = False

    @property
    def is_dense(self) -> bool:
        """Whether inputs must lie in C order, as elements are written along the terms."""
        return bool([*self.program.written(), *self.program.gathered()])


class _Prepared(NamedTuple):
    """Kernel calls for inputs of known layouts; `copies` says which inputs are copied first."""

    calls: Calls
    outputs: tuple[Spec, ...]
    is_single: bool
    is_dense: bool
    reads_back: bool


# Layouts that ops met, and what was worked out for them; None where the reference runs.
_PREPARED: dict[tuple[Any, ...], _Prepared | None] = {}
_PREPARED_KEPT = 4096


class Programmed(Op):
    """An op with a program; what the layouts of its inputs fix is worked out once."""

    __slots__ = ()

    @abstractmethod
    def work(self, *inputs: Spec) -> Work | None:
        """Return what computes the outputs; None where there is no native form."""

    def run(self, *inputs: Array) -> Arrays:
        key = (self, *[x.layout for x in inputs], *[x.dtype for x in inputs])
        if key not in _PREPARED:
            while len(_PREPARED) >= _PREPARED_KEPT:
                _PREPARED.pop(next(iter(_PREPARED)), None)
            _PREPARED[key] = self._prepare(inputs)
        prepared = _PREPARED[key]
        if prepared is None:
            return Op.run(self, *inputs)
        given = [in_c_order(x) for x in inputs] if prepared.is_dense else inputs
        outputs = [empty(*spec) for spec in prepared.outputs]
        bases = [array.address for array in (*outputs, *given)]
        if prepared.reads_back:
            bases.append(bases[0])
        prepared.calls.run(bases)
        return outputs[0] if prepared.is_single else tuple(outputs)

    def _prepare(self, inputs: tuple[Array, ...]) -> _Prepared | None:
        specs = [x.spec for x in inputs]
        expected: Specs = self.infer(*specs)
        is_small = any(0 in spec.shape for spec in specs)
        work = None if is_small or not compiles_here() else self.work(*specs)
        if work is None:
            return None
        outputs = (expected,) if isinstance(expected, Spec) else tuple(expected)
        shape = specs[0].shape
        folded = {axis for group in work.groups for axis in group}
        layouts = [contiguous(x.shape) if work.is_dense else x.layout for x in inputs]
        strides = [
            *(_along(spec.shape, shape, folded) for spec in outputs),
            *(expand(layout, shape).strides for layout in layouts),
        ]
        dtypes = [spec.dtype.name for spec in (*outputs, *specs)]
        if work.reads_back:
            strides.append(strides[0])
            dtypes.append(dtypes[0])
        calls = plan(work.program, shape, work.groups, tuple(dtypes), tuple(strides), work.numbers)
        is_single = isinstance(expected, Spec)
        return _Prepared(calls, outputs, is_single, work.is_dense, work.reads_back)


def run_on(
    program: Program, outputs: Sequence[NDArray], inputs: Sequence[NDArray], axis: int
) -> None:
    """Run a program over the terms along one axis of numpy arrays, which stretch to the first."""
    arrays = [of_numpy(array) for array in (*outputs, *inputs)]
    shape = inputs[0].shape
    count = len(outputs)
    strides = (
        *(_along(out.shape, shape, {axis}) for out in outputs),
        *(expand(x.layout, shape).strides for x in arrays[count:]),
    )
    run(program, shape, ((axis,),), arrays, strides, ())


def _along(out: Shape, shape: Shape, folded: set[int]) -> Shape:
    """Return steps of an output in C order along the axes of `shape`: 0 where it has none."""
    steps = contiguous(out).strides
    if len(out) == len(shape):
        return tuple(0 if n == 1 or step == 0 else step for n, step in zip(out, steps, strict=True))
    left = iter(steps)
    return tuple(0 if axis in folded else next(left) for axis in range(len(shape)))

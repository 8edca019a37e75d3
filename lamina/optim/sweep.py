"""One pass of a rule over all parameters, in one native call for each kind of them.

Parameters are of one kind where the formula of their rule and their dtypes are the same. Their
coefficients may differ: those are read when the call runs.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import prod
from typing import Any, NamedTuple, final

import numpy as np

from lamina import dtypes
from lamina.codegen.target import compiles_here
from lamina.dtypes import DType
from lamina.kernels.by_numpy import evaluate
from lamina.kernels.elementwise import Recipe, compute
from lamina.kernels.expression import Expression, Input, apply
from lamina.kernels.jobs import Job, run_jobs
from lamina.layout import contiguous
from lamina.memory import Array
from lamina.memory.array import NDArray
from lamina.optim.rule import Rule

_FORMULAS_KEPT = 256
MASTER = "master"
"""The slot of a parameter in 16 bits that keeps what rounding would lose."""


def computed_in(dtype: DType) -> DType:
    """Return the dtype that parameters of `dtype` are updated in: float32 at least."""
    return dtypes.float32 if dtype.itemsize < 4 else dtype


class Kind(NamedTuple):
    """What the formula of an update depends on: the rule without its coefficients, and dtypes."""

    rule: Rule
    parameter: DType
    gradient: DType
    slots: int

    @property
    def computed(self) -> DType:
        """The dtype of all arithmetic, and of the slots."""
        return computed_in(self.parameter)


@dataclass(frozen=True, slots=True)
class _Number:
    """A coefficient as an operand of no axes."""

    address: int
    dtype: DType
    shape: tuple[int, ...] = ()
    strides: tuple[int, ...] = ()


class _Told(NamedTuple):
    """A rule told apart: its formula, its coefficients, and the updates that it makes by dtypes."""

    formula: Rule
    numbers: NDArray
    addresses: tuple[int, ...]
    updates: dict[tuple[DType, DType, int], list[list[Array]]]


@final
class Sweep:
    """The updates of one step: `add` them, then `run` them together."""

    def __init__(self) -> None:
        self._rules: dict[tuple[Rule, DType], _Told] = {}

    def add(self, rule: Rule, p: Array, g: Array, slots: Sequence[Array]) -> None:
        """Let `rule` move `p` by the gradient `g`; all arrays are of its shape.

        Where `p` is narrower than what is computed in, the last slot is its master copy: the rule
        moves that, and `p` is rounded from it.
        """
        key = rule, computed_in(p.dtype)
        told = self._rules.get(key)
        if told is None:
            told = self._rules[key] = _tell(*key)
        told.updates.setdefault((p.dtype, g.dtype, len(slots)), []).append([p, *slots, g])

    def run(self) -> None:
        """Make all updates."""
        jobs: dict[tuple[Kind, int], list[Job]] = {}
        for told in self._rules.values():
            for (parameter, gradient, slots), updates in told.updates.items():
                kind = Kind(told.formula, parameter, gradient, slots)
                found = jobs.setdefault((kind, len(told.addresses)), [])
                for arrays in updates:
                    _enlist(kind, told, arrays, found)
        for (kind, coefficients), lines in jobs.items():
            if lines:
                run_jobs(_recipe(kind, coefficients), lines)


def _tell(rule: Rule, dtype: DType) -> _Told:
    formula, values = without_coefficients(rule)
    numbers = np.array(values, dtype.numpy)
    start = numbers.ctypes.data
    addresses = tuple(range(start, start + numbers.nbytes, numbers.itemsize))
    return _Told(formula, numbers, addresses, {})


def _enlist(kind: Kind, told: _Told, arrays: list[Array], jobs: list[Job]) -> None:
    """Add the update of one parameter to `jobs`; make it now where it is no line of elements."""
    if not compiles_here():
        _run_by_numpy(kind, arrays, told.numbers)
        return
    shape, strides, _ = contiguous(arrays[0].layout.shape)
    if any(array.layout.strides != strides for array in arrays):
        _run_strided(kind, arrays, told)
        return
    places = [
        array.storage.address + array.layout.offset * array.dtype.itemsize for array in arrays
    ]
    jobs.append(Job(prod(shape), (*places[:-1], *places, *told.addresses)))


def _run_strided(kind: Kind, arrays: list[Array], told: _Told) -> None:
    coefficients = [_Number(address, kind.computed) for address in told.addresses]
    compute(formula_of(kind), arrays[:-1], [*arrays, *coefficients])


def _run_by_numpy(kind: Kind, arrays: list[Array], numbers: NDArray) -> None:
    views = [a.numpy() for a in arrays]
    results = evaluate(formula_of(kind), [*views, *numbers])
    for view, result in zip(views[:-1], results, strict=True):
        view[...] = result


def without_coefficients(rule: Rule) -> tuple[Rule, list[float]]:
    """Return `rule` with numbered inputs for its coefficients, and what they are.

    Coefficients are numbered from 0; `formula_of` puts them behind the arrays.
    """
    numbers: list[float] = []

    def taken(value: Any) -> Any:
        if isinstance(value, tuple):
            return type(value)(*map(taken, value))
        if type(value) is not float or value in (0.0, 1.0):
            return value
        numbers.append(value)
        return Input(len(numbers) - 1)

    return taken(rule), numbers


def _moved(value: Any, by: int) -> Any:
    """Return a rule, or a field of one, with its inputs numbered `by` higher."""
    if isinstance(value, tuple):
        return type(value)(*(_moved(v, by) for v in value))
    return Input(value.place + by) if isinstance(value, Input) else value


@lru_cache(maxsize=_FORMULAS_KEPT)
def formula_of(kind: Kind) -> tuple[Expression, ...]:
    """Return the new values of the parameter and its slots.

    Of inputs: the parameter, its slots, its gradient, then the coefficients.
    """
    arrays = 2 + kind.slots
    rule: Rule = _moved(kind.rule, arrays)
    p, slots = Input(0), [Input(1 + n) for n in range(kind.slots)]
    g: Expression = Input(arrays - 1)
    if kind.gradient is not kind.computed:
        g = apply(f"to_{kind.computed.name}", g)
    if kind.parameter is kind.computed:
        moved, updated = rule.update(p, g, slots)
        return (moved, *updated)
    master = slots.pop()
    narrowed, wide = f"to_{kind.parameter.name}", f"to_{kind.computed.name}"
    # The parameter was written by somebody else wherever its master does not round to it.
    is_ours = apply("equal", apply(narrowed, master), p)
    moved, updated = rule.update(apply("where", is_ours, master, apply(wide, p)), g, slots)
    return (apply(narrowed, moved), *updated, moved)


@lru_cache(maxsize=_FORMULAS_KEPT)
def _recipe(kind: Kind, coefficients: int) -> Recipe:
    written = (kind.parameter.name, *(kind.computed.name,) * kind.slots)
    return Recipe(
        expressions=formula_of(kind),
        outputs=written,
        inputs=(*written, kind.gradient.name, *(kind.computed.name,) * coefficients),
        numbers=(False,) * (len(written) + 1) + (True,) * coefficients,
    )

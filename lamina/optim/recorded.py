"""A step taken down while a function is compiled: its formulas now, coefficients at each run."""

from collections.abc import Iterable
from typing import Any, NamedTuple, Protocol, final

import numpy as np

from lamina.autograd.recorder import Changed, Recorder, Undo, Unready
from lamina.kernels.expression import Input
from lamina.memory import pooled
from lamina.memory.array import NDArray
from lamina.ops.formulas import Formulas
from lamina.optim.rule import Rule
from lamina.optim.sweep import MASTER, Kind, computed_in, formula_of, without_coefficients
from lamina.tensor import Tensor

Group = dict[str, Any]
State = dict[str, Any]


class Stepping(Protocol):
    """What is asked of an optimiser."""

    param_groups: list[Group]
    state: Any

    def slots(self, group: Group) -> dict[str, float]: ...

    def rule(self, group: Group, state: State) -> Rule: ...

    def slots_of(self, group: Group, param: Tensor) -> list[Tensor]: ...


class _Alike(NamedTuple):
    """Parameters whose coefficients are the same now, and so at every step that they make
    together.
    """

    formula: Rule
    params: list[Tensor]


def record_step(optimizer: Stepping, recorder: Recorder) -> None:
    """Take down one step of all parameters that have a gradient."""
    groups, states, count = (
        optimizer.param_groups,
        optimizer.state,
        len(optimizer.param_groups),
    )
    recorder.guard(
        lambda: (
            optimizer.param_groups is groups and len(groups) == count and optimizer.state is states
        )
    )
    for group in groups:
        params = [param for param in group["params"] if param.grad is not None]
        for alike, numbers in _told_apart(optimizer, group, params):
            _record(optimizer, recorder, group, alike, numbers)


def _told_apart(
    optimizer: Stepping, group: Group, params: Iterable[Tensor]
) -> list[tuple[_Alike, list[float]]]:
    found: dict[Any, tuple[_Alike, list[float]]] = {}
    for param in params:
        names = {*optimizer.slots(group), MASTER}
        before = optimizer.rule(group, _copied(optimizer.state[param], names))
        missing = names - optimizer.state[param].keys()
        optimizer.slots_of(group, param)
        after = optimizer.rule(group, _copied(optimizer.state[param], names))
        if without_coefficients(before)[0] != without_coefficients(after)[0]:
            for name in missing & optimizer.state[param].keys():
                del optimizer.state[param][name]
            raise Unready
        formula, numbers = without_coefficients(after)
        key = (formula, tuple(numbers), computed_in(param.dtype))
        alike, _ = found.setdefault(key, (_Alike(formula, []), numbers))
        alike.params.append(param)
    return list(found.values())


def _copied(state: State, slots: set[str]) -> State:
    """Return a copy of the state whose scalars, all but `slots`, may be moved on."""
    return {
        name: value if name in slots else Tensor.of_array(pooled(value.array.numpy()))
        for name, value in state.items()
    }


def _record(
    optimizer: Stepping, recorder: Recorder, group: Group, alike: _Alike, numbers: list[float]
) -> None:
    states = [optimizer.state[param] for param in alike.params]
    computed = computed_in(alike.params[0].dtype)

    fill = _Filling(optimizer, group, states, alike.formula)
    example = np.array(numbers, computed.numpy)
    fed = recorder.feed(example, fill) if numbers else None
    coefficients = [_number(fed, place) for place in range(len(numbers))]
    for param in alike.params:
        slots = optimizer.slots_of(group, param)
        grad: Any = param.grad
        kind = Kind(alike.formula, param.dtype, grad.dtype, len(slots))
        dtypes = (param.dtype.name, *(slot.dtype.name for slot in slots))
        written = [param.array, *(slot.array for slot in slots)]
        for slot in written[1:]:
            recorder.keep(slot)
        op = Formulas(formula_of(kind), dtypes)
        moved: Any = recorder.apply(op, [*written, grad.array, *coefficients])
        for target, value in zip(written, moved, strict=True):
            recorder.write(target, value)
        recorder.spend_gradient(param)


def _number(fed: Any, place: int) -> Any:
    """Return one of the numbers that were fed, as an operand of no axes."""
    return fed.with_layout(fed.layout._replace(shape=(), strides=(), offset=place))


@final
class _Filling:
    """Gives the coefficients of the coming step, and moves the scalars of all states on."""

    def __init__(
        self, optimizer: Stepping, group: Group, states: list[State], formula: Rule
    ) -> None:
        self._optimizer = optimizer
        self._group = group
        self._states = states
        self._slots = {*optimizer.slots(group), MASTER}
        self._told = _told(formula)[1]
        self._scalars: list[NDArray] = []

    def __call__(self) -> tuple[list[float], Undo]:
        if not self._scalars:
            return self._begin()
        before = [scalar.item() for scalar in self._scalars]
        undo = self._undo(before)
        numbers = self._numbers(undo)
        each = len(self._scalars) // len(self._states)
        for place in range(each):
            value = self._scalars[place]
            for other in range(1, len(self._states)):
                self._scalars[other * each + place][()] = value
        return numbers, undo

    def _numbers(self, undo: Undo) -> list[float]:
        numbers, told = _told(self._optimizer.rule(self._group, self._states[0]))
        if told != self._told:
            undo()
            raise Changed
        return numbers

    def _begin(self) -> tuple[list[float], Undo]:
        """Move the scalars of all states on, which may not be there yet."""
        before = [
            {name: x.array.numpy().copy() for name, x in state.items() if name not in self._slots}
            for state in self._states
        ]

        def undo() -> None:
            self._scalars = []
            for state, scalars in zip(self._states, before, strict=True):
                for name in state.keys() - self._slots:
                    if name in scalars:
                        state[name].array.numpy()[()] = scalars[name]
                    else:
                        del state[name]

        numbers = self._numbers(undo)
        first, *others = self._states
        names = sorted(first.keys() - self._slots)
        for other in others:
            for name in names:
                value = first[name].array.numpy()
                if name in other:
                    other[name].array.numpy()[()] = value
                else:
                    other[name] = Tensor.of_array(pooled(value))
        self._scalars = [state[name].array.numpy() for state in self._states for name in names]
        return numbers, undo

    def _undo(self, before: list[float]) -> Undo:
        def undo() -> None:
            for scalar, value in zip(self._scalars, before, strict=True):
                scalar[()] = value

        return undo


def _told(rule: Rule) -> tuple[list[float], list[Any]]:
    """Return the coefficients of a rule, and all else that it says."""
    numbers: list[Any] = []
    rest: list[Any] = []

    def tell(value: Any) -> None:
        for item in value:
            if isinstance(item, Input) or (type(item) is float and item not in (0.0, 1.0)):
                numbers.append(item)
                rest.append(None)
            elif isinstance(item, tuple):
                tell(item)
            else:
                rest.append(item)

    tell(rule)
    return numbers, rest

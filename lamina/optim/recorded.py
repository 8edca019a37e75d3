"""A step taken down while a function is compiled: its formulas now, coefficients at each run."""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, Protocol

import numpy as np

from lamina.autograd.recorder import Changed, Recorder, Unready
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

    names = {*optimizer.slots(group), MASTER}

    def fill(target: NDArray) -> Callable[[], None]:
        undo = _remembered(states, names)
        formula, values = without_coefficients(optimizer.rule(group, states[0]))
        if formula != alike.formula:
            undo()
            raise Changed
        target[:] = values
        _follow(states, names)
        return undo

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


def _remembered(states: list[State], slots: set[str]) -> Callable[[], None]:
    """Return what brings the scalars of `states`, all but `slots`, back to where they are now."""
    kept = [
        {name: x.array.numpy().copy() for name, x in state.items() if name not in slots}
        for state in states
    ]

    def undo() -> None:
        for state, scalars in zip(states, kept, strict=True):
            for name in state.keys() - slots:
                if name in scalars:
                    state[name].array.numpy()[()] = scalars[name]
                else:
                    del state[name]

    return undo


def _follow(states: list[State], slots: set[str]) -> None:
    """Bring the scalars of all states to where the first one's are."""
    first, *others = states
    for name in first.keys() - slots:
        number = first[name].array.numpy()
        for other in others:
            if name in other:
                other[name].array.numpy()[()] = number
            else:
                other[name] = Tensor.of_array(pooled(number))

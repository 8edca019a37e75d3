"""Optimizer: parameter groups, their state, and the step that hands both to a rule."""

from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from lamina import dtypes
from lamina.autograd import enable_grad
from lamina.autograd.grad_mode import state as autograd_state
from lamina.autograd.recorder import changes
from lamina.errors import ArgumentError, DTypeError, GradientError, LayoutError, ShapeError
from lamina.memory import full
from lamina.optim.options import check_options
from lamina.optim.recorded import record_step
from lamina.optim.rule import Rule
from lamina.optim.saving import RUNNING_OPTIONS, SCHEDULE_NOTES, read_state, write_state
from lamina.optim.sweep import MASTER, Sweep, computed_in
from lamina.tensor import Tensor

Group = dict[str, Any]
State = dict[str, Any]
Parameters = Iterable[Tensor] | Iterable[tuple[str, Tensor]] | Iterable[Mapping[str, Any]]


class Optimizer(ABC):
    """Moves parameters along their gradients: `zero_grad()`, `backward()`, `step()`.

    `params` are tensors, (name, tensor) pairs, or dicts, each a group: its `"params"` and whatever
    options differ from `defaults`. The groups stand in `param_groups`, where options such as `lr`
    may be changed between steps; `state` maps a parameter to its arrays, by PyTorch's names.

    A step writes into the parameters' own memory and is not recorded. float16 and bfloat16
    parameters are computed in float32: their state holds that and a `master` copy that keeps what
    rounding would lose.

    Every optimiser takes `foreach` and `fused`, by which PyTorch chooses among its implementations.
    There is one here, a single native pass over all parameters, so either value means the same.
    """

    def __init__(self, params: Parameters, defaults: dict[str, Any]) -> None:
        self.defaults = {name: _plain(value) for name, value in defaults.items()}
        self.param_groups: list[Group] = []
        self.state: defaultdict[Tensor, State] = defaultdict(dict)
        if isinstance(params, Tensor):
            raise DTypeError(f"{self._name}: one tensor given; expected a list of tensors")
        entries = list(params)
        if not entries:
            raise ArgumentError(f"{self._name}: no parameters given; give at least one")
        groups: list[Any] = entries if isinstance(entries[0], Mapping) else [{"params": entries}]
        for group in groups:
            self.add_param_group(group)

    @abstractmethod
    def slots(self, group: Group) -> dict[str, float]:
        """Return the names of the arrays kept for each parameter, and what they begin with."""

    @abstractmethod
    def rule(self, group: Group, state: State) -> Rule:
        """Return the update of the coming step; scalars in `state` are advanced.

        Called before the arrays of a parameter are made, so a first step can be told.
        """

    @property
    def _name(self) -> str:
        return type(self).__name__

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients of all parameters; `set_to_none=False` writes zeros instead."""
        for param in self._params():
            if param.grad is None:
                continue
            if set_to_none:
                param.grad = None
            else:
                param.grad = param.grad.detach().zero_()

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update every parameter that has a gradient; return what `closure` returns.

        `closure`, if given, is called first, with recording on: it computes the gradients anew.
        """
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        if autograd_state.recorder is not None:
            record_step(self, autograd_state.recorder)
            return loss
        sweep = Sweep()
        written = [
            tensor
            for group in self.param_groups
            for param in group["params"]
            if param.grad is not None
            for tensor in self._advance(sweep, group, param, param.grad)
        ]
        with np.errstate(all="ignore"):
            sweep.run()
        for tensor in written:
            tensor.array.storage.version += 1
        return loss

    def _advance(
        self, sweep: Sweep, group: Group, param: Tensor, grad: Tensor
    ) -> tuple[Tensor, ...]:
        """Let `sweep` update `param`; return the tensors that it will write."""
        self._check_gradient(param, grad)
        rule = self.rule(group, self.state[param])
        slots = self.slots_of(group, param)
        sweep.add(rule, param.array, grad.array, [slot.array for slot in slots])
        return (param, *slots)

    def _check_gradient(self, param: Tensor, grad: Tensor) -> None:
        if grad.shape != param.shape:
            raise ShapeError(
                f"{self._name}: a parameter of shape {param.shape} has a gradient of shape "
                f"{grad.shape}; expected equal shapes"
            )
        param.array.storage.check_writable()

    def slots_of(self, group: Group, param: Tensor) -> list[Tensor]:
        """Return the arrays kept for `param`, made now where they are missing."""
        state = self.state[param]
        slots = [_slot(state, name, start, param) for name, start in self.slots(group).items()]
        if computed_in(param.dtype) is not param.dtype:
            slots.append(_slot(state, MASTER, 0.0, param))
        return slots

    def add_param_group(self, param_group: Mapping[str, Any]) -> None:
        """Add a group: a dict with `"params"` and the options that differ from the defaults."""
        if "params" not in param_group:
            raise ArgumentError(f'{self._name}: a group without "params" given; name its tensors')
        given = {k: v for k, v in param_group.items() if k not in RUNNING_OPTIONS}
        params = given.pop("params")
        entries = [params] if isinstance(params, Tensor) else list(params)
        if entries and isinstance(entries[0], tuple):
            given["param_names"] = [name for name, _ in entries]
            entries = [param for _, param in entries]
        group = {**self.defaults, **{name: _plain(value) for name, value in given.items()}}
        self._check_group(group, entries)
        changes.count += 1
        self.param_groups.append({**group, "params": entries})

    def _check_group(self, group: Group, params: list[Any]) -> None:
        if not params:
            raise ArgumentError(f"{self._name}: a group without parameters given; fill it")
        unknown = group.keys() - self.defaults.keys() - SCHEDULE_NOTES
        if unknown:
            raise ArgumentError(
                f"{self._name} has no option {min(unknown)!r}; expected one of "
                f"{', '.join(self.defaults)}"
            )
        check_options(self._name, group)
        taken = {id(p) for p in self._params()}
        for place, param in enumerate(params):
            self._check_parameter(param, place)
            if id(param) in taken:
                raise ArgumentError(f"{self._name}: parameter {place} is given twice; give it once")
            taken.add(id(param))

    def _check_parameter(self, param: Any, place: int) -> None:
        where = f"{self._name}: parameter {place}"
        if not isinstance(param, Tensor):
            raise DTypeError(f"{where} is a {type(param).__name__}; expected a tensor")
        if not param.dtype.is_floating_point:
            raise DTypeError(f"{where} is {param.dtype.name}; expected a float dtype")
        if param.node is not None:
            raise GradientError(
                f"{where} was computed from other tensors; give the leaves themselves, or detach() "
                "it and call requires_grad_()"
            )
        if param.array.layout.overlaps_itself:
            raise LayoutError(f"{where} was expanded, so its elements share memory; clone() it")

    def _params(self) -> Iterable[Tensor]:
        return (param for group in self.param_groups for param in group["params"])

    def state_dict(self) -> dict[str, Any]:
        """Return state and groups in PyTorch's structure; tensors are shared, not copied.

        `{"state": {0: {"step": …}}, "param_groups": [{"lr": …, "params": [0]}]}`: parameters are
        counted through the groups in order.
        """
        return write_state(self.param_groups, self.state)

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Continue from what `state_dict` returned, here or in PyTorch; tensors are copied.

        StateError where groups, options or shapes do not fit; nothing has been changed then.
        """
        groups, state = read_state(self._name, state_dict, self.param_groups, self.defaults)
        for group in groups:
            check_options(self._name, group)
        changes.count += 1
        self.param_groups = groups
        self.state = defaultdict(dict, state)

    def __repr__(self) -> str:
        shown = [
            f"    {name}: {value}"
            for place, group in enumerate(self.param_groups)
            for name, value in {"group": place, **group}.items()
            if name not in ("params", "param_names")
        ]
        return "\n".join([f"{self._name} (", *shown, ")"])


def _plain(option: Any) -> Any:
    """Return a number kept in a tensor or a numpy scalar as a Python number."""
    return option.item() if isinstance(option, Tensor | np.generic) else option


def _slot(state: State, name: str, start: float, param: Tensor) -> Tensor:
    if name not in state:
        state[name] = Tensor.of_array(full(param.shape, computed_in(param.dtype), start))
    slot: Tensor = state[name]
    return slot


def count_step(state: State) -> int:
    """Advance `step` in the state of a parameter; return it, 1 the first time."""
    return round(scale_scalar(state, "step", start=0.0, add=1.0))


def scale_scalar(
    state: State, name: str, *, start: float, factor: float = 1.0, add: float = 0.0
) -> float:
    """Set a scalar of `state`, at first `start`, to factor·scalar + add; return it.

    It lives in a 0-d float64 tensor, so that it is saved and restored with the arrays.
    """
    if name not in state:
        state[name] = Tensor.of_array(full((), dtypes.float64, start))
    array = state[name].array
    value = float(array.numpy()[()]) * factor + add
    array.numpy()[()] = value
    array.storage.version += 1
    return value

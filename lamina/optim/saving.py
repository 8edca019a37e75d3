"""Optimiser state to and from the structure that PyTorch gives it."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lamina import dtypes
from lamina.errors import StateError
from lamina.optim.sweep import computed_in
from lamina.tensor import Tensor

Group = dict[str, Any]
State = dict[str, Any]

# How PyTorch runs a step; of no meaning for what the step is.
RUNNING_OPTIONS = {"foreach", "fused", "capturable", "differentiable"}
# What schedules note in a group beside the optimiser's own options.
SCHEDULE_NOTES = {
    "initial_lr",
    "max_lr",
    "min_lr",
    "max_momentum",
    "base_momentum",
    "param_names",
    "name",
}
# What is kept of a parameter as one number, whatever its shape.
SCALARS = {"step", "mu_product"}


def write_state(groups: Sequence[Group], state: Mapping[Tensor, State]) -> dict[str, Any]:
    """Return `groups` and `state` with every parameter named by its place."""
    place = {id(p): i for i, p in enumerate(p for g in groups for p in g["params"])}
    return {
        "state": {place[id(p)]: dict(s) for p, s in state.items() if id(p) in place and s},
        "param_groups": [{**g, "params": [place[id(p)] for p in g["params"]]} for g in groups],
    }


def read_state(
    optimizer: str, saved: Any, groups: Sequence[Group], defaults: Mapping[str, Any]
) -> tuple[list[Group], dict[Tensor, State]]:
    """Return new groups and state from what was saved, for the parameters in `groups`."""
    for key, kind in (("state", Mapping), ("param_groups", Sequence)):
        if not isinstance(saved, Mapping) or not isinstance(saved.get(key), kind):
            raise StateError(
                f"{optimizer}: the state given has no {key!r}; give what state_dict() returned"
            )
    old = saved["param_groups"]
    if len(old) != len(groups):
        raise StateError(
            f"{optimizer}: {len(old)} parameter groups were saved, this optimiser has "
            f"{len(groups)}; make the same groups first"
        )
    new = [_read_group(optimizer, i, *pair, defaults) for i, pair in enumerate(zip(old, groups))]
    tensors: dict[Any, Tensor] = {
        place: param
        for was, now in zip(old, groups, strict=True)
        for place, param in zip(was["params"], now["params"], strict=True)
    }
    unknown = saved["state"].keys() - tensors.keys()
    if unknown:
        raise StateError(f"{optimizer}: state of parameter {unknown.pop()!r} is in no saved group")
    state = {
        tensors[place]: {
            name: _read_value(optimizer, place, name, value, tensors[place])
            for name, value in values.items()
            if value is not None
        }
        for place, values in saved["state"].items()
    }
    return new, state


def _read_group(
    optimizer: str, place: int, old: Any, group: Group, defaults: Mapping[str, Any]
) -> Group:
    where = f"{optimizer}: saved group {place}"
    count = len(group["params"])
    if not isinstance(old, Mapping) or len(old.get("params", ())) != count:
        raise StateError(f"{where} is not one of {count} parameters, as the group here is")
    options = {k: v for k, v in old.items() if k not in RUNNING_OPTIONS and k != "params"}
    missing = defaults.keys() - options.keys() - {"decoupled_weight_decay"}
    foreign = options.keys() - defaults.keys() - SCHEDULE_NOTES
    if missing or foreign:
        fault = f"lacks {min(missing)!r}" if missing else f"has an option {min(foreign)!r}"
        raise StateError(f"{where} {fault}; it was saved by another kind of optimiser")
    fixed = {k: tuple(v) if isinstance(v, list) and k == "betas" else v for k, v in options.items()}
    return {**defaults, **fixed, "params": group["params"]}


def _read_value(optimizer: str, place: Any, name: str, value: Any, param: Tensor) -> Tensor:
    if not isinstance(value, Tensor | np.ndarray | int | float):
        raise StateError(
            f"{optimizer}: {name!r} of parameter {place} is a {type(value).__name__}; expected a "
            "tensor or a number"
        )
    tensor = Tensor(value.detach() if isinstance(value, Tensor) else value)
    expected = () if name in SCALARS else param.shape
    if tensor.shape != expected:
        raise StateError(
            f"{optimizer}: {name!r} of parameter {place} was saved with shape {tensor.shape}; "
            f"expected {expected}"
        )
    wanted = dtypes.float64 if name in SCALARS else computed_in(param.dtype)
    return tensor if tensor.dtype is wanted else tensor.to(wanted)

"""Saved state held against a module: what fits, what is missing, what is too much."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from lamina.autograd import no_grad
from lamina.errors import StateError
from lamina.tensor import Tensor, asarray

LISTED = 8


class LoadResult(NamedTuple):
    """The names that a lenient `load_state_dict` passed over."""

    missing_keys: list[str]
    unexpected_keys: list[str]


def load_state(owner: str, own: dict[str, Tensor], given: Any, *, strict: bool) -> LoadResult:
    """Copy `given` into the tensors `own`, by name; nothing is written unless everything fits."""
    if not isinstance(given, Mapping):
        raise StateError(
            f"{owner} was given {type(given).__name__} as state; expected a mapping from names to "
            "tensors, as state_dict() returns"
        )
    values = {name: _tensor_of(name, given[name]) for name in own.keys() & given.keys()}
    missing = [name for name in own if name not in given]
    unexpected = [name for name in given if name not in own]
    _check_fit(owner, own, values, (missing, unexpected) if strict else ([], []))
    for name in values:
        own[name].array.storage.check_writable()
    with no_grad():
        for name, value in values.items():
            own[name].copy_(value)
    return LoadResult(missing, unexpected)


def _tensor_of(name: str, value: Any) -> Tensor:
    if isinstance(value, Tensor):
        return value
    if hasattr(value, "__array__"):
        return asarray(value)
    raise StateError(f"{name} is {type(value).__name__} in the given state; expected a tensor")


def _check_fit(
    owner: str,
    own: dict[str, Tensor],
    values: dict[str, Tensor],
    absent: tuple[list[str], list[str]],
) -> None:
    missing, unexpected = absent
    shapes = [
        f"{name} of shape {values[name].shape}, expected {tensor.shape}"
        for name, tensor in own.items()
        if name in values and values[name].shape != tensor.shape
    ]
    problems = [
        f"{kind} {shortened(names)}"
        for kind, names in (
            ("missing", missing),
            ("unexpected", unexpected),
            ("mis-shaped", shapes),
        )
        if names
    ]
    if problems:
        raise StateError(
            f"the given state does not fit {owner}: {'; '.join(problems)}; nothing was loaded"
            + ("" if shapes else "; strict=False passes over names that have no counterpart")
        )


def shortened(names: Iterable[str]) -> str:
    """Return the names separated by commas, of many the first few and the number of the rest."""
    listed = list(names)
    rest = len(listed) - LISTED
    return ", ".join(listed[:LISTED]) + (f" and {rest} more" if rest > 0 else "")

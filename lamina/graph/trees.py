"""Nested arguments and results: tensors taken out of lists, tuples and dicts, and put back."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lamina.errors import CaptureError
from lamina.tensor import Tensor


@dataclass(frozen=True, slots=True)
class Leaf:
    """The place of tensor number `number`."""

    number: int


def flatten(value: Any, tensors: list[Tensor]) -> Any:
    """Return the structure of `value`, hashable, with its tensors added to `tensors`.

    CaptureError for what is neither a tensor, nor a container, nor hashable.
    """
    if isinstance(value, Tensor):
        tensors.append(value)
        return Leaf(len(tensors) - 1)
    if type(value) in (list, tuple):
        return (type(value), tuple([flatten(item, tensors) for item in value]))
    if isinstance(value, Mapping):
        items = tuple([(key, flatten(item, tensors)) for key, item in value.items()])
        return (dict, items)
    if isinstance(value, tuple):
        return (type(value), tuple([flatten(item, tensors) for item in value]))
    try:
        hash(value)
    except TypeError:
        raise CaptureError(
            f"an argument or result of type {type(value).__name__} was given to a compiled "
            "function; expected tensors, plain values, and lists, tuples or dicts of them"
        ) from None
    # 1, 1.0 and True are equal keys, but not the same argument.
    return (type(value), value)


def unflatten(structure: Any, tensors: list[Any]) -> Any:
    """Return the value that has this structure, with `tensors` in their places."""
    if isinstance(structure, Leaf):
        return tensors[structure.number]
    kind, content = structure
    if kind is dict and isinstance(content, tuple):
        return {key: unflatten(item, tensors) for key, item in content}
    if kind in (list, tuple):
        return kind([unflatten(item, tensors) for item in content])
    if issubclass(kind, tuple):
        return kind(*[unflatten(item, tensors) for item in content])
    return content

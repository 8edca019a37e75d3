"""Objects made of dicts, lists, numbers, texts and tensors, as messages and back."""

from collections.abc import Callable
from typing import Any

import numpy as np

from lamina.errors import ArgumentError, FileFormatError
from lamina.formats import package_pb2 as pb
from lamina.tensor import Tensor

# Protobuf reads messages nested up to a hundred deep; a dict in a dict takes three of them.
MAX_DEPTH = 30

# A tensor's place in the table of tensors, and the tensor at a place.
Save = Callable[[Tensor], int]
Load = Callable[[int], Tensor]


def encode(value: Any, save: Save, path: str = "the object", depth: int = 0) -> pb.Value:
    """Return `value` as a message; `save` gives the place of a tensor in the table.

    ArgumentError for what cannot be saved, with its path in the object.
    """
    if depth > MAX_DEPTH:
        raise ArgumentError(
            f"the object holds itself, or is nested more than {MAX_DEPTH} deep at "
            f"{path[:80]}…; save something flatter"
        )
    match value:
        case Tensor():
            return pb.Value(tensor=save(value))
        case dict():
            entries = [_entry(key, entry, save, path, depth) for key, entry in value.items()]
            return pb.Value(mapping=pb.Mapping(entries=entries))
        case list() | tuple():
            items = [encode(v, save, f"{path}[{i}]", depth + 1) for i, v in enumerate(value)]
            sequence = pb.Sequence(items=items)
            if isinstance(value, list):
                return pb.Value(list_items=sequence)
            return pb.Value(tuple_items=sequence)
    return _plain(value, path)


def _plain(value: Any, path: str) -> pb.Value:
    match value:
        case None:
            return pb.Value(nothing=pb.Nothing())
        case bool() | np.bool_():
            return pb.Value(boolean=bool(value))
        case int() | np.integer():
            return _integer(int(value))
        case float() | np.floating():
            return pb.Value(real=float(value))
        case complex():
            return pb.Value(complex_number=pb.Complex(real=value.real, imaginary=value.imag))
        case str():
            return _text(value, path)
        case bytes():
            return pb.Value(raw=value)
    raise ArgumentError(
        f"{path} is of type {type(value).__name__}; save dicts, lists, tuples, texts, bytes, "
        f"numbers, None and tensors{_advice(value)}"
    )


def _advice(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return ": make it a tensor with lamina.from_numpy()"
    if callable(getattr(type(value), "state_dict", None)):
        return ": lamina.save(model.state_dict(), path) saves what a model or optimiser has learned"
    return ""


def _integer(value: int) -> pb.Value:
    if -(1 << 63) <= value < 1 << 63:
        return pb.Value(integer=value)
    nbytes = value.bit_length() // 8 + 1
    return pb.Value(large_integer=value.to_bytes(nbytes, "little", signed=True))


def _text(value: str, path: str) -> pb.Value:
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ArgumentError(f"{path} is a text that is no Unicode; encode it to bytes") from None
    return pb.Value(text=value)


def _entry(key: Any, value: Any, save: Save, path: str, depth: int) -> pb.Entry:
    if not isinstance(key, str | int):
        raise ArgumentError(
            f"{path} has the key {key!r} of type {type(key).__name__}; keys are texts or integers"
        )
    here = f"{path}[{key!r}]"
    return pb.Entry(key=_plain(key, here), value=encode(value, save, here, depth + 1))


def decode(value: pb.Value, load: Load) -> Any:
    """Return the object of a message; `load` gives the tensor at a place.

    FileFormatError for a message that stands for no object.
    """
    kind = value.WhichOneof("kind")
    match kind:
        case "tensor":
            return load(value.tensor)
        case "mapping":
            return _mapping(value.mapping, load)
        case "list_items":
            return [decode(item, load) for item in value.list_items.items]
        case "tuple_items":
            return tuple([decode(item, load) for item in value.tuple_items.items])
        case "nothing":
            return None
        case "large_integer":
            return int.from_bytes(value.large_integer, "little", signed=True)
        case "complex_number":
            return complex(value.complex_number.real, value.complex_number.imaginary)
        case None:
            raise FileFormatError("its header has a value of no kind, or of one not known yet")
    return getattr(value, kind)


def _mapping(mapping: pb.Mapping, load: Load) -> dict[Any, Any]:
    found: dict[Any, Any] = {}
    for entry in mapping.entries:
        if entry.key.WhichOneof("kind") not in ("text", "integer", "large_integer", "boolean"):
            raise FileFormatError("its header has a key that is no text and no integer")
        key = decode(entry.key, load)
        if key in found:
            raise FileFormatError(f"its header has the key {key!r} twice in one mapping")
        found[key] = decode(entry.value, load)
    return found

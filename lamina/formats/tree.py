"""Objects made of dicts, lists, numbers, texts and tensors, as messages and back."""

from collections.abc import Callable
from typing import Any

import numpy as np

from lamina.errors import ArgumentError, FileFormatError
from lamina.formats import package_pb2 as pb
from lamina.tensor import Tensor

# Protobuf reads messages nested up to a hundred deep; a dict in a dict takes three of them.
MAX_DEPTH = 30
_KEYS = (str, int)
_ADVICE = "save dicts, lists, tuples, texts, numbers, bytes, None and tensors"


def encode(value: Any, tensor: Callable[[Tensor], pb.Tensor], path: str = "", depth: int = 0) -> Any:
    """Return `value` as a message; `tensor` says where a tensor lies. ArgumentError names the path
    of what cannot be saved."""
    if depth > MAX_DEPTH:
        raise ArgumentError(
            f"{path} is nested more than {MAX_DEPTH} deep, or holds itself; save something flatter"
        )
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
            return pb.Value(
                complex_number=pb.Complex(real=value.real, imaginary=value.imag)
            )
        case str():
            return _text(value, path)
        case bytes():
            return pb.Value(raw=value)
        case Tensor():
            return pb.Value(tensor=tensor(value))
        case list() | tuple():
            items = [encode(v, tensor, f"{path}[{i}]", depth + 1) for i, v in enumerate(value)]
            sequence = pb.Sequence(items=items)
            if isinstance(value, list):
                return pb.Value(list_items=sequence)
            return pb.Value(tuple_items=sequence)
        case dict():
            entries = [_entry(key, v, tensor, path, depth) for key, v in value.items()]
            return pb.Value(mapping=pb.Mapping(entries=entries))
    raise _cannot_save(value, path)

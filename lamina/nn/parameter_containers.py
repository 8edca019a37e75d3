"""Parameters in a list and by name, found by the module that holds them."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Self, final

from lamina.errors import IndexingError, StateError
from lamina.nn.module import Module
from lamina.nn.parameter import Parameter
from lamina.nn.state import shortened
from lamina.tensor import Tensor


def _as_parameter(value: Any) -> Any:
    is_plain = isinstance(value, Tensor) and not isinstance(value, Parameter)
    return Parameter(value) if is_plain else value


def _described(name: str, value: Parameter) -> str:
    sizes = "x".join(str(n) for n in value.shape)
    return f"  ({name}): Parameter containing: [{value.dtype!r} of size {sizes}]"


@final
class ParameterList(Module):
    """A list of parameters; tensors put into it become parameters.

    >>> from lamina import nn
    >>> weights = nn.ParameterList([lamina.zeros(2), lamina.zeros(3)])
    >>> [tuple(w.shape) for w in weights], list(weights.state_dict())
    ([(2,), (3,)], ['0', '1'])
    """

    def __init__(self, values: Iterable[Any] | None = None) -> None:
        super().__init__()
        self.extend(values or ())

    def __len__(self) -> int:
        return len(self._roles)

    def __iter__(self) -> Iterator[Any]:
        return (value for _, value in self._held("parameter"))

    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return ParameterList(list(self)[index])
        return self.__dict__[self._key(index)]

    def __setitem__(self, index: int, value: Any) -> None:
        setattr(self, self._key(index), _as_parameter(value))

    def _key(self, index: int) -> str:
        count = len(self)
        if not -count <= index < count:
            raise IndexingError(
                f"parameter {index} of a ParameterList of {count} was asked for; expected "
                f"{-count} to {count - 1}"
            )
        return str(index % count)

    def append(self, value: Any) -> Self:
        """Put a parameter, or a tensor made one, at the end; return the list."""
        self.register_parameter(str(len(self)), _as_parameter(value))
        return self

    def extend(self, values: Iterable[Any]) -> Self:
        """Put every one of `values` at the end; return the list."""
        for value in list(values):
            self.append(value)
        return self

    def __iadd__(self, values: Iterable[Any]) -> Self:
        return self.extend(values)

    def extra_repr(self) -> str:
        return "\n".join(_described(name, value) for name, value in self._held("parameter"))


@final
class ParameterDict(Module):
    """Parameters by name, with the methods of a dict; tensors put into it become parameters.

    >>> from lamina import nn
    >>> gains = nn.ParameterDict({"left": lamina.ones(2), "right": lamina.ones(2)})
    >>> [name for name, _ in gains.named_parameters()]
    ['left', 'right']
    """

    def __init__(self, parameters: Any = None) -> None:
        super().__init__()
        self.update(parameters or {})

    def __getitem__(self, key: str) -> Any:
        if key not in self:
            raise StateError(
                f"ParameterDict has no parameter {key!r}; it has {shortened(self.keys()) or 'none'}"
            )
        return self.__dict__[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self.register_parameter(key, _as_parameter(value))

    def __delitem__(self, key: str) -> None:
        self.pop(key)

    def __len__(self) -> int:
        return len(self.keys())

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())

    def __contains__(self, key: str) -> bool:
        return key in self.keys()

    def keys(self) -> list[str]:
        """Return the names."""
        return [name for name, _ in self._held("parameter")]

    def values(self) -> list[Any]:
        """Return the parameters."""
        return [value for _, value in self._held("parameter")]

    def items(self) -> list[tuple[str, Any]]:
        """Return names and parameters in pairs."""
        return list(self._held("parameter"))

    def pop(self, key: str) -> Parameter:
        """Take the parameter named `key` out and return it."""
        value = self[key]
        delattr(self, key)
        return value

    def clear(self) -> None:
        """Take all parameters out."""
        for key in self.keys():
            delattr(self, key)

    def update(self, parameters: Any) -> None:
        """Add the parameters of a mapping, or of an iterable of pairs, by name."""
        held = isinstance(parameters, Mapping | ParameterDict)
        for name, value in parameters.items() if held else parameters:
            self[name] = value

    def extra_repr(self) -> str:
        return "\n".join(_described(name, value) for name, value in self._held("parameter"))

"""Modules that hold modules: in a row, in a list, by name."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from typing import Any, Self, overload

from lamina.errors import ArgumentError, IndexingError, StateError
from lamina.nn.module import Module, assembled, indented
from lamina.nn.state import shortened


class _Row(Module):
    """Numbered parts, with the methods of a list."""

    def _items(self) -> list[tuple[str, Module]]:
        return list(self._held("module"))

    def _renumber(self, parts: Iterable[Module]) -> None:
        """Hold `parts` alone, named "0", "1" and so on."""
        for name, _ in self._items():
            delattr(self, name)
        for place, module in enumerate(parts):
            self.register_module(str(place), module)

    def _place(self, index: int, count: int) -> int:
        if not -count <= index < count:
            raise IndexingError(
                f"part {index} of a {type(self).__name__} of {count} was asked for; expected "
                f"{-count} to {count - 1}"
            )
        return index % count

    def __len__(self) -> int:
        return len(self._items())

    def __iter__(self) -> Iterator[Any]:
        return (module for _, module in self._items())

    def __setitem__(self, index: int, module: Module) -> None:
        items = self._items()
        setattr(self, items[self._place(index, len(items))][0], module)

    def __delitem__(self, index: int | slice) -> None:
        parts = list(self)
        if isinstance(index, int):
            self._place(index, len(parts))
        del parts[index]
        self._renumber(parts)

    def append(self, module: Module) -> Self:
        """Put `module` at the end; return the container."""
        self.register_module(str(len(self)), module)
        return self

    def extend(self, modules: Iterable[Module]) -> Self:
        """Put every one of `modules` at the end; return the container."""
        for module in list(modules):
            self.append(module)
        return self

    def insert(self, index: int, module: Module) -> Self:
        """Put `module` before the part at `index`; return the container."""
        parts = list(self)
        parts.insert(index, module)
        self._renumber(parts)
        return self

    def pop(self, index: int = -1) -> Module:
        """Take the part at `index` out and return it."""
        part = list(self)[self._place(index, len(self))]
        del self[index]
        return part


class Sequential(_Row):
    """Modules called one after another, each with what the one before it gave.

    `Sequential(a, b)` numbers its parts; `Sequential({"first": a, "second": b})` names them. An
    index gives a part, a slice a `Sequential` of the same parts.

    >>> from lamina import nn
    >>> nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Linear(4, 1))
    Sequential(
      (0): Linear(in_features=2, out_features=4, bias=True)
      (1): Tanh()
      (2): Linear(in_features=4, out_features=1, bias=True)
    )
    """

    def __init__(self, *modules: Any) -> None:
        super().__init__()
        if len(modules) == 1 and isinstance(modules[0], Mapping):
            for name, module in modules[0].items():
                self.register_module(name, module)
        else:
            self.extend(modules)

    def forward(self, x: Any) -> Any:
        for _, module in self._held("module"):
            x = module(x)
        return x

    @overload
    def __getitem__(self, index: int) -> Any: ...
    @overload
    def __getitem__(self, index: slice) -> "Sequential": ...
    def __getitem__(self, index: int | slice) -> Any:
        items = self._items()
        if isinstance(index, slice):
            return type(self)(dict(items[index]))
        return items[self._place(index, len(items))][1]

    def __add__(self, other: "Sequential") -> "Sequential":
        return Sequential(*self, *other)


class ModuleList(_Row):
    """A list of modules whose parameters are found; it has no `forward` of its own.

    >>> from lamina import nn
    >>> layers = nn.ModuleList(nn.Linear(4, 4) for _ in range(3))
    >>> len(layers), len(list(layers.parameters()))
    (3, 6)
    """

    def __init__(self, modules: Iterable[Module] | None = None) -> None:
        super().__init__()
        self.extend(modules or ())

    @overload
    def __getitem__(self, index: int) -> Any: ...
    @overload
    def __getitem__(self, index: slice) -> "ModuleList": ...
    def __getitem__(self, index: int | slice) -> Any:
        parts = list(self)
        if isinstance(index, slice):
            return type(self)(parts[index])
        return parts[self._place(index, len(parts))]

    def __iadd__(self, modules: Iterable[Module]) -> Self:
        return self.extend(modules)

    def __add__(self, other: Iterable[Module]) -> "ModuleList":
        return ModuleList([*self, *other])

    def __repr__(self) -> str:
        """Equal parts in a row are printed once, as PyTorch prints them."""
        printed = enumerate(repr(part) for part in self)
        lines = []
        for text, group in groupby(printed, key=lambda item: item[1]):
            places = [place for place, _ in group]
            if len(places) == 1:
                lines.append(f"({places[0]}): {indented(text)}")
            else:
                span = f"({places[0]}-{places[-1]}): {len(places)} x "
                lines.append(span + indented(text))
        return assembled(type(self).__name__, "", lines)


class ModuleDict(Module):
    """Modules by name, with the methods of a dict; it has no `forward` of its own.

    >>> from lamina import nn
    >>> heads = nn.ModuleDict({"colour": nn.Linear(8, 3), "size": nn.Linear(8, 1)})
    >>> sorted(name for name, _ in heads.named_parameters())
    ['colour.bias', 'colour.weight', 'size.bias', 'size.weight']
    """

    def __init__(self, modules: Any = None) -> None:
        super().__init__()
        self.update(modules or {})

    def __getitem__(self, key: str) -> Any:
        if key not in self:
            raise StateError(
                f"ModuleDict has no part {key!r}; it has {shortened(self.keys()) or 'none'}"
            )
        return self.__dict__[key]

    def __setitem__(self, key: str, module: Module) -> None:
        self.register_module(key, module)

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
        return [name for name, _ in self._held("module")]

    def values(self) -> list[Any]:
        """Return the modules."""
        return [module for _, module in self._held("module")]

    def items(self) -> list[tuple[str, Any]]:
        """Return names and modules in pairs."""
        return list(self._held("module"))

    def pop(self, key: str) -> Module:
        """Take the part named `key` out and return it."""
        value = self[key]
        delattr(self, key)
        return value

    def clear(self) -> None:
        """Take all parts out."""
        for key in self.keys():
            delattr(self, key)

    def update(self, modules: Any) -> None:
        """Add the modules of a mapping, or of an iterable of pairs, by name."""
        pairs = modules.items() if isinstance(modules, Mapping | ModuleDict) else modules
        for pair in pairs:
            if len(pair) != 2:
                raise ArgumentError(
                    f"ModuleDict was given an entry of {len(pair)} things; expected pairs of a "
                    "name and a module"
                )
            self.register_module(*pair)

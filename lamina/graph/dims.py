"""Sizes that may differ from call to call, and what is promised of them."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, final

from lamina.errors import ArgumentError, GuardError
from lamina.tensor import Tensor

Dynamic = Mapping[str, Mapping[int, "Dim"]]


@final
@dataclass(frozen=True, slots=True)
class Dim:
    """A size from `min` to `max` (None: without end); the same wherever its name stands.

    >>> Dim("batch", max=64)
    Dim(name='batch', min=1, max=64)
    """

    name: str
    min: int = 1
    max: int | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.min <= (self.min if self.max is None else self.max):
            raise ArgumentError(
                f"Dim {self.name!r}: min={self.min}, max={self.max} given; expected 0 ≤ min ≤ max"
            )

    def check(self, size: int, where: str) -> None:
        """Raise GuardError where `size` is outside of what was declared."""
        if size < self.min or (self.max is not None and size > self.max):
            most = "any size" if self.max is None else self.max
            raise GuardError(
                f"{where} has size {size}; {self.name} was declared from {self.min} to {most}: "
                "cut the batch, or declare a wider Dim"
            )


@final
class Declared:
    """The sizes declared for the arguments of a function."""

    def __init__(self, function: Callable[..., Any], dynamic: Dynamic) -> None:
        self._dynamic = dynamic
        # A module is called through a method that takes anything.
        self._signature = inspect.signature(getattr(function, "forward", function))
        self._name = getattr(function, "__qualname__", type(function).__name__)
        known = self._signature.parameters
        takes_any = any(p.kind is p.VAR_KEYWORD for p in known.values())
        for name in dynamic:
            if name not in known and not takes_any:
                raise ArgumentError(
                    f"dynamic: {self._name} has no argument {name!r}; it takes {', '.join(known)}"
                )

    def check(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Raise GuardError where sizes are not as declared."""
        given = self._signature.bind(*args, **kwargs).arguments
        found: dict[str, tuple[int, str]] = {}
        for name, axes in self._dynamic.items():
            value = given.get(name)
            for axis, dim in axes.items() if value is not None else ():
                where = f"{self._name}: axis {axis} of {name}"
                size = _size(value, axis, where)
                dim.check(size, where)
                first, place = found.setdefault(dim.name, (size, where))
                if first != size:
                    raise GuardError(
                        f"{where} has size {size}, and {place} has {first}; both were declared to "
                        f"be {dim.name}: give tensors that agree"
                    )


def _size(value: Any, axis: int, where: str) -> int:
    if not isinstance(value, Tensor):
        raise GuardError(f"{where}: {type(value).__name__} given; expected a tensor")
    if not -len(value.shape) <= axis < len(value.shape):
        raise GuardError(f"{where}: a tensor of shape {value.shape} given, which has no such axis")
    return value.shape[axis]

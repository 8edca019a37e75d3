"""The border of the public functions: where a tensor is expected, nothing else passes.

What a function expects is read once, from its annotations; a call costs an `isinstance` a tensor.
"""

from collections.abc import Callable, Sequence
from functools import wraps
from inspect import CO_VARARGS, get_annotations
from types import NoneType
from typing import Any, Final, NoReturn, TypeVar, final, get_args, get_origin

from lamina.errors import DTypeError
from lamina.ops.registry import Operand

F = TypeVar("F", bound=Callable[..., Any])
Kinds = tuple[type, ...]


@final
class Guard:
    """What the parameters of one function take; parameters that take no tensor pass freely."""

    __slots__ = ("_by_place", "_kinds", "_name", "_names", "_needs_each", "_rest")

    def __init__(self, function: Callable[..., Any]) -> None:
        annotations = get_annotations(function)
        code = function.__code__
        names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
        found = {p: _kinds_of(annotations.get(p)) for p in names}
        self._name: Final = function.__qualname__
        self._names: Final = names[: code.co_argcount]
        self._kinds: Final = {p: kinds for p, kinds in found.items() if kinds is not None}
        self._by_place: Final = tuple(found[p] or _ANYTHING for p in self._names)
        rest = code.co_varnames[len(names)] if code.co_flags & CO_VARARGS else ""
        self._rest: Final = (rest, _kinds_of(annotations.get(rest)))
        self._needs_each: Final = _SERIES in self._by_place or self._rest[1] is not None

    @property
    def is_open(self) -> bool:
        """Whether no parameter takes a tensor."""
        return not self._kinds and self._rest[1] is None

    def check(self, args: tuple[Any, ...], keywords: dict[str, Any]) -> None:
        """Raise DTypeError for an argument that is no tensor where one is expected."""
        if keywords or self._needs_each or not all(map(isinstance, args, self._by_place)):
            named = dict(zip(self._names, args, strict=False)) | keywords
            for parameter, kinds in self._kinds.items():
                if parameter in named:
                    self._check_one(parameter, named[parameter], kinds)
            rest, kinds_of_rest = self._rest
            for value in args[len(self._names) :] if kinds_of_rest else ():
                self._check_one(rest, value, kinds_of_rest or _ANYTHING)

    def _check_one(self, parameter: str, value: Any, kinds: Kinds) -> None:
        expected = "a list of tensors" if kinds is _SERIES else "a tensor"
        if not isinstance(value, kinds):
            self._refuse(parameter, type(value).__name__, expected)
        if isinstance(value, (list, tuple)):
            for item in value:
                if not isinstance(item, Operand):
                    self._refuse(parameter, f"a list with {type(item).__name__}", expected)

    def _refuse(self, parameter: str, given: str, expected: str) -> NoReturn:
        raise DTypeError(
            f"{self._name}: {given} given for {parameter}, expected {expected}; make one with "
            "lamina.tensor()"
        )


_ANYTHING: Kinds = (object,)
_SERIES: Kinds = (list, tuple, Operand)


def _kinds_of(annotation: Any) -> Kinds | None:
    """Return the types that a parameter so annotated takes; None where it is not for tensors."""
    if isinstance(annotation, type) and issubclass(annotation, Operand):
        # The class itself first: its very instances are recognised without Operand's slow check.
        return (annotation, Operand)
    choices = get_args(annotation)
    if get_origin(annotation) is Sequence:
        return _SERIES if _kinds_of(choices[0]) else None
    kinds = [_kinds_of(choice) for choice in choices if choice is not NoneType]
    if NoneType in choices and len(kinds) == 1 and kinds[0] and kinds[0] is not _SERIES:
        return (NoneType, *kinds[0])
    return None


def takes_tensors(function: F) -> F:
    """Return `function`, raising DTypeError for what is no tensor where one is annotated.

    A parameter annotated as a tensor, as a tensor or None, or as a sequence of tensors is checked.
    Nothing is converted.
    """
    guard = Guard(function)

    @wraps(function)
    def guarded(*args: Any, **keywords: Any) -> Any:
        guard.check(args, keywords)
        return function(*args, **keywords)

    return guarded  # type: ignore[return-value]

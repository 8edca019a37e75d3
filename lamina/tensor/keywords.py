"""PyTorch's keywords beside the Array API's: one table, one decorator."""

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

from lamina.errors import ArgumentError
from lamina.tensor.guard import Guard

# PyTorch's keyword → the parameter it may stand for; the first that a function has is meant.
SECOND_KEYWORDS: dict[str, tuple[str, ...]] = {
    "dim": ("axis",),
    "dims": ("axis", "axes", "repetitions"),
    "keepdim": ("keepdims",),
    "input": ("x", "x1"),
    "self": ("x", "x1"),
    "other": ("x2",),
    "exponent": ("x2",),
    "dim0": ("axis1",),
    "dim1": ("axis2",),
    "unbiased": ("correction",),
    "size": ("shape",),
    "tensors": ("arrays",),
    "tensor": ("x",),
    "end": ("stop",),
    "steps": ("num",),
    "diagonal": ("k",),
    "shifts": ("shift",),
    "index": ("indices",),
}

F = TypeVar("F", bound=Callable[..., Any])


def second_keywords(function: F) -> F:
    """Return `function` answering to PyTorch's keywords too (`dim` for `axis`, …).

    Only keywords that the function has no parameter for are renamed. Where tensors are annotated,
    nothing else passes, as with `takes_tensors`.
    """
    code = function.__code__
    own = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    renamed = {
        new: next(old for old in firsts if old in own)
        for new, firsts in SECOND_KEYWORDS.items()
        if new not in own and any(old in own for old in firsts)
    }

    guard = Guard(function)
    is_guarded = not guard.is_open

    @wraps(function)
    def named(*args: Any, **keywords: Any) -> Any:
        for new in keywords.keys() & renamed.keys() if keywords else ():
            old = renamed[new]
            if old in keywords:
                raise ArgumentError(
                    f"{function.__name__}: {new}= and {old}= are one argument; give one of them"
                )
            keywords[old] = keywords.pop(new)
        if is_guarded:
            guard.check(args, keywords)
        return function(*args, **keywords)

    return named  # type: ignore[return-value]

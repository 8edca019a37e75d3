"""PyTorch's keywords beside the Array API's: one table, one decorator."""

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

from lamina.errors import ArgumentError

SECOND_KEYWORDS = {
    "dim": "axis",
    "dims": "axis",
    "keepdim": "keepdims",
    "input": "x",
    "other": "x2",
    "dim0": "axis1",
    "dim1": "axis2",
    "unbiased": "correction",
}

F = TypeVar("F", bound=Callable[..., Any])


def second_keywords(function: F) -> F:
    """Return `function` answering to PyTorch's keywords too (`dim` for `axis`, …).

    Only keywords that the function has no parameter for are renamed.
    """
    own = set(inspect.signature(function).parameters)
    renamed = {new: old for new, old in SECOND_KEYWORDS.items() if new not in own and old in own}

    @wraps(function)
    def named(*args: Any, **keywords: Any) -> Any:
        for new in renamed.keys() & keywords.keys():
            old = renamed[new]
            if old in keywords:
                raise ArgumentError(
                    f"{function.__name__}: {new}= and {old}= are one argument; give one of them"
                )
            keywords[old] = keywords.pop(new)
        return function(*args, **keywords)

    return named  # type: ignore[return-value]

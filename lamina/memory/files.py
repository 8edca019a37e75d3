"""What a path must be before it is read."""

import os
from typing import Any

from lamina.errors import DTypeError, PathError


def check_is_file(path: Any) -> None:
    """Raise PathError where `path` names nothing or a folder, DTypeError where it is no path."""
    if not isinstance(path, (str, os.PathLike)):
        raise DTypeError(f"{type(path).__name__} given, expected the path of a file as a str")
    if os.path.isdir(path):
        raise PathError(f"{os.fspath(path)!r} is a folder; give the path of a file in it")
    if not os.path.exists(path):
        raise PathError(
            f"there is no file {os.fspath(path)!r} (looked for from {os.getcwd()!r}); correct the "
            "path, or write the file first"
        )

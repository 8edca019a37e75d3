"""Files that are replaced whole or not at all."""

import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from lamina.errors import ArgumentError


def replace_file(path: str | os.PathLike[str], write: Callable[[BinaryIO], None]) -> None:
    """Let `write` fill a new file beside `path`, and put it there once it is on the disk.

    If anything fails, the power included, the file that was there is there still.
    """
    target = Path(os.path.realpath(path))
    if target.is_dir():
        raise ArgumentError(f"{path} is a folder; give the name of a file in it")
    if not target.parent.is_dir():
        raise ArgumentError(f"{path}: there is no folder {target.parent}; create it first")
    beside = target.parent / f".{secrets.token_hex(8)}.tmp"
    try:
        with open(beside, "xb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        if target.exists():
            beside.chmod(target.stat().st_mode & 0o7777)
        os.replace(beside, target)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    _sync_folder(target.parent)


def _sync_folder(folder: Path) -> None:
    # Windows opens no folders, and needs none of this.
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

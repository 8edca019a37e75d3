"""Object code on disk: private, checked before use, bounded in bytes.

An entry is one file: 32 bytes of SHA-256 over the rest, then the object code. It is written beside
its place and renamed, so that a reader sees a whole entry or none, and any number of processes may
write the same one. A damaged entry counts as missing.
"""

import hashlib
import os
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

_CHECKSUM_BYTES = 32
_SUFFIX = ".kernel"
_UNFINISHED = ".part"
_ABANDONED_SECONDS = 3600


@dataclass(frozen=True, slots=True)
class DiskCache:
    """A folder of compiled kernels, kept under `cap_bytes` by dropping the least recently used."""

    folder: Path
    cap_bytes: int

    def get(self, key: str) -> bytes | None:
        """Return the object code stored under `key`, or None where there is none that is whole."""
        path = self._path(key)
        try:
            data = _read_private(path)
        except OSError:
            return None
        if data is None:
            return None
        code = data[_CHECKSUM_BYTES:]
        if hashlib.sha256(code).digest() != data[:_CHECKSUM_BYTES]:
            return None
        _touch(path)
        return code

    def put(self, key: str, code: bytes) -> None:
        """Store object code under `key`; a folder that cannot be written leaves it out of the
        cache.
        """
        if len(code) + _CHECKSUM_BYTES > self.cap_bytes:
            return
        try:
            self._write(key, hashlib.sha256(code).digest() + code)
            self.trim(keep=key)
        except OSError:
            return

    def trim(self, *, keep: str = "") -> None:
        """Remove the least recently used entries until the rest fits the cap; `keep` goes last."""
        entries = sorted(
            self._entries(), key=lambda entry: (entry[2] == self._path(keep), entry[0])
        )
        total = sum(size for _, size, _ in entries)
        self._sweep()
        for _, size, path in entries:
            if total <= self.cap_bytes:
                return
            path.unlink(missing_ok=True)
            total -= size

    def _sweep(self) -> None:
        """Remove what processes left that were killed while they wrote."""
        for path in self.folder.glob(f"*{_UNFINISHED}"):
            try:
                if time.time() - path.stat().st_mtime > _ABANDONED_SECONDS:
                    path.unlink()
            except OSError:  # its writer has finished meanwhile
                continue

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}{_SUFFIX}"

    def _write(self, key: str, data: bytes) -> None:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=self.folder, suffix=_UNFINISHED)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
            os.replace(name, self._path(key))
        except OSError:
            Path(name).unlink(missing_ok=True)
            raise

    def _entries(self) -> list[tuple[int, int, Path]]:
        found = []
        for path in self.folder.glob(f"*{_SUFFIX}"):
            try:
                status = path.stat()
            except OSError:  # another process removed it meanwhile
                continue
            found.append((status.st_mtime_ns, status.st_size, path))
        return found


def _read_private(path: Path) -> bytes | None:
    """Return the content of an entry that only this user can have written, for it will be executed;
    None for any other.
    """
    if not _is_private(path.parent.stat()):
        return None
    # Opened first, and never through a link: what is looked at is what is read.
    with os.fdopen(os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0)), "rb") as file:
        return file.read() if _is_private(os.fstat(file.fileno())) else None


def _is_private(status: os.stat_result) -> bool:
    is_own = not hasattr(os, "getuid") or status.st_uid == os.getuid()
    return is_own and not status.st_mode & 0o022


def _touch(path: Path) -> None:
    try:
        os.utime(path)
    except OSError:
        return

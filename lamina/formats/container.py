"""The container: a prefix of fixed size, a header, and weights aligned so that they map.

    ┌ 0            ┌ 64          ┌ a multiple of 64       ┌ end of the file
    │ prefix       │ header      │ weights                │
    └──────────────┴─────────────┴────────────────────────┘

The prefix holds, little-endian: magic (8 bytes), version (4), zero (4), length of the header (8),
offset (8) and length (8) of the weights, CRC-32 of the header (4), CRC-32 of the prefix up to there
(4), zeros. Sections of the weights follow each other at multiples of 64. What lies between is zero.
A file is hostile: every length is compared with the size of the file before it is used.
"""

import mmap
import os
import stat
import struct
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple

from lamina.errors import ArgumentError, FileFormatError
from lamina.memory.files import check_is_file

MAGIC = b"\x89Lamina\n"
VERSION = 1
ALIGNMENT = 64
# Parsed headers take some thirty times their size in memory, so a file cannot make it unbounded.
MAX_HEADER_BYTES = 16 << 20
CHUNK_BYTES = 16 << 20

_PREFIX = struct.Struct("<8sIIQQQII")
_CHECKED = _PREFIX.size - 4


class Place(NamedTuple):
    """Where a run of bytes lies in the file."""

    offset: int
    nbytes: int


class Contents(NamedTuple):
    """An opened file: its bytes, mapped copy-on-write, and where header and weights lie."""

    memory: mmap.mmap
    header: bytes
    weights: Place


def align(offset: int) -> int:
    """Return the first multiple of 64 from `offset` on."""
    return -(-offset // ALIGNMENT) * ALIGNMENT


def place_sections(sizes: Sequence[int]) -> list[Place]:
    """Return where sections of these sizes lie, counted from the start of the weights."""
    places = []
    end = 0
    for nbytes in sizes:
        places.append(Place(align(end), nbytes))
        end = places[-1].offset + nbytes
    return places


def write_section(file: BinaryIO, data: memoryview) -> int:
    """Write `data` where the file stands; return its CRC-32."""
    crc = 0
    for start in range(0, len(data), CHUNK_BYTES):
        chunk = data[start : start + CHUNK_BYTES]
        crc = zlib.crc32(chunk, crc)
        file.write(chunk)
    return crc


def pad_to(file: BinaryIO, offset: int) -> None:
    """Write zeros up to `offset`."""
    file.write(bytes(offset - file.tell()))


def write_front(file: BinaryIO, header: bytes, weights: Place) -> None:
    """Write prefix and header at the start of a file whose weights are written."""
    if len(header) > MAX_HEADER_BYTES:
        raise ArgumentError(
            f"the object takes a header of {len(header)} bytes, at most {MAX_HEADER_BYTES} are "
            "allowed; put long lists of numbers into tensors"
        )
    fields = (MAGIC, VERSION, 0, len(header), *weights, zlib.crc32(header))
    checked = _PREFIX.pack(*fields, 0)[:_CHECKED]
    file.seek(0)
    file.write(checked + zlib.crc32(checked).to_bytes(4, "little"))
    pad_to(file, ALIGNMENT)
    file.write(header)
    pad_to(file, weights.offset)


def read(path: str | os.PathLike[str]) -> Contents:
    """Return the contents of a container, prefix and header checked; FileFormatError otherwise."""
    check_is_file(path)
    with open(path, "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode) or status.st_size < ALIGNMENT:
            raise FileFormatError(
                f"{path} holds {status.st_size} bytes; a .lamina file is a regular file of at "
                f"least {ALIGNMENT}: it is truncated, or another kind of file"
            )
        prefix = file.read(ALIGNMENT)
        header, weights, crc = _check_prefix(path, prefix, status.st_size)
        memory = mmap.mmap(file.fileno(), status.st_size, access=mmap.ACCESS_COPY)
    message = memory[header.offset : header.offset + header.nbytes]
    gap = memory[header.offset + header.nbytes : weights.offset]
    if zlib.crc32(message) != crc or any(gap):
        raise damaged(path, "the checksum of its header does not match")
    return Contents(memory, message, weights)


def damaged(path: str | os.PathLike[str], what: str) -> FileFormatError:
    """Return the error for a file whose content contradicts itself."""
    return FileFormatError(f"{path} is damaged: {what}; restore it from a copy, or save it again")


def _check_prefix(
    path: str | os.PathLike[str], prefix: bytes, file_bytes: int
) -> tuple[Place, Place, int]:
    """Return the places of header and weights and the checksum of the header."""
    magic, version, zero, length, *weights, crc, prefix_crc = _PREFIX.unpack_from(prefix)
    if magic != MAGIC:
        raise FileFormatError(
            f"{path} starts with {magic!r}, a .lamina file with {MAGIC!r}; it is another kind of "
            f"file{_guess(path)}"
        )
    if version > VERSION:
        raise FileFormatError(
            f"{path} is of format version {version}, and this Lamina reads up to {VERSION}; "
            "install a newer lamina"
        )
    if prefix_crc != zlib.crc32(prefix[:_CHECKED]) or any(prefix[_PREFIX.size :]) or zero:
        raise damaged(path, "the checksum of its first 64 bytes does not match")
    header, body = Place(ALIGNMENT, length), Place(*weights)
    expected = body.offset + body.nbytes
    if expected != file_bytes:
        raise FileFormatError(
            f"{path} holds {file_bytes} bytes, and its prefix speaks of {expected}; it is "
            "truncated or was written to: restore it from a copy, or save it again"
        )
    if version < 1 or length > MAX_HEADER_BYTES or align(ALIGNMENT + length) != body.offset:
        raise damaged(path, f"a header of {length} bytes before weights at {body.offset}")
    return header, body, crc


def _guess(path: str | os.PathLike[str]) -> str:
    known = {".pt": "PyTorch", ".pth": "PyTorch", ".onnx": "ONNX", ".safetensors": "safetensors"}
    name = known.get(Path(path).suffix.lower())
    return f" (by its name one of {name})" if name else ""


def check_sections(
    path: str | os.PathLike[str], contents: Contents, places: Sequence[Place]
) -> None:
    """Raise FileFormatError unless `places` are what a writer makes of their sizes."""
    if list(places) != place_sections([place.nbytes for place in places]):
        raise damaged(path, "its sections overlap or leave gaps")
    end = places[-1].offset + places[-1].nbytes if places else 0
    if end != contents.weights.nbytes:
        raise damaged(path, f"sections up to byte {end} of {contents.weights.nbytes} of weights")


def check_bytes(
    path: str | os.PathLike[str],
    contents: Contents,
    places: Sequence[Place],
    checksums: Sequence[int],
) -> None:
    """Raise FileFormatError unless every section has its checksum and zeros lie between them."""
    view = memoryview(contents.memory)
    start = contents.weights.offset
    end = 0
    for number, (place, crc) in enumerate(zip(places, checksums, strict=True)):
        if any(view[start + end : start + place.offset]):
            raise damaged(path, f"bytes before section {number} of its weights are not zero")
        end = place.offset + place.nbytes
        if _checksum(view[start + place.offset : start + end]) != crc:
            raise damaged(path, f"the checksum of section {number} of its weights does not match")


def _checksum(view: memoryview) -> int:
    crc = 0
    for chunk in _chunks(view):
        crc = zlib.crc32(chunk, crc)
    return crc


def _chunks(view: memoryview) -> Iterator[memoryview]:
    for start in range(0, len(view), CHUNK_BYTES):
        yield view[start : start + CHUNK_BYTES]

"""Files that `save` would never write, with checksums that hold."""

import struct
import zlib
from collections.abc import Sequence
from typing import Any

from lamina.formats import package_pb2 as pb
from lamina.formats.container import MAGIC, VERSION, align

PREFIX = struct.Struct("<8sIIQQQI")


def container(header: bytes, weights: bytes = b"", **fields: Any) -> bytes:
    """A file of this header and these weights; `fields` of the prefix may lie."""
    start = align(64 + len(header))
    told = {
        "magic": MAGIC,
        "version": VERSION,
        "zero": 0,
        "header_bytes": len(header),
        "offset": start,
        "nbytes": len(weights),
        "crc": zlib.crc32(header),
        **fields,
    }
    prefix = PREFIX.pack(*told.values())
    front = (prefix + zlib.crc32(prefix).to_bytes(4, "little")).ljust(64, b"\0") + header
    return front.ljust(start, b"\0") + weights


def tensor(**fields: Any) -> pb.Tensor:
    """Two rows of three float32 in section 0, but for `fields`."""
    plain = {"section": 0, "dtype": "float32", "shape": [2, 3], "strides": [3, 1], "offset": 0}
    return pb.Tensor(**{**plain, **fields})


def section(nbytes: int = 24, offset: int = 0, crc32: int | None = None) -> pb.Section:
    """A section of zeros."""
    crc = zlib.crc32(bytes(min(nbytes, 1 << 20))) if crc32 is None else crc32
    return pb.Section(offset=offset, nbytes=nbytes, crc32=crc)


def package(
    root: pb.Value | None = None,
    tensors: Sequence[pb.Tensor] = (),
    sections: Sequence[pb.Section] = (),
    weights: bytes = b"",
) -> bytes:
    """A file with this header."""
    value = pb.Value(tensor=0) if root is None else root
    message = pb.Package(producer="forged", root=value, tensors=tensors, sections=sections)
    return container(message.SerializeToString(), weights)


def one_tensor(**fields: Any) -> bytes:
    """A file of one tensor in a section of 24 zeros."""
    return package(tensors=[tensor(**fields)], sections=[section()], weights=bytes(24))


def nested(depth: int) -> pb.Value:
    """A list in a list, `depth` deep."""
    value = pb.Value(integer=1)
    for _ in range(depth):
        value = pb.Value(list_items=pb.Sequence(items=[value]))
    return value

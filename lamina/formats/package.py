"""`lamina.save` and `lamina.load`: what a program has learned, in one file."""

import os
from math import prod
from typing import Any, BinaryIO, final

import numpy as np
from google.protobuf.message import DecodeError

from lamina.dtypes import DTYPES
from lamina.errors import FileFormatError
from lamina.formats import container
from lamina.formats import package_pb2 as pb
from lamina.formats.atomic import replace_file
from lamina.formats.container import Contents, Place
from lamina.formats.sections import Sections
from lamina.formats.tree import decode, encode
from lamina.layout import Layout
from lamina.memory import Array, Storage, allocate
from lamina.tensor import Tensor
from lamina.version import __version__

# Far above any memory and far below what overflows; every size and step in a file stays under it.
LIMIT = 1 << 48
MAX_AXES = 64


def save(obj: Any, path: str | os.PathLike[str]) -> None:
    """Write `obj` to `path`: dicts, lists, tuples, texts, bytes, numbers, None and tensors in them.

    A state dict of a model or optimiser, say, or several in a dict. Tensors keep dtype, shape,
    strides and what memory they share, and lose their history. If anything fails, the file that was
    there is there still. ArgumentError for what cannot be saved.

    >>> import lamina
    >>> save({"weight": lamina.ones(2, 2), "epoch": 3}, "model.lamina")
    >>> load("model.lamina")
    {'weight': Tensor([[1., 1.],
            [1., 1.]]), 'epoch': 3}
    """
    table: dict[int, Tensor] = {}
    places: dict[int, int] = {}

    def place_of(tensor: Tensor) -> int:
        table[id(tensor)] = tensor
        return places.setdefault(id(tensor), len(places))

    root = encode(obj, place_of)
    sections = Sections([tensor.array for tensor in table.values()])
    package = pb.Package(producer=f"lamina {__version__}", root=root)
    for tensor in table.values():
        package.tensors.append(_describe(tensor, sections))
    replace_file(path, lambda file: _write(file, package, sections))


def load(path: str | os.PathLike[str], *, copy: bool = False, verify: bool = True) -> Any:
    """Return what `save` wrote to `path`.

    Tensors are mapped from the file, not read: pages arrive when they are touched, and writing to
    a tensor changes memory alone. With `copy` they are read now, and the file may be changed in
    place afterwards. Checksums are compared (which touches every page) unless `verify` is False.
    FileFormatError for a file that is truncated, damaged, of another kind or of a newer version.
    """
    contents = container.read(path)
    try:
        package = pb.Package.FromString(contents.header)
    except DecodeError:
        raise container.damaged(path, "its header cannot be parsed") from None
    places = [Place(s.offset, s.nbytes) for s in package.sections]
    container.check_sections(path, contents, places)
    if verify:
        container.check_bytes(path, contents, places, [s.crc32 for s in package.sections])
    try:
        storages = _Storages(contents, places, copy=copy)
        tensors = [_restore(tensor, storages) for tensor in package.tensors]
        return decode(package.root, _Table(tensors).at)
    except FileFormatError as error:
        raise container.damaged(path, str(error)) from None


def _describe(tensor: Tensor, sections: Sections) -> pb.Tensor:
    section, layout = sections.home_of(tensor.array)
    return pb.Tensor(
        section=section,
        dtype=tensor.dtype.name,
        shape=layout.shape,
        strides=layout.strides,
        offset=layout.offset,
    )


def _write(file: BinaryIO, package: pb.Package, sections: Sections) -> None:
    places = container.place_sections([data.nbytes for data in sections.data])
    for place in places:
        package.sections.add(offset=place.offset, nbytes=place.nbytes, crc32=0)
    # The weights come first: their checksums go into the header, whose size they do not change.
    start = container.align(container.ALIGNMENT + package.ByteSize())
    file.seek(start)
    for place, section, data in zip(places, package.sections, sections.data, strict=True):
        container.pad_to(file, start + place.offset)
        section.crc32 = container.write_section(file, data.data)
    container.write_front(file, package.SerializeToString(), Place(start, file.tell() - start))


@final
class _Storages:
    """The sections of an opened file as storages, each made once."""

    def __init__(self, contents: Contents, places: list[Place], *, copy: bool) -> None:
        self._contents = contents
        self._places = places
        self._copy = copy
        self._made: dict[int, Storage] = {}

    def section(self, number: int) -> Storage:
        if number >= len(self._places):
            raise FileFormatError(f"a tensor lies in section {number} of {len(self._places)}")
        if number not in self._made:
            self._made[number] = self._make(self._places[number])
        return self._made[number]

    def _make(self, place: Place) -> Storage:
        start = self._contents.weights.offset + place.offset
        mapped = np.frombuffer(self._contents.memory, np.uint8, place.nbytes, start)
        if not self._copy:
            return Storage(mapped, place.nbytes)
        storage = allocate(place.nbytes)
        storage.buffer[: place.nbytes] = mapped
        return storage


@final
class _Table:
    """The tensors of a file, by place."""

    def __init__(self, tensors: list[Tensor]) -> None:
        self._tensors = tensors

    def at(self, place: int) -> Tensor:
        if place >= len(self._tensors):
            raise FileFormatError(f"it names tensor {place} of {len(self._tensors)}")
        return self._tensors[place]


def _restore(message: pb.Tensor, storages: _Storages) -> Tensor:
    dtype = DTYPES.get(message.dtype)
    if dtype is None:
        raise FileFormatError(f"it names a dtype {message.dtype!r} that is not known")
    layout = Layout(tuple(message.shape), tuple(message.strides), message.offset)
    storage = storages.section(message.section)
    _check_layout(layout, dtype.itemsize, storage.nbytes)
    return Tensor.of_array(Array(storage, layout, dtype))


def _check_layout(layout: Layout, itemsize: int, nbytes: int) -> None:
    """Raise FileFormatError unless every element lies in the section, and none lies there twice."""
    shape, strides, offset = layout
    # Shown only in part: a hostile shape may have millions of axes.
    told = f"a tensor of shape {shape[:8]}, strides {strides[:8]} and offset {offset}"
    numbers = (*shape, *map(abs, strides), offset, prod(max(n, 1) for n in shape[:MAX_AXES]))
    if len(shape) != len(strides) or len(shape) > MAX_AXES or max(numbers) > LIMIT:
        raise FileFormatError(f"{told} is beyond all bounds")
    low, high = layout.span
    if low < 0 or high * itemsize > nbytes or layout.overlaps_itself:
        raise FileFormatError(f"{told} does not fit the {nbytes} bytes of its section")

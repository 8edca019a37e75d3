"""Object code to functions that ctypes can call, without LLVM.

The sections of one ELF64 object file are laid out in one anonymous mapping, relocated, and made
executable and read-only. Kernels call nothing outside themselves but routines of libc: those for
memory, which LLVM may use for plain copies, and `syscall`, with which threads sleep.
https://refspecs.linuxfoundation.org/elf/gabi4+/contents.html
"""

import ctypes
import mmap
import platform
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from lamina.codegen.relocations import ARCHITECTURES, Architecture
from lamina.errors import CompileError

_ALLOCATED = 0x2
_NO_BITS = 8
_RELOCATIONS = 4
_SYMBOLS = 2
_HEADER_BYTES = 64
_UNWINDING = ".eh_frame"
_CALLABLE = ("memset", "memcpy", "memmove", "syscall")


class _Section(NamedTuple):
    name: int
    kind: int
    flags: int
    address: int
    offset: int
    size: int
    link: int
    info: int
    align: int
    entry: int


class _Symbol(NamedTuple):
    name: int
    info: int
    other: int
    section: int
    value: int
    size: int


@dataclass(frozen=True, slots=True)
class LoadedCode:
    """Machine code in memory; it stays there as long as this object lives."""

    memory: mmap.mmap
    base: int
    symbols: dict[str, int]

    @property
    def bytes_held(self) -> int:
        """How much memory the code takes: whole pages."""
        return -(-len(self.memory) // mmap.PAGESIZE) * mmap.PAGESIZE

    def address(self, name: str) -> int:
        """Return where the function `name` starts."""
        return self.symbols[name]


def _text_at(data: bytes, offset: int) -> str:
    return data[offset : data.index(b"\0", offset)].decode()


def _sections(data: bytes) -> list[_Section]:
    (table,) = struct.unpack_from("<Q", data, 40)
    entry, count = struct.unpack_from("<HH", data, 58)
    return [
        _Section(*struct.unpack_from("<IIQQQQIIQQ", data, table + i * entry)) for i in range(count)
    ]


def _symbols(data: bytes, sections: list[_Section]) -> list[tuple[str, _Symbol]]:
    table = next(section for section in sections if section.kind == _SYMBOLS)
    names = sections[table.link].offset
    places = range(table.offset, table.offset + table.size, 24)
    found = [_Symbol(*struct.unpack_from("<IBBHQQ", data, place)) for place in places]
    return [(_text_at(data, names + symbol.name), symbol) for symbol in found]


@dataclass(frozen=True, slots=True)
class Image:
    """An object file laid out: where its parts go, relative to where it will be run."""

    data: bytes
    architecture: Architecture
    sections: list[_Section]
    offsets: dict[int, int]
    names: list[str]
    places: list[int]
    outside: list[str]
    size: int

    def fill(self, memory: Any, base: int, address_of: Callable[[str], int]) -> dict[str, int]:
        """Write the image to be run at `base`; return the address of each function.

        `address_of` tells where functions outside the object file are. Raises CompileError.
        """
        for number, name in enumerate(self.outside):
            stub = self.architecture.jump + struct.pack("<Q", address_of(name))
            memory[number * len(stub) : (number + 1) * len(stub)] = stub
        for index, offset in self.offsets.items():
            section = self.sections[index]
            if section.kind != _NO_BITS:
                content = self.data[section.offset : section.offset + section.size]
                memory[offset : offset + section.size] = content
        for section in self.sections:
            if section.kind == _RELOCATIONS and section.info in self.offsets:
                self._relocate(section, memory, base)
        return {name: base + place for name, place in zip(self.names, self.places, strict=True)}

    def _relocate(self, section: _Section, memory: Any, base: int) -> None:
        rules, paired = self.architecture.rules, self.architecture.paired
        targets: dict[int, int] = {}
        start = self.offsets[section.info]
        records = struct.iter_unpack("<QQq", self.data[section.offset :][: section.size])
        for offset, info, addend in records:
            symbol, kind = info >> 32, info & 0xFFFFFFFF
            place, target = start + offset, self.places[symbol] + addend
            if kind in rules:
                targets[place] = target
                rules[kind](memory, place, base, target)
            elif kind in paired:
                paired[kind](memory, place, base, targets[target] - target)
            else:
                raise CompileError(
                    f"object code holds relocation {kind}, which the loader does not know"
                )


def lay_out(data: bytes) -> Image:
    """Return the image of an object file; raises CompileError for another architecture's."""
    architecture = _architecture(data)
    sections = _sections(data)
    symbols = _symbols(data, sections)
    outside = sorted({name for name, symbol in symbols if symbol.section == 0 and name})
    stub_bytes = len(architecture.jump) + 8
    offsets, size = _layout(data, sections, len(outside) * stub_bytes)
    stubs = {name: number * stub_bytes for number, name in enumerate(outside)}
    names = [name for name, _ in symbols]
    places = [
        stubs.get(name, offsets.get(symbol.section, 0) + symbol.value) for name, symbol in symbols
    ]
    return Image(data, architecture, sections, offsets, names, places, outside, size)


def _architecture(data: bytes) -> Architecture:
    if len(data) < _HEADER_BYTES or data[:6] != b"\x7fELF\x02\x01":
        raise CompileError("object code is no ELF file of 64 bits; expected what LLVM emits")
    (machine,) = struct.unpack_from("<H", data, 18)
    if machine not in ARCHITECTURES:
        known = ", ".join(row.name for row in ARCHITECTURES.values())
        raise CompileError(f"object code is for machine {machine}; the loader knows {known}")
    return ARCHITECTURES[machine]


def _layout(data: bytes, sections: list[_Section], start: int) -> tuple[dict[int, int], int]:
    (names,) = struct.unpack_from("<H", data, 62)
    offsets: dict[int, int] = {}
    end = start
    for index, section in enumerate(sections):
        name = _text_at(data, sections[names].offset + section.name)
        if section.flags & _ALLOCATED and name != _UNWINDING:
            align = max(section.align, 1)
            end = -(-end // align) * align
            offsets[index] = end
            end += section.size
    return offsets, end


def _libc_address(name: str) -> int:
    if name not in _CALLABLE:
        raise CompileError(f"kernel calls {name!r}; only {', '.join(_CALLABLE)} may be called")
    function = getattr(ctypes.CDLL(None), name)
    return ctypes.cast(function, ctypes.c_void_p).value or 0


def _protect(base: int, size: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    if libc.mprotect(base, size, mmap.PROT_READ | mmap.PROT_EXEC) != 0:
        raise CompileError("the system does not allow machine code to be made executable")


def load(data: bytes) -> LoadedCode:
    """Return the code of an object file, in memory and ready to call; raises CompileError."""
    image = lay_out(data)
    here = platform.machine().lower().replace("amd64", "x86_64")
    if image.architecture.name != here:
        raise CompileError(f"object code is for {image.architecture.name}; this machine is {here}")
    memory = mmap.mmap(-1, max(image.size, 1), prot=mmap.PROT_READ | mmap.PROT_WRITE)
    base = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    symbols = image.fill(memory, base, _libc_address)
    _protect(base, len(memory))
    return LoadedCode(memory, base, symbols)

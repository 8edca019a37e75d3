"""Object code to functions that ctypes can call, without LLVM.

The sections of one ELF64 object file are laid out in one anonymous mapping, relocated, and made
executable and read-only. Kernels call nothing outside themselves but routines of libc: those for
memory, which LLVM may use for plain copies, and `syscall`, with which threads sleep.
https://refspecs.linuxfoundation.org/elf/gabi4+/contents.html
"""

import ctypes
import mmap
import struct
from dataclasses import dataclass
from typing import NamedTuple

from lamina.errors import CompileError

_ALLOCATED = 0x2
_NO_BITS = 8
_RELOCATIONS = 4
_SYMBOLS = 2
_ABSOLUTE64, _RELATIVE32, _PLT32, _RELATIVE64 = 1, 2, 4, 24
_CALLABLE = ("memset", "memcpy", "memmove", "syscall")
# jmp *0(%rip), followed by the address: reaches libc from anywhere.
_JUMP = b"\xff\x25\x00\x00\x00\x00"
_STUB_BYTES = 16


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


def _layout(sections: list[_Section], start: int) -> tuple[dict[int, int], int]:
    offsets: dict[int, int] = {}
    end = start
    for index, section in enumerate(sections):
        if section.flags & _ALLOCATED:
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


def _write_stubs(memory: mmap.mmap, names: list[str]) -> dict[str, int]:
    for number, name in enumerate(names):
        stub = _JUMP + struct.pack("<Q", _libc_address(name))
        memory[number * _STUB_BYTES : number * _STUB_BYTES + len(stub)] = stub
    return {name: number * _STUB_BYTES for number, name in enumerate(names)}


def _relocate(memory: mmap.mmap, base: int, place: int, kind: int, target: int) -> None:
    if kind == _ABSOLUTE64:
        struct.pack_into("<Q", memory, place, base + target)
    elif kind in (_RELATIVE32, _PLT32):
        struct.pack_into("<i", memory, place, target - place)
    elif kind == _RELATIVE64:
        struct.pack_into("<q", memory, place, target - place)
    else:
        raise CompileError(f"object code holds relocation {kind}, which the loader does not know")


def _relocate_section(
    data: bytes, section: _Section, places: list[int], memory: mmap.mmap, base: int, start: int
) -> None:
    for record in range(section.offset, section.offset + section.size, 24):
        offset, info, addend = struct.unpack_from("<QQq", data, record)
        symbol, kind = info >> 32, info & 0xFFFFFFFF
        _relocate(memory, base, start + offset, kind, places[symbol] + addend)


def _protect(base: int, size: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    if libc.mprotect(base, size, mmap.PROT_READ | mmap.PROT_EXEC) != 0:
        raise CompileError("the system does not allow machine code to be made executable")


def load(data: bytes) -> LoadedCode:
    """Return the code of an object file, in memory and ready to call; raises CompileError."""
    sections = _sections(data)
    symbols = _symbols(data, sections)
    outside = sorted({name for name, symbol in symbols if symbol.section == 0 and name})
    offsets, size = _layout(sections, len(outside) * _STUB_BYTES)
    memory = mmap.mmap(-1, max(size, 1), prot=mmap.PROT_READ | mmap.PROT_WRITE)
    base = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    stubs = _write_stubs(memory, outside)
    for index, offset in offsets.items():
        section = sections[index]
        if section.kind != _NO_BITS:
            memory[offset : offset + section.size] = data[section.offset :][: section.size]
    places = [
        stubs.get(name, offsets.get(symbol.section, 0) + symbol.value) for name, symbol in symbols
    ]
    for section in sections:
        if section.kind == _RELOCATIONS and section.info in offsets:
            _relocate_section(data, section, places, memory, base, offsets[section.info])
    _protect(base, len(memory))
    named = zip(symbols, places, strict=True)
    return LoadedCode(memory, base, {name: base + place for (name, _), place in named if name})

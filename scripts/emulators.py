"""Machines that are not here: one kernel call as a program under qemu-user or wasmtime.

No linker is needed: a Linux program is the loader's image of the object code with an ELF header
before it, a WebAssembly module the object file with its kernel exported.
"""

import struct
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lamina.codegen import assemble, jit, loader
from lamina.codegen.builder import KernelModule
from lamina.codegen.types import Pointer, i8, i32, i64

CODE_AT, DATA_AT, PAGE = 0x400000, 0x10000000, 0x1000
SCRATCH_BYTES = 8 << 20


@dataclass(frozen=True)
class Call:
    """One kernel call: what to run, and where its arguments and scratch memory lie."""

    kernel: jit.Kernel
    name: str
    arguments: int
    scratch: int


Machine = Callable[[Call, bytes, int], bytes]
"""Makes a call on memory that begins at an address; returns that memory as it is afterwards."""


EMULATORS = {"aarch64": "qemu-aarch64", "riscv64": "qemu-riscv64"}
START_BYTES = 256


def start(arch: str, numbers: list[int]) -> bytes:
    """Return machine code that calls a kernel, writes memory to standard output, and ends.

    `numbers`: addresses of arguments, scratch and kernel; address and size of the memory.
    """
    words = {"aarch64": start_of_arm, "riscv64": start_of_riscv}[arch]()
    code = struct.pack(f"<{len(words)}I5Q", *words, *numbers)
    assert len(code) <= START_BYTES
    return code.ljust(START_BYTES, b"\0")


def start_of_arm() -> list[int]:
    def number(register: int, which: int, place: int) -> int:
        return 0x58000000 | (12 + 2 * which - place) << 5 | register  # ldr register, =number

    return [
        number(0, 0, 0), number(1, 1, 1), number(9, 2, 2), 0xD63F0120,  # blr x9
        0xD2800020, number(1, 3, 5), number(2, 4, 6), 0xD2800808, 0xD4000001,  # write(1, …)
        0xD2800000, 0xD2800BA8, 0xD4000001,  # exit(0)
    ]  # fmt: skip


def start_of_riscv() -> list[int]:
    count = 18

    def number(register: int, which: int, place: int) -> list[int]:
        distance = 4 * (count - place) + 8 * which
        load = distance << 20 | register << 15 | 3 << 12 | register << 7 | 3
        return [register << 7 | 0x17, load]  # auipc register, 0; ld register, distance(register)

    def small(register: int, value: int) -> int:
        return value << 20 | register << 7 | 0x13  # li register, value

    words = [*number(10, 0, 0), *number(11, 1, 2), *number(6, 2, 4), 6 << 15 | 1 << 7 | 0x67]
    words += [small(10, 1), *number(11, 3, 8), *number(12, 4, 10), small(17, 64), 0x73]
    words += [small(10, 0), small(17, 93), 0x73, 0x13]
    assert len(words) == count
    return words


def emit_memory_routines(module: KernelModule) -> None:
    """Define memset and memcpy, which LLVM may call and which no library brings here."""
    byte = Pointer(i8)
    with module.function("memset", {"to": byte, "value": i32, "count": i64}) as opened:
        k, to, value, count = opened
        with k.loop(count) as turn:
            to[turn.index] = k.convert(value, i8)
    with module.function("memcpy", {"to": byte, "source": byte, "count": i64}) as opened:
        k, to, source, count = opened
        with k.loop(count) as turn:
            to[turn.index] = source[turn.index]


def program(call: Call, memory: bytes) -> bytes:
    """Return a Linux program that makes `call`, writes its memory to standard output and ends."""
    module = call.kernel.module()
    emit_memory_routines(module)
    code = assemble.object_code(module)
    image = loader.lay_out(code)
    content = bytearray(image.size)
    symbols = image.fill(content, CODE_AT + START_BYTES, symbol_missing)
    arch = module.target.arch
    numbers = [call.arguments, call.scratch, symbols[call.name], DATA_AT, len(memory)]
    return executable(code, start(arch, numbers) + bytes(content), memory)


def symbol_missing(name: str) -> int:
    raise SystemExit(f"a kernel calls {name}, which is nowhere")


def executable(code: bytes, content: bytes, memory: bytes) -> bytes:
    """Return an ELF program of two segments: code, and memory with scratch behind it."""
    machine, flags = code[18:20], code[48:52]
    data_offset = PAGE + -(-len(content) // PAGE) * PAGE
    header = b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<H2sI", 2, machine, 1)
    header += struct.pack("<QQQ4sHHHHHH", CODE_AT, 64, 0, flags, 64, 56, 2, 64, 0, 0)
    segments = (
        (5, PAGE, CODE_AT, len(content), len(content)),
        (6, data_offset, DATA_AT, len(memory), len(memory) + SCRATCH_BYTES + PAGE),
    )
    for rights, offset, place, held, size in segments:
        header += struct.pack("<IIQQQQQQ", 1, rights, offset, place, place, held, size, PAGE)
    return header.ljust(PAGE, b"\0") + content.ljust(data_offset - PAGE, b"\0") + memory


def under_qemu(call: Call, memory: bytes, base: int) -> bytes:
    """Make a call as a program of its own."""
    row = call.kernel.target
    options = {"riscv64": ["-cpu", "rv64,v=true,vlen=256"]}.get(row.arch, [])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "program"
        path.write_bytes(program(call, memory))
        path.chmod(0o700)
        command = [EMULATORS[row.arch], *options, str(path)]
        done = subprocess.run(command, capture_output=True, timeout=120, check=False)
    if done.returncode != 0 or len(done.stdout) != len(memory):
        raise SystemExit(f"{' '.join(command)} ended with {done.returncode}: {done.stderr!r}")
    return done.stdout


def under_wasmtime(call: Call, memory: bytes, base: int) -> bytes:
    """Make a call in a module of its own."""
    import wasmtime

    engine = wasmtime.Engine()
    store = wasmtime.Store(engine)
    code = assemble.object_code(call.kernel.module())
    module = wasmtime.Module(engine, exporting(code, call.name))
    pages = (base + len(memory) + SCRATCH_BYTES >> 16) + 1
    limits = wasmtime.Limits(pages, None)
    linear = wasmtime.Memory(store, wasmtime.MemoryType(limits))
    stack = wasmtime.GlobalType(wasmtime.ValType.i32(), True)
    given = {
        "__linear_memory": linear,
        "__stack_pointer": wasmtime.Global(store, stack, wasmtime.Val.i32(base)),
        **memory_routines(store, linear),
    }
    imports = [given[item.name] for item in module.imports]
    linear.write(store, memory, base)
    instance = wasmtime.Instance(store, module, imports)
    instance.exports(store)[call.name](store, call.arguments, call.scratch)
    return bytes(linear.read(store, base, base + len(memory)))


def memory_routines(store: object, linear: object) -> dict[str, object]:
    """Return the routines for memory that LLVM may call, as functions of the module's memory."""
    import wasmtime

    word = wasmtime.ValType.i32()

    def copy(to: int, source: int, count: int) -> int:
        linear.write(store, linear.read(store, source, source + count), to)
        return to

    def fill(to: int, value: int, count: int) -> int:
        linear.write(store, bytes([value & 255]) * count, to)
        return to

    kind = wasmtime.FuncType([word] * 3, [word])
    rows = {"memcpy": copy, "memmove": copy, "memset": fill}
    return {name: wasmtime.Func(store, kind, function) for name, function in rows.items()}


class Reader:
    """Reads the numbers and names of a WebAssembly file."""

    def __init__(self, data: bytes, place: int = 0) -> None:
        self.data = data
        self.place = place

    def number(self) -> int:
        result = shift = 0
        while True:
            byte = self.data[self.place]
            self.place += 1
            result |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return result

    def text(self) -> bytes:
        size = self.number()
        self.place += size
        return self.data[self.place - size : self.place]


def exporting(code: bytes, name: str) -> bytes:
    """Return an object file with its function `name` exported: what a linker would add."""
    reader, first_code = Reader(code, 8), None
    while reader.place < len(code):
        start = reader.place
        kind, size = reader.number(), reader.number()
        end = reader.place + size
        if kind in (10, 12) and first_code is None:
            first_code = start
        if kind == 0 and reader.text() == b"linking":
            index = function_index(Reader(code[:end], reader.place), name.encode())
        reader.place = end
    entry = b"\x01" + leb(len(name)) + name.encode() + b"\x00" + leb(index)
    return code[:first_code] + b"\x07" + leb(len(entry)) + entry + code[first_code:]


def function_index(reader: Reader, name: bytes) -> int:
    """Return the number of a function, from the symbols at `reader`."""
    reader.number()  # version
    while reader.place < len(reader.data):
        kind, size = reader.number(), reader.number()
        end = reader.place + size
        if kind == 8:
            for _ in range(reader.number()):
                found, index = symbol(reader)
                if found == name:
                    return index
        reader.place = end
    raise SystemExit(f"the object file holds no function {name!r}")


def symbol(reader: Reader) -> tuple[bytes, int]:
    """Return name and number of the next symbol; -1 where it is no function."""
    kind, flags = reader.number(), reader.number()
    is_outside, is_named = flags & 0x10, flags & 0x40
    if kind == 1:
        name = reader.text()
        for _ in range(0 if is_outside else 3):
            reader.number()
        return name, -1
    index = reader.number()
    name = b"" if kind == 3 or (is_outside and not is_named) else reader.text()
    return name, index if kind == 0 else -1


def leb(number: int) -> bytes:
    low, rest = number & 127, number >> 7
    return bytes([low]) if not rest else bytes([low | 128]) + leb(rest)

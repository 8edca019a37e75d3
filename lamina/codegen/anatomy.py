"""What a compiled kernel is made of, read from its assembly: registers, spills, instructions."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from lamina.codegen import assemble
from lamina.codegen.jit import Kernel

# How vector registers are written, and memory at a fixed place of the stack.
_REGISTERS = {
    "x86_64": re.compile(r"%[xyz]mm(\d+)"),
    "aarch64": re.compile(r"\b[vqds](\d+)\b"),
    "riscv64": re.compile(r"\bv(\d+)\b"),
}
_STACK = {
    "x86_64": re.compile(r"(?<![\w)])-?\d*\(%rsp\)"),
    "aarch64": re.compile(r"\[sp(, #-?\d+)?\]"),
    "riscv64": re.compile(r"\bv[ls]\d+r"),  # whole registers move for this alone
}
_LABEL = re.compile(r"^(\.L\w+):")
_JUMP = re.compile(r"^\s+(?:j\w*|b[\w.]*|cbn?z|tbn?z)\s.*?(\.L\w+)\s*$")


_FUNCTION = re.compile(r"^([A-Za-z_]\w*):", re.MULTILINE)
_INSTRUCTION = re.compile(r"^\s+[a-z]", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Anatomy:
    """Of one function: vector registers used, spills, instructions.

    A spill is a vector read from the stack or written there, at a fixed place, in an innermost
    loop: a register that had to make room, or an array of the kernel's own that is indexed with
    constants.
    """

    registers: int
    spills: int
    instructions: int


def anatomy(kernel: Kernel) -> dict[str, Anatomy]:
    """Return the anatomy of each function of a kernel, compiled anew."""
    arch = kernel.target.arch
    pieces = _FUNCTION.split(assemble.assembly(kernel.module()))[1:]
    return {
        name: Anatomy(
            registers=len(set(_REGISTERS[arch].findall(text))) if arch in _REGISTERS else 0,
            spills=_spills(arch, text) if arch in _STACK else 0,
            instructions=len(_INSTRUCTION.findall(text)),
        )
        for name, text in zip(pieces[::2], pieces[1::2], strict=True)
    }


def _spills(arch: str, text: str) -> int:
    is_vector, is_stack = _REGISTERS[arch], _STACK[arch]
    lines = (line for loop in innermost_loops(text) for line in loop)
    return sum(bool(is_vector.search(line) and is_stack.search(line)) for line in lines)


def innermost_loops(assembly: str) -> Iterator[list[str]]:
    """Give the lines of each loop that has no loop inside."""
    lines = assembly.splitlines()
    places: dict[str, int] = {}
    loops: list[tuple[int, int]] = []
    for number, line in enumerate(lines):
        label, jump = _LABEL.match(line), _JUMP.match(line)
        if label:
            places[label[1]] = number
        elif jump and jump[1] in places:
            loops.append((places[jump[1]], number))
    for start, end in loops:
        inside = any(start <= s and e <= end and (s, e) != (start, end) for s, e in loops)
        if not inside:
            yield lines[start : end + 1]

"""How the places that object code leaves open are filled in: one table for each architecture.

A rule is called as rule(memory, place, base, target): `place` and `target` are offsets in
`memory`, which will be run at the address `base`.
https://github.com/ARM-software/abi-aa/blob/main/aaelf64/aaelf64.rst,
https://github.com/riscv-non-isa/riscv-elf-psabi-doc/blob/master/riscv-elf.adoc
"""

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

Rule = Callable[[Any, int, int, int], None]


@dataclass(frozen=True, slots=True)
class Architecture:
    """What the loader has to know of a machine.

    `jump` goes to the address that follows it, from anywhere. A rule of `paired` fills the low
    part of a distance whose high part stands where its symbol points.
    """

    name: str
    jump: bytes
    rules: Mapping[int, Rule]
    paired: Mapping[int, Rule] = field(default_factory=dict)


def _absolute64(memory: Any, place: int, base: int, target: int) -> None:
    struct.pack_into("<Q", memory, place, base + target)


def _relative(code: str) -> Rule:
    def fill(memory: Any, place: int, base: int, target: int) -> None:
        struct.pack_into(code, memory, place, target - place)

    return fill


def _patch(memory: Any, place: int, bits: int, code: str = "<I") -> None:
    (instruction,) = struct.unpack_from(code, memory, place)
    struct.pack_into(code, memory, place, instruction | bits)


def _add(sign: int) -> Rule:
    """Differences of two addresses are told as one added and one taken away."""

    def fill(memory: Any, place: int, base: int, target: int) -> None:
        (held,) = struct.unpack_from("<I", memory, place)
        struct.pack_into("<I", memory, place, held + sign * (base + target) & 0xFFFFFFFF)

    return fill


def _arm_page(memory: Any, place: int, base: int, target: int) -> None:
    pages = (base + target >> 12) - (base + place >> 12)
    _patch(memory, place, (pages & 3) << 29 | (pages >> 2 & 0x7FFFF) << 5)


def _arm_low(shift: int) -> Rule:
    def fill(memory: Any, place: int, base: int, target: int) -> None:
        _patch(memory, place, (base + target & 0xFFF) >> shift << 10)

    return fill


def _arm_branch(memory: Any, place: int, base: int, target: int) -> None:
    _patch(memory, place, target - place >> 2 & 0x3FFFFFF)


def _riscv_high(memory: Any, place: int, base: int, target: int) -> None:
    _patch(memory, place, (target - place + 0x800) & 0xFFFFF000)


def _riscv_low_load(memory: Any, place: int, base: int, distance: int) -> None:
    _patch(memory, place, (distance & 0xFFF) << 20)


def _riscv_low_store(memory: Any, place: int, base: int, distance: int) -> None:
    _patch(memory, place, (distance >> 5 & 0x7F) << 25 | (distance & 0x1F) << 7)


def _riscv_call(memory: Any, place: int, base: int, target: int) -> None:
    _riscv_high(memory, place, base, target)
    _riscv_low_load(memory, place + 4, base, target - place)


# Numbers of ELF machines; those of the rules are from each architecture's ABI.
ARCHITECTURES = {
    62: Architecture(
        "x86_64",
        jump=bytes.fromhex("ff2500000000"),  # jmp *0(%rip)
        rules={1: _absolute64, 2: _relative("<i"), 4: _relative("<i"), 24: _relative("<q")},
    ),
    183: Architecture(
        "aarch64",
        jump=bytes.fromhex("5000005800021fd6"),  # ldr x16, +8; br x16
        rules={
            257: _absolute64, 260: _relative("<q"), 261: _relative("<i"), 275: _arm_page,
            277: _arm_low(0), 278: _arm_low(0), 284: _arm_low(1), 285: _arm_low(2),
            286: _arm_low(3), 299: _arm_low(4), 282: _arm_branch, 283: _arm_branch,
        },
    ),
    243: Architecture(
        "riscv64",
        jump=bytes.fromhex("17030000033303016700030013000000"),  # ld t1, +16; jr t1
        rules={
            2: _absolute64, 18: _riscv_call, 19: _riscv_call, 23: _riscv_high,
            35: _add(1), 39: _add(-1),
        },
        paired={24: _riscv_low_load, 25: _riscv_low_store},
    ),
}  # fmt: skip

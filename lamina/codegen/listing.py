"""A kernel as text, in the words of the language: stable, so that two of them can be compared.

Loops and branches are those of `control`, found again by the names of their blocks. Values are
numbered in the order in which they are made, parameters keep their names, an address that is only
read or written stands in brackets, and what LLVM calls by long names is called as in the language.
"""

import re
from collections.abc import Generator, Iterable, Iterator
from typing import Any

from lamina.codegen.types import LLVM_ORDERS
from lamina.codegen.verifier import shown

_OPERATORS = {
    "add": "+", "fadd": "+", "sub": "-", "fsub": "-", "mul": "*", "fmul": "*", "fdiv": "/",
    "sdiv": "//", "udiv": "//", "srem": "%", "urem": "%", "and": "&", "or": "|", "xor": "^",
    "shl": "<<", "ashr": ">>", "lshr": ">>",
}  # fmt: skip
_COMPARISONS = {"lt": "<", "le": "<=", "gt": ">", "ge": ">=", "eq": "==", "ne": "!="}
_WORDS = {"inttoptr": "pointer at", "extractelement": "lane", "insertelement": "with lane"}
_ATOMIC = {"cmpxchg": "compare_exchange", "xchg": "exchange"}
_ORDERS = {llvm_order: order for order, llvm_order in LLVM_ORDERS.items()}
_CASTS = ("trunc", "zext", "sext", "fptrunc", "fpext", "sitofp", "uitofp")
_ELSEWHERE = ("phi", "br", "ret void")
_TYPE_SUFFIX = re.compile(r"(\.(v\d+)?[if]\d+|\.p0)+$")
_INDENT = "    "


def listing(module: Any) -> str:
    """Return the text of every function that `module` defines."""
    functions = (function for function in module.functions if function.blocks)
    return "\n\n".join("\n".join(_Listing(function).lines()) for function in functions) + "\n"


def _is(block: Any, *kinds: str) -> bool:
    """Return whether `block` is one of these parts of a loop or branch."""
    return re.fullmatch(rf".*?({'|'.join(kinds)})(\.\d+)?", block.name) is not None


class _Listing:
    """The text of one function."""

    def __init__(self, function: Any) -> None:
        self.function = function
        self.names: dict[int, str] = {id(a): a.name for a in function.args}
        self.count = 0
        self.uses: dict[int, list[Any]] = {}
        for block in function.blocks:
            for instruction in block.instructions:
                for operand in _operands(instruction):
                    self.uses.setdefault(id(operand), []).append(instruction)

    def lines(self) -> Iterator[str]:
        parameters = ", ".join(f"{a.name}: {shown(a.type)}" for a in self.function.args)
        yield f"function {self.function.name}({parameters})"
        yield from self._region(self.function.entry_basic_block, None, 1)

    def _region(self, block: Any, stop: Any, depth: int) -> Iterator[str]:
        """Give the lines from `block` on, as far as `stop` or the end."""
        while block is not None and block is not stop:
            yield from self._instructions(block.instructions, depth)
            block = yield from self._onward(block.terminator, stop, depth)

    def _onward(self, end: Any, stop: Any, depth: int) -> Generator[str, None, Any]:
        """Give what hangs on the end of a block; return the block that follows."""
        if end is None or end.opname != "br":
            return None
        *condition, target = end.operands
        if not condition:
            if target is not stop and _is(target, "head"):
                return (yield from self._loop(target, depth))
            if target is not stop and _is(target, "test"):
                return (yield from self._repeat(target, depth))
            return target
        (truth, taken), other = condition, target
        if taken is stop:
            return None
        yield f"{_INDENT * depth}when {self._name(truth)}"
        if _is(other, r"\.endif"):
            yield from self._region(taken, other, depth + 1)
            return other
        # llvmlite makes the block where both branches meet just after the two.
        join = self.function.blocks[self.function.blocks.index(other) + 1]
        yield from self._region(taken, join, depth + 1)
        yield f"{_INDENT * depth}otherwise"
        yield from self._region(other, join, depth + 1)
        return join

    def _loop(self, head: Any, depth: int) -> Generator[str, None, Any]:
        index, *carried = (i for i in head.instructions if i.opname == "phi")
        test, body, after = head.terminator.operands
        first, following = (value for value, _ in index.incomings)
        bounds = f"from {self._name(first)} below {self._name(test.operands[1])}"
        step = self._name(following.operands[1])
        starts = [self._name(phi.incomings[0][0]) for phi in carried]
        yield f"{_INDENT * depth}loop {self._new(index)} {bounds} step {step}"
        inner = _INDENT * (depth + 1)
        for phi, start in zip(carried, starts, strict=True):
            yield f"{inner}carry {self._new(phi)}: {shown(phi.type)} = {start}"
        self.names[id(following)] = ""
        yield from self._region(body, head, depth + 1)
        for phi in carried:
            yield f"{inner}next {self._name(phi)} = {self._name(phi.incomings[1][0])}"
        return after

    def _repeat(self, test: Any, depth: int) -> Generator[str, None, Any]:
        yield f"{_INDENT * depth}repeat"
        blocks = self.function.blocks
        # The three are made one after the other.
        place = blocks.index(test)
        body, after = blocks[place + 1], blocks[place + 2]
        yield from self._region(test, body, depth + 1)
        ends = (block.terminator for block in blocks if block.terminator)
        truth = next(end.operands[0] for end in ends if body in end.operands)
        yield f"{_INDENT * (depth + 1)}while {self._name(truth)}"
        yield from self._region(body, test, depth + 1)
        return after

    def _instructions(self, instructions: Iterable[Any], depth: int) -> Iterator[str]:
        for instruction in instructions:
            if instruction.opname in _ELSEWHERE or self.names.get(id(instruction)) == "":
                continue
            if self._is_inner(instruction):
                continue
            text = self._text(instruction)
            if shown(instruction.type) == "void":
                yield f"{_INDENT * depth}{text}"
            else:
                name = self._new(instruction)
                yield f"{_INDENT * depth}{name}: {_kind(instruction)} = {text}"

    def _is_inner(self, instruction: Any) -> bool:
        """Return whether an instruction is told with the one that uses it."""
        uses = self.uses.get(id(instruction), [])
        if instruction.opname == "getelementptr":
            return bool(uses) and all(_is_access(use, instruction) for use in uses)
        is_first = instruction.opname == "insertelement" and _is_undefined(instruction.operands[0])
        return is_first and all(_is_splat(use) for use in uses)

    def _text(self, i: Any) -> str:
        names = [self._name(operand) for operand in _operands(i)]
        match i.opname:
            case "icmp" | "fcmp":
                return f"{names[0]} {_COMPARISONS[i.op[-2:]]} {names[1]}"
            case "load":
                return f"load {self._at(i.operands[0])}"
            case "store":
                kind = (
                    f": {shown(i.operands[0].type)}" if hasattr(i.operands[0], "constant") else ""
                )
                return f"store {names[0]}{kind} to {self._at(i.operands[1])}"
            case "getelementptr":
                return f"{names[0]} + {' + '.join(names[1:])}"
            case "alloca":
                return f"stack of {names[0] if names else 1} {shown(i.allocated_type)}"
            case "shufflevector" if _is_splat(i):
                return f"splat {self._name(i.operands[0].operands[1])}"
            case "shufflevector":
                lanes = " ".join(str(lane.constant) for lane in i.operands[2].constant)
                return f"shuffle {names[0]}, {names[1]} to <{lanes}>"
            case "call":
                return self._call(i, names)
        if hasattr(i, "ordering"):
            what = getattr(i, "operation", i.opname.removesuffix(" atomic"))
            text = f"{_ORDERS[i.ordering]} {_ATOMIC.get(what, what)} {', '.join(names)}"
            return text.rstrip()
        if i.opname in _OPERATORS:
            return f"{names[0]} {_OPERATORS[i.opname]} {names[1]}"
        word = "convert" if i.opname in _CASTS else _WORDS.get(i.opname, i.opname)
        return f"{word} {', '.join(names)}"

    def _call(self, call: Any, names: list[str]) -> str:
        name = getattr(call.callee, "name", "assembly")
        if id(call.callee) in self.names:
            return f"call at {self._name(call.callee)}({', '.join(names)})"
        if not name.startswith("llvm."):
            return f"call {name}({', '.join(names)})"
        return f"{_TYPE_SUFFIX.sub('', name.removeprefix('llvm.'))} {', '.join(names)}"

    def _at(self, pointer: Any) -> str:
        if getattr(pointer, "opname", "") == "getelementptr" and self._is_inner(pointer):
            base, *indices = (self._name(operand) for operand in pointer.operands)
            return f"{base}[{' + '.join(indices)}]"
        return f"{self._name(pointer)}[0]"

    def _new(self, instruction: Any) -> str:
        self.names[id(instruction)] = f"%{self.count}"
        self.count += 1
        return self.names[id(instruction)]

    def _name(self, operand: Any) -> str:
        if id(operand) in self.names:
            return self.names[id(operand)]
        return _number(operand) if hasattr(operand, "constant") else f"@{operand.name}"


def _kind(instruction: Any) -> str:
    element = getattr(instruction, "source_etype", None)
    return f"pointer to {shown(element)}" if element else shown(instruction.type)


def _operands(instruction: Any) -> list[Any]:
    """Return what an instruction takes, in the order of the language."""
    if instruction.opname == "call":
        return list(instruction.args)
    if instruction.opname == "phi":
        return [value for value, _ in instruction.incomings]
    return [operand for operand in instruction.operands if operand is not None]


def _is_access(user: Any, address: Any) -> bool:
    """Return whether `user` does nothing with an address but read or write elements there."""
    kind = getattr(address, "source_etype", None)
    if user.opname == "load":
        return getattr(user.type, "element", user.type) == kind
    if user.opname == "store" and user.operands[0] is not address:
        stored = user.operands[0].type
        return getattr(stored, "element", stored) == kind
    return False


def _is_undefined(value: Any) -> bool:
    return "undef" in str(getattr(value, "constant", "")).lower()


def _is_splat(instruction: Any) -> bool:
    if instruction.opname != "shufflevector":
        return False
    first, _, lanes = instruction.operands
    is_zero = all(lane.constant == 0 for lane in lanes.constant)
    return is_zero and getattr(first, "opname", "") == "insertelement"


def _number(constant: Any) -> str:
    """Return a constant as Python writes it; a vector of one number as that number."""
    content = constant.constant
    if isinstance(content, list | tuple):
        numbers = [_number(lane) for lane in content]
        return numbers[0] if len(set(numbers)) == 1 else f"<{' '.join(numbers)}>"
    return "undefined" if _is_undefined(constant) else repr(content)

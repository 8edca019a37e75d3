"""The rules of the language, kept while a kernel is emitted: so an error has a line to point at.

Two hold for every instruction: it takes values of its own function, and none that was made in a
loop or branch that has ended. Those for single instructions are a table.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from lamina.codegen import llvm
from lamina.errors import CompileError

Rule = Callable[[Any], str | None]


def shown(kind: Any) -> str:
    """Return a type of LLVM as the language writes it."""
    ir = llvm.ir
    if isinstance(kind, ir.VectorType):
        return f"{shown(kind.element)}×{kind.count}"
    if isinstance(kind, ir.PointerType):
        return "pointer"
    return {ir.FloatType(): "f32", ir.DoubleType(): "f64", ir.HalfType(): "f16"}.get(
        kind, str(kind)
    )


def _lanes(kind: Any) -> int:
    return kind.count if isinstance(kind, llvm.ir.VectorType) else 1


def _is_truth(kind: Any) -> bool:
    element = kind.element if isinstance(kind, llvm.ir.VectorType) else kind
    return bool(element == llvm.ir.IntType(1))


def _same(instruction: Any) -> str | None:
    a, b = (operand.type for operand in instruction.operands)
    if a == b:
        return None
    return f"operands of {shown(a)} and {shown(b)} do not meet\nconvert or splat one of them"


def _choice(instruction: Any) -> str | None:
    condition, a, b = (operand.type for operand in instruction.operands)
    if a != b:
        return f"select: {shown(a)} or {shown(b)}\nboth outcomes must be of one type"
    if not _is_truth(condition) or _lanes(condition) not in (1, _lanes(a)):
        return (
            f"select: a condition of {shown(condition)} for values of {shown(a)}\n"
            "compare values with as many lanes"
        )
    return None


def _condition(instruction: Any) -> str | None:
    if not instruction.operands or not hasattr(instruction.operands[0], "type"):
        return None
    kind = instruction.operands[0].type
    if isinstance(kind, llvm.ir.LabelType) or kind == llvm.ir.IntType(1):
        return None
    return f"a branch on {shown(kind)}; expected one truth\ncompare a scalar, or use k.any(mask)"


def _call(instruction: Any) -> str | None:
    wanted = [argument.type for argument in getattr(instruction.callee, "args", ())]
    given = [argument.type for argument in instruction.args]
    if given == wanted or not wanted:
        return None
    name = instruction.callee.name.removeprefix("llvm.")
    return (
        f"{name}: takes ({', '.join(map(shown, wanted))}), got ({', '.join(map(shown, given))})\n"
        "give values of these types: masks have as many lanes as what they mask"
    )


def _lane(instruction: Any) -> str | None:
    vector, *_, lane = instruction.operands
    if not isinstance(vector.type, llvm.ir.VectorType):
        return f"{shown(vector.type)} has no lanes\ngive a vector"
    number = getattr(lane, "constant", 0)
    if number >= vector.type.count:
        return f"lane {number} of {shown(vector.type)}\ncount lanes from 0"
    return None


def _with_lane(instruction: Any) -> str | None:
    vector, scalar, _ = instruction.operands
    wrong = _lane(instruction)
    if wrong is None and vector.type.element != scalar.type:
        return f"{shown(scalar.type)} as a lane of {shown(vector.type)}\nconvert it"
    return wrong


def _address(instruction: Any) -> str | None:
    pointer = instruction.operands[-1 if instruction.opname.startswith("store") else 0]
    if isinstance(pointer.type, llvm.ir.PointerType):
        return None
    return f"{shown(pointer.type)} is no pointer; only pointers are indexed\nuse k.pointer_at"


def _index(instruction: Any) -> str | None:
    indices = instruction.operands[1:]
    wrong = _address(instruction)
    kinds = [index.type for index in indices if not isinstance(index.type, llvm.ir.IntType)]
    return wrong or (
        f"an index of {shown(kinds[0])}\nindices are whole scalars; k.gather takes a vector"
        if kinds
        else None
    )


RULES: dict[str, Rule] = {
    "icmp": _same,
    "fcmp": _same,
    "select": _choice,
    "br": _condition,
    "call": _call,
    "extractelement": _lane,
    "insertelement": _with_lane,
    "load": _address,
    "store": _address,
    "getelementptr": _index,
}


class Scopes:
    """Which loops and branches of a function are open, and in which one a value was made."""

    def __init__(self, function: Any) -> None:
        self.function = function
        self._open = ["function"]
        self._numbers = [0]
        self._count = 0
        self._made_in: dict[int, tuple[int, str]] = {}

    @contextmanager
    def scope(self, what: str) -> Iterator[None]:
        """Open a scope; what is made in it may not be used after it."""
        self._count += 1
        self._open.append(what)
        self._numbers.append(self._count)
        yield
        self._open.pop()
        self._numbers.pop()

    def note(self, instruction: Any, block: Any) -> None:
        """Say that `instruction` is made here."""
        is_entry = block is self.function.entry_basic_block
        place = 0 if is_entry else -1
        self._made_in[id(instruction)] = (self._numbers[place], self._open[place])

    def check(self, operand: Any) -> None:
        """Raise CompileError where `operand` may not be used here."""
        made = self._made_in.get(id(operand))
        if made is not None and made[0] in self._numbers:
            return
        ir = llvm.ir
        if isinstance(operand, ir.Instruction):
            owner = operand.function
        elif isinstance(operand, ir.Argument):
            owner = operand.parent
        else:
            return
        if owner is not self.function:
            raise CompileError(
                f"a value of {owner.name!r} is used in {self.function.name!r}\n"
                "pass it as an argument of the call"
            )
        if made is not None:
            raise CompileError(
                f"this value was made inside a {made[1]} that has ended\n"
                "carry it: k.loop(…, carry=[…]) and turn.next; or keep it in a k.cell(…)"
            )


@cache
def _verified_builder() -> Any:
    """Return llvmlite's builder with the rules built in; made late, as llvmlite is loaded late."""
    plain = llvm.ir.IRBuilder

    def insert(self: Any, instruction: Any) -> None:
        for operand in instruction.operands:
            self.scopes.check(operand)
        rule = RULES.get(instruction.opname)
        wrong = rule(instruction) if rule else None
        if wrong:
            raise CompileError(wrong)
        plain._insert(self, instruction)
        self.scopes.note(instruction, self.block)

    return type("VerifiedBuilder", (plain,), {"_insert": insert})


def verified_builder(function: Any) -> Any:
    """Return a builder of LLVM IR at the start of `function` that keeps the rules."""
    emit = _verified_builder()(function.append_basic_block("entry"))
    emit.scopes = Scopes(function)
    return emit

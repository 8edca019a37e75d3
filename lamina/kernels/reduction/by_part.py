"""The two kernels of few results of very many terms: parts of each, then what comes of the parts.

A part is so many blocks that the parts are branches of the tree that all blocks make: the bits are
those of one result computed at once.
"""

from __future__ import annotations

from lamina.codegen.builder import KernelModule
from lamina.codegen.types import Pointer, element_of, i8, i64
from lamina.codegen.values import Value
from lamina.kernels.expression import emit
from lamina.kernels.reduction.arguments import Arguments, Form
from lamina.kernels.reduction.by_row import terms_of
from lamina.kernels.reduction.order import BLOCK
from lamina.kernels.reduction.program import Result
from lamina.kernels.reduction.rows import RowFold

PART_BLOCKS = 256
PART = PART_BLOCKS * BLOCK


def _fold(given: Arguments, number: int, result: Value) -> RowFold:
    """Return phase `number`, with what the earlier ones gave for a result."""
    phase = given.form.program.phases[number]
    kept = given.k.pointer_at(given["parameters"], phase.scalar)
    parameters = [kept[given["results"] * before + result] for before in range(number)]
    return RowFold(given.k, phase, [*given.numbers(), *parameters])


def emit_parts(module: KernelModule, form: Form, number: int) -> None:
    """Define `run(arguments, _)`: claim parts and write their partial results of phase `number`."""
    with module.function("run", {"args": Pointer(i64), "scratch": Pointer(i8)}) as (k, args, _):
        given = Arguments(k, args, form)
        inputs = terms_of(given)

        with k.claimed(args, given["chunks"]) as part:
            result, place = part // given["parts"], part % given["parts"]
            fold = _fold(given, number, result)
            offsets = given.kept.locate(result)[form.program.outputs :]
            here = [x.moved(at) for x, at in zip(inputs, offsets, strict=True)]
            first = place * PART
            count = k.minimum(given["terms"] - first, PART)
            partial = fold.over(here, first, count, fold.tree())
            target = k.pointer_at(given["partial"], fold.phase.scalar)
            target.store(part * fold.lanes, partial)


def emit_together(module: KernelModule, form: Form, number: int) -> None:
    """Define `run(arguments, _)`: put the parts of each result of phase `number` together."""
    with module.function("run", {"args": Pointer(i64), "scratch": Pointer(i8)}) as (k, args, _):
        given = Arguments(k, args, form)
        last_phase = len(form.program.phases) - 1

        with k.claimed(args, given["chunks"]) as result:
            fold = _fold(given, number, result)
            source = k.pointer_at(given["partial"], fold.phase.scalar)
            source = source + result * given["parts"] * fold.lanes
            tree, last = fold.tree(), given["parts"] - 1
            with k.loop(last) as turn:
                tree.push(turn.index, [source.load(turn.index * fold.lanes, lanes=fold.lanes)])
            rest = source.load(last * fold.lanes, lanes=fold.lanes)
            whole = tree.collapse(last, [rest])[0]
            value = fold.finish(whole)
            if number < last_phase:
                kept = k.pointer_at(given["parameters"], fold.phase.scalar)
                kept[given["results"] * number + result] = value
            else:
                _store(given, result, [*fold.parameters, value])


def _store(given: Arguments, result: Value, parameters: list[Value]) -> None:
    offsets, outputs = given.kept.locate(result), given.pointers()
    for statement in given.form.program.statements:
        if isinstance(statement, Result):
            out = outputs[statement.output]
            value = emit(given.k, statement.value, parameters)
            out[offsets[statement.output]] = given.k.convert(value, element_of(out.type))

"""The kernel that works on one result after the other, its terms in the lanes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lamina.codegen.builder import Builder, KernelModule
from lamina.codegen.types import Pointer, element_of, i8, i64
from lamina.codegen.values import Value
from lamina.kernels.expression import Input, emit
from lamina.kernels.reduction.arguments import Arguments, Form
from lamina.kernels.reduction.program import Gather, Phase, Result, Write
from lamina.kernels.reduction.rows import UNIT, RowFold, Terms, write_row


def terms_of(given: Arguments) -> list[Terms]:
    """Return the inputs along their terms."""
    k, form = given.k, given.form
    inputs = []
    for place, pointer in enumerate(given.pointers()):
        if place >= form.program.outputs:
            way = form.ways[place]
            buffer = k.stack(element_of(pointer.type), UNIT) if way == "scattered" else None
            inputs.append(Terms(k, pointer, way, given.run, place, buffer))
    return inputs


def emit_rows(module: KernelModule, form: Form) -> None:
    """Define `run(arguments, _)`: claim chunks of results and work on them."""
    with module.function("run", {"args": Pointer(i64), "scratch": Pointer(i8)}) as (k, args, _):
        given = Arguments(k, args, form)
        outputs, inputs = given.pointers()[: form.program.outputs], terms_of(given)

        with k.claimed(args, given["chunks"]) as number:
            places = _gathering(k, given, outputs, number)

            def result(offsets: list[Value]) -> None:
                targets = [out + at for out, at in zip(places, offsets, strict=False)]
                moves = zip(inputs, offsets[len(places) :], strict=True)
                _Row(k, given, targets, [x.moved(at) for x, at in moves]).run()

            first = number * given["results_each"]
            last = k.minimum(first + given["results_each"], given["results"])
            given.kept.each(first, last, result)


def _gathering(
    k: Builder, given: Arguments, outputs: Sequence[Value], number: Value
) -> list[Value]:
    """Return the outputs, those that chunk `number` adds up in at a place of its own, cleared."""
    places = list(outputs)
    each = given["gathered_each"]
    for output in given.form.program.gathered():
        places[output] = places[output] + number * each
        scalar = element_of(places[output].type)
        write_row(k, _ZERO, scalar, places[output], [k.constant(scalar, 0)], [], each)
    return places


_ZERO = Input(0)


@dataclass(slots=True)
class _Row:
    """Emits the statements for one result."""

    k: Builder
    given: Arguments
    outputs: Sequence[Value]
    inputs: Sequence[Terms]

    def run(self) -> None:
        """Emit all of them."""
        parameters = self.given.numbers()
        for statement in self.given.form.program.statements:
            match statement:
                case Phase():
                    fold = RowFold(self.k, statement, tuple(parameters))
                    parameters.append(fold.finish(self._folded(fold)))
                case Result(output, value):
                    out = self.outputs[output]
                    found = emit(self.k, value, parameters)
                    out[0] = self.k.convert(found, element_of(out.type))
                case Write() | Gather():
                    self._write(statement, parameters)

    def _folded(self, fold: RowFold) -> Value:
        """Return the partial results of all terms."""
        k, tree, count = self.k, fold.tree(), self.given["terms"]
        if not self.given.form.outer:
            return fold.over(self.inputs, k.integer(0), count, tree)
        above = fold.tree()
        with k.loop(self.given["outer"]) as turn:
            _, here = self._moved(turn.index)
            above.push(turn.index, [fold.over(here, k.integer(0), count, tree)])
        return above.collapse(self.given["outer"], [fold.identity()])[0]

    def _write(self, statement: Write | Gather, parameters: Sequence[Value]) -> None:
        k, count = self.k, self.given["terms"]
        scalar = self.given.form.program.scalar
        adds = isinstance(statement, Gather)

        def line(outputs: Sequence[Value], inputs: Sequence[Terms]) -> None:
            sources = [s.at(k.integer(0), count) for s in inputs]
            out = outputs[statement.output]
            write_row(k, statement.value, scalar, out, sources, parameters, count, adds=adds)

        self._each_group(line)

    def _each_group(self, body: Callable[[Sequence[Value], Sequence[Terms]], None]) -> None:
        if not self.given.form.outer:
            body(self.outputs, self.inputs)
            return
        with self.k.loop(self.given["outer"]) as turn:
            body(*self._moved(turn.index))

    def _moved(self, group: Value) -> tuple[list[Value], list[Terms]]:
        """Return the operands where a group of terms begins."""
        offsets = self.given.outer.locate(group)
        count = len(self.outputs)
        outputs = [out + at for out, at in zip(self.outputs, offsets, strict=False)]
        moves = zip(self.inputs, offsets[count:], strict=True)
        return outputs, [x.moved(at) for x, at in moves]

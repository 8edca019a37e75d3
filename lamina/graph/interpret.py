"""The graph run op by op: what compiled programs are held to."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from lamina.graph.ir import Graph, Value
from lamina.memory import Array, pooled
from lamina.ops.registry import Op


@final
@dataclass(frozen=True, slots=True)
class Results:
    """What a run gives: the outputs, and what captured memory holds from then on."""

    outputs: tuple[Array, ...]
    writes: dict[Value, Array]


def interpret(graph: Graph, inputs: Sequence[Array], *, by_reference: bool = False) -> Results:
    """Return what `graph` makes of `inputs`; captured memory is read, not written.

    `by_reference` computes every op by its meaning in numpy, else as it runs eagerly.
    """
    held: dict[Value, Array] = dict(zip(graph.inputs, inputs, strict=True)) | dict(graph.captured)
    for node in graph.nodes:
        given = [held[x] for x in node.inputs]
        found = Op.run(node.op, *given) if by_reference else node.op.run(*given)
        outputs = found if isinstance(found, tuple) else (found,)
        held.update(zip(node.outputs, outputs, strict=True))
    outputs = tuple(held[x] for x in graph.outputs)
    return Results(outputs, {w.target: held[w.value] for w in graph.writes})


def carry_out(graph: Graph, inputs: Sequence[Array]) -> tuple[Array, ...]:
    """Run `graph` with its writes; return its outputs."""
    results = interpret(graph, inputs)
    outputs = tuple(map(_own, results.outputs))
    # All is read before anything is written: a value may be a view of memory that changes.
    values = {target: pooled(value.numpy()) for target, value in results.writes.items()}
    for target, value in values.items():
        array = graph.captured[target]
        array.numpy()[...] = value.numpy()
        array.storage.version += 1
    return outputs


def _own(array: Array) -> Array:
    return pooled(array.numpy())

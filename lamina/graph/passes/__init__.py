"""What is done to a graph before it runs: functions from graph to graph, one file each."""

from collections.abc import Callable

from lamina import dtypes
from lamina.graph import ir
from lamina.graph.passes.algebra import simplify
from lamina.graph.passes.chain_convolutions import chain_convolutions
from lamina.graph.passes.channels_last import channels_last
from lamina.graph.passes.common_subexpressions import share_common_subexpressions
from lamina.graph.passes.dead_code import remove_dead_code
from lamina.graph.passes.delay_reshapes import delay_reshapes
from lamina.graph.passes.fold_batch_norm import fold_batch_norm
from lamina.graph.passes.fuse_convolutions import fuse_convolutions
from lamina.graph.passes.fuse_elementwise import fuse_elementwise
from lamina.graph.passes.fuse_products import fuse_products
from lamina.graph.passes.fuse_reductions import fuse_reductions
from lamina.graph.passes.join_gradients import join_gradients
from lamina.graph.passes.lower_precision import lower_precision
from lamina.graph.passes.pack_products import pack_products
from lamina.graph.passes.prepare_filters import prepare_filters
from lamina.graph.passes.recognise_attention import recognise_attention
from lamina.graph.passes.recognise_norms import recognise_norms
from lamina.graph.passes.rematerialise import rematerialise

__all__ = [
    "PASSES",
    "Pass",
    "chain_convolutions",
    "channels_last",
    "delay_reshapes",
    "fold_batch_norm",
    "fuse_convolutions",
    "fuse_elementwise",
    "fuse_products",
    "fuse_reductions",
    "join_gradients",
    "lower_precision",
    "optimise",
    "pack_products",
    "prepare_filters",
    "recognise_attention",
    "recognise_norms",
    "rematerialise",
    "remove_dead_code",
    "share_common_subexpressions",
    "simplify",
]

Pass = Callable[[ir.Graph], ir.Graph]
PASSES: tuple[Pass, ...] = (
    remove_dead_code,
    simplify,
    share_common_subexpressions,
    join_gradients,
    recognise_attention,
    recognise_norms,
    remove_dead_code,
    fold_batch_norm,
    fuse_convolutions,
    channels_last,
    chain_convolutions,
    prepare_filters,
    delay_reshapes,
    fuse_products,
    pack_products,
    fuse_elementwise,
    fuse_reductions,
    remove_dead_code,
)


def optimise(
    graph: ir.Graph, *, memory_target: int | None = None, precision: dtypes.DType | None = None
) -> ir.Graph:
    """Return a graph that does the same with less work.

    Where there is a target of bytes, it keeps no more alive if it can, and computes again what it
    lets go; where there is a precision, its products read numbers of that.
    """
    before: dict[Pass, Pass] = {}
    if memory_target is not None:
        before[fuse_convolutions] = lambda graph: rematerialise(graph, memory_target)
    if precision is not None:
        before[pack_products] = lambda graph: lower_precision(graph, precision)
    sound: set[ir.Node] = set()
    for improve in PASSES:
        for step in (before.get(improve), improve):
            if step is not None:
                graph = step(graph)
                ir.verify(graph, sound)
    return graph

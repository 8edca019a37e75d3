"""What is done to a graph before it runs: functions from graph to graph, one file each."""

from collections.abc import Callable

from lamina.graph import ir
from lamina.graph.passes.algebra import simplify
from lamina.graph.passes.common_subexpressions import share_common_subexpressions
from lamina.graph.passes.dead_code import remove_dead_code
from lamina.graph.passes.fold_batch_norm import fold_batch_norm
from lamina.graph.passes.fuse_convolutions import fuse_convolutions
from lamina.graph.passes.fuse_elementwise import fuse_elementwise
from lamina.graph.passes.fuse_products import fuse_products
from lamina.graph.passes.pack_products import pack_products
from lamina.graph.passes.prepare_filters import prepare_filters
from lamina.graph.passes.recognise_attention import recognise_attention
from lamina.graph.passes.recognise_norms import recognise_norms
from lamina.graph.passes.rematerialise import rematerialise

__all__ = [
    "PASSES",
    "Pass",
    "fold_batch_norm",
    "fuse_convolutions",
    "fuse_elementwise",
    "fuse_products",
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
    recognise_attention,
    recognise_norms,
    remove_dead_code,
    fold_batch_norm,
    fuse_convolutions,
    prepare_filters,
    fuse_products,
    pack_products,
    fuse_elementwise,
    remove_dead_code,
)


def optimise(graph: ir.Graph, *, memory_target: int | None = None) -> ir.Graph:
    """Return a graph that does the same with less work; where there is a target of bytes, it keeps
    no more alive if it can, and computes again what it lets go.
    """
    for improve in PASSES:
        if improve is fuse_convolutions and memory_target is not None:
            graph = rematerialise(graph, memory_target)
            ir.verify(graph)
        graph = improve(graph)
        ir.verify(graph)
    return graph

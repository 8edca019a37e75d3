"""Calls of the attention kernels: operands checked, batch axes folded, work counted."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from struct import pack, unpack
from typing import NamedTuple

from lamina.codegen import jit, threads
from lamina.codegen.builder import KernelModule
from lamina.codegen.target import host_target
from lamina.errors import DTypeError, LayoutError, ShapeError
from lamina.kernels.apart import Extent, Neighbours
from lamina.kernels.attention import backward, forward, one_query
from lamina.kernels.attention.frame import Recipe, address_slot, words
from lamina.kernels.attention.tiles import Tiles, tiles_for
from lamina.kernels.launch import (
    FURTHER,
    PLANS_KEPT,
    WORKSPACE,
    Place,
    Plan,
    Step,
    View,
    argument_block,
    workers_for,
)
from lamina.kernels.operand import AXES, Operand, Shape, coalesce, flat, product
from lamina.kernels.scalars import SCALARS, STORED

_Laid = tuple[str, Shape, Shape]


class _Pass(NamedTuple):
    """A pass over queries and keys: its kernel, its operands, of which the first
    `outputs` are written, a thread's memory, its products, whether queries are cut into chunks.
    """

    emit: Callable[[KernelModule, Recipe], None]
    operands: tuple[str, ...]
    outputs: int
    sizes: Callable[[Tiles, int, int], dict[str, int]]
    products: int
    is_cut: bool


_FORWARD = _Pass(forward.emit_forward, forward.OPERANDS, 2, forward.sizes, 2, True)
_ONE_QUERY = _Pass(one_query.emit_one_query, forward.OPERANDS, 2, one_query.sizes, 2, False)
_BACKWARD = _Pass(backward.emit_backward, backward.OPERANDS, 3, backward.sizes, 5, False)
# Operands with a number for each query; the others are matrices.
_LINES = ("sums", "sums_grad")


def attention(
    out: Operand,
    sums: Operand,
    query: Operand,
    key: Operand,
    value: Operand,
    mask: Operand | None = None,
    *,
    scale: float,
    is_causal: bool = False,
) -> None:
    """Write softmax(query·keyᵀ·scale + mask)·value to `out`, and to `sums` the logarithms of the
    sums that the softmax divides by.

    `query` is (…, L, E), `key` (…, S, E), `value` (…, S, V), `out` (…, L, V), `sums` (…, L); a
    `mask` is (…, L, S) and bool (True: seen) or a float that is added. With `is_causal` query i
    sees keys 0 to i. Batch axes are equal; steps of 0 repeat. A query that sees no key gets
    zeros, and −∞ in `sums`. All but the mask are float32, or all float64.

    Raises DTypeError, ShapeError, and LayoutError where an output shares memory with another
    operand or with itself, or its last axis is not dense.
    """
    given = [out, sums, query, key, value] + ([] if mask is None else [mask])
    is_one = query.shape[-2:-1] == (1,) and not is_causal
    _run(_ONE_QUERY if is_one else _FORWARD, given, scale, is_causal)


def attention_gradient(
    outputs: tuple[Operand, Operand, Operand],
    grad: Operand,
    sums_grad: Operand,
    query: Operand,
    key: Operand,
    value: Operand,
    out: Operand,
    sums: Operand,
    mask: Operand | None = None,
    *,
    scale: float,
    is_causal: bool = False,
) -> None:
    """Write the gradients of query, key and value to `outputs`, given those of what `attention`
    wrote, and what it wrote.
    """
    given = [*outputs, grad, sums_grad, query, key, value, out, sums]
    _run(_BACKWARD, given + ([] if mask is None else [mask]), scale, is_causal)


def _run(which: _Pass, operands: Sequence[Operand], scale: float, is_causal: bool) -> None:
    laid = tuple([(x.dtype.name, x.shape, x.strides) for x in operands])
    plan, neighbours = _plan(which, laid, scale, is_causal, threads.num_threads())
    addresses = [x.address for x in operands]
    for place, output in enumerate(neighbours):
        others = addresses[:place] + addresses[place + 1 :]
        output.check([addresses[place], *others])
    plan.run(addresses[0], addresses[1], addresses[2], *addresses[3:])


@lru_cache(maxsize=PLANS_KEPT)
def _plan(
    which: _Pass, laid: tuple[_Laid, ...], scale: float, is_causal: bool, workers: int
) -> tuple[Plan, tuple[Neighbours, ...]]:
    names = which.operands[: len(laid)]
    mask = laid[-1][0] if len(laid) == len(which.operands) else None
    by_name = dict(zip(names, laid, strict=True))
    _check(which, by_name)
    extents = [Extent.of(shape, strides, STORED[dtype].bytes) for dtype, shape, strides in laid]
    neighbours = tuple(
        Neighbours.of("attention", [extents[place], *extents[:place], *extents[place + 1 :]])
        for place in range(which.outputs)
    )
    recipe = Recipe(laid[0][0], mask, is_causal)
    views = [
        View(Place(_base(number), 0), shape, strides, STORED[dtype].bytes)
        for number, (dtype, shape, strides) in enumerate(laid)
    ]
    return Plan(tuple(_Work(which, recipe, names, scale).steps(views))), neighbours


def _base(number: int) -> int:
    return number if number < WORKSPACE else number + (FURTHER - WORKSPACE)


def _check(which: _Pass, laid: dict[str, _Laid]) -> None:
    query, key, value = (laid[name][1] for name in ("query", "key", "value"))
    if min(len(query), len(key), len(value)) < 2:
        raise ShapeError(f"attention: {query}, {key}, {value} given; expected two axes at least")
    batch, (rows, features), (keys, values) = query[:-2], query[-2:], value[-2:]
    shapes = {
        "query": (rows, features), "key": (keys, features), "value": (keys, values),
        "out": (rows, values), "mask": (rows, keys), "sums": (rows,), "sums_grad": (rows,),
        "grad": (rows, values), "query_grad": (rows, features), "key_grad": (keys, features),
        "value_grad": (keys, values),
    }  # fmt: skip
    for place, (name, (dtype, shape, strides)) in enumerate(laid.items()):
        if shape != (*batch, *shapes[name]):
            raise ShapeError(f"attention: {name} {shape} given; expected {(*batch, *shapes[name])}")
        allowed = STORED if name == "mask" else {laid["query"][0]} & set(SCALARS)
        if dtype not in allowed:
            raise DTypeError(
                f"attention: {name} of {dtype} given; expected all of float32, or all of float64"
            )
        is_dense = place < which.outputs or name == "out"
        if is_dense and 0 not in shape and shape[-1] > 1 and strides[-1] != 1:
            raise LayoutError(f"attention: the last axis of {name} has step {strides[-1]}; copy it")


@dataclass(frozen=True, slots=True)
class _Work:
    """A pass to plan over views of its operands."""

    which: _Pass
    recipe: Recipe
    names: tuple[str, ...]
    scale: float

    def steps(self, views: list[View]) -> Iterator[Step]:
        """Yield the kernel calls: one for all batch axes that fold into four."""
        shape = views[self.names.index("query")].shape[:-2]
        if 0 in shape:
            return
        strides = (view.strides[: len(shape)] for view in views)
        axes = coalesce(list(zip(shape, *strides, strict=True)))
        yield from self._along(views, axes)

    def _along(self, views: list[View], axes: list[tuple[int, ...]]) -> Iterator[Step]:
        if len(axes) <= AXES:
            yield self._step(views, axes)
            return
        shortest = min(range(len(axes)), key=lambda axis: axes[axis][0])
        size, *strides = axes[shortest]
        for index in range(size):
            pairs = zip(views, strides, strict=True)
            moved = [view.moved(index * stride) for view, stride in pairs]
            yield from self._along(moved, axes[:shortest] + axes[shortest + 1 :])

    def _step(self, views: list[View], axes: list[tuple[int, ...]]) -> Step:
        by_name = dict(zip(self.names, views, strict=True))
        (queries, features), (keys, values) = (
            by_name[name].shape[-2:] for name in ("query", "value")
        )
        scalar = SCALARS[self.recipe.dtype]
        tiles = tiles_for(host_target(), scalar)
        batch = product(axes)
        parts = max(1, -(-queries // tiles.queries)) if self.which.is_cut else 1
        chunks = batch * parts
        (bits,) = unpack("q", pack("d", self.scale))
        head = (0, chunks, queries, keys, features, values, parts, bits)
        steps = [
            (view.strides[-1], 0) if name in _LINES else (view.strides[-2], view.strides[-1])
            for name, view in by_name.items()
        ]
        flops = self.which.products * batch * queries * keys * (features + values)
        scratch = sum(self.which.sizes(tiles, features, values).values()) * scalar.bytes
        return Step(
            jit.kernel(self.which.emit, self.recipe),
            argument_block(*words(head, steps, flat(axes, len(views)))),
            tuple((address_slot(number), view.place) for number, view in enumerate(views)),
            scratch,
            workers_for(flops=flops, chunks=chunks),
        )

"""Attention: values averaged by how well their keys answer a query."""

from math import sqrt
from typing import Any

import numpy as np

from lamina import dtypes
from lamina.errors import DTypeError, ShapeError
from lamina.layout import broadcast_shapes
from lamina.memory.array import NDArray
from lamina.ops.elementwise.arithmetic import where
from lamina.ops.layers.dropout import dropout
from lamina.ops.layers.softmax import Softmax
from lamina.ops.registry import Value
from lamina.ops.shapes.movement import expand, expand_dims, flatten, swap_axes
from lamina.philox import Generator, default_generator


def scaled_dot_product_attention(
    query: Value,
    key: Value,
    value: Value,
    attn_mask: Value | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
    *,
    generator: Generator = default_generator,
) -> Value:
    """Return softmax(`query` · `key`ᵀ · `scale` + mask) · `value`.

    `query` is (…, L, E), `key` (…, S, E), `value` (…, S, V), the result (…, L, V); leading axes
    broadcast, and with `enable_gqa` heads of key and value (axis −3) repeat to as many as the
    query's. `scale` is 1/√E by default. `attn_mask`, which stretches to (…, L, S), is bool (True:
    takes part) or is added to the scores; `is_causal` lets query i see keys 0 to i alone. A query
    that may see no key gives zeros, and zero gradients. Weights drop out with `dropout_p`. Vaswani
    et al., "Attention Is All You Need" (2017).

    >>> import lamina
    >>> q, k = lamina.zeros(1, 2), lamina.ones(2, 2)
    >>> scaled_dot_product_attention(q, k, lamina.tensor([[1.0], [3.0]]))
    Tensor([[2.]])
    """
    _check(query, key, value)
    if enable_gqa:
        key, value = _repeated(key, query), _repeated(value, query)
    rate = 1 / sqrt(max(query.shape[-1], 1)) if scale is None else scale
    scores = (query * rate) @ swap_axes(key, -1, -2)
    if is_causal:
        scores = where(_lower_triangle(scores.shape[-2], scores.shape[-1]), scores, -np.inf)
    if attn_mask is not None:
        scores = _masked(scores, attn_mask)
    weights = Softmax(len(scores.shape) - 1, empty="zero")(scores)
    return dropout(weights, dropout_p, generator) @ value


def _check(query: Value, key: Value, value: Value) -> None:
    shapes = (query.shape, key.shape, value.shape)
    fits = (
        min(len(shape) for shape in shapes) >= 2
        and query.shape[-1] == key.shape[-1]
        and key.shape[-2] == value.shape[-2]
    )
    if not fits:
        raise ShapeError(
            f"scaled_dot_product_attention: query {shapes[0]}, key {shapes[1]} and value "
            f"{shapes[2]} given; expected (…, L, E), (…, S, E) and (…, S, V)"
        )


def _lower_triangle(rows: int, columns: int) -> NDArray:
    return np.tri(rows, columns, dtype=bool)


def _masked(scores: Value, mask: Value) -> Value:
    kind = mask.dtype.kind
    if kind not in ("bool", "float"):
        raise DTypeError(
            f"scaled_dot_product_attention: mask of {mask.dtype.name} given; expected bool, or a "
            "float to be added"
        )
    _check_stretches(mask, scores)
    if mask.dtype is dtypes.bool_:
        return where(mask, scores, -np.inf)
    return scores + mask.to(scores.dtype)


def _check_stretches(mask: Value, scores: Value) -> None:
    try:
        broadcast_shapes(scores.shape, mask.shape)
    except ShapeError as error:
        raise ShapeError(f"scaled_dot_product_attention: mask: {error}") from None


def _repeated(x: Value, query: Value) -> Value:
    """Return `x` with each of its heads repeated, so that there are as many as in `query`."""
    heads = (query.shape[-3] if len(query.shape) > 2 else 0, x.shape[-3] if len(x.shape) > 2 else 0)
    if 0 in heads or heads[0] % heads[1]:
        raise ShapeError(
            f"scaled_dot_product_attention: {heads[0]} query heads and {heads[1]} of key or value "
            "given; expected the second to divide the first"
        )
    times: Any = heads[0] // heads[1]
    if times == 1:
        return x
    place = len(x.shape) - 2
    apart = expand_dims(x, place)
    stretched = expand(apart, (*x.shape[:place], times, *x.shape[place:]))
    return flatten(stretched, place - 1, place)

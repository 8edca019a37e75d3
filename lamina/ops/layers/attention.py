"""Attention: values averaged by how well their keys answer a query."""

from math import sqrt

from lamina.errors import DTypeError, ShapeError
from lamina.layout import Shape, broadcast_shapes
from lamina.ops.layers.dropout import dropout
from lamina.ops.layers.softmax import Softmax
from lamina.ops.layers.tiled_attention import Attention, masked_scores
from lamina.ops.registry import Value
from lamina.ops.shapes.movement import (
    expand,
    expand_dims,
    flatten,
    reshape,
    unflatten,
)
from lamina.philox import Generator, default_generator

_FEW_QUERIES = 4


def has_kernel(queries: int, *, is_causal: bool = False) -> bool:
    """Return whether one kernel does best: for one query, and for more than leave most lanes of
    tiles idle.
    """
    return queries >= _FEW_QUERIES or (queries == 1 and not is_causal)


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
    rate = 1 / sqrt(max(query.shape[-1], 1)) if scale is None else float(scale)
    mask = None if attn_mask is None else _checked_mask(query, key, attn_mask)
    if enable_gqa:
        return _grouped(query, key, value, mask, dropout_p, is_causal, rate, generator)
    return _attend(query, key, value, mask, dropout_p, is_causal, rate, generator)


def _attend(
    query: Value, key: Value, value: Value, mask: Value | None, rate: float, is_causal: bool,
    scale: float, generator: Generator,
) -> Value:  # fmt: skip
    """Return attention for heads that meet one to one, or broadcast."""
    is_alike = query.dtype is key.dtype is value.dtype and query.dtype.kind == "float"
    if rate or not is_alike or not has_kernel(query.shape[-2], is_causal=is_causal):
        return _step_by_step(query, key, value, mask, rate, is_causal, scale, generator)
    masks = [] if mask is None else [mask]
    batch = broadcast_shapes(*(x.shape[:-2] for x in (query, key, value, *masks)))
    operands = [_stretched(x, (*batch, *x.shape[-2:])) for x in (query, key, value)]
    out, _ = Attention(scale, is_causal)(*operands, *masks)
    return out


def _stretched(x: Value, shape: Shape) -> Value:
    return x if x.shape == shape else expand(x, shape)


def _step_by_step(
    query: Value, key: Value, value: Value, mask: Value | None, rate: float, is_causal: bool,
    scale: float, generator: Generator,
) -> Value:  # fmt: skip
    """Return attention by way of all scores: with dropout, and for a few queries, whose scores are
    few and for whom most lanes of a tile would be idle.
    """
    masks = [] if mask is None else [mask]
    scores = masked_scores(query, key, masks, scale, is_causal=is_causal)
    weights = Softmax(len(scores.shape) - 1, empty="zero")(scores)
    return dropout(weights, rate, generator) @ value


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


def _checked_mask(query: Value, key: Value, mask: Value) -> Value:
    """Return the mask with two axes at least."""
    if mask.dtype.kind not in ("bool", "float"):
        raise DTypeError(
            f"scaled_dot_product_attention: mask of {mask.dtype.name} given; expected bool, or a "
            "float to be added"
        )
    scores = (query.shape[-2], key.shape[-2])
    shape = (1,) * (2 - len(mask.shape)) + tuple(mask.shape)
    if any(size not in (1, whole) for size, whole in zip(shape[-2:], scores, strict=True)):
        raise ShapeError(
            f"scaled_dot_product_attention: mask {mask.shape} given; expected to stretch to "
            f"(…, {scores[0]}, {scores[1]})"
        )
    return mask if len(mask.shape) > 1 else reshape(mask, shape)


def _grouped(
    query: Value, key: Value, value: Value, mask: Value | None, rate: float, is_causal: bool,
    scale: float, generator: Generator,
) -> Value:  # fmt: skip
    """Return attention in which each head of key and value serves several of the query's."""
    heads, fewer = ((x.shape[-3] if len(x.shape) > 2 else 0) for x in (query, key))
    if not fewer or heads % fewer or value.shape[-3] != fewer:
        raise ShapeError(
            f"scaled_dot_product_attention: {heads} query heads and {fewer} of key or value "
            "given; expected the second to divide the first"
        )
    groups = (fewer, heads // fewer)
    if mask is not None and len(mask.shape) > 2:
        is_one = mask.shape[-3] == 1
        mask = expand_dims(mask, -3) if is_one else unflatten(mask, -3, groups)
    query = unflatten(query, -3, groups)
    key, value = (expand_dims(x, -3) for x in (key, value))
    out = _attend(query, key, value, mask, rate, is_causal, scale, generator)
    return flatten(out, -4, -3)

"""Attention as one op, whose kernels keep the scores in tiles, and its gradient."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, final

import numpy as np

from lamina import dtypes
from lamina import layout as lay
from lamina.codegen.target import compiles_here
from lamina.errors import DTypeError, ShapeError
from lamina.kernels.attention.entry import attention, attention_gradient
from lamina.kernels.elementwise import compute
from lamina.kernels.expression import Input
from lamina.kernels.scalars import SCALARS
from lamina.layout import Layout, broadcast_shapes
from lamina.memory import Array, Spec, empty
from lamina.memory.array import NDArray
from lamina.ops.elementwise.arithmetic import where
from lamina.ops.elementwise.functions import exp
from lamina.ops.halves import is_half, wide_dtype, widened
from lamina.ops.pointwise import unbroadcast
from lamina.ops.registry import OUT, Arrays, Op, Value, define
from lamina.ops.shapes.movement import expand_dims, swap_axes

_SAME = (Input(0),)


class _Attending(Op):
    """What both ops do with queries, keys, values and a mask."""

    __slots__ = ()
    scale: float
    is_causal: bool

    def check(self, query: Spec, key: Spec, value: Spec, mask: Sequence[Spec]) -> None:
        """Raise DTypeError or ShapeError for operands that do not fit each other."""
        if query.dtype.kind != "float" or not query.dtype == key.dtype == value.dtype:
            given = f"{query.dtype.name}, {key.dtype.name} and {value.dtype.name}"
            raise DTypeError(f"{self.name}: {given} given; expected three floats of one dtype")
        shapes = query.shape, key.shape, value.shape
        fits = (
            min(map(len, shapes)) >= 2
            and query.shape[:-2] == key.shape[:-2] == value.shape[:-2]
            and query.shape[-1] == key.shape[-1]
            and key.shape[-2] == value.shape[-2]
        )
        if not fits:
            raise ShapeError(
                f"{self.name}: {shapes} given; expected (…, L, E), (…, S, E) and (…, S, V)"
            )
        for spec in mask:
            scores = (*query.shape[:-1], key.shape[-2])
            if broadcast_shapes(spec.shape, scores) != scores:
                raise ShapeError(f"{self.name}: mask {spec.shape} given; expected {scores}")

    def hidden(self, scores: NDArray, mask: Sequence[NDArray]) -> NDArray:
        """Return scores with the mask, −∞ where a key is not seen."""
        for part in mask:
            scores = np.where(part, scores, -np.inf) if part.dtype == bool else scores + part
        if self.is_causal:
            scores = np.where(np.tri(*scores.shape[-2:]).astype(bool), scores, -np.inf)
        return scores

    def weights(self, query: Value, key: Value, sums: Value, mask: Sequence[Value]) -> Value:
        """Return e^(score − logarithm of the sum), with differentiable operators."""
        scores = masked_scores(query, key, mask, self.scale, is_causal=self.is_causal)
        return exp(scores - _column(where(sums == -np.inf, np.inf, sums)))


@define
@final
@dataclass(frozen=True, slots=True)
class Attention(_Attending):
    """softmax(q·kᵀ·scale + mask)·v, and the logarithms of the sums that the softmax divides by.

    A query that sees no key gives zeros, and −∞. Scores are never in memory all together.
    """

    name = "attention"
    saves = (0, 1, 2, 3, OUT)
    scale: float
    is_causal: bool = False

    def infer(self, *inputs: Spec) -> tuple[Spec, ...]:
        query, key, value, *mask = inputs
        self.check(query, key, value, mask)
        rows = query.shape[:-1]
        return Spec((*rows, value.shape[-1]), query.dtype), Spec(rows, wide_dtype(query.dtype))

    def ref(self, *inputs: NDArray) -> tuple[NDArray, NDArray]:
        query, key, value = map(widened, inputs[:3])
        scores = query @ key.swapaxes(-1, -2) * query.dtype.type(self.scale)
        scores = self.hidden(scores, inputs[3:])
        greatest = scores.max(axis=-1, keepdims=True, initial=-np.inf)
        greatest[np.isneginf(greatest)] = 0
        weights = np.exp(scores - greatest)
        total = weights.sum(axis=-1, keepdims=True)
        sums = (greatest + np.log(total))[..., 0]
        total[total == 0] = 1
        return weights / total @ value, sums

    def run(self, *inputs: Array) -> Arrays:
        query, key, value, *mask = (_wide(x) for x in inputs)
        if not compiles_here() or query.dtype.name not in SCALARS:
            return Op.run(self, *inputs)
        shape, sums_shape = (spec.shape for spec in self.infer(*[x.spec for x in inputs]))
        out, sums = dense_like(query, shape[-1]), empty(sums_shape, query.dtype)
        mask = [_stretched(x, (*query.shape[:-1], key.shape[-2])) for x in mask]
        attention(out, sums, query, key, value, *mask, scale=self.scale, is_causal=self.is_causal)
        return _narrow(out, inputs[0]), sums

    def vjp(self, grad: Value, out: Value, *inputs: Value) -> tuple[Any, ...]:
        query, key, value, *mask = inputs
        op = AttentionGradient(self.scale, self.is_causal)
        gradients = cache(lambda: op(*grad, query, key, value, *out, *mask))

        def by_mask() -> Value:
            weights = self.weights(query, key, out[1], mask)
            share = _column((grad[0] * out[0]).sum(axis=-1) - grad[1])
            slopes = weights * (grad[0] @ swap_axes(value, -1, -2) - share)
            return unbroadcast(slopes, mask[0]).to(mask[0].dtype)

        by_inputs = [lambda place=place: gradients()[place] for place in range(3)]
        has_slope = mask and mask[0].dtype is not dtypes.bool_
        return (*by_inputs, *([by_mask if has_slope else None] if mask else []))


@define
@final
@dataclass(frozen=True, slots=True)
class AttentionGradient(_Attending):
    """The gradients of query, key and value, given those of `attention`, its inputs and outputs.

    With g and ḡ the gradients of the output o and of the logarithms l, weights P = e^(scores − l):

        D = rowsum(g∘o) − ḡ,  Z = P∘(g·vᵀ − D),  q̄ = scale·Z·k,  k̄ = scale·Zᵀ·q,  v̄ = Pᵀ·g
    """

    name = "attention_gradient"
    scale: float
    is_causal: bool = False

    def infer(self, *inputs: Spec) -> tuple[Spec, ...]:
        _, _, query, key, value, _, _, *mask = inputs
        self.check(query, key, value, mask)
        return query, key, value

    def ref(self, *inputs: NDArray) -> tuple[NDArray, NDArray, NDArray]:
        grad, sums_grad, query, key, value, out, sums = map(widened, inputs[:7])
        scores = query @ key.swapaxes(-1, -2) * query.dtype.type(self.scale)
        scores = self.hidden(scores, inputs[7:])
        weights = np.exp(scores - np.where(np.isneginf(sums), np.inf, sums)[..., None])
        share = (grad * out).sum(axis=-1) - sums_grad
        slopes = weights * (grad @ value.swapaxes(-1, -2) - share[..., None]) * self.scale
        return slopes @ key, slopes.swapaxes(-1, -2) @ query, weights.swapaxes(-1, -2) @ grad

    def run(self, *inputs: Array) -> Arrays:
        grad, sums_grad, query, key, value, out, sums, *mask = (_wide(x) for x in inputs)
        if not compiles_here() or query.dtype.name not in SCALARS:
            return Op.run(self, *inputs)
        outputs = (dense_like(query), dense_like(key), dense_like(value))
        mask = [_stretched(x, (*query.shape[:-1], key.shape[-2])) for x in mask]
        if out.layout.strides[-1] != 1:
            out = _copied(out)
        attention_gradient(
            outputs, grad, sums_grad, query, key, value, out, sums, *mask,
            scale=self.scale, is_causal=self.is_causal,
        )  # fmt: skip
        return tuple(_narrow(x, inputs[2]) for x in outputs)

    def vjp(self, grad: Value, out: Value, *inputs: Value) -> tuple[Any, ...]:
        return _second_gradients(self, grad, inputs)


def _second_gradients(
    op: AttentionGradient, grad: tuple[Value, ...], inputs: tuple[Value, ...]
) -> tuple[Any, ...]:
    """Return the gradients of the inputs of `op`, given those u, w and z of q̄, k̄ and v̄.

    With E = scale·(u·kᵀ + q·wᵀ), X = E∘P and Y = P∘(E∘(g·vᵀ − D) + g·zᵀ):

        of g: X·v + P·z − rowsum(X)∘o,  of ḡ: rowsum X,  of o: −rowsum(X)∘g,  of l: −rowsum Y,
        of q: scale·(Y·k + Z·w),  of k: scale·(Yᵀ·q + Zᵀ·u),  of v: Xᵀ·g,  of the mask: Y
    """
    u, w, z = grad
    given, sums_grad, query, key, value, output, sums, *mask = inputs
    weights = op.weights(query, key, sums, mask)
    apart = given @ _turned(value) - _column((given * output).sum(axis=-1) - sums_grad)
    pull = (u @ _turned(key) + query @ _turned(w)) * op.scale
    x = cache(lambda: pull * weights)
    y = cache(lambda: weights * (pull * apart + given @ _turned(z)))
    total = cache(lambda: x().sum(axis=-1))
    slopes = cache(lambda: weights * apart)
    has_slope = mask and mask[0].dtype is not dtypes.bool_
    by_mask = (lambda: unbroadcast(y(), mask[0]).to(mask[0].dtype)) if has_slope else None
    return (
        lambda: x() @ value + weights @ z - _column(total()) * output,
        total,
        lambda: (y() @ key + slopes() @ w) * op.scale,
        lambda: (_turned(y()) @ query + _turned(slopes()) @ u) * op.scale,
        lambda: _turned(x()) @ given,
        lambda: -(_column(total()) * given),
        lambda: -y().sum(axis=-1),
        *([by_mask] if mask else []),
    )


def masked_scores(
    query: Value, key: Value, mask: Sequence[Value], scale: float, *, is_causal: bool
) -> Value:
    """Return query·keyᵀ·scale with the mask, −∞ where a key is not seen."""
    scores = (query * scale) @ swap_axes(key, -1, -2)
    for part in mask:
        if part.dtype is dtypes.bool_:
            scores = where(part, scores, -np.inf)
        else:
            scores = scores + part.to(scores.dtype)
    if is_causal:
        seen: NDArray = np.tri(*scores.shape[-2:]).astype(bool)
        scores = where(seen, scores, -np.inf)
    return scores


def _turned(x: Value) -> Value:
    return swap_axes(x, -1, -2)


def _column(x: Value) -> Value:
    return expand_dims(x, -1)


def dense_like(like: Array, width: int | None = None) -> Array:
    """Return an array of the shape of `like`, perhaps with another last size. Its axes lie in
    memory in the order of those of `like`, the last innermost: heads that were split off rows go
    back among them without a copy.
    """
    shape = like.shape if width is None else (*like.shape[:-1], width)
    strides = like.layout.strides
    order = sorted(range(len(shape) - 1), key=lambda axis: -abs(strides[axis]))
    order.append(len(shape) - 1)
    array = empty(tuple(shape[axis] for axis in order), like.dtype)
    back = [order.index(axis) for axis in range(len(shape))]
    return array.with_layout(lay.permute(array.layout, back))


def _wide(array: Array) -> Array:
    return _converted(array, dtypes.float32) if is_half(array.dtype) else array


def _narrow(array: Array, like: Array) -> Array:
    return array if array.dtype is like.dtype else _converted(array, like.dtype)


def _copied(array: Array) -> Array:
    return _converted(array, array.dtype)


def _converted(array: Array, dtype: dtypes.DType) -> Array:
    out = empty(array.shape, dtype)
    compute(_SAME, (out,), (array,))
    return out


def _stretched(array: Array, shape: lay.Shape) -> Array:
    layout: Layout = lay.expand(array.layout, shape)
    return array.with_layout(layout)

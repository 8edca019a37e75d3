"""Sums of products in index notation, computed as matrix products of permuted views."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, final

from lamina.errors import ArgumentError, AxisError, ShapeError
from lamina.layout import Shape, broadcast_shapes, normalize_axes, normalize_axis
from lamina.ops.algebra.products import Matmul
from lamina.ops.elementwise.arithmetic import multiply
from lamina.ops.elementwise.functions import conj
from lamina.ops.registry import Value
from lamina.ops.shapes.copying import concat
from lamina.ops.shapes.movement import (
    diagonal,
    expand,
    expand_dims,
    flatten,
    move_axes,
    permute,
    reshape,
    squeeze,
)

# A letter, or "…k" for the k-th axis from the last of those an ellipsis stands for.
Label = str
Labels = tuple[Label, ...]


@final
@dataclass(frozen=True, slots=True)
class _Term:
    """An operand, each axis of which has a label of its own."""

    value: Value
    labels: Labels

    def sizes(self) -> dict[Label, int]:
        return dict(zip(self.labels, self.value.shape, strict=True))

    def ordered(self, labels: Sequence[Label]) -> Value:
        """Return the value with its axes in the order of `labels`, all of its own."""
        order = tuple(self.labels.index(l) for l in labels)
        return self.value if order == tuple(range(len(order))) else permute(self.value, order)

    def summed(self, gone: set[Label]) -> "_Term":
        """Return the term with the axes `gone` summed away."""
        axes = self._places(gone)
        if not axes:
            return self
        return _Term(self.value.sum(axis=axes, dtype=self.value.dtype), self._without(gone))

    def squeezed(self, gone: set[Label]) -> "_Term":
        """Return the term without the axes `gone`, which have size 1."""
        axes = self._places(gone)
        return _Term(squeeze(self.value, axes), self._without(gone)) if axes else self

    def _places(self, labels: set[Label]) -> tuple[int, ...]:
        return tuple(a for a, l in enumerate(self.labels) if l in labels)

    def _without(self, labels: set[Label]) -> Labels:
        return tuple(l for l in self.labels if l not in labels)


def einsum(equation: str, *operands: Any) -> Value:
    """Return the sum of products that `equation` writes in index notation, "ij,jk->ik".

    Every letter names an axis; those missing on the right are summed. Without "->" the result has
    the letters that occur once, in alphabetical order. A repeated letter takes the diagonal, "..."
    stands for axes that broadcast. Pairs of operands are joined cheapest first, as matrix products.

    >>> import lamina
    >>> a = lamina.tensor([[1.0, 2.0], [3.0, 4.0]])
    >>> einsum("ij,jk->ik", a, a)
    Tensor([[ 7., 10.],
            [15., 22.]])
    >>> einsum("ii", a)
    Tensor(5.)
    """
    if len(operands) == 1 and isinstance(operands[0], list | tuple):
        operands = tuple(operands[0])
    sources, target = _parse(equation, [tuple(x.shape) for x in operands])
    terms = [_with_diagonals(x, labels) for x, labels in zip(operands, sources, strict=True)]
    return _contract(_without_stretched(terms), target)


def _contract(terms: list[_Term], target: Labels) -> Value:
    while len(terms) > 1:
        terms = [t.summed(_lonely(i, terms, target)) for i, t in enumerate(terms)]
        first, second = _cheapest(terms, target)
        rest = [t for i, t in enumerate(terms) if i not in (first, second)]
        kept = set(target).union(*(t.labels for t in rest))
        terms = [*rest, _joined(terms[first], terms[second], kept)]
    term = terms[0].summed(set(terms[0].labels) - set(target))
    return term.ordered(target)


def _lonely(place: int, terms: list[_Term], target: Labels) -> set[Label]:
    """Return the labels that occur in one term alone: its axes can be summed at once."""
    others = set(target).union(*(t.labels for i, t in enumerate(terms) if i != place))
    return set(terms[place].labels) - others


def _cheapest(terms: list[_Term], target: Labels) -> tuple[int, int]:
    """Return the pair whose product adds least to what must be stored, then costs least work."""
    pairs = [(i, j) for j in range(len(terms)) for i in range(j)]
    return min(pairs, key=lambda pair: _cost(pair, terms, target))


def _cost(pair: tuple[int, int], terms: list[_Term], target: Labels) -> tuple[int, int]:
    i, j = pair
    sizes = terms[i].sizes() | terms[j].sizes()
    kept = set(target).union(*(t.labels for k, t in enumerate(terms) if k not in (i, j)))
    stored = prod(n for l, n in sizes.items() if l in kept)
    spared = prod(terms[i].value.shape) + prod(terms[j].value.shape)
    return stored - spared, prod(sizes.values())


def _joined(a: _Term, b: _Term, kept: set[Label]) -> _Term:
    """Return the product of two terms, summed over the labels they share that nobody needs."""
    shared = set(a.labels) & set(b.labels)
    batch = tuple(l for l in a.labels if l in shared and l in kept)
    inner = tuple(l for l in a.labels if l in shared and l not in kept)
    left = tuple(l for l in a.labels if l not in shared)
    right = tuple(l for l in b.labels if l not in shared)
    if not inner:
        return _Term(_outer(a, b, batch, left, right), (*batch, *left, *right))
    sizes = a.sizes() | b.sizes()
    lead = [sizes[l] for l in batch]
    m, k, n = (prod(sizes[l] for l in labels) for labels in (left, inner, right))
    x = reshape(a.ordered((*batch, *left, *inner)), (*lead, m, k))
    y = reshape(b.ordered((*batch, *inner, *right)), (*lead, k, n))
    labels = (*batch, *left, *right)
    return _Term(reshape(Matmul()(x, y), [sizes[l] for l in labels]), labels)


def _outer(a: _Term, b: _Term, batch: Labels, left: Labels, right: Labels) -> Value:
    x = a.ordered((*batch, *left))
    y = b.ordered((*batch, *right))
    x = reshape(x, (*x.shape, *(1,) * len(right)))
    y = reshape(y, (*y.shape[: len(batch)], *(1,) * len(left), *y.shape[len(batch) :]))
    return multiply(x, y)


def _with_diagonals(x: Value, labels: Labels) -> _Term:
    """Return `x` with the axes of each repeated label made one, their diagonal."""
    while len(set(labels)) < len(labels):
        second = next(i for i, l in enumerate(labels) if l in labels[:i])
        first = labels.index(labels[second])
        if x.shape[first] != x.shape[second]:
            raise ShapeError(
                f"einsum: label {labels[first]!r} names axes of sizes {x.shape[first]} and "
                f"{x.shape[second]} of one operand; a diagonal needs equal sizes"
            )
        x = diagonal(x, 0, first, second)
        labels = (*(l for i, l in enumerate(labels) if i not in (first, second)), labels[first])
    return _Term(x, labels)


def _without_stretched(terms: list[_Term]) -> list[_Term]:
    """Return the terms without axes of size 1 that broadcast: they change no product."""
    sizes: dict[Label, int] = {}
    for term in terms:
        for label, size in term.sizes().items():
            known = sizes.setdefault(label, size)
            if known != size and 1 not in (known, size):
                raise ShapeError(
                    f"einsum: label {label!r} names axes of sizes {known} and {size}; "
                    "expected equal sizes, or 1"
                )
            sizes[label] = size if known == 1 else known
    return [
        t.squeezed({l for l, n in t.sizes().items() if n == 1 and sizes[l] != 1}) for t in terms
    ]


def _parse(equation: str, shapes: list[Shape]) -> tuple[list[Labels], Labels]:
    """Return the labels of each operand's axes and of the result's."""
    left, arrow, right = equation.replace(" ", "").partition("->")
    written = left.split(",")
    if len(written) != len(shapes):
        raise ArgumentError(
            f"einsum: {equation!r} names {len(written)} operands, {len(shapes)} given"
        )
    sources = [_labels(text, len(s), equation) for text, s in zip(written, shapes, strict=True)]
    ellipsis = max((sum(_is_dot(l) for l in labels) for labels in sources), default=0)
    dots = tuple(f"…{k}" for k in reversed(range(ellipsis)))
    if arrow:
        return sources, _target(right, dots, sources, equation)
    count = Counter(l for labels in sources for l in labels)
    once = sorted(l for l, n in count.items() if n == 1 and not _is_dot(l))
    return sources, (*dots, *once)


def _is_dot(label: Label) -> bool:
    return label.startswith("…")


def _labels(text: str, ndim: int, equation: str) -> Labels:
    """Return one label an axis for an operand written as `text`."""
    before, dots, after = text.partition("...")
    _check_letters(before + after, equation)
    spare = ndim - len(before + after)
    if spare < 0 or (spare > 0 and not dots):
        raise ShapeError(
            f"einsum: {text!r} in {equation!r} names {len(before + after)} axes of an operand that "
            f"has {ndim}"
        )
    return (*before, *(f"…{k}" for k in reversed(range(spare))), *after)


def _target(text: str, dots: Labels, sources: list[Labels], equation: str) -> Labels:
    before, has_dots, after = text.partition("...")
    _check_letters(before + after, equation)
    labels = (*before, *(dots if has_dots else ()), *after)
    unknown = set(labels).difference(*sources)
    if unknown or len(set(labels)) < len(labels):
        raise ArgumentError(
            f"einsum: the result {text!r} of {equation!r} repeats a label or has one that no "
            "operand has; name each once, and only labels from the left"
        )
    return labels


def _check_letters(letters: str, equation: str) -> None:
    if not all(c.isascii() and c.isalpha() for c in letters):
        raise ArgumentError(
            f"einsum: {equation!r} is not index notation; expected letters, commas, '...' and '->'"
        )


def tensordot(
    a: Value, b: Value, axes: int | tuple[int | Sequence[int], int | Sequence[int]] = 2
) -> Value:
    """Return Σ a·b over pairs of axes: the last of `a` with the first of `b`, or those named.

    The result has the other axes of `a`, then those of `b`.

    >>> import lamina
    >>> tensordot(lamina.ones(2, 3), lamina.ones(3, 4), axes=1).shape
    (2, 4)
    """
    if isinstance(axes, int):
        if not 0 <= axes <= min(len(a.shape), len(b.shape)):
            raise AxisError(f"tensordot: {axes} axes asked of shapes {a.shape} and {b.shape}")
        of_a: Sequence[int] = range(len(a.shape) - axes, len(a.shape))
        of_b: Sequence[int] = range(axes)
    else:
        of_a, of_b = _in_order(axes[0], len(a.shape)), _in_order(axes[1], len(b.shape))
    pairs = list(zip(of_a, of_b, strict=False))
    if len(of_a) != len(of_b) or any(a.shape[i] != b.shape[j] for i, j in pairs):
        raise ShapeError(
            f"tensordot: axes {tuple(of_a)} of {a.shape} with axes {tuple(of_b)} of {b.shape}; "
            "expected as many, of equal sizes"
        )
    left = [f"a{i}" for i in range(len(a.shape))]
    right = [f"b{j}" for j in range(len(b.shape))]
    for i, j in pairs:
        right[j] = left[i]
    target = [l for l in left if l not in right] + [l for l in right if l not in left]
    return _contract([_Term(a, tuple(left)), _Term(b, tuple(right))], tuple(target))


def _in_order(axes: int | Sequence[int], ndim: int) -> list[int]:
    named = [axes] if isinstance(axes, int) else list(axes)
    normalize_axes(named, ndim)
    return [normalize_axis(a, ndim) for a in named]


def outer(a: Value, b: Value) -> Value:
    """Return aᵢ·bⱼ of two vectors; operands of more axes are flattened first.

    >>> import lamina
    >>> outer(lamina.tensor([1, 2]), lamina.tensor([3, 4]))
    Tensor([[3, 4],
            [6, 8]])
    """
    return multiply(expand_dims(flatten(a), 1), flatten(b))


def vecdot(a: Value, b: Value, axis: int = -1) -> Value:
    """Return Σ conj(a)·b over one axis, counted from the last; the others broadcast.

    >>> import lamina
    >>> vecdot(lamina.tensor([[1, 2], [3, 4]]), lamina.tensor([1, 1]))
    Tensor([3, 7])
    """
    if not a.shape or not b.shape or a.shape[axis] != b.shape[axis]:
        raise ShapeError(
            f"vecdot: shapes {a.shape} and {b.shape} given; expected equal sizes along axis {axis}"
        )
    product = multiply(conj(a) if a.dtype.is_complex else a, b)
    return product.sum(axis=axis, dtype=product.dtype)


def cross(a: Value, b: Value, axis: int = -1) -> Value:
    """Return the cross product of vectors of 3 along `axis`; the other axes broadcast.

    >>> import lamina
    >>> cross(lamina.tensor([1, 0, 0]), lamina.tensor([0, 1, 0]))
    Tensor([0, 0, 1])
    """
    shape = broadcast_shapes(tuple(a.shape), tuple(b.shape))
    place = normalize_axis(axis, len(shape))
    behind = len(shape) - place
    if any(len(x.shape) < behind or x.shape[-behind] != 3 for x in (a, b)):
        raise ShapeError(
            f"cross: shapes {a.shape} and {b.shape} given; expected size 3 along axis {axis}"
        )
    a, b = (move_axes(expand(x, shape), place, 0) for x in (a, b))
    parts = [a[i] * b[j] - a[j] * b[i] for i, j in ((1, 2), (2, 0), (0, 1))]
    return move_axes(concat([expand_dims(p, 0) for p in parts]), 0, place)


def kron(a: Value, b: Value) -> Value:
    """Return the Kronecker product: `b` times each element of `a`, laid out in blocks.

    >>> import lamina
    >>> kron(lamina.tensor([1, 2]), lamina.tensor([1, 1]))
    Tensor([1, 1, 2, 2])
    """
    ndim = max(len(a.shape), len(b.shape))
    x, y = ((1,) * (ndim - len(v.shape)) + tuple(v.shape) for v in (a, b))
    apart = [n for size in x for n in (size, 1)]
    within = [n for size in y for n in (1, size)]
    product = multiply(reshape(a, apart), reshape(b, within))
    return reshape(product, [m * n for m, n in zip(x, y, strict=True)])

"""Discrete Fourier transforms, through numpy alone: no kernel and no gradient.

Single precision stays single: float32 gives complex64 and back.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, cast, final

import numpy as np

from lamina import dtypes
from lamina.errors import ArgumentError, DTypeError, ShapeError
from lamina.layout import normalize_axes
from lamina.memory import Spec
from lamina.memory.array import NDArray
from lamina.ops.elementwise.arithmetic import cast as convert
from lamina.ops.elementwise.functions import conj
from lamina.ops.registry import Op, Value, define

Kind = Literal["fftn", "ifftn", "rfftn", "irfftn"]
Norm = Literal["backward", "ortho", "forward"]

_REVERSED: dict[str, Norm] = {"backward": "forward", "ortho": "ortho", "forward": "backward"}


@define
@final
@dataclass(frozen=True, slots=True)
class Fourier(Op):
    """X[k] = Σₙ x[n]·exp(∓2πi·k·n/N) along each axis; the r forms keep half of a Hermitian axis.

    `sizes` are those of the signal: `x` is cut or filled with zeros to them.
    """

    name = "fourier"
    differentiable = False
    promotion = "float"
    kind: Kind
    sizes: tuple[int, ...]
    axes: tuple[int, ...]
    norm: Norm

    def infer(self, *inputs: Spec) -> Spec:
        (x,) = inputs
        if any(n < 1 for n in self.sizes):
            raise ShapeError(f"fft: {self.sizes} points given; expected 1 or more along each axis")
        if self.kind == "rfftn" and x.dtype.is_complex:
            raise DTypeError(f"rfft: {x.dtype.name} given, expected real numbers; use fft")
        shape = list(x.shape)
        for axis, size in zip(self.axes, self.sizes, strict=True):
            shape[axis] = size
        if self.kind == "rfftn":
            shape[self.axes[-1]] = self.sizes[-1] // 2 + 1
        of = dtypes.real_of if self.kind == "irfftn" else dtypes.complex_of
        return Spec(tuple(shape), of(dtypes.complex_of(x.dtype)))

    def ref(self, *inputs: NDArray) -> NDArray:
        transform = getattr(np.fft, self.kind)
        return transform(inputs[0], self.sizes, self.axes, self.norm)


def _norm(norm: str | None) -> Norm:
    found = "backward" if norm is None else norm
    if found not in _REVERSED:
        raise ArgumentError(f"norm {norm!r} given; expected 'backward', 'ortho' or 'forward'")
    return cast(Norm, found)


def _transform(
    kind: Kind, x: Value, sizes: Sequence[int] | None, axes: Sequence[int] | None, norm: str | None
) -> Value:
    ndim = len(x.shape)
    if axes is None and sizes is not None:
        axes = range(ndim - len(sizes), ndim)
    places = normalize_axes(axes, ndim)
    if not places:
        raise ArgumentError("fft: no axis to transform; give a tensor with one, and axes of it")
    half = kind == "irfftn"
    own = [x.shape[a] for a in places]
    own[-1] = 2 * (own[-1] - 1) if half else own[-1]
    wanted = [own[i] if n == -1 else int(n) for i, n in enumerate(sizes or own)]
    if len(wanted) != len(places):
        raise ArgumentError(f"fft: {len(wanted)} sizes given for {len(places)} axes; give one each")
    # Half precision has no transform of its own.
    source = convert(x, dtypes.float32) if x.dtype.itemsize == 2 and x.dtype.kind == "float" else x
    return Fourier(kind, tuple(wanted), places, _norm(norm))(source)


def _along(kind: Kind, x: Value, n: int | None, axis: int, norm: str | None) -> Value:
    return _transform(kind, x, None if n is None else (n,), (axis,), norm)


def fft(x: Value, n: int | None = None, axis: int = -1, norm: str | None = None) -> Value:
    """Return the transform of `x` along `axis`.

    >>> import lamina
    >>> fft(lamina.tensor([1.0, 2.0]))
    Tensor([ 3.+0.j, -1.+0.j])
    """
    return _along("fftn", x, n, axis, norm)


def ifft(x: Value, n: int | None = None, axis: int = -1, norm: str | None = None) -> Value:
    """Return the inverse transform along `axis`."""
    return _along("ifftn", x, n, axis, norm)


def rfft(x: Value, n: int | None = None, axis: int = -1, norm: str | None = None) -> Value:
    """Return the first half of the transform of a real `x`; the rest mirrors it."""
    return _along("rfftn", x, n, axis, norm)


def irfft(x: Value, n: int | None = None, axis: int = -1, norm: str | None = None) -> Value:
    """Return the real inverse of half a transform; `n` is by default 2·(size − 1)."""
    return _along("irfftn", x, n, axis, norm)


def hfft(x: Value, n: int | None = None, axis: int = -1, norm: str | None = None) -> Value:
    """Return the real transform of a Hermitian signal, of which `x` is the first half."""
    return irfft(conj(x), n, axis, _REVERSED[_norm(norm)])


def ihfft(x: Value, n: int | None = None, axis: int = -1, norm: str | None = None) -> Value:
    """Return the first half of the Hermitian inverse transform of a real `x`."""
    return conj(rfft(x, n, axis, _REVERSED[_norm(norm)]))


Sizes = Sequence[int] | None


def fftn(x: Value, s: Sizes = None, axes: Sizes = None, norm: str | None = None) -> Value:
    """Return the transform of `x` along each of `axes` (all by default)."""
    return _transform("fftn", x, s, axes, norm)


def ifftn(x: Value, s: Sizes = None, axes: Sizes = None, norm: str | None = None) -> Value:
    """Return the inverse transform along each of `axes`."""
    return _transform("ifftn", x, s, axes, norm)


def rfftn(x: Value, s: Sizes = None, axes: Sizes = None, norm: str | None = None) -> Value:
    """Return the transform of a real `x`, the last of `axes` by its first half."""
    return _transform("rfftn", x, s, axes, norm)


def irfftn(x: Value, s: Sizes = None, axes: Sizes = None, norm: str | None = None) -> Value:
    """Return the real inverse of what `rfftn` gives."""
    return _transform("irfftn", x, s, axes, norm)

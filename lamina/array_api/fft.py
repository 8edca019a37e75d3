"""The `fft` extension: discrete Fourier transforms, computed by numpy; they have no gradient.

`norm` says where the factor 1/N goes: "backward" to the inverse, "forward" to the transform, and
"ortho" its root to both.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from lamina import dtypes
from lamina.dtypes import DType
from lamina.errors import ArgumentError, DTypeError
from lamina.layout import normalize_axes
from lamina.memory import of_numpy
from lamina.ops.algebra import fourier
from lamina.ops.shapes import copying
from lamina.tensor import Tensor
from lamina.tensor.core import check_device, wrap
from lamina.tensor.guard import takes_tensors
from lamina.tensor.keywords import second_keywords

__all__ = [
    "fft",
    "fftfreq",
    "fftn",
    "fftshift",
    "hfft",
    "ifft",
    "ifftn",
    "ifftshift",
    "ihfft",
    "irfft",
    "irfftn",
    "rfft",
    "rfftfreq",
    "rfftn",
]

Axis = int | Sequence[int] | None
Sizes = Sequence[int] | None


@second_keywords
def fft(x: Tensor, n: int | None = None, axis: int = -1, norm: str | None = "backward") -> Tensor:
    """Return X[k] = Σⱼ x[j]·exp(−2πi·jk/n) along `axis`, of `x` cut or filled with zeros to `n`.

    >>> import lamina
    >>> lamina.fft.fft(lamina.tensor([1.0, 2.0]))
    Tensor([ 3.+0.j, -1.+0.j])
    """
    return fourier.fft(x, n, axis, norm)


@second_keywords
def ifft(x: Tensor, n: int | None = None, axis: int = -1, norm: str | None = "backward") -> Tensor:
    """Return the inverse of `fft` along `axis`."""
    return fourier.ifft(x, n, axis, norm)


@second_keywords
def rfft(x: Tensor, n: int | None = None, axis: int = -1, norm: str | None = "backward") -> Tensor:
    """Return the first n // 2 + 1 terms of the transform of a real `x`; the others mirror them."""
    return fourier.rfft(x, n, axis, norm)


@second_keywords
def irfft(x: Tensor, n: int | None = None, axis: int = -1, norm: str | None = "backward") -> Tensor:
    """Return the real signal of `n` points whose `rfft` is `x`; `n` is by default 2·(size − 1)."""
    return fourier.irfft(x, n, axis, norm)


@second_keywords
def hfft(x: Tensor, n: int | None = None, axis: int = -1, norm: str | None = "backward") -> Tensor:
    """Return the real transform of a Hermitian signal, of which `x` is the first half."""
    return fourier.hfft(x, n, axis, norm)


@second_keywords
def ihfft(x: Tensor, n: int | None = None, axis: int = -1, norm: str | None = "backward") -> Tensor:
    """Return the first half of the inverse transform, Hermitian, of a real `x`."""
    return fourier.ihfft(x, n, axis, norm)


@takes_tensors
def fftn(x: Tensor, s: Sizes = None, axes: Sizes = None, norm: str | None = "backward") -> Tensor:
    """Return the transform along each of `axes` (all by default), `s` points along them."""
    return fourier.fftn(x, s, axes, norm)


@takes_tensors
def ifftn(x: Tensor, s: Sizes = None, axes: Sizes = None, norm: str | None = "backward") -> Tensor:
    """Return the inverse of `fftn`."""
    return fourier.ifftn(x, s, axes, norm)


@takes_tensors
def rfftn(x: Tensor, s: Sizes = None, axes: Sizes = None, norm: str | None = "backward") -> Tensor:
    """Return the transform of a real `x`, of the last of `axes` the first half."""
    return fourier.rfftn(x, s, axes, norm)


@takes_tensors
def irfftn(x: Tensor, s: Sizes = None, axes: Sizes = None, norm: str | None = "backward") -> Tensor:
    """Return the real inverse of `rfftn`."""
    return fourier.irfftn(x, s, axes, norm)


def fftfreq(n: int, d: float = 1.0, *, dtype: Any = None, device: Any = None) -> Tensor:
    """Return the frequency of each term of `fft` of `n` points that are `d` apart."""
    check_device(device)
    return _frequencies(np.fft.fftfreq(_points(n), d), dtype)


def rfftfreq(n: int, d: float = 1.0, *, dtype: Any = None, device: Any = None) -> Tensor:
    """Return the frequency of each term of `rfft` of `n` points that are `d` apart."""
    check_device(device)
    return _frequencies(np.fft.rfftfreq(_points(n), d), dtype)


def _points(n: int) -> int:
    if n < 1:
        raise ArgumentError(f"fftfreq: {n} points given; expected 1 or more")
    return n


def _frequencies(values: Any, dtype: Any) -> Tensor:
    wanted: DType = dtypes.default_float if dtype is None else dtypes.as_dtype(dtype)
    if not wanted.is_floating_point:
        raise DTypeError(f"fftfreq: {wanted.name} given, expected a floating-point dtype")
    return wrap(of_numpy(values.astype(wanted.numpy)))


@second_keywords
def fftshift(x: Tensor, axes: Axis = None) -> Tensor:
    """Return `x` with the term of frequency 0 moved to the middle of each axis."""
    places = normalize_axes(axes, x.ndim)
    return copying.roll(x, [x.shape[a] // 2 for a in places], places)


@second_keywords
def ifftshift(x: Tensor, axes: Axis = None) -> Tensor:
    """Return `x` with the middle term moved to the front of each axis: undoes `fftshift`."""
    places = normalize_axes(axes, x.ndim)
    return copying.roll(x, [-(x.shape[a] // 2) for a in places], places)

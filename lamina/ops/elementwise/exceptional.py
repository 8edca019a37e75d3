"""Functions in numpy, with the Array API's values at infinities where numpy has others."""

from typing import Any

import numpy as np

from lamina.memory.array import NDArray, scratch


def floor_divide(a: NDArray, b: NDArray) -> Any:
    """Return ⌊a/b⌋; where just one of a and b is infinite, a/b itself: ±∞ or ±0, not NaN or −1."""
    out = np.floor_divide(a, b, out=scratch(np.broadcast(a, b).shape, a.dtype))
    if out.dtype.kind not in "iub":
        np.true_divide(a, b, out=out, where=np.isinf(a) != np.isinf(b))
    return out


def expm1(x: NDArray) -> Any:
    """Return eˣ − 1; of complex x by parts, as ISO C has no such function to say its limits.

    e^(a+ib) − 1 = expm1(a)·cos b − 2·sin²(b/2) + i·eᵃ·sin b
    """
    if x.dtype.kind != "c":
        return np.expm1(x, out=scratch(x.shape, x.dtype))
    a, b = x.real, x.imag
    half = np.sin(b / 2)
    out = scratch(x.shape, x.dtype)
    # Plus 0, for −0 + 0i is to give 0 + 0i.
    out.real = np.where(b == 0, np.expm1(a) + 0.0, np.expm1(a) * np.cos(b) - 2 * half * half)
    out.imag = np.where(b == 0, b, np.exp(a) * np.sin(b))
    # The angle has no say in −1 + 0·eⁱᵇ, nor in the size of ∞·eⁱᵇ.
    lost = np.isinf(a) & ~np.isfinite(b)
    out.real[lost] = np.where(a[lost] < 0, -1, np.inf)
    out.imag[lost] = np.where(a[lost] < 0, 0, np.nan)
    return out


def tanh(x: NDArray) -> Any:
    """Return tanh x; of complex x with an infinite real part, ±1 with a zero signed as imag x."""
    out = np.tanh(x, out=scratch(x.shape, x.dtype))
    if x.dtype.kind != "c":
        return out
    flat = np.isinf(x.real) & np.isfinite(x.imag)
    out.imag[flat] = np.copysign(0, x.imag[flat])
    return out

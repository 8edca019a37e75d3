"""Errors in units of the last place."""

from typing import Any

import numpy as np

from lamina.dtypes import DTYPES

# Stored bits of the significand, least exponent of a normal number, greatest finite number.
_FORMATS = {
    "float64": (52, -1022, float(np.finfo(np.float64).max)),
    "float32": (23, -126, float(np.finfo(np.float32).max)),
    "float16": (10, -14, 65504.0),
    "bfloat16": (7, -126, float.fromhex("0x1.fep+127")),
}


def exact(array: Any) -> Any:
    """An array as the oracles get it: floats in extended precision, others as they are."""
    kind = DTYPES[array.dtype.name].kind
    if kind == "complex":
        return array.astype(np.clongdouble)
    return array.astype(np.longdouble) if kind == "float" else np.array(array)


def last_place(wanted: Any, dtype: str, scale: float = 0.0) -> Any:
    """The unit of the last place of numbers in a float dtype; of `scale` for those below it."""
    bits, least, _ = _FORMATS[dtype]
    _, exponent = np.frexp(np.maximum(np.abs(wanted), np.longdouble(scale)))
    return np.ldexp(np.longdouble(1), np.maximum(exponent - 1, least) - bits)


def check_close(
    got: Any, wanted: Any, *, ulp: float, scale: float = 0.0, signed_zeros: bool = False
) -> None:
    """Fail unless every element of `got` is within `ulp` of `wanted`, in the dtype of `got`."""
    dtype = got.dtype.name
    wanted = np.asarray(wanted)
    assert got.shape == wanted.shape, f"shape {got.shape}, expected {wanted.shape}"
    if DTYPES[dtype].kind == "complex":
        wide = scale or float(np.max(np.abs(wanted), initial=0, where=np.isfinite(wanted)))
        for part in ("real", "imag"):
            check_close(getattr(got, part), getattr(wanted, part), ulp=ulp, scale=wide)
        return
    if DTYPES[dtype].kind != "float":
        np.testing.assert_array_equal(got, wanted)
        return
    _check_floats(got, wanted.astype(np.longdouble), dtype, ulp, scale)
    if signed_zeros:
        zero = wanted == 0
        np.testing.assert_array_equal(
            np.signbit(got.astype(np.float64))[zero], np.signbit(wanted)[zero], "sign of zero"
        )


def _check_floats(got: Any, wanted: Any, dtype: str, ulp: float, scale: float) -> None:
    wide = got.astype(np.longdouble)
    bits, _, greatest = _FORMATS[dtype]
    beyond = np.abs(wanted) >= np.longdouble(greatest) * (1 + np.ldexp(np.longdouble(1), -bits - 2))
    rounded = np.where(beyond, np.copysign(np.inf, wanted), wanted)
    with np.errstate(invalid="ignore"):
        error = np.abs(wide - rounded) / last_place(
            np.where(np.isfinite(rounded), rounded, 0), dtype, scale
        )
    same = (wide == rounded) | (np.isnan(wide) & np.isnan(rounded))
    wrong = ~(same | (error <= ulp))
    if wrong.any():
        at = tuple(int(i) for i in np.argwhere(wrong)[0])
        raise AssertionError(
            f"{int(wrong.sum())} of {wrong.size} elements are off; at {at} got {wide[at]!r}, "
            f"expected {rounded[at]!r}, {float(error[at]):.3g} ULP of {dtype}; allowed {ulp}"
        )

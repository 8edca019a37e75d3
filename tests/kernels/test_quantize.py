"""Quantisation against its definition in numpy, for the whole tensor and by channel."""

import numpy as np
import pytest
from kernels.operands import ArrayOperand

from lamina.errors import DTypeError
from lamina.kernels.quantize import RANGES, dequantize, quantize

SPECIAL = np.array([np.inf, -np.inf, 1e30, -1e30, 0.0, -0.0, 0.25, 0.75, 1.25, -0.25], np.float32)


def operands(*arrays):
    return [ArrayOperand(np.asarray(a)) for a in arrays]


@pytest.mark.usefixtures("each_target")
@pytest.mark.parametrize("dtype", RANGES)
@pytest.mark.parametrize("by", ["tensor", "channel"])
def test_quantize_and_back(dtype, by):
    rng = np.random.default_rng(5)
    low, high = RANGES[dtype]
    for shape in [(3, 1, 10), (4, 7, 5), (2, 3, 171)]:
        x = (rng.standard_normal(shape) * 40).astype("f4")
        x[0, 0, :10] = SPECIAL[: x.shape[2]]
        channels = (shape[0], 1, 1) if by == "channel" else ()
        scale = np.asarray(rng.uniform(0.2, 0.9, channels), "f4")
        scale[...] = 0.5 if by == "tensor" else scale
        zero = np.asarray(rng.integers(0, 9, channels), dtype)
        q = np.empty(shape, dtype)
        quantize(*operands(q, x, scale, zero))
        exact = np.rint(x / scale).astype("f8") + zero
        np.testing.assert_array_equal(q, np.clip(exact, low, high).astype(dtype))
        back = np.empty(shape, "f4")
        dequantize(*operands(back, q, scale, zero))
        np.testing.assert_array_equal(back, (q.astype("i4") - zero).astype("f4") * scale)


def test_a_nan_is_the_number_zero():
    q = np.full(3, 7, np.int8)
    quantize(*operands(q, np.full(3, np.nan, "f4"), np.float32(1), np.int8(5)))
    assert q.tolist() == [0, 0, 0]


def test_other_dtypes_are_refused():
    with pytest.raises(DTypeError, match="expected int8 or uint8"):
        quantize(*operands(np.empty(3, "i2"), np.ones(3, "f4"), np.float32(1), np.int16(0)))

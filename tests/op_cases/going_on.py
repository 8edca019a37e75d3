"""Products and convolutions that go on with their sums: what programs are made of."""

from typing import Any

import numpy as np

from lamina.kernels.expression import Input, apply
from lamina.ops.algebra.products_then import MatmulThen
from lamina.ops.layers.convolution import Conv
from lamina.ops.layers.convolution_chain import ConvChain
from lamina.ops.layers.convolution_then import ConvThen

from .case import Case
from .convolution import summed
from .drawing import normal

SUM, SECOND, THIRD = Input(0), Input(1), Input(2)
PLAIN = Conv((4, 5), (1, 1), (1, 1), (1, 1), (1, 1))
POINTWISE = Conv((4, 5), (1, 1), (0, 0), (1, 1), (1, 1))
DEPTHWISE = Conv((4, 5), (1, 1), (1, 1), (1, 1), (1, 1), groups=6)
CHAIN = tuple(
    ConvThen(conv, after, x_last=True, out_last=True)
    for conv, after in (
        (POINTWISE, apply("maximum", SUM, 0.0)), (DEPTHWISE, SUM + SECOND), (POINTWISE, SUM),
    )
)  # fmt: skip


def product(a: Any, b: Any, bias: Any) -> Any:
    return np.maximum(a @ b + bias, 0)


def convolved(x: Any, w: Any, bias: Any, residual: Any) -> Any:
    return np.maximum(summed(PLAIN)(x, w) + bias[:, None, None] + residual, 0)


def convolved_last(x: Any, w: Any, bias: Any, residual: Any) -> Any:
    first = convolved(np.moveaxis(x, -1, 1), w, bias, np.moveaxis(residual, -1, 1))
    return np.moveaxis(first, 1, -1)


def chained(x: Any, v: Any, t: Any, bias: Any, u: Any) -> Any:
    wide = np.maximum(np.einsum("nhwi,ci->nhwc", x, v[:, :, 0, 0]), 0)
    depthwise = np.moveaxis(summed(DEPTHWISE)(np.moveaxis(wide, -1, 1), t), 1, -1) + bias
    return np.einsum("nhwc,oc->nhwo", depthwise, u[:, :, 0, 0])


CASES = [
    *(
        Case(
            MatmulThen(apply("maximum", SUM + SECOND, 0.0), dtype),
            (normal(3, 5), normal(5, 4), normal(4)), product,
            ulp=6, scale=4.0, why="sums of five products and a bias", dtypes=(dtype,),
            label=dtype, repeatable=False, special=False,
        )
        for dtype in ("float32", "float64")
    ),
    Case(
        ConvThen(PLAIN, apply("maximum", SUM + SECOND + THIRD, 0.0)),
        (normal(2, 3, 4, 5), normal(6, 3, 3, 3), normal(6), normal(2, 6, 4, 5)), convolved,
        ulp=24, scale=8.0, why="sums of 27 products; Winograd's rounding",
        dtypes=("float32", "float64"), repeatable=False, special=False,
    ),
    Case(
        ConvThen(PLAIN, apply("maximum", SUM + SECOND + THIRD, 0.0), x_last=True, out_last=True),
        (normal(2, 4, 5, 3), normal(6, 3, 3, 3), normal(6), normal(2, 4, 5, 6)), convolved_last,
        ulp=24, scale=8.0, why="sums of 27 products; Winograd's rounding",
        dtypes=("float32", "float64"), repeatable=False, special=False, label="channels last",
    ),
    Case(
        ConvChain(CHAIN),
        (normal(2, 4, 5, 3), normal(6, 3, 1, 1), normal(6, 1, 3, 3), normal(6), normal(2, 6, 1, 1)),
        chained, ulp=24, scale=40.0, why="sums of 3, of 9 and of 6 products",
        dtypes=("float32", "float64"), repeatable=False, special=False,
    ),
]  # fmt: skip

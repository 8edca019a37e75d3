"""Elementwise cases of `memory_bound.py`."""

import ml_dtypes
import numpy as np
from _measure import ArrayOperand
from _memory_cases import Case, drawn

import lamina
from lamina import optim
from lamina.kernels.elementwise import bind
from lamina.kernels.expression import Input, apply
from lamina.kernels.quantize import quantized
from lamina.ops.layers.dropout import Dropout

ROW = 512
SCALE, SHIFT = 1.25, -0.5
X, Y = Input(0), Input(1)
BFLOAT16 = np.dtype(ml_dtypes.bfloat16)


def kernel(expression, out, *inputs):
    operands = [ArrayOperand(array) for array in (out, *inputs)]
    return bind((expression,), operands[:1], operands[1:])


def numpy_gelu(size):
    """The form with tanh, which numpy has; the kernel's is with erf."""
    given = drawn(size)

    def call():
        x = given * SCALE + SHIFT
        return x * 0.5 * (1 + np.tanh(0.7978845608 * (x + 0.044715 * x * x * x)))

    return call


def numpy_add(out, x, y):
    return lambda: np.add(x, y, out=out)


def numpy_cast(size):
    x = drawn(size)
    return lambda: x.astype(BFLOAT16)


def torch_of(*arrays):
    import torch

    return [torch.from_numpy(array) for array in arrays]


def torch_into(name, *arrays):
    import torch

    out, *inputs = torch_of(*arrays)
    return lambda: getattr(torch, name)(*inputs, out=out)


def add(size):
    return np.empty_like(drawn(size)), drawn(size), drawn(size, 1)


def rows(size):
    x = drawn(size).reshape(-1, ROW)
    return np.empty_like(x), x, drawn(ROW)


def torch_gelu(size):
    import torch

    (x,) = torch_of(drawn(size))
    return lambda: torch.nn.functional.gelu(x * SCALE + SHIFT)


def torch_cast(size):
    import torch

    (x,) = torch_of(drawn(size))
    out = torch.empty(size, dtype=torch.bfloat16)
    return lambda: out.copy_(x)


def lamina_dropout(size):
    x, op = lamina.from_numpy(drawn(size)), Dropout(0.3, 1, 2)
    return lambda: op(x)


def numpy_dropout(size):
    x, op = drawn(size), Dropout(0.3, 1, 2)
    return lambda: op.ref(x)


def torch_dropout(size):
    import torch

    (x,) = torch_of(drawn(size))
    return lambda: torch.nn.functional.dropout(x, 0.3)


def lamina_adam(size):
    weight = lamina.tensor(drawn(size), requires_grad=True)
    weight.grad = lamina.tensor(drawn(size, 1))
    return optim.Adam([weight]).step


def torch_adam(size):
    import torch

    weight, gradient = torch_of(drawn(size), drawn(size, 1))
    weight.requires_grad_()
    weight.grad = gradient
    return torch.optim.Adam([weight], fused=True).step


def lamina_quantize(size):
    scale, zero = np.full((), 0.05, "f4"), np.full((), 3, "i1")
    return kernel(quantized("int8"), np.empty(size, "i1"), drawn(size), scale, zero)


def numpy_quantize(size):
    x = drawn(size)
    return lambda: np.clip(np.rint(x / np.float32(0.05)) + 3, -128, 127).astype(np.int8)


def torch_quantize(size):
    import torch

    (x,) = torch_of(drawn(size))
    return lambda: torch.quantize_per_tensor(x, 0.05, 3, torch.qint8)


CASES = [
    Case(
        "x + y", 12,
        lambda n: kernel(X + Y, *add(n)),
        lambda n: numpy_add(*add(n)),
        lambda n: torch_into("add", *add(n)),
    ),
    Case(
        f"x + y, y of {ROW}", 8,
        lambda n: kernel(X + Y, *rows(n)),
        lambda n: numpy_add(*rows(n)),
        lambda n: torch_into("add", *rows(n)),
    ),
    Case(
        "gelu(x·a + b)", 8,
        lambda n: kernel(apply("gelu", X * SCALE + SHIFT), *add(n)[:2]),
        numpy_gelu,
        torch_gelu,
    ),
    Case(
        "float32 → bfloat16", 6,
        lambda n: kernel(X, np.empty(n, BFLOAT16), drawn(n)),
        numpy_cast,
        torch_cast,
    ),
    Case("dropout", 8, lamina_dropout, numpy_dropout, torch_dropout),
    Case("Adam step", 28, lamina_adam, None, torch_adam),
    Case("quantise to int8", 5, lamina_quantize, numpy_quantize, torch_quantize),
]  # fmt: skip

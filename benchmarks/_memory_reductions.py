"""Reductions, norms, pooling and rows of tables: cases of `memory_bound.py`, run eagerly."""

import numpy as np
from _memory_cases import Case, drawn

import lamina
import lamina.nn.functional as F

ROW = 512
SIDE = 32


def rows(size):
    return drawn(size).reshape(-1, ROW)


def planes(size):
    return drawn(size).reshape(1, -1, SIDE, SIDE)


def places(size):
    """The numbers of as many rows, in no order."""
    return np.random.default_rng(1).permutation(size // ROW)


def eager(shaped, call):
    """Return a maker of the call on a Lamina tensor."""

    def make(size):
        x = lamina.from_numpy(shaped(size))

        def run():
            with lamina.no_grad():
                return call(x)

        return run

    return make


def by_numpy(call):
    """Return a maker of the call on numpy's rows."""

    def make(size):
        x = rows(size)
        return lambda: call(x)

    return make


def eager_torch(shaped, name, *further, module="nn.functional"):
    """Return a maker of PyTorch's call of that name."""

    def make(size):
        import torch

        place = torch
        for part in filter(None, module.split(".")):
            place = getattr(place, part)
        function, x = getattr(place, name), torch.from_numpy(shaped(size))
        return lambda: function(x, *further)

    return make


def norm_step(size):
    x = lamina.tensor(rows(size), requires_grad=True)
    weight = lamina.ones(ROW, requires_grad=True)
    bias = lamina.zeros(ROW, requires_grad=True)
    grad = lamina.from_numpy(rows(size))
    inputs = (x, weight, bias)
    return lambda: lamina.autograd.grad(F.layer_norm(x, (ROW,), weight, bias), inputs, grad)


def norm_step_torch(size):
    import torch

    x = torch.from_numpy(rows(size)).requires_grad_()
    weight = torch.ones(ROW, requires_grad=True)
    bias = torch.zeros(ROW, requires_grad=True)
    grad = torch.from_numpy(rows(size))
    inputs = (x, weight, bias)
    norm = torch.nn.functional.layer_norm
    return lambda: torch.autograd.grad(norm(x, (ROW,), weight, bias), inputs, grad)


def table_rows(size):
    x, order = lamina.from_numpy(rows(size)), lamina.from_numpy(places(size))
    return lambda: F.embedding(order, x)


def table_rows_numpy(size):
    x, order = rows(size), places(size)
    return lambda: x[order]


def table_rows_torch(size):
    import torch

    x, order = torch.from_numpy(rows(size)), torch.from_numpy(places(size))
    return lambda: torch.nn.functional.embedding(order, x)


CASES = [
    Case(
        "sum of rows",
        4 + 4 / ROW,
        eager(rows, lambda x: x.sum(-1)),
        by_numpy(lambda x: x.sum(-1)),
        eager_torch(rows, "sum", -1, module=""),
    ),
    Case(
        "sum of columns",
        4,
        eager(rows, lambda x: x.sum(0)),
        by_numpy(lambda x: x.sum(0)),
        eager_torch(rows, "sum", 0, module=""),
    ),
    Case(
        "variance of rows",
        4 + 4 / ROW,
        eager(rows, lambda x: x.var(-1)),
        by_numpy(lambda x: x.var(-1)),
        eager_torch(rows, "var", -1, module=""),
    ),
    Case(
        "softmax",
        8,
        eager(rows, lambda x: F.softmax(x, -1)),
        None,
        eager_torch(rows, "softmax", -1),
    ),
    Case(
        "layer norm",
        8,
        eager(rows, lambda x: F.layer_norm(x, (ROW,))),
        None,
        eager_torch(rows, "layer_norm", (ROW,)),
    ),
    Case("layer norm, both ways", 24, norm_step, None, norm_step_torch),
    Case(
        "maximum of 2×2",
        5,
        eager(planes, lambda x: F.max_pool2d(x, 2)),
        None,
        eager_torch(planes, "max_pool2d", 2),
    ),
    Case(
        "mean of 2×2",
        5,
        eager(planes, lambda x: F.avg_pool2d(x, 2)),
        None,
        eager_torch(planes, "avg_pool2d", 2),
    ),
    Case(
        "rows of a table",
        8,
        table_rows,
        table_rows_numpy,
        table_rows_torch,
    ),
]

"""Random chains of views and writes in place give PyTorch's values, gradients and gradients of
those."""

import json
from typing import Any

import numpy as np
import pytest
from golden.inplace_views import FILE, leaves, run

import lamina
from lamina.autograd import grad

GOLDEN = np.load(FILE)
NAMES = ("program", "value", "dx", "dw", "ddx", "ddw")
CASES = [dict(zip(NAMES, row)) for row in zip(*(GOLDEN[name] for name in NAMES), strict=True)]


def gradients(out: lamina.Tensor, leaves: Any, **options: Any) -> list[lamina.Tensor]:
    if not out.requires_grad:
        return [leaf.zeros_like() for leaf in leaves]
    found = grad(out, leaves, allow_unused=True, **options)
    return [leaf.zeros_like() if g is None else g for g, leaf in zip(found, leaves)]


@pytest.mark.parametrize("part", range(20))
def test_a_program_gives_what_pytorch_gives(part: int) -> None:
    for case in CASES[part::20]:
        text = case["program"]
        x, w = points = [lamina.tensor(a, requires_grad=True) for a in leaves()]
        value = run(json.loads(text), x, w)
        dx, dw = gradients(value, points, create_graph=True)
        ddx, ddw = gradients((dx * dx).sum(), points)
        found = {"value": value, "dx": dx, "dw": dw, "ddx": ddx, "ddw": ddw}
        for name, tensor in found.items():
            np.testing.assert_allclose(
                tensor.detach().numpy(), case[name], rtol=1e-9, atol=1e-8, err_msg=f"{name} {text}"
            )

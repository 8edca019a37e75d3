"""Writes nn_ops.npz: outputs and gradients that PyTorch finds for the calls in nn_ops_cases.py.

Run with a Python that has torch (made with 2.13.0, CPU):  python tests/golden/nn_ops_torch.py

Computed in float64, kept in float32. Per case: the output (and indices), the gradient of each input
that has one, and what was written into the running statistics. All arrays lie end to end; `index`
names them, a line each: case|key|kind|sizes.
"""

import warnings
from pathlib import Path

import nn_ops_cases as cases
import numpy as np
import torch


def results(case):
    """Every array that the case is compared by, by its key."""
    inputs = [
        None if a is None else torch.tensor(a, requires_grad=spec.is_differentiated)
        for a, spec in zip(case.draw(), case.inputs)
    ]
    out = case.call(getattr(torch.nn.functional, case.torch), inputs)
    outs = out if isinstance(out, tuple) else (out,)
    found = {f"out{i}": o.detach().numpy() for i, o in enumerate(outs)}
    (outs[0] * torch.tensor(case.weights(tuple(outs[0].shape)))).sum().backward()
    for place, x in enumerate(inputs):
        if x is not None and x.requires_grad:
            found[f"grad{place}"] = x.grad.numpy()
        elif x is not None and x.dtype is torch.float64:
            found[f"written{place}"] = x.numpy()
    return found


warnings.simplefilter("ignore")
kept = {
    f"{name}|{key}": array
    for name, case in cases.CASES.items()
    for key, array in results(case).items()
}
index = [f"{key}|{a.dtype.kind}|{' '.join(map(str, a.shape))}" for key, a in kept.items()]
reals = [a.ravel() for a in kept.values() if a.dtype.kind == "f"]
places = [a.ravel() for a in kept.values() if a.dtype.kind == "i"]
np.savez_compressed(
    Path(__file__).with_name("nn_ops.npz"),
    index=np.array("\n".join(index)),
    reals=np.concatenate(reals).astype(np.float32),
    places=np.concatenate(places).astype(np.int16),
)
print(len(cases.CASES), "cases")

"""Writes losses.npz: what PyTorch's losses make of the cases in losses_cases.py, and gradients.

Run with a Python that has torch (made with 2.13.0, CPU):  python tests/golden/losses_torch.py
"""

import warnings
from pathlib import Path

import losses_cases as cases
import numpy as np
import torch
import torch.nn.functional as F


def tensor(value):
    return torch.tensor(value) if isinstance(value, np.ndarray) else value


def kept(name, out, inputs):
    """The output and the gradients of Σ cos(i)·out_i, by key."""
    weights = torch.cos(torch.arange(out.numel(), dtype=out.dtype)).reshape(out.shape)
    (out * weights).sum().backward()
    found = {f"{name}/out": out.detach().numpy()}
    for place, x in enumerate(inputs):
        if isinstance(x, torch.Tensor) and x.grad is not None:
            found[f"{name}/grad{place}"] = x.grad.numpy()
    return found


def loss(name, function, given, options):
    inputs = [tensor(a) for a in given]
    for place, x in enumerate(inputs):
        if isinstance(x, torch.Tensor) and x.is_floating_point():
            x.requires_grad_(place not in cases.FIXED.get(function, cases.FIXED.get(name, ())))
    out = getattr(F, function)(*inputs, **{k: tensor(v) for k, v in options.items()})
    return kept(name, out, inputs)


def ctc(name, scores, targets, heard, said, options):
    x = torch.tensor(scores, requires_grad=True)
    lengths = [torch.tensor(n) for n in (heard, said)]
    out = F.ctc_loss(F.log_softmax(x, -1), torch.tensor(targets), *lengths, **options)
    return kept(name, out, [x])


if __name__ == "__main__":
    warnings.filterwarnings("ignore", "reduction: 'mean' divides the total loss by both")
    found = {}
    for name, case in cases.CASES.items():
        found.update(loss(name, *case))
    for name, case in cases.CTC_CASES.items():
        found.update(ctc(name, *case))
    index = "\n".join(f"{key}|{' '.join(map(str, a.shape))}" for key, a in found.items())
    values = np.concatenate([a.ravel() for a in found.values()])
    np.savez_compressed(Path(__file__).with_name("losses.npz"), index=index, values=values)
    print(
        f"{len(found)} arrays of {len(cases.CASES) + len(cases.CTC_CASES)} cases, torch",
        torch.__version__,
    )

"""Attention, forward and backward, against the measured FMA peak and PyTorch.

    python benchmarks/attention.py [--threads N] [--quick]

GFLOP/s count all scores, causal or not: a kernel that skips what no query sees does less. PyTorch
runs its own fused kernel in a process of its own, with the same number of threads.
"""

import json
from dataclasses import dataclass

import numpy as np
from _measure import Row, Times, apply_options, in_clean_process, measure, options, report

import lamina
import lamina.nn.functional as F
from lamina.codegen import threads


@dataclass(frozen=True)
class Work:
    """Heads of queries and keys: how many, how long, how wide; whether they look back alone."""

    heads: int
    queries: int
    keys: int
    width: int
    causal: bool = False
    masked: bool = False

    @property
    def name(self) -> str:
        """The work in words."""
        kind = " causal" * self.causal + " masked" * self.masked
        return f"{self.heads} × {self.queries}×{self.keys}×{self.width}{kind}"

    def flops(self, products: int) -> float:
        """Multiplications and additions of so many products of queries, keys and features."""
        return 2.0 * products * self.heads * self.queries * self.keys * self.width

    def arrays(self):
        """Return query, key, value, the gradient of the output, and a mask if there is one."""
        random = np.random.default_rng(0)
        shapes = [(1, self.heads, n, self.width) for n in (self.queries, self.keys, self.keys)]
        made = [random.standard_normal(s, np.float32) for s in (*shapes, shapes[0])]
        mask = random.random((self.queries, self.keys)) > 0.2 if self.masked else None
        return *made, mask


WORKS = (
    Work(12, 128, 128, 32),
    Work(64, 128, 128, 32, causal=True),
    Work(12, 384, 384, 64),
    Work(8, 512, 512, 64, causal=True),
    Work(8, 512, 512, 64, masked=True),
    Work(2, 2048, 2048, 64),
    Work(2, 2048, 2048, 64, causal=True),
    Work(8, 1, 2048, 64),
)


def calls(work, library, attend, gradients):
    """Return what computes the output, and what computes the gradients."""
    *arrays, mask = work.arrays()
    query, key, value, grad = (library.tensor(array) for array in arrays)
    mask = None if mask is None else library.tensor(mask)
    inputs = [x.requires_grad_() for x in (query, key, value)]

    def forward():
        return attend(*inputs, attn_mask=mask, is_causal=work.causal)

    out = forward()
    return forward, lambda: gradients(out, inputs, grad, retain_graph=True)


def lamina_times(work):
    """Return the times of both passes here."""
    both = calls(work, lamina, F.scaled_dot_product_attention, lamina.autograd.grad)
    return [measure(call) for call in both]


def torch_medians():
    """Return the medians of both passes of all works in PyTorch."""
    import torch

    torch.set_num_threads(threads.num_threads())
    attend = torch.nn.functional.scaled_dot_product_attention
    both = (calls(work, torch, attend, torch.autograd.grad) for work in WORKS)
    return [measure(call).median for pair in both for call in pair]


def main() -> None:
    """Print a table."""
    arguments = options(__doc__, ["torch"]).parse_args()
    apply_options(arguments)
    if arguments.peer:
        print(json.dumps(torch_medians()))
        return
    peer = in_clean_process(__file__, "torch", 2 * len(WORKS))
    rows = []
    for number, work in enumerate(WORKS):
        times: list[Times] = lamina_times(work)
        passes = zip(("forward", "backward"), (2, 5), times, strict=True)
        for place, (title, products, found) in enumerate(passes):
            flops = work.flops(products)
            rows.append(Row(f"{work.name} {title}", flops, found, (peer[2 * number + place],)))
    report("attention: heads × queries×keys×width", ["torch"], rows)


if __name__ == "__main__":
    main()

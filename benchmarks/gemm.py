"""Matrix products against the measured FMA peak, numpy and PyTorch.

    python benchmarks/gemm.py [--threads N] [--quick]

numpy and PyTorch run in processes of their own, with the same number of threads.
"""

import json

import numpy as np
from _measure import ArrayOperand, Row, apply_options, in_clean_process, measure, options, report

from lamina.codegen import threads
from lamina.kernels.gemm import gemm

# m, n, k and whether b is stored transposed, as the weights of a linear layer are
SIZES = [
    *((n, n, n, False) for n in (64, 128, 256, 512, 1024, 1536, 2048)),
    (1024, 1024, 1024, True),
    (64, 3136, 576, False),
    (512, 49, 4608, False),
    (32, 128, 784, True),
    (1, 128, 784, True),
    (1, 1024, 1024, True),
    (1, 1024, 1024, False),
    (4, 1024, 1024, True),
    (8, 1024, 1024, True),
]


def inputs(m, n, k, transposed):
    random = np.random.default_rng(0)
    a = random.standard_normal((m, k)).astype("f4")
    if transposed:
        return a, random.standard_normal((n, k)).astype("f4").T
    return a, random.standard_normal((k, n)).astype("f4")


def time_numpy(size):
    a, b = inputs(*size)
    out = np.empty(size[:2], "f4")
    return measure(lambda: np.matmul(a, b, out=out)).median


def time_torch(size):
    import torch

    torch.set_num_threads(threads.num_threads())
    a, b = (torch.from_numpy(array) for array in inputs(*size))
    out = torch.empty(size[:2])
    return measure(lambda: torch.matmul(a, b, out=out)).median


def time_lamina(size):
    a, b = inputs(*size)
    operands = [ArrayOperand(array) for array in (np.empty(size[:2], "f4"), a, b)]
    return measure(lambda: gemm(*operands))


PEERS = {"numpy": time_numpy, "torch": time_torch}


def main() -> None:
    parser = options(__doc__, PEERS)
    arguments = parser.parse_args()
    apply_options(arguments)
    if arguments.peer:
        print(json.dumps([PEERS[arguments.peer](size) for size in SIZES]))
        return
    ours = [time_lamina(size) for size in SIZES]
    peers = [in_clean_process(__file__, peer, len(SIZES)) for peer in PEERS]
    rows = [
        Row(f"{m}×{n}×{k}{' bᵀ' * transposed}", 2 * m * n * k, times, medians)
        for (m, n, k, transposed), times, *medians in zip(SIZES, ours, *peers, strict=True)
    ]
    report("gemm, float32: m×n×k", list(PEERS), rows)


if __name__ == "__main__":
    main()

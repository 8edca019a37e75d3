"""Matrix products against the measured FMA peak, numpy and PyTorch.

    python benchmarks/gemm.py [--threads N] [--quick] [--only square|odd|thin|small|numbers|fused]

numpy and PyTorch run in processes of their own, with the same number of threads. Of 16-bit floats
and bytes the share is that of the float32 peak; numpy has no fast path for them. "fused" computes
relu(a·b + bias) + residual: in one call here, in as many as it takes there.
"""

import json
from dataclasses import dataclass

import ml_dtypes
import numpy as np
from _measure import (
    ArrayOperand,
    Row,
    Times,
    apply_options,
    in_clean_process,
    measure,
    options,
    report,
)

from lamina.codegen import threads
from lamina.kernels.expression import Input, apply
from lamina.kernels.gemm import Epilogue, gemm, pack_right


@dataclass(frozen=True)
class Work:
    """One product: sizes, whether b is stored transposed as a layer's weights are, dtypes."""

    m: int
    n: int
    k: int
    transposed: bool = False
    batch: tuple[int, ...] = ()
    dtype: str = "float32"
    out: str = "float32"
    how: str = ""

    @property
    def name(self) -> str:
        """The work in words."""
        batch = "".join(f"{size} × " for size in self.batch)
        turned = " bᵀ" * self.transposed
        dtype = "" if self.dtype == "float32" else f" {self.dtype}"
        return f"{batch}{self.m}×{self.n}×{self.k}{turned}{dtype} {self.how}".rstrip()

    @property
    def flops(self) -> float:
        """Multiplications and additions."""
        return 2.0 * self.m * self.n * self.k * int(np.prod(self.batch))

    def arrays(self) -> tuple[np.ndarray, np.ndarray]:
        """Return a and b; 16-bit floats as float32, for who uses them to convert."""
        random = np.random.default_rng(0)
        kind = "float32" if self.dtype in ("float16", "bfloat16") else self.dtype

        def filled(*shape: int) -> np.ndarray:
            if kind == "int8":
                return random.integers(-128, 128, shape).astype(kind)
            return random.standard_normal(shape).astype(kind)

        a = filled(*self.batch, self.m, self.k)
        if self.transposed:
            return a, filled(*self.batch, self.n, self.k).swapaxes(-1, -2)
        return a, filled(*self.batch, self.k, self.n)


def squares(*sizes: int, **rest) -> list[Work]:
    """Return the products of square matrices."""
    return [Work(n, n, n, **rest) for n in sizes]


GROUPS = {
    "square": squares(64, 128, 256, 384, 512, 768, 1024, 1536, 2048),
    "odd": squares(127, 255, 257, 509, 511, 513, 1021, 1023, 1025, 2047, 2049),
    "thin": [
        *(Work(m, 1024, 1024, turned) for m in (1, 2, 4, 8) for turned in (False, True)),
        Work(1, 128, 784, True),
        Work(32, 128, 784, True),
        Work(1024, 1024, 1024, True),
        Work(64, 3136, 576),
        Work(512, 49, 4608),
    ],
    "small": [
        *squares(1, 4, 8, 16, 32),
        *(Work(n, n, n, batch=(64,)) for n in (8, 16, 32, 64)),
    ],
    "numbers": [
        *squares(512, 1024, dtype="float64", out="float64"),
        *squares(512, 1024, dtype="bfloat16", out="bfloat16"),
        *squares(512, 1024, dtype="float16", out="float16"),
        *squares(512, 1024, dtype="int8", out="int32"),
        Work(1, 4096, 4096, True),
        Work(1, 4096, 4096, True, dtype="bfloat16", out="bfloat16"),
    ],
    "fused": [
        *(Work(n, n, n, how="fused") for n in (256, 1024)),
        Work(128, 1024, 256, how="fused"),
        *(Work(m, 1024, 1024, True, how="packed") for m in (8, 64, 256)),
    ],
}
FUSED = Epilogue(apply("maximum", 0.0, Input(0) + Input(1)) + Input(2))


def further(work: Work) -> list[np.ndarray]:
    """Return the bias and the residual."""
    random = np.random.default_rng(1)
    shapes = (work.n,), (work.m, work.n)
    return [random.standard_normal(shape).astype("f4") for shape in shapes]


def time_numpy(work: Work) -> float | None:
    """Return the median seconds of numpy, where it has a product for the dtype."""
    if work.dtype not in ("float32", "float64"):
        return None
    a, b = work.arrays()
    out = np.empty((*work.batch, work.m, work.n), work.out)
    if work.how != "fused":
        return measure(lambda: np.matmul(a, b, out=out)).median
    bias, residual = further(work)

    def fused() -> None:
        np.matmul(a, b, out=out)
        np.add(out, bias, out=out)
        np.maximum(out, 0, out=out)
        np.add(out, residual, out=out)

    return measure(fused).median


def time_torch(work: Work) -> float:
    """Return the median seconds of PyTorch."""
    import torch

    torch.set_num_threads(threads.num_threads())
    a, b = (torch.from_numpy(array).to(getattr(torch, work.dtype)) for array in work.arrays())
    if work.dtype == "int8":
        return measure(lambda: torch._int_mm(a, b)).median
    out = torch.empty((*work.batch, work.m, work.n), dtype=getattr(torch, work.out))
    if work.how != "fused":
        return measure(lambda: torch.matmul(a, b, out=out)).median
    bias, residual = map(torch.from_numpy, further(work))
    return measure(lambda: torch.addmm(bias, a, b, out=out).relu_().add_(residual)).median


def time_lamina(work: Work) -> Times:
    """Return the times of Lamina."""
    a, b = (converted(array, work.dtype) for array in work.arrays())
    out = converted(np.zeros((*work.batch, work.m, work.n), "f4"), work.out)
    operands = [ArrayOperand(array) for array in (out, a, b)]
    if work.how == "packed":
        operands[2] = pack_right(operands[2])
    if work.how != "fused":
        return measure(lambda: gemm(*operands))
    inputs = [ArrayOperand(array) for array in further(work)]
    return measure(lambda: gemm(*operands, epilogue=FUSED, inputs=inputs))


def converted(array: np.ndarray, dtype: str) -> np.ndarray:
    """Return an array of `dtype`, laid out as before."""
    return array.astype(getattr(ml_dtypes, dtype, dtype), copy=False)


PEERS = {"numpy": time_numpy, "torch": time_torch}


def main() -> None:
    parser = options(__doc__, PEERS)
    parser.add_argument("--only", choices=GROUPS, help="one group of products")
    arguments = parser.parse_args()
    apply_options(arguments)
    groups = [arguments.only] if arguments.only else list(GROUPS)
    if arguments.peer:
        works = [work for group in groups for work in GROUPS[group]]
        print(json.dumps([PEERS[arguments.peer](work) for work in works]))
        return
    for group in groups:
        works = GROUPS[group]
        ours = [time_lamina(work) for work in works]
        only = ("--only", group)
        peers = [in_clean_process(__file__, peer, len(works), only) for peer in PEERS]
        rows = [
            Row(work.name, work.flops, times, medians)
            for work, times, *medians in zip(works, ours, *peers, strict=True)
        ]
        report(f"gemm, {group}: m×n×k", list(PEERS), rows)


if __name__ == "__main__":
    main()

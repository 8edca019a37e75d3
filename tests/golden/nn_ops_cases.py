"""Calls of the neural-network ops that are compared with PyTorch: forward and every gradient.

A case names PyTorch's function and ours, the inputs, and the arguments that both are given alike.
"""

from dataclasses import dataclass, field
from itertools import product
from typing import Any, Literal
from zlib import crc32

import numpy as np

Kind = Literal["real", "ties", "fixed", "positive", "mask"]


@dataclass(frozen=True)
class Input:
    """An array drawn for a case; "real" and "ties" are differentiated, the others are not."""

    shape: tuple[int, ...]
    kind: Kind = "real"

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        match self.kind:
            case "real" | "fixed":
                return rng.standard_normal(self.shape)
            case "ties":
                return rng.integers(0, 3, self.shape).astype(np.float64)
            case "positive":
                return rng.uniform(0.5, 2.0, self.shape)
            case "mask":
                return rng.random(self.shape) < 0.6

    @property
    def is_differentiated(self) -> bool:
        return self.kind in ("real", "ties")


@dataclass(frozen=True)
class NNCase:
    """One call: `torch.nn.functional.<torch>` against `<ours>` of lamina.ops.<module>."""

    module: str
    ours: str
    torch: str
    inputs: tuple[Input | None, ...]
    args: tuple[Any, ...] = ()
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        shapes = ["none" if i is None else "x".join(map(str, i.shape)) for i in self.inputs]
        settings = [str(a) for a in self.args] + [f"{k}={v}" for k, v in self.options.items()]
        return " ".join([self.torch, *shapes, *settings]).replace(", ", ",")

    def draw(self) -> list[np.ndarray | None]:
        rng = np.random.default_rng(crc32(self.name.encode()))
        return [None if i is None else i.draw(rng) for i in self.inputs]

    def weights(self, shape: tuple[int, ...]) -> np.ndarray:
        """What the output is multiplied by before it is summed and differentiated."""
        return np.random.default_rng(crc32(self.name.encode()) + 1).standard_normal(shape)

    def call(self, function: Any, inputs: list[Any]) -> Any:
        """Return what `function`, PyTorch's or ours, makes of `inputs`."""
        options = dict(self.options)
        for size in ("num_groups", "normalized_shape"):
            if size in options:
                return function(inputs[0], options.pop(size), *inputs[1:], **options)
        return function(*inputs, *self.args, **options)


def real(*shape: int) -> Input:
    return Input(shape)


SIZES = {1: (9,), 2: (7, 6), 3: (5, 5, 6)}
KERNELS = {1: (3,), 2: (3, 2), 3: (2, 3, 2)}


def convolutions() -> list[NNCase]:
    cases = []
    for axes, stride, padding, dilation, groups in product(
        (1, 2, 3), (1, 2), (0, 1), (1, 2), (1, 2)
    ):
        options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
        bias = real(4) if stride == 1 else None
        x, w = real(2, 2 * groups, *SIZES[axes]), real(4, 2, *KERNELS[axes])
        cases.append(NNCase("convolution", "conv", f"conv{axes}d", (x, w, bias), options=options))
        if axes == 3 and dilation == 2:
            continue
        if stride == 2 and padding:
            options = options | {"output_padding": 1}
        x, w = real(2, 4, *SIZES[axes][1:], 4), real(4, 4 // groups, *KERNELS[axes])
        name = f"conv_transpose{axes}d"
        cases.append(NNCase("convolution", "conv_transpose", name, (x, w, bias), options=options))
    return cases + odd_convolutions()


def odd_convolutions() -> list[NNCase]:
    image, kernel = real(2, 3, 6, 7), real(4, 3, 3, 2)
    inputs = {
        (image, kernel, None): [
            {"padding": "same"},
            {"padding": "same", "dilation": 2},
            {"padding": "valid", "stride": 2},
            {"stride": (2, 1), "padding": (1, 2), "dilation": (1, 3)},
            {"stride": 3, "padding": 2},
        ],
        (real(2, 6, 5, 5), real(12, 1, 3, 3), real(12)): [{"groups": 6}],
        (real(3, 5, 5), kernel, real(4)): [{}],
    }
    return [
        NNCase("convolution", "conv", "conv2d", given, options=options)
        for given, each in inputs.items()
        for options in each
    ]


def pooling(ours: str, torch: str, x: Input, *args: Any, **options: Any) -> NNCase:
    return NNCase("pooling", ours, torch, (x,), args, options)


def poolings() -> list[NNCase]:
    cases = []
    ties, plane = Input((2, 2, 6, 7), "ties"), real(2, 2, 6, 7)
    for kernel, stride, padding, ceil in product(
        (2, 3, (2, 3)), (None, 1, 2), (0, 1), (False, True)
    ):
        args, options = (kernel, stride, padding), {"ceil_mode": ceil}
        cases.append(pooling("max_pool", "max_pool2d", ties, *args, return_indices=True, **options))
        cases.append(pooling("avg_pool", "avg_pool2d", plane, *args, **options))
    return [
        *cases,
        pooling("max_pool", "max_pool1d", real(2, 2, 9), 3, 2, 1, return_indices=True),
        pooling("max_pool", "max_pool2d", real(1, 2, 8, 9), 3, 2, 1, 2, return_indices=True),
        pooling("max_pool", "max_pool3d", real(1, 2, 4, 5, 6), 2, 2, 1, return_indices=True),
        pooling("avg_pool", "avg_pool1d", real(2, 2, 9), 3, 2, 1),
        pooling("avg_pool", "avg_pool3d", real(1, 2, 4, 5, 6), 2, 2, 1, ceil_mode=True),
        pooling("avg_pool", "avg_pool2d", plane, 3, 2, 1, count_include_pad=False),
        pooling("avg_pool", "avg_pool2d", plane, 3, 2, 1, ceil_mode=True, count_include_pad=False),
        pooling("avg_pool", "avg_pool2d", plane, 3, 2, 1, divisor_override=5),
        pooling("lp_pool", "lp_pool2d", plane, 2, 2),
        pooling("lp_pool", "lp_pool2d", plane, 2, 3, 2, ceil_mode=True),
        pooling("lp_pool", "lp_pool1d", real(1, 2, 7), 4.0, 3, 1),
    ]


def adaptive_poolings() -> list[NNCase]:
    cases = []
    for size in (1, 2, 3, 5, 8):
        cases.append((1, real(2, 2, 7), size))
    for size in ((3, 4), (7, 2), (1, 1), (2, 3), (None, 5)):
        cases.append((2, real(2, 2, 6, 9), size))
    cases.append((3, real(1, 2, 4, 5, 6), (2, 3, 4)))
    found = []
    for axes, x, size in cases:
        name = f"adaptive_avg_pool{axes}d"
        found.append(pooling("adaptive_avg_pool", name, x, size))
        name = f"adaptive_max_pool{axes}d"
        found.append(pooling("adaptive_max_pool", name, x, size, return_indices=True))
    return found


def normalization(
    name: str, inputs: tuple[Input | None, ...], *args: Any, **options: Any
) -> NNCase:
    return NNCase("normalization", name, name, inputs, args, options)


def batch_normalizations() -> list[NNCase]:
    running, none, params = (
        (Input((3,), "fixed"), Input((3,), "positive")),
        (None,) * 2,
        (real(3),) * 2,
    )
    cases = []
    for shape, training, affine, tracks in product(
        ((5, 3), (4, 3, 5), (2, 3, 4, 3)), (True, False), (True, False), (True, False)
    ):
        if training or tracks:
            stats = running if tracks else none
            inputs = (real(*shape), *stats, *(params if affine else none))
            cases.append(normalization("batch_norm", inputs, training, 0.3, 1e-3))
    for shape, uses_input in product(((2, 3, 5), (2, 3, 4, 3)), (True, False)):
        inputs = (real(*shape), *running, *params)
        cases.append(normalization("instance_norm", inputs, uses_input, 0.2))
    cases.append(normalization("instance_norm", (real(2, 3, 7), *none, *none)))
    return cases


def sample_normalizations() -> list[NNCase]:
    cases = []
    for groups, shape in product((1, 2, 6), ((2, 6, 5), (2, 6, 3, 4))):
        inputs = (real(*shape), real(6), real(6))
        cases.append(normalization("group_norm", inputs, num_groups=groups))
    cases.append(normalization("group_norm", (real(3, 6), None, None), num_groups=2))
    for sizes in ((5,), (3, 5)):
        x, params = real(2, 4, 3, 5), (real(*sizes), real(*sizes))
        options = {"normalized_shape": sizes, "eps": 1e-3}
        for weight, bias in (params, (None, None), (params[0], None)):
            cases.append(normalization("layer_norm", (x, weight, bias), **options))
        for weight in (params[0], None):
            cases.append(normalization("rms_norm", (x, weight), **options))
    cases.append(normalization("rms_norm", (real(3, 5), real(5)), normalized_shape=(5,)))
    return cases


def softmaxes() -> list[NNCase]:
    return [
        NNCase("softmax", name, name, (real(*shape),), (axis,))
        for name in ("softmax", "log_softmax")
        for shape, axis in (((5,), 0), ((3, 4), -1), ((2, 3, 4), 1), ((2, 3, 4), 0), ((3, 1), 1))
    ]


def attentions() -> list[NNCase]:
    name = "scaled_dot_product_attention"
    qkv = (real(2, 3, 4, 5), real(2, 3, 6, 5), real(2, 3, 6, 2))
    one = (real(4, 5), real(6, 5), real(6, 2))
    wide = (real(2, 4, 3, 5), real(2, 2, 6, 5), real(2, 2, 6, 2))
    calls = [
        (qkv, {}),
        (one, {}),
        (qkv, {"scale": 0.7}),
        (qkv, {"is_causal": True}),
        ((*qkv, Input((2, 3, 4, 6), "mask")), {}),
        ((*qkv, Input((4, 6), "mask")), {}),
        ((*qkv, Input((2, 1, 1, 6), "mask")), {}),
        ((*qkv, real(4, 6)), {}),
        ((*qkv, real(2, 3, 4, 6)), {"scale": 1.0}),
        (wide, {"enable_gqa": True}),
    ]
    return [NNCase("attention", name, name, inputs, options=options) for inputs, options in calls]


def resampling(x: Input, **options: Any) -> NNCase:
    return NNCase("resampling", "interpolate", "interpolate", (x,), options=options)


def resamplings() -> list[NNCase]:
    planes = {"linear": (2, 2, 5), "bilinear": (1, 2, 4, 5), "bicubic": (1, 2, 4, 5)}
    planes["trilinear"] = (1, 1, 3, 4, 3)
    cases = []
    for mode, corners in product(planes, (False, True)):
        shape = planes[mode]
        for size in (tuple(2 * n + 1 for n in shape[2:]), tuple(n - 1 for n in shape[2:]), 1):
            cases.append(resampling(real(*shape), size=size, mode=mode, align_corners=corners))
        cases.append(resampling(real(*shape), scale_factor=1.7, mode=mode, align_corners=corners))
    for mode, shape in product(("nearest", "nearest-exact", "area"), ((2, 2, 5), (1, 2, 4, 5))):
        for size in (7, 3, 10):
            cases.append(resampling(real(*shape), size=size, mode=mode))
        cases.append(resampling(real(*shape), scale_factor=2.3, mode=mode))
        options = {"scale_factor": 0.6, "recompute_scale_factor": True}
        cases.append(resampling(real(*shape), mode=mode, **options))
    for mode, size in product(("bilinear", "bicubic"), ((3, 4), (9, 5), (2, 11))):
        cases.append(resampling(real(1, 2, 7, 8), size=size, mode=mode, antialias=True))
    for factor in (2, 3):
        for name, shape in (
            ("pixel_shuffle", (2, 2 * factor**2, 2, 3)),
            ("pixel_unshuffle", (2, 2, 2 * factor, 3 * factor)),
        ):
            cases.append(NNCase("resampling", name, name, (real(*shape),), (factor,)))
    return cases


def paddings() -> list[NNCase]:
    cases: list[tuple[tuple[int, ...], Any]] = []
    for mode in ("reflect", "replicate", "circular"):
        cases += [
            ((2, 2, 5), ((2, 1), mode)),
            ((1, 2, 4, 5), ((2, 1, 0, 3), mode)),
            ((1, 2, 4, 5), ((4, 0, 1, 1), mode)),
            ((1, 1, 3, 4, 4), ((1, 2, 2, 0, 1, 2), mode)),
        ]
    cases += [
        ((2, 2, 3), ((5, 7), "replicate")),
        ((2, 3, 4), ((1, 2), "constant", 1.5)),
        ((2, 3, 4), ((-1, 2, 0, -2), "constant", 1.5)),
        ((3, 4), ((1, 0, 2, 3), "constant", 1.5)),
    ]
    return [NNCase("padding", "pad", "pad", (real(*shape),), args) for shape, args in cases]


FAMILIES = (
    *(convolutions, poolings, adaptive_poolings, batch_normalizations, sample_normalizations),
    *(softmaxes, attentions, resamplings, paddings),
)
CASES = {case.name: case for family in FAMILIES for case in family()}

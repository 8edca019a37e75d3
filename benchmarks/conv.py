"""Convolutions and their gradients against the measured FMA peak and PyTorch.

    python benchmarks/conv.py [--threads N] [--quick] [--batch B]

PyTorch runs in a process of its own, with the same number of threads.
"""

import json

import numpy as np
from _measure import ArrayOperand, Row, apply_options, in_clean_process, measure, options, report

from lamina.codegen import threads
from lamina.kernels.convolution.entry import conv

# name: channels in and out, size, taps, stride, padding, groups
LAYERS = {
    "LeNet 1": (1, 32, 28, 5, 1, 2, 1),
    "LeNet 2": (32, 64, 14, 5, 1, 2, 1),
    "ResNet stem": (3, 64, 224, 7, 2, 3, 1),
    "ResNet 56 1×1": (64, 256, 56, 1, 1, 0, 1),
    "ResNet 56 3×3": (64, 64, 56, 3, 1, 1, 1),
    "ResNet 28 3×3": (128, 128, 28, 3, 1, 1, 1),
    "ResNet 56→28 3×3": (128, 128, 56, 3, 2, 1, 1),
    "ResNet 56→28 1×1": (256, 512, 56, 1, 2, 0, 1),
    "ResNet 14 3×3": (256, 256, 14, 3, 1, 1, 1),
    "ResNet 7 3×3": (512, 512, 7, 3, 1, 1, 1),
    "MobileNet 56 depthwise": (144, 144, 56, 3, 1, 1, 144),
    "MobileNet 14 depthwise": (576, 576, 14, 3, 1, 1, 576),
    "MobileNet 56→28 depthwise": (144, 144, 56, 3, 2, 1, 144),
    "EfficientNet 28 depthwise": (240, 240, 28, 5, 1, 2, 240),
    "EfficientNet 14→7 depthwise": (480, 480, 14, 5, 2, 2, 480),
    "RGB 32 3×3": (3, 64, 32, 3, 1, 1, 1),
}
WHAT = ("forward", "input gradient", "weight gradient")


def places(layer):
    _, _, size, taps, stride, padding, _ = layer
    return (size + 2 * padding - taps) // stride + 1


def arrays(layer, batch):
    """The input, the weights and the gradient of the output."""
    channels, outputs, size, taps, _, _, groups = layer
    random = np.random.default_rng(0)
    shapes = (
        (batch, channels, size, size),
        (outputs, channels // groups, taps, taps),
        (batch, outputs, places(layer), places(layer)),
    )
    return [random.standard_normal(shape).astype("f4") for shape in shapes]


def flipped(w, groups):
    """The weights as the input gradient reads them: inputs and outputs exchanged, taps reversed."""
    outputs, channels, *taps = w.shape
    grouped = w.reshape(groups, outputs // groups, channels, *taps).swapaxes(1, 2)
    turned = np.flip(grouped, (3, 4))
    if groups == 1:
        return turned[0]
    return np.ascontiguousarray(turned).reshape(groups * channels, outputs // groups, *taps)


def calls(layer, batch):
    """The three calls: forward, gradient of the input, gradient of the weights."""
    _, _, _, taps, stride, padding, groups = layer
    x, w, g = arrays(layer, batch)
    rest = taps - 1 - padding
    cases = (
        (np.empty_like(g), x, w, stride, padding, 1, 1, groups, 1),
        (np.empty_like(x), g, flipped(w, groups), 1, rest, 1, stride, groups, 1),
        (
            np.empty_like(w).swapaxes(0, 1), x.swapaxes(0, 1), g.swapaxes(0, 1),
            1, padding, stride, 1, 1, groups,
        ),
    )  # fmt: skip
    return [_call(*case) for case in cases]


def _call(out, x, w, stride, padding, dilation, input_dilation, groups, batch_groups):
    operands = [ArrayOperand(array) for array in (out, x, w)]
    return lambda: conv(
        *operands, stride=(stride,) * 2, padding=(padding,) * 2, dilation=(dilation,) * 2,
        input_dilation=(input_dilation,) * 2, groups=groups, batch_groups=batch_groups,
    )  # fmt: skip


def torch_medians(layer, batch):
    import torch

    torch.set_num_threads(threads.num_threads())
    _, _, _, _, stride, padding, groups = layer
    x, w, g = (torch.from_numpy(array) for array in arrays(layer, batch))

    def backward(mask):
        return torch.ops.aten.convolution_backward(
            g, x, w, None, [stride] * 2, [padding] * 2, [1, 1], False, [0, 0], groups, mask
        )

    runs = (
        lambda: torch.nn.functional.conv2d(x, w, None, stride, padding, 1, groups),
        lambda: backward([True, False, False]),
        lambda: backward([False, True, False]),
    )
    with torch.no_grad():
        return [measure(run).median for run in runs]


def flops(layer, batch):
    channels, outputs, _, taps, _, _, groups = layer
    return 2 * batch * outputs * places(layer) ** 2 * channels // groups * taps**2


def main() -> None:
    parser = options(__doc__, ["torch"])
    parser.add_argument("--batch", type=int, default=1)
    arguments = parser.parse_args()
    apply_options(arguments)
    layers = [(layer, arguments.batch) for layer in LAYERS.values()]
    if arguments.peer:
        print(json.dumps([median for pair in layers for median in torch_medians(*pair)]))
        return
    ours = [measure(call) for pair in layers for call in calls(*pair)]
    peers = in_clean_process(__file__, "torch", len(ours), ["--batch", str(arguments.batch)])
    labels = [(name, what) for name in LAYERS for what in WHAT]
    rows = [
        Row(f"{name}, {what}", flops(LAYERS[name], arguments.batch), times, (peer,))
        for (name, what), times, peer in zip(labels, ours, peers, strict=True)
    ]
    report(f"convolution, float32, batch {arguments.batch}", ["torch"], rows)


if __name__ == "__main__":
    main()

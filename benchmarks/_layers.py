"""Layers of networks that are met everywhere: what the convolution benchmark runs over."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Layer:
    """A square convolution of two axes."""

    network: str
    channels: int
    outputs: int
    size: int
    taps: int
    stride: int = 1
    groups: int = 1

    @property
    def padding(self) -> int:
        return self.taps // 2

    @property
    def places(self) -> int:
        return (self.size + 2 * self.padding - self.taps) // self.stride + 1

    @property
    def name(self) -> str:
        kind = "depthwise" if self.groups > 1 else f"{self.taps}×{self.taps}"
        step = f"/{self.stride}" if self.stride > 1 else ""
        return f"{self.size}{step} {kind} {self.channels}→{self.outputs}"

    def shapes(self, batch: int) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
        """Return the shapes of the input, the weights and the output."""
        taps, places = (self.taps,) * 2, (self.places,) * 2
        return (
            (batch, self.channels, self.size, self.size),
            (self.outputs, self.channels // self.groups, *taps),
            (batch, self.outputs, *places),
        )

    def flops(self, batch: int) -> int:
        products = self.outputs * self.places**2 * self.channels // self.groups * self.taps**2
        return 2 * batch * products

    def intensity(self, batch: int) -> float:
        """Return the FLOPs for each byte of operands and result, each moved once."""
        sizes = 0
        for shape in self.shapes(batch):
            size = 4
            for count in shape:
                size *= count
            sizes += size
        return self.flops(batch) / sizes


def _resnet50() -> list[Layer]:
    """Return its 23 distinct convolutions, with the stride in the 3×3 ones (version 1.5)."""
    layers = [Layer("ResNet-50", 3, 64, 224, 7, 2), Layer("ResNet-50", 64, 64, 56, 1)]
    before = 64
    for size, width in ((56, 64), (28, 128), (14, 256), (7, 512)):
        wide, whole = 4 * width, size if width == 64 else 2 * size
        if width > 64:
            layers.append(Layer("ResNet-50", before, width, whole, 1))
            layers.append(Layer("ResNet-50", width, width, whole, 3, 2))
            layers.append(Layer("ResNet-50", before, wide, whole, 1, 2))
        layers.append(Layer("ResNet-50", width, width, size, 3))
        layers.append(Layer("ResNet-50", width, wide, size, 1))
        layers.append(Layer("ResNet-50", wide, width, size, 1))
        before = wide
    return layers


_DEPTHWISE = (
    (32, 112, 1), (96, 112, 2), (144, 56, 1), (144, 56, 2), (192, 28, 1), (192, 28, 2),
    (384, 14, 1), (576, 14, 1), (576, 14, 2), (960, 7, 1),
)  # fmt: skip
_VGG = (
    (3, 64, 224), (64, 64, 224), (64, 128, 112), (128, 128, 112), (128, 256, 56), (256, 256, 56),
    (256, 512, 28), (512, 512, 28), (512, 512, 14),
)  # fmt: skip
LAYERS = (
    *_resnet50(),
    *(Layer("MobileNetV2", c, c, size, 3, stride, c) for c, size, stride in _DEPTHWISE),
    *(Layer("VGG", channels, outputs, size, 3) for channels, outputs, size in _VGG),
)
NETWORKS = tuple(dict.fromkeys(layer.network for layer in LAYERS))

"""The reference networks, written once for either library: `networks(nn, functional, library)`."""

# (name, network, input): inference. Whole numbers are drawn below 256.
INFERENCE = (
    ("mlp b1", "mlp", (1, 784)),
    ("lenet b1", "lenet", (1, 1, 28, 28)),
    ("resnet50 b1", "resnet50", (1, 3, 224, 224)),
    ("resnet50 b8", "resnet50", (8, 3, 224, 224)),
    ("mobilenetv2 b1", "mobilenetv2", (1, 3, 224, 224)),
    ("encoder b1", "encoder", (1, 128, 384)),
    ("encoder b8", "encoder", (8, 128, 384)),
)
# (name, network, input, target): one step of Adam; targets are classes, or numbers for "xor".
TRAINING = (
    ("xor b4", "xor", (4, 2), (4, 1)),
    ("lenet b64", "lenet", (64, 1, 28, 28), (64,)),
    ("resnet18 b32", "resnet18", (32, 3, 32, 32), (32,)),
    ("gpt-mini b16", "gpt", (16, 128), (16, 128)),
)


def networks(nn, functional, library):
    """Return what makes each network, by name."""
    return {
        "mlp": lambda: nn.Sequential(nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 10)),
        "xor": lambda: nn.Sequential(nn.Linear(2, 4), nn.ReLU(), nn.Linear(4, 1)),
        "lenet": lambda: lenet(nn),
        **residual_networks(nn, functional),
        "mobilenetv2": lambda: mobilenetv2(nn, functional),
        **transformers(nn, functional, library),
    }


def lenet(nn):
    """Return the small CNN that a newcomer trains on 28×28 images."""
    return nn.Sequential(
        *(nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(64 * 7 * 7, 128), nn.ReLU(), nn.Linear(128, 10)),
    )


def normed(nn, inputs, outputs, kernel, stride=1, groups=1):
    """Return a convolution and its batch norm."""
    conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
    return [conv, nn.BatchNorm2d(outputs)]


def pooled(nn, functional, layers, channels, classes):
    """Return layers, the mean of each channel, and a linear layer."""

    class Pooled(nn.Module):
        def __init__(self):
            super().__init__()
            self.body, self.score = nn.Sequential(*layers), nn.Linear(channels, classes)

        def forward(self, x):
            return self.score(functional.adaptive_avg_pool2d(self.body(x), 1).flatten(1))

    return Pooled()


def residual_networks(nn, functional):
    """Return what makes ResNet-50, and ResNet-18 for 32×32 images."""

    class Residual(nn.Module):
        def __init__(self, inputs, outputs, stride, layers):
            super().__init__()
            self.body = nn.Sequential(*layers)
            is_same = stride == 1 and inputs == outputs
            down = None if is_same else nn.Sequential(*normed(nn, inputs, outputs, 1, stride))
            self.down = down

        def forward(self, x):
            return functional.relu(self.body(x) + (x if self.down is None else self.down(x)))

    def bottleneck(inputs, width, stride):
        layers = [*normed(nn, inputs, width, 1), nn.ReLU(), *normed(nn, width, width, 3, stride)]
        layers += [nn.ReLU(), *normed(nn, width, 4 * width, 1)]
        return Residual(inputs, 4 * width, stride, layers)

    def basic(inputs, width, stride):
        layers = [*normed(nn, inputs, width, 3, stride), nn.ReLU(), *normed(nn, width, width, 3)]
        return Residual(inputs, width, stride, layers)

    def resnet(block, stem, counts, expansion, classes):
        layers, inputs = list(stem), 64
        for width, count in zip((64, 128, 256, 512), counts, strict=True):
            for place in range(count):
                layers.append(block(inputs, width, 2 if place == 0 and width > 64 else 1))
                inputs = expansion * width
        return pooled(nn, functional, layers, inputs, classes)

    def resnet50():
        stem = [*normed(nn, 3, 64, 7, 2), nn.ReLU(), nn.MaxPool2d(3, 2, 1)]
        return resnet(bottleneck, stem, (3, 4, 6, 3), 4, 1000)

    def resnet18():
        return resnet(basic, [*normed(nn, 3, 64, 3), nn.ReLU()], (2, 2, 2, 2), 1, 10)

    return {"resnet50": resnet50, "resnet18": resnet18}


def mobilenetv2(nn, functional):
    """Return MobileNetV2."""

    class Inverted(nn.Module):
        def __init__(self, inputs, outputs, stride, expansion):
            super().__init__()
            width = inputs * expansion
            layers = [*normed(nn, inputs, width, 1), nn.ReLU6()] if expansion > 1 else []
            layers += [*normed(nn, width, width, 3, stride, width), nn.ReLU6()]
            self.body = nn.Sequential(*layers, *normed(nn, width, outputs, 1))
            self.is_residual = stride == 1 and inputs == outputs

        def forward(self, x):
            return x + self.body(x) if self.is_residual else self.body(x)

    layers, inputs = [*normed(nn, 3, 32, 3, 2), nn.ReLU6()], 32
    stages = (
        *((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2)),
        *((6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)),
    )
    for expansion, outputs, count, stride in stages:
        for place in range(count):
            layers.append(Inverted(inputs, outputs, stride if place == 0 else 1, expansion))
            inputs = outputs
    return pooled(nn, functional, [*layers, *normed(nn, inputs, 1280, 1), nn.ReLU6()], 1280, 1000)


def transformers(nn, functional, library):
    """Return what makes the encoder of six layers, and a small GPT."""

    class Block(nn.Module):
        def __init__(self, width, heads):
            super().__init__()
            self.heads = heads
            self.first, self.second = nn.LayerNorm(width), nn.LayerNorm(width)
            self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
            self.wide, self.narrow = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

        def forward(self, x, is_causal):
            batch, length, width = x.shape
            sizes = (batch, length, 3, self.heads, width // self.heads)
            q, k, v = self.qkv(self.first(x)).view(*sizes).permute(2, 0, 3, 1, 4)
            mixed = functional.scaled_dot_product_attention(q, k, v, is_causal=is_causal)
            x = x + self.out(mixed.transpose(1, 2).reshape(batch, length, width))
            return x + self.narrow(functional.gelu(self.wide(self.second(x))))

    class Encoder(nn.Module):
        def __init__(self, width=384, heads=12, layers=6, is_causal=False):
            super().__init__()
            self.blocks = nn.ModuleList([Block(width, heads) for _ in range(layers)])
            self.is_causal = is_causal

        def forward(self, x):
            for block in self.blocks:
                x = block(x, self.is_causal)
            return x

    class GPT(nn.Module):
        def __init__(self, vocabulary=256, width=128, length=128):
            super().__init__()
            self.embed = nn.Embedding(vocabulary, width)
            self.places = nn.Parameter(library.zeros(length, width))
            self.body = Encoder(width, 4, 4, is_causal=True)
            self.norm, self.score = nn.LayerNorm(width), nn.Linear(width, vocabulary)

        def forward(self, tokens):
            x = self.embed(tokens) + self.places[: tokens.shape[1]]
            return self.score(self.norm(self.body(x)))

    return {"encoder": Encoder, "gpt": GPT}

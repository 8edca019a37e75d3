"""Eager training steps (forward, backward, Adam) beside PyTorch's, the same networks line by line.

    python benchmarks/training.py [--threads N] [--quick]

PyTorch runs in a process of its own, with the same number of threads.
"""

import json

from _measure import Row, apply_options, in_clean_process, measure, options, report

import lamina
import lamina.nn.functional
import lamina.optim

WORK = ("XOR perceptron, batch 4", "LeNet-like CNN, batch 64", "encoder 2×128, 16×128 tokens")


def networks(nn, functional):
    """Return the networks of `WORK`, written once for either library."""

    class Encoder(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed, self.score = nn.Embedding(256, 128), nn.Linear(128, 256)
            self.blocks = nn.ModuleList([Block() for _ in range(2)])

        def forward(self, tokens):
            x = self.embed(tokens)
            for block in self.blocks:
                x = block(x)
            return self.score(x).flatten(0, 1)

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.LayerNorm(128), nn.LayerNorm(128)
            self.qkv, self.out = nn.Linear(128, 384), nn.Linear(128, 128)
            self.wide, self.narrow = nn.Linear(128, 512), nn.Linear(512, 128)

        def forward(self, x):
            batch, length, width = x.shape
            q, k, v = self.qkv(self.first(x)).view(batch, length, 3, 4, 32).permute(2, 0, 3, 1, 4)
            mixed = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
            x = x + self.out(mixed.transpose(1, 2).reshape(batch, length, width))
            return x + self.narrow(functional.gelu(self.wide(self.second(x))))

    lenet = nn.Sequential(
        *(nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(64 * 7 * 7, 128), nn.ReLU(), nn.Linear(128, 10)),
    )
    return nn.Sequential(nn.Linear(2, 4), nn.ReLU(), nn.Linear(4, 1)), lenet, Encoder()


def steps(library, functional, optimizers):
    """Return one training step for each of `WORK`, as functions of no arguments."""
    library.manual_seed(0)
    data = (
        (library.randn(4, 2), library.randn(4, 1), functional.mse_loss),
        (library.randn(64, 1, 28, 28), library.randint(0, 10, (64,)), functional.cross_entropy),
        (
            library.randint(0, 256, (16, 128)),
            library.randint(0, 256, (16 * 128,)),
            functional.cross_entropy,
        ),
    )

    def step_of(model, x, y, loss):
        optimizer = optimizers.Adam(model.parameters(), lr=1e-3)

        def step():
            optimizer.zero_grad()
            loss(model(x), y).backward()
            optimizer.step()

        return step

    models = networks(library.nn, functional)
    return [step_of(model, *sample) for model, sample in zip(models, data, strict=True)]


def torch_medians(thread_count):
    import torch

    torch.set_num_threads(thread_count)
    return [measure(step).median for step in steps(torch, torch.nn.functional, torch.optim)]


def main() -> None:
    arguments = options(__doc__, ["torch"]).parse_args()
    apply_options(arguments)
    if arguments.peer:
        print(json.dumps(torch_medians(arguments.threads)))
        return
    ours = [measure(step) for step in steps(lamina, lamina.nn.functional, lamina.optim)]
    peers = in_clean_process(__file__, "torch", len(WORK))
    rows = [
        Row(name, 0.0, times, (peer,)) for name, times, peer in zip(WORK, ours, peers, strict=True)
    ]
    report(f"one training step, eager, {arguments.threads} thread(s)", ["torch"], rows)


if __name__ == "__main__":
    main()

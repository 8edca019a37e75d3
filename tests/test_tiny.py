"""The whole stack in a few seconds: when this fails, look here before anywhere else."""

from pathlib import Path

import numpy as np

import lamina
import lamina.nn.functional as F
from lamina import autograd, nn, optim
from lamina.data import DataLoader, TensorDataset, digits


def test_layout_to_memory() -> None:
    x = lamina.arange(12).reshape(3, 4)
    assert x.T[::2, 1:].tolist() == [[4, 8], [6, 10]]
    assert np.shares_memory(x.T[::2].numpy(), x.numpy())


def test_native_product_against_float64() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((37, 53)), rng.standard_normal((53, 29))
    found = lamina.tensor(a, dtype="float32") @ lamina.tensor(b, dtype="float32")
    # 53 roundings of products of unit size, each half a ULP: 53 · 2⁻²⁴ · Σ|a·b|.
    assert np.all(np.abs(found.numpy() - a @ b) <= 53 * 2**-24 * (np.abs(a) @ np.abs(b)) + 1e-6)


def test_gradient_of_a_gradient() -> None:
    x = lamina.tensor(0.7, dtype="float64", requires_grad=True)
    (first,) = autograd.grad(x.tanh(), x, create_graph=True)
    (second,) = autograd.grad(first, x)
    t = np.tanh(0.7)
    assert np.isclose(first.item(), 1 - t * t, rtol=1e-14)
    assert np.isclose(second.item(), -2 * t * (1 - t * t), rtol=1e-14)


def test_a_cnn_learns_saves_and_loads(tmp_path: Path) -> None:
    lamina.manual_seed(0)

    def network() -> nn.Module:
        return nn.Sequential(
            *(nn.Conv2d(1, 12, 3, padding=1), nn.BatchNorm2d(12), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Flatten(), nn.Linear(192, 10)),
        )

    images, labels = digits("train").tensors
    model, images, labels = network(), images[:512], labels[:512]
    optimizer = optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(6):
        for x, y in DataLoader(TensorDataset(images, labels), batch_size=64, shuffle=True):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
    lamina.save(model.state_dict(), tmp_path / "tiny.lamina")
    restored = network()
    restored.load_state_dict(lamina.load(tmp_path / "tiny.lamina"))
    model.eval(), restored.eval()
    test_images, test_labels = digits("test").tensors
    with lamina.no_grad():
        scores = restored(test_images)
        assert np.array_equal(scores.numpy(), model(test_images).numpy())
    assert (scores.argmax(1) == test_labels).to("float32").mean().item() > 0.9

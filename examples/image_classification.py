"""A small CNN learns handwritten digits; saved, loaded again, and asked about six images."""

import tempfile
from pathlib import Path

import lamina
import lamina.nn.functional as F
from lamina import nn, optim
from lamina.data import DataLoader, digits
from lamina.train import accuracy, evaluate, fit


def new_model():
    """Return the untrained network: images (N, 1, 8, 8) to scores (N, 10)."""
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(32 * 2 * 2, 10),
    )


lamina.manual_seed(0)
model = new_model()
fit(
    model,
    DataLoader(digits("train"), batch_size=32, shuffle=True),
    loss=F.cross_entropy,
    optimizer=optim.Adam(model.parameters(), lr=3e-3),
    epochs=15,
    metric=accuracy,
    show="nothing",
)
with tempfile.TemporaryDirectory() as folder:
    path = Path(folder) / "digits.lamina"
    lamina.save(model.state_dict(), path)
    restored = new_model()
    restored.load_state_dict(lamina.load(path))
    judged = evaluate(restored, DataLoader(digits("test"), batch_size=90), F.cross_entropy)

print(f"held-out accuracy {accuracy(judged.outputs, judged.targets):.3f}")
print("true     ", judged.targets[:6].tolist())
print("predicted", judged.outputs[:6].argmax(1).tolist())

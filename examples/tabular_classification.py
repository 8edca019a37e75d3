"""Three cultivars of wine told apart by thirteen measurements, from a CSV file."""

from pathlib import Path

import lamina
import lamina.nn.functional as F
from lamina import nn, optim
from lamina.data import DataLoader, TensorDataset, random_split, read_csv
from lamina.train import accuracy, evaluate, fit

lamina.manual_seed(0)
table = read_csv(Path(__file__).parent / "data" / "wine.csv", target="cultivar")
learn, held_out = random_split(TensorDataset(table.features, table.target), [142, 36])

seen = table.features[lamina.tensor(learn.indices)]
mean, spread = seen.mean(0), seen.std(0)


class WineNet(nn.Module):
    """Standardises its input with the training set's figures, kept as buffers."""

    def __init__(self):
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("spread", spread)
        self.layers = nn.Sequential(nn.Linear(13, 16), nn.ReLU(), nn.Linear(16, 3))

    def forward(self, x):
        return self.layers((x - self.mean) / self.spread)


model = WineNet()
fit(
    model,
    DataLoader(learn, batch_size=16, shuffle=True),
    loss=F.cross_entropy,
    optimizer=optim.AdamW(model.parameters(), lr=1e-2),
    epochs=30,
    metric=accuracy,
    show="nothing",
)
judged = evaluate(model, DataLoader(held_out, batch_size=36), F.cross_entropy)
print(f"classes: {', '.join(table.classes)}")
print(f"held-out accuracy {accuracy(judged.outputs, judged.targets):.3f}, loss {judged.loss:.4f}")

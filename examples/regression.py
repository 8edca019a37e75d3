"""Disease progression after a year predicted from ten measurements, beside a least-squares fit."""

from pathlib import Path

import lamina
import lamina.nn.functional as F
from lamina import nn, optim
from lamina.data import DataLoader, TensorDataset, random_split, read_csv
from lamina.train import evaluate, fit

lamina.manual_seed(0)
table = read_csv(Path(__file__).parent / "data" / "diabetes.csv", target="progression")
x, y = table.features, table.target.to(lamina.float32).unsqueeze(1)
x, scale, centre = (x - x.mean(0)) / x.std(0), y.std(), y.mean()
learn, held_out = random_split(TensorDataset(x, (y - centre) / scale), [342, 100])

model = nn.Sequential(nn.Linear(10, 32), nn.ReLU(), nn.Dropout(0.2), nn.Linear(32, 1))
fit(
    model,
    DataLoader(learn, batch_size=32, shuffle=True),
    loss=F.mse_loss,
    optimizer=optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.1),
    epochs=40,
    show="nothing",
)
judged = evaluate(model, DataLoader(held_out, batch_size=100), F.mse_loss)


def r_squared(predicted, true):
    """Return the share of the variance that the prediction explains."""
    return 1 - (((true - predicted) ** 2).sum() / ((true - true.mean()) ** 2).sum()).item()


a, b = next(iter(DataLoader(learn, batch_size=342)))
design = lamina.cat([a, lamina.ones(len(a), 1)], dim=1)
weights = lamina.linalg.solve(design.T @ design, design.T @ b)
test_x, test_y = next(iter(DataLoader(held_out, batch_size=100)))
straight = lamina.cat([test_x, lamina.ones(len(test_x), 1)], dim=1) @ weights

print(
    f"held-out R²: network {r_squared(judged.outputs, judged.targets):.3f}, "
    f"least squares {r_squared(straight, test_y):.3f}"
)

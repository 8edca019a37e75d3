"""A 2→4→1 network learns XOR from a CSV file and prints its predictions."""

from pathlib import Path

import lamina
import lamina.nn.functional as F
from lamina import nn, optim
from lamina.data import read_csv

lamina.manual_seed(0)
table = read_csv(Path(__file__).parent / "data" / "xor.csv", target="a xor b")
inputs, expected = table.features, table.target.to(lamina.float32).unsqueeze(1)

model = nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Linear(4, 1))
optimizer = optim.Adam(model.parameters(), lr=0.05)
for step in range(501):
    optimizer.zero_grad()
    loss = F.mse_loss(model(inputs), expected)
    loss.backward()
    optimizer.step()
    if step % 100 == 0:
        print(f"step {step:3d}  loss {loss.item():.6f}")

with lamina.no_grad():
    for row, answer in zip(inputs.tolist(), model(inputs).tolist(), strict=True):
        print(f"{row[0]:.0f} xor {row[1]:.0f} = {answer[0]:.3f}")

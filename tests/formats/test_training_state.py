"""A training run goes on from its file as if it had never stopped."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lamina
import lamina.nn.functional as F
from lamina import nn, optim
from lamina.data import DataLoader, TensorDataset
from lamina.errors import ArgumentError, FileFormatError


class Run:
    """A model with batch norm and dropout, Adam, a schedule, and shuffled batches."""

    def __init__(self) -> None:
        lamina.manual_seed(3)
        self.model = nn.Sequential(
            nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 2)
        )
        self.optimizer = optim.Adam(self.model.parameters(), lr=0.05)
        self.schedule = optim.lr_scheduler.StepLR(self.optimizer, 2, gamma=0.5)
        random = np.random.default_rng(0)
        x = lamina.tensor(random.standard_normal((24, 4)).astype(np.float32))
        self.loader = DataLoader(TensorDataset(x, x[:, :2]), batch_size=6, shuffle=True)

    def parts(self) -> dict[str, Any]:
        return {
            "model": self.model,
            "optimizer": self.optimizer,
            "schedule": self.schedule,
            "loader": self.loader,
        }

    def state_dict(self) -> dict[str, Any]:
        states = {name: part.state_dict() for name, part in self.parts().items()}
        return {**states, "random": lamina.philox.default_generator.state}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for name, part in self.parts().items():
            part.load_state_dict(state[name])
        lamina.philox.default_generator.state = state["random"]

    def epoch(self) -> list[float]:
        losses = []
        for x, y in self.loader:
            self.optimizer.zero_grad()
            loss = F.mse_loss(self.model(x), y)
            loss.backward()
            self.optimizer.step()
            losses.append(loss.item())
        self.schedule.step()
        return losses


def test_the_numbers_after_a_restart_are_those_without(tmp_path: Path) -> None:
    path = tmp_path / "run.lamina"
    run = Run()
    run.epoch()
    lamina.save(run.state_dict(), path)
    expected = [run.epoch(), run.epoch()]
    restarted = Run()
    restarted.epoch()
    restarted.epoch()
    restarted.load_state_dict(lamina.load(path))
    assert [restarted.epoch(), restarted.epoch()] == expected


def test_tied_weights_stay_tied(tmp_path: Path) -> None:
    first, second = nn.Linear(3, 3), nn.Linear(3, 3)
    second.weight = first.weight
    lamina.save(nn.Sequential(first, second).state_dict(), tmp_path / "tied.lamina")
    found = lamina.load(tmp_path / "tied.lamina")
    assert found["0.weight"].data_ptr() == found["1.weight"].data_ptr()
    assert found["0.bias"].data_ptr() != found["1.bias"].data_ptr()


@pytest.mark.parametrize("part", ["model", "optimizer"])
def test_a_part_itself_is_not_saved(part: str, tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match=r"save\(model.state_dict\(\), path\) saves what"):
        lamina.save(Run().parts()[part], tmp_path / "x.lamina")


def test_a_truncated_checkpoint_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "run.lamina"
    run = Run()
    lamina.save(run.state_dict(), path)
    path.write_bytes(path.read_bytes()[:-100])
    before = run.model[0].weight.tolist()
    with pytest.raises(FileFormatError, match="truncated"):
        run.load_state_dict(lamina.load(path))
    assert run.model[0].weight.tolist() == before

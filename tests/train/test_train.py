"""The training loop against its definition; class figures against counting by hand."""

from typing import Any

import numpy as np
import pytest

import lamina
import lamina.nn.functional as F
from lamina import nn, optim
from lamina.data import DataLoader, TensorDataset
from lamina.errors import LabelError, ShapeError
from lamina.train import accuracy, class_scores, confusion_matrix, evaluate, fit


def line_data() -> TensorDataset:
    x = lamina.linspace(-1, 1, 10).unsqueeze(1)
    return TensorDataset(x, 2 * x + 1)


def test_fit_learns_a_line_and_reports_means() -> None:
    lamina.manual_seed(0)
    model = nn.Linear(1, 1)
    data = line_data()
    results = fit(
        model,
        DataLoader(data, batch_size=4),
        loss=F.mse_loss,
        optimizer=optim.SGD(model.parameters(), lr=0.3),
        epochs=30,
        held_out=DataLoader(data, batch_size=10),
        show="nothing",
    )
    assert [r.epoch for r in results] == list(range(1, 31))
    assert results[0].samples == 10
    assert results[0].metric is None
    assert results[-1].held_out_loss is not None
    assert results[-1].held_out_loss < 1e-4 < results[0].loss
    assert model.weight.item() == pytest.approx(2, abs=0.02)


def test_epoch_loss_is_the_mean_over_samples() -> None:
    model = nn.Linear(1, 1)
    expected = evaluate(model, DataLoader(line_data(), batch_size=3), F.mse_loss).loss
    whole = F.mse_loss(model(line_data().tensors[0]), line_data().tensors[1]).item()
    assert expected == pytest.approx(whole, rel=1e-6)
    still = fit(
        model,
        DataLoader(line_data(), batch_size=3),
        loss=F.mse_loss,
        optimizer=optim.SGD(model.parameters(), lr=0.0),
        epochs=1,
        show="nothing",
    )
    assert still[0].loss == pytest.approx(whole, rel=1e-6)


def test_evaluate_restores_the_mode() -> None:
    model = nn.Sequential(nn.Linear(1, 1), nn.Dropout(0.9))
    model.train()
    first = evaluate(model, DataLoader(line_data(), batch_size=5), F.mse_loss)
    second = evaluate(model, DataLoader(line_data(), batch_size=2), F.mse_loss)
    assert model.training
    assert np.array_equal(first.outputs.numpy(), second.outputs.numpy())


def test_class_figures() -> None:
    true = lamina.tensor([0, 0, 0, 1, 1, 2])
    guessed = lamina.tensor([0, 0, 1, 1, 0, 1])
    counts = confusion_matrix(guessed, true, 4)
    assert counts.tolist() == [[2, 1, 0, 0], [1, 1, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0]]
    zero, one, two, three = class_scores(counts)
    assert (zero.precision, zero.recall) == (2 / 3, 2 / 3)
    assert (one.precision, one.recall) == (1 / 3, 1 / 2)
    assert one.f1 == pytest.approx(0.4)
    assert (two.precision, two.recall, two.f1) == (0, 0, 0)
    assert three.count == 0


@pytest.mark.parametrize(
    ("guessed", "true", "error"),
    [([0, 3], [0, 1], LabelError), ([0, 1], [-1, 1], LabelError), ([0], [0, 1], ShapeError)],
)
def test_labels_outside_the_classes(guessed: Any, true: Any, error: type) -> None:
    with pytest.raises(error):
        confusion_matrix(lamina.tensor(guessed), lamina.tensor(true), 3)


def test_accuracy_counts_rows() -> None:
    scores = lamina.tensor([[1.0, 0.0], [0.0, 1.0], [0.3, 0.2]])
    assert accuracy(scores, lamina.tensor([0, 1, 1])) == pytest.approx(2 / 3)


def test_a_stream_of_unknown_length_can_be_fitted() -> None:
    model = nn.Linear(1, 1)
    x, y = line_data().tensors
    (result,) = fit(
        model,
        iter([(x, y), (x, y)]),
        loss=F.mse_loss,
        optimizer=optim.SGD(model.parameters(), lr=0.1),
        epochs=1,
        show="nothing",
    )
    assert result.samples == 20

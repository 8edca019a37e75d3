"""Starting values: their distributions, their seeds, and the layers that draw them."""

import math

import numpy as np
import pytest

import lamina
from lamina import nn
from lamina.errors import ArgumentError, ShapeError
from lamina.nn import init
from lamina.philox import Generator

SHAPE = (40, 50, 3)  # 6000 numbers: the mean of them is known to about 1.3 % of their spread


def drawn(fill, *args, **kwargs):
    return fill(lamina.empty(SHAPE), *args, **kwargs).numpy().astype(np.float64).ravel()


def assert_uniform(values, bound):
    assert abs(values).max() <= bound
    assert abs(values).max() > 0.99 * bound
    assert abs(values.mean()) < 0.03 * bound
    np.testing.assert_allclose(values.std(), bound / math.sqrt(3), rtol=0.03)


def assert_normal(values, std):
    assert abs(values.mean()) < 0.05 * std
    np.testing.assert_allclose(values.std(), std, rtol=0.05)
    # 68.3 % lie within one standard deviation.
    assert abs((abs(values) < std).mean() - 0.683) < 0.03


UNIFORM = {
    "uniform": (lambda t, **k: init.uniform_(t, -2.0, 2.0, **k), 2.0),
    "xavier": (lambda t, **k: init.xavier_uniform_(t, gain=2.0, **k), 2 * math.sqrt(6 / 270)),
    "kaiming": (lambda t, **k: init.kaiming_uniform_(t, **k), math.sqrt(6 / 150)),
    "kaiming_out": (
        lambda t, **k: init.kaiming_uniform_(t, a=math.sqrt(5), mode="fan_out", **k),
        1 / math.sqrt(120),
    ),
}
NORMAL = {
    "normal": (lambda t, **k: init.normal_(t, 0.0, 3.0, **k), 3.0),
    "xavier": (lambda t, **k: init.xavier_normal_(t, **k), math.sqrt(2 / 270)),
    "kaiming": (
        lambda t, **k: init.kaiming_normal_(t, nonlinearity="relu", **k),
        math.sqrt(2 / 150),
    ),
    "kaiming_tanh": (
        lambda t, **k: init.kaiming_normal_(t, mode="fan_out", nonlinearity="tanh", **k),
        5 / 3 / math.sqrt(120),
    ),
    "truncated_wide": (lambda t, **k: init.trunc_normal_(t, 0.0, 0.1, **k), 0.1),
}


@pytest.mark.parametrize("name", UNIFORM)
def test_even_spread(name):
    fill, bound = UNIFORM[name]
    assert_uniform(drawn(fill, generator=Generator(1)), bound)


@pytest.mark.parametrize("name", NORMAL)
def test_normal_spread(name):
    fill, std = NORMAL[name]
    assert_normal(drawn(fill, generator=Generator(2)), std)


# Mean and variance of a normal distribution held to [a, b], by the textbook formula.
@pytest.mark.parametrize(
    ("a", "b"), [(-1.0, 1.0), (-2.0, 0.5), (0.5, 0.6), (2.0, 9.0), (30.0, 1e6), (-9.0, -3.0)]
)
def test_truncated_normal(a, b):
    values = drawn(init.trunc_normal_, 0.0, 1.0, a, b, generator=Generator(3))
    grid = np.linspace(a, min(b, a + 8) if a > 0 else b, 200_001)
    peak = (grid**2).min()
    density = np.exp((peak - grid**2) / 2)
    mean = (grid * density).sum() / density.sum()
    spread = math.sqrt((grid**2 * density).sum() / density.sum() - mean**2)
    assert values.min() >= np.float32(a)
    assert values.max() <= np.float32(b)
    assert abs(values.mean() - mean) < 0.06 * spread
    np.testing.assert_allclose(values.std(), spread, rtol=0.06)


def test_truncated_normal_moves_and_scales():
    values = drawn(init.trunc_normal_, 5.0, 0.5, 4.5, 5.5, generator=Generator(4))
    assert abs(values.mean() - 5.0) < 0.02
    assert 4.5 <= values.min() < values.max() <= 5.5


@pytest.mark.parametrize("shape", [(5, 3), (3, 5), (4, 2, 3), (4, 4)])
def test_orthogonal(shape):
    matrix = init.orthogonal_(lamina.empty(shape, dtype=lamina.float64), gain=2.0).numpy()
    flat = matrix.reshape(shape[0], -1)
    small = flat @ flat.T if flat.shape[0] <= flat.shape[1] else flat.T @ flat
    np.testing.assert_allclose(small, 4 * np.eye(len(small)), atol=1e-12)


def test_constants():
    assert init.constant_(lamina.empty(2), 3.5).tolist() == [3.5, 3.5]
    assert init.ones_(lamina.empty(2)).tolist() == [1.0, 1.0]
    assert init.zeros_(lamina.empty(2)).tolist() == [0.0, 0.0]
    assert init.eye_(lamina.empty(2, 3)).tolist() == [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]


def test_dirac_hands_channels_through():
    x = lamina.tensor(np.arange(2 * 4 * 5, dtype=np.float32).reshape(2, 4, 5))
    weight = init.dirac_(lamina.empty(4, 4, 3))
    assert nn.functional.conv1d(x, weight, padding=1).tolist() == x.tolist()
    grouped = init.dirac_(lamina.empty(4, 2, 3), groups=2)
    assert nn.functional.conv1d(x, grouped, padding=1, groups=2).tolist() == x.tolist()


def test_sparse_has_its_zeros_in_every_column():
    values = init.sparse_(lamina.empty(10, 6), 0.25, std=2.0).numpy()
    assert ((values == 0).sum(0) == 3).all()


@pytest.mark.parametrize(
    ("name", "param", "gain"),
    [
        ("linear", None, 1.0),
        ("conv_transpose2d", None, 1.0),
        ("sigmoid", None, 1.0),
        ("tanh", None, 5 / 3),
        ("relu", None, math.sqrt(2)),
        ("leaky_relu", None, math.sqrt(2 / 1.0001)),
        ("leaky_relu", 2.0, math.sqrt(0.4)),
        ("selu", None, 0.75),
    ],
)
def test_gain(name, param, gain):
    assert init.calculate_gain(name, param) == pytest.approx(gain, rel=1e-15)


def test_the_seed_decides():
    lamina.manual_seed(3)
    first, second = nn.Linear(3, 4), nn.Linear(3, 4)
    lamina.manual_seed(3)
    again = nn.Linear(3, 4)
    assert again.weight.tolist() == first.weight.tolist() != second.weight.tolist()
    assert again.bias.tolist() == first.bias.tolist()


def test_no_history_is_left():
    weight = nn.Parameter(lamina.empty(4, 4))
    for fill in (init.normal_, init.ones_, init.orthogonal_, init.eye_, init.trunc_normal_):
        assert fill(weight) is weight
        assert weight.is_leaf


# PyTorch's starting bounds, worked out by hand: 1/√(inputs that an output sees).
@pytest.mark.parametrize(
    ("make", "bound"),
    [
        (lambda: nn.Linear(64, 100), 1 / 8),
        (lambda: nn.Conv1d(16, 200, 4), 1 / 8),
        (lambda: nn.Conv2d(32, 64, 3, groups=2), 1 / 12),
        (lambda: nn.Conv3d(2, 100, 2), 1 / 4),
        # A transposed convolution counts outputs: they are axis 1 of its weight.
        (lambda: nn.ConvTranspose2d(50, 16, 2), 1 / 8),
        (lambda: nn.Bilinear(16, 10, 60), 1 / 4),
    ],
)
def test_starting_values_of_layers(make, bound):
    layer = make()
    assert_bound(layer.weight, bound)
    assert abs(layer.bias.detach().numpy()).max() <= bound
    assert abs(layer.bias.detach().numpy()).max() > 0.7 * bound


def assert_bound(weight, bound):
    values = weight.detach().numpy()
    assert abs(values).max() <= bound
    assert abs(values).max() > 0.98 * bound
    np.testing.assert_allclose(values.std(), bound / math.sqrt(3), rtol=0.05)


def test_starting_values_of_tables_and_norms():
    assert_normal(nn.Embedding(100, 60).weight.detach().numpy(), 1.0)
    assert nn.Embedding(10, 3, padding_idx=2).weight[2].tolist() == [0.0, 0.0, 0.0]
    norm = nn.BatchNorm2d(3)
    assert [v.tolist() for v in norm.state_dict().values()] == [
        *([1.0] * 3, [0.0] * 3, [0.0] * 3, [1.0] * 3, 0)
    ]
    assert nn.PReLU(2).weight.tolist() == [0.25, 0.25]


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: init.xavier_uniform_(lamina.empty(3)), ShapeError, "expected 2 axes or more"),
        (lambda: init.eye_(lamina.empty(3)), ShapeError, "eye_ was given shape"),
        (lambda: init.orthogonal_(lamina.empty(3)), ShapeError, "2 axes or more"),
        (lambda: init.dirac_(lamina.empty(3, 3)), ShapeError, "3, 4 or 5 axes"),
        (lambda: init.dirac_(lamina.empty(3, 3, 3), 2), ArgumentError, "do not divide"),
        (lambda: init.sparse_(lamina.empty(3), 0.1), ShapeError, "sparse_"),
        (lambda: init.calculate_gain("softmax"), ArgumentError, "no gain is known"),
        (
            lambda: init.kaiming_normal_(lamina.empty(3, 3), mode="fan"),
            ArgumentError,
            "expected 'fan_in' or 'fan_out'",
        ),
        (lambda: init.trunc_normal_(lamina.empty(3), a=1.0, b=0.0), ArgumentError, "a < b"),
    ],
)
def test_a_wrong_use_is_a_typed_error(call, error, message):
    with pytest.raises(error, match=message):
        call()

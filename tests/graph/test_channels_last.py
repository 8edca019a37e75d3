"""Programs whose images have their channels last, and chains of convolutions in them."""

import numpy as np
import pytest
from graph.test_passes import captured, trained, values

import lamina
from lamina import nn
from lamina.graph.ir import verify
from lamina.graph.passes import (
    chain_convolutions,
    channels_last,
    fold_batch_norm,
    fuse_convolutions,
    prepare_filters,
    remove_dead_code,
)
from lamina.graph.text import parse, to_text
from lamina.kernels.convolution import chained


class Residual(nn.Module):
    """A bottleneck: three convolutions, and what they read added to what they give."""

    def __init__(self, channels, inner):
        super().__init__()
        self.inside = nn.Sequential(
            *(nn.Conv2d(channels, inner, 1), nn.ReLU()),
            *(nn.Conv2d(inner, inner, 3, padding=1), nn.BatchNorm2d(inner), nn.ReLU()),
            nn.Conv2d(inner, channels, 1),
        )

    def forward(self, x):
        return (self.inside(x) + x).relu()


class Inverted(nn.Module):
    """An inverted residual."""

    def __init__(self, channels, inner, outputs, *, stride=1, expands=True):
        super().__init__()
        first = (nn.Conv2d(channels, inner, 1), nn.BatchNorm2d(inner), nn.ReLU6())
        self.adds = stride == 1 and channels == outputs
        self.inside = nn.Sequential(
            *(first if expands else ()),
            nn.Conv2d(inner, inner, 3, stride, 1, groups=inner),
            *(nn.BatchNorm2d(inner), nn.ReLU6()),
            *(nn.Conv2d(inner, outputs, 1, bias=False), nn.BatchNorm2d(outputs)),
        )

    def forward(self, x):
        found = self.inside(x)
        return found + x if self.adds else found


class Gated(nn.Module):
    """Channels weighed by what a mean over all places tells: elementwise ops that stretch."""

    def __init__(self, channels):
        super().__init__()
        self.squeeze, self.excite = nn.Conv2d(channels, 4, 1), nn.Conv2d(4, channels, 1)

    def forward(self, x):
        mean = x.mean((2, 3), keepdims=True)
        return x * self.excite(self.squeeze(mean).relu()).sigmoid()


class Branches(nn.Module):
    """Ways of several sizes side by side, joined along the channels and along the columns."""

    def __init__(self, channels):
        super().__init__()
        self.one, self.three = nn.Conv2d(channels, 9, 1), nn.Conv2d(channels, 20, 3, padding=1)
        self.scale = nn.Parameter(lamina.randn(9, 1, 1))

    def forward(self, x):
        one = (self.one(x) * self.scale).tanh()
        both = lamina.cat([one, self.three(x).relu(), nn.functional.max_pool2d(x, 3, 1, 1)], 1)
        return lamina.cat([both, both.flip(-1)], -1)


NETWORKS = {
    "bottleneck": lambda: trained(
        *(nn.Conv2d(3, 24, 7, 2, 3), nn.BatchNorm2d(24), nn.ReLU(), nn.MaxPool2d(3, 2, 1)),
        *(Residual(24, 12), Residual(24, 17), nn.AvgPool2d(2), nn.Conv2d(24, 33, 1, 2)),
        *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(33, 5)),
    ),
    "inverted": lambda: trained(
        *(nn.Conv2d(3, 16, 3, 2, 1), nn.ReLU6(), Inverted(16, 16, 8, expands=False)),
        *(Inverted(8, 40, 20, stride=2), Inverted(20, 33, 20), Gated(20)),
        *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(20, 5)),
    ),
    "branches": lambda: trained(
        *(nn.Conv2d(3, 16, 3), nn.ReLU(), Branches(16), nn.Conv2d(45, 24, 1), Branches(24)),
        *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(53, 5)),
    ),
    "images as results": lambda: trained(
        nn.Conv2d(3, 20, 3, padding=1), nn.ELU(), nn.Conv2d(20, 3, 1), nn.Softmax2d()
    ),
}


def images(batch, size=33):
    lamina.manual_seed(7)
    return lamina.randn(batch, 3, size, size)


def last_alone(graph):
    return channels_last(fuse_convolutions(fold_batch_norm(graph)))


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("batch", [1, 3])
def test_programs_compute_the_same(name, batch):
    x = images(batch)
    model = NETWORKS[name]()
    graph = captured(model, x)
    want = values(graph, x)
    found = last_alone(graph)
    verify(found)
    text = to_text(found)
    assert "out_last=True" in text
    assert "x_last=True" in text
    assert np.abs(values(found, x) - want).max() <= 2e-5 * np.abs(want).max()
    with lamina.no_grad():
        compiled = lamina.compile(model)(x).numpy()
    assert np.abs(compiled - want).max() <= 2e-5 * np.abs(want).max()


@pytest.mark.parametrize("name", NETWORKS)
def test_a_sample_has_the_same_bits_in_any_batch(name):
    model, x = NETWORKS[name](), images(5)
    with lamina.no_grad():
        run = lamina.compile(model)
        whole = run(x).numpy()
        for part in (slice(0, 1), slice(2, 5)):
            assert (run(lamina.tensor(x.numpy()[part])).numpy() == whole[part]).all()


def test_nothing_is_turned_between_convolutions():
    x = images(1)
    found = last_alone(captured(NETWORKS["bottleneck"](), x))
    assert " copy(" not in to_text(found)
    assert to_text(found).count("permute[axes=(0, ") == 1


def test_images_of_one_channel_join_as_residuals():
    class Added(nn.Module):
        def __init__(self):
            super().__init__()
            self.wide, self.narrow = nn.Conv2d(1, 16, 1), nn.Conv2d(16, 1, 3, padding=1)

        def forward(self, x):
            return self.narrow(self.wide(x).relu()) + x

    model, x = trained(Added()), images(2)[:, :1]
    graph = captured(model, x)
    want = values(graph, x)
    assert np.abs(values(last_alone(graph), x) - want).max() <= 1e-5 * np.abs(want).max()


def test_what_gains_nothing_stays_as_it_is():
    model = trained(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3))
    graph = fuse_convolutions(captured(model, images(1)))
    assert channels_last(graph) is graph


def test_weights_that_may_change_are_left_alone():
    weight = lamina.randn(4, 3, 1, 1)

    def step(x):
        found = lamina.nn.functional.conv2d(lamina.nn.functional.conv2d(x, weight), other)
        weight.copy_(weight * 2)
        return found

    other = lamina.randn(4, 4, 1, 1)
    graph = captured(step, images(1))
    assert "out_last=True" not in to_text(channels_last(graph))


@pytest.fixture
def always_chained(monkeypatch):
    """Makes chains of images of any size."""
    monkeypatch.setattr(chained, "_SHARE_OF_L2", 1 << 30)


@pytest.mark.parametrize("batch", [1, 3])
def test_chains_have_the_same_bits(always_chained, batch):
    x = images(batch, 65)
    before = last_alone(captured(NETWORKS["inverted"](), x))
    found = remove_dead_code(chain_convolutions(before))
    verify(found)
    assert to_text(found).count("conv_chain") == 3
    assert to_text(parse(to_text(found))) == to_text(found)
    ahead = prepare_filters(before)
    assert (values(found, x) == values(ahead, x)).all()


def test_a_convolution_is_part_of_one_chain_alone(always_chained):
    """What narrows the first could widen the second."""
    model = trained(
        *(nn.Conv2d(3, 16, 3), nn.Conv2d(16, 16, 3, padding=1, groups=16), nn.Conv2d(16, 24, 1)),
        *(nn.ReLU(), nn.Conv2d(24, 24, 3, padding=1, groups=24), nn.Conv2d(24, 8, 1)),
    )
    x = images(2, 40)
    before = last_alone(captured(model, x))
    found = remove_dead_code(chain_convolutions(before))
    verify(found)
    assert to_text(found).count("conv_chain") == 2
    assert (values(found, x) == values(before, x)).all()


def test_what_a_residual_reads_stays_there(always_chained):
    """The narrowing kernel adds what the depthwise one gave."""

    class Added(nn.Module):
        def __init__(self):
            super().__init__()
            self.wide, self.narrow = nn.Conv2d(3, 16, 1), nn.Conv2d(16, 16, 1)
            self.depthwise = nn.Conv2d(16, 16, 3, padding=1, groups=16)

        def forward(self, x):
            inner = self.depthwise(self.wide(x))
            return self.narrow(inner) + inner

    x = images(2, 40)
    before = last_alone(captured(trained(Added()), x))
    found = remove_dead_code(chain_convolutions(before))
    verify(found)
    assert (values(found, x) == values(before, x)).all()


def test_small_images_are_not_chained():
    graph = last_alone(captured(NETWORKS["inverted"](), images(1)))
    assert "conv_chain" not in to_text(chain_convolutions(graph))


def test_chains_depend_on_their_weights(always_chained):
    """New weights are laid out anew."""
    model, x = NETWORKS["inverted"](), images(2, 65)
    with lamina.no_grad():
        run = lamina.compile(model)
        first = run(x).numpy()
        for parameter in model.parameters():
            parameter.mul_(1.1)
        again = run(x).numpy()
        assert "conv_chain" in to_text(run.graph(x))
        want = model(x).numpy()
    assert np.abs(again - first).max() > 1e-4
    assert np.abs(again - want).max() <= 2e-5 * np.abs(want).max()

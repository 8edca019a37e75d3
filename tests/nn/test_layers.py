"""What layers do that PyTorch's numbers cannot show: chance, memory, and what they refuse."""

import numpy as np
import pytest

import lamina
import lamina.nn.functional as F
from lamina import nn
from lamina.errors import ArgumentError, DTypeError, LabelError, ShapeError

X = lamina.ones(200, 10, 3)
IMAGES = lamina.ones(50, 10, 3, 3)
CHANNEL_DROPOUTS = {
    "1d": (nn.Dropout1d(0.25), X),
    "1d_single": (nn.Dropout1d(0.25), lamina.ones(1000, 3)),
    "2d": (nn.Dropout2d(0.25), IMAGES),
    "3d": (nn.Dropout3d(0.25), lamina.ones(50, 10, 2, 2, 2)),
    "3d_single": (nn.Dropout3d(0.25), lamina.ones(500, 2, 2, 2)),
}


@pytest.fixture(autouse=True)
def _seeded():
    lamina.manual_seed(11)


def test_dropout_drops_its_share_and_keeps_the_mean():
    out = nn.Dropout(0.25)(X).numpy()
    assert set(np.unique(out)) == {0.0, np.float32(1 / 0.75)}
    assert abs((out == 0).mean() - 0.25) < 0.02


def test_the_gradient_of_dropout_uses_the_same_mask():
    x = lamina.ones(100, requires_grad=True)
    out = nn.Dropout(0.5)(x)
    out.sum().backward()
    assert x.grad.tolist() == out.tolist()


@pytest.mark.parametrize("name", CHANNEL_DROPOUTS)
def test_channels_drop_as_wholes(name):
    layer, x = CHANNEL_DROPOUTS[name]
    out = layer(x).numpy()
    spatial = {"1d": 1, "2d": 2, "3d": 3}[name.removesuffix("_single")]
    flat = out.reshape(*out.shape[: out.ndim - spatial], -1)
    assert (flat == flat[..., :1]).all()
    assert abs((flat[..., 0] == 0).mean() - 0.25) < 0.06


@pytest.mark.parametrize("layer", [nn.AlphaDropout(0.2), nn.FeatureAlphaDropout(0.2)])
def test_alpha_dropout_keeps_mean_and_variance(layer):
    x = lamina.tensor(np.random.default_rng(5).standard_normal((400, 60, 2)).astype(np.float32))
    out = layer(x).numpy()
    assert abs(out.mean()) < 0.03
    assert abs(out.std() - 1) < 0.03


def test_rrelu_draws_its_slopes_in_training():
    layer = nn.RReLU(0.1, 0.3)
    out = layer(-lamina.ones(1000)).numpy()
    assert -0.3 <= out.min() < -0.28
    assert -0.12 < out.max() <= -0.1
    np.testing.assert_allclose(layer.eval()(-lamina.ones(2)).numpy(), [-0.2, -0.2], rtol=1e-6)


def test_gumbel_softmax():
    logits = lamina.zeros(500, 4, requires_grad=True)
    hard = F.gumbel_softmax(logits, hard=True)
    np.testing.assert_allclose(hard.detach().numpy().sum(1), 1, rtol=1e-6)
    assert abs(hard.detach().numpy().mean(0) - 0.25).max() < 0.08
    hard[:, 0].sum().backward()
    assert abs(logits.grad.numpy()).sum() > 0
    soft = F.gumbel_softmax(logits, tau=0.5).detach().numpy()
    np.testing.assert_allclose(soft.sum(1), 1, rtol=1e-5)


INPLACE = (
    *(nn.ReLU, nn.ReLU6, nn.ELU, nn.CELU, nn.SELU, nn.SiLU, nn.Mish, nn.Hardswish),
    *(nn.Hardsigmoid, nn.LeakyReLU, nn.Hardtanh, nn.Dropout),
)


@pytest.mark.parametrize("kind", INPLACE)
def test_inplace_writes_over_the_input(kind):
    x = lamina.tensor([-2.0, -0.5, 0.5, 8.0])
    lamina.manual_seed(1)
    expected = kind()(x.clone()).tolist()
    lamina.manual_seed(1)
    assert kind(inplace=True)(x) is x
    assert x.tolist() == expected


def test_inplace_in_a_network_has_the_same_gradient():
    x, y = (lamina.tensor([[-1.0, 2.0]], requires_grad=True) for _ in range(2))
    (nn.Sequential(nn.Flatten(), nn.ReLU(inplace=True))(x * 3) ** 2).sum().backward()
    (nn.ReLU()(y * 3) ** 2).sum().backward()
    assert x.grad.tolist() == y.grad.tolist()


def test_running_statistics_stay_in_evaluation():
    norm = nn.BatchNorm1d(2).eval()
    norm(lamina.tensor([[1.0, 5.0], [3.0, 9.0]]))
    assert norm.running_mean.tolist() == [0.0, 0.0]
    assert norm.num_batches_tracked.item() == 0
    norm.train()(lamina.tensor([[1.0, 5.0], [3.0, 9.0]]))
    assert norm.num_batches_tracked.item() == 1
    norm.reset_running_stats()
    assert norm.running_mean.tolist() == [0.0, 0.0]


def test_running_statistics_have_no_history():
    norm = nn.BatchNorm1d(2)
    x = lamina.ones(3, 2, requires_grad=True)
    norm(x * 2).sum().backward()
    assert norm.running_mean.is_leaf
    assert not norm.running_mean.requires_grad


def test_layers_take_a_dtype():
    assert nn.Linear(2, 2, dtype=lamina.float64).bias.dtype is lamina.float64
    assert nn.Conv2d(1, 1, 1, dtype=lamina.float16).weight.dtype is lamina.float16
    assert nn.BatchNorm1d(2, dtype=lamina.float64).running_var.dtype is lamina.float64


def test_transposed_convolution_reaches_an_asked_for_size():
    layer = nn.ConvTranspose2d(1, 1, 3, stride=2, padding=1)
    x = lamina.ones(1, 1, 4, 4)
    assert layer(x).shape == (1, 1, 7, 7)
    assert layer(x, output_size=(8, 7)).shape == (1, 1, 8, 7)
    assert layer(x, output_size=(1, 1, 7, 8)).shape == (1, 1, 7, 8)
    with pytest.raises(ShapeError, match=r"can be \(7, 7\) to \(8, 8\)"):
        layer(x, output_size=(9, 9))


def test_a_pretrained_table_is_shared_and_frozen():
    table = lamina.ones(4, 2)
    layer = nn.Embedding.from_pretrained(table)
    table.fill_(3.0)
    assert layer(lamina.tensor([1])).tolist() == [[3.0, 3.0]]
    assert not layer.weight.requires_grad
    assert nn.Embedding.from_pretrained(table, freeze=False).weight.requires_grad


def test_the_mean_of_an_empty_bag_is_zero():
    layer = nn.EmbeddingBag(3, 2)
    assert layer(lamina.tensor([1]), lamina.tensor([0, 1]))[1].tolist() == [0.0, 0.0]


def test_loss_weights_are_saved_and_converted():
    loss = nn.CrossEntropyLoss(lamina.tensor([1.0, 2.0]))
    assert list(loss.state_dict()) == ["weight"]
    assert loss.double().weight.dtype is lamina.float64


def test_the_ctc_layer_is_the_function():
    scores = F.log_softmax(lamina.rand(6, 2, 4), dim=2)
    given = (lamina.tensor([[1, 2], [3, 3]]), lamina.tensor([6, 5]), lamina.tensor([2, 2]))
    assert nn.CTCLoss(reduction="sum")(scores, *given).item() == pytest.approx(
        sum(F.ctc_loss(scores, *given, reduction="none").tolist()), rel=1e-6
    )


def test_upsample_is_interpolate():
    x = lamina.rand(1, 2, 3, 4)
    assert F.upsample(x, scale_factor=2).tolist() == F.interpolate(x, scale_factor=2).tolist()


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: nn.Linear(3, 2)(lamina.ones(4)), ShapeError, r"linear: input \(4,\)"),
        (lambda: nn.Bilinear(2, 2, 1)(lamina.ones(3), X[0, 0]), ShapeError, "bilinear: inputs"),
        (lambda: nn.Conv2d(3, 4, 3, groups=2), ArgumentError, "groups=2; expected both divisible"),
        (lambda: nn.Conv2d(1, 1, 3, padding_mode="odd"), ArgumentError, "padding_mode 'odd'"),
        (lambda: nn.Conv2d(1, 1, 3, padding="full"), ArgumentError, "padding 'full' given"),
        (lambda: nn.Conv2d(1, 1, 3, 2, "same"), ArgumentError, "expected stride 1"),
        (lambda: nn.Conv2d(1, 1, (3, 3, 3)), ArgumentError, "kernel_size"),
        (
            lambda: nn.ConvTranspose1d(1, 1, 3, padding_mode="reflect"),
            ArgumentError,
            "takes 'zeros' alone",
        ),
        (lambda: nn.Conv2d(1, 1, 3)(lamina.ones(1, 2, 5, 5)), ShapeError, "has 2 channels"),
        (lambda: nn.Conv2d(1, 1, 3)(lamina.ones(1, 1, 2, 2)), ShapeError, "does not fit"),
        (lambda: F.conv2d(X, lamina.ones(1, 10, 1)), ShapeError, "conv2d: weight of shape"),
        (lambda: nn.MaxPool2d(2)(lamina.ones(4, 4)), ShapeError, "max_pool2d: shape"),
        (lambda: nn.AdaptiveAvgPool2d(1)(lamina.ones(4, 4)), ShapeError, "adaptive_avg_pool2d"),
        (lambda: nn.AdaptiveAvgPool2d((1, 2, 3))(IMAGES), ShapeError, "expected 2 sizes"),
        (lambda: nn.LocalResponseNorm(2)(X[0]), ShapeError, "local_response_norm: shape"),
        (lambda: nn.Unfold(1)(X[0]), ShapeError, "unfold: shape"),
        (lambda: F.channel_shuffle(X[0], 2), ShapeError, "channel_shuffle: shape"),
        (lambda: nn.MultiLabelMarginLoss()(X, X), DTypeError, "expected whole numbers"),
        (lambda: nn.BatchNorm2d(2)(lamina.ones(2, 2)), ShapeError, "BatchNorm2d was given shape"),
        (lambda: nn.BatchNorm1d(3)(lamina.ones(2, 2)), ShapeError, "batch_norm"),
        (lambda: nn.BatchNorm1d(2)(lamina.ones(1, 2)), ShapeError, "at least 2 values"),
        (
            lambda: nn.InstanceNorm2d(3, affine=True)(IMAGES),
            ShapeError,
            "InstanceNorm2d was given shape",
        ),
        (lambda: nn.GroupNorm(3, 4), ArgumentError, "divides"),
        (lambda: nn.LayerNorm(4)(lamina.ones(2, 3)), ShapeError, "layer_norm"),
        (lambda: nn.Dropout(1.5), ArgumentError, "p 1.5 given; expected 0 to 1"),
        (lambda: F.dropout(X, -0.1, training=False), ArgumentError, "-0.1"),
        (lambda: nn.Dropout2d()(lamina.ones(2)), ShapeError, "dropout2d: shape"),
        (lambda: nn.Softmax()(X), ArgumentError, "no dim given"),
        (lambda: nn.Embedding(3, 2, padding_idx=3), ArgumentError, "expected a row of 3"),
        (
            lambda: nn.Embedding.from_pretrained(lamina.ones(3)),
            ShapeError,
            "expected 2 axes",
        ),
        (lambda: F.embedding_bag(lamina.tensor([1]), X[0]), ShapeError, "1 axis and offsets"),
        (
            lambda: F.embedding_bag(lamina.tensor([[1]]), X[0], mode="min"),
            ArgumentError,
            "mode 'min'",
        ),
        (lambda: nn.Fold(4, 2)(lamina.ones(1, 4, 5)), ShapeError, r"expected \(N, C·4, 9\)"),
        (lambda: nn.Unfold(5)(lamina.ones(1, 1, 4, 4)), ShapeError, "do not fit the padded size"),
        (lambda: nn.PixelShuffle(2)(lamina.ones(1, 3, 2, 2)), ShapeError, "pixel_shuffle"),
        (lambda: nn.ChannelShuffle(3)(IMAGES), ArgumentError, "in 3 groups"),
        (lambda: nn.ReflectionPad1d(3)(lamina.ones(1, 3)), ShapeError, "pad"),
        (lambda: nn.ZeroPad2d((1, 2, 3)), ArgumentError, "padding"),
        (lambda: nn.Upsample()(IMAGES), ArgumentError, "expected one of them"),
        (
            lambda: nn.CrossEntropyLoss()(lamina.ones(1, 2), lamina.tensor([2])),
            LabelError,
            "2",
        ),
        (lambda: nn.MSELoss(reduction="most")(X, X), ArgumentError, "reduction 'most'"),
        (lambda: nn.SoftMarginLoss(reduction="most")(X, X), ArgumentError, "reduction 'most'"),
        (lambda: nn.SoftMarginLoss()(X, X[0]), ShapeError, "expected equal shapes"),
    ],
)
def test_a_wrong_use_is_a_typed_error(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_a_batch_that_was_refused_is_not_counted() -> None:
    norm = nn.BatchNorm1d(3)
    with pytest.raises(ShapeError):
        norm(lamina.ones(1, 3))
    assert norm.num_batches_tracked.item() == 0


def test_a_convolution_needs_channels() -> None:
    with pytest.raises(ArgumentError, match="neither of them 0"):
        nn.Conv2d(0, 4, 3)


@pytest.mark.parametrize("given", [None, [1.0, 2.0], np.ones((1, 2), np.float32)])
def test_a_layer_wants_a_tensor(given):
    with pytest.raises(DTypeError, match="expected a tensor"):
        nn.Linear(2, 2)(given)

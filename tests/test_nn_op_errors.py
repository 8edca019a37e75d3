"""Wrong arguments of the neural-network ops: one typed error that says what was expected."""

from collections.abc import Callable

import pytest

import lamina
from lamina import errors
from lamina.ops.layers import (
    attention,
    convolution,
    dropout,
    normalization,
    padding,
    pooling,
    resampling,
    softmax,
)

X4, X3 = lamina.ones(2, 4, 5, 5), lamina.ones(2, 4, 5)
WRONG: dict[str, tuple[type[Exception], str, Callable[[], object]]] = {
    "conv: rank": (
        errors.ShapeError, "spatial",
        lambda: convolution.conv(lamina.ones(4, 5), lamina.ones(2, 4, 3, 3)),
    ),
    "conv: channels": (
        errors.ShapeError, "expects 3", lambda: convolution.conv(X4, lamina.ones(2, 3, 3, 3)),
    ),
    "conv: groups": (
        errors.ShapeError, "divisible",
        lambda: convolution.conv(X4, lamina.ones(2, 1, 3, 3), groups=3),
    ),
    "conv: too large": (
        errors.ShapeError, "does not fit", lambda: convolution.conv(X4, lamina.ones(2, 4, 6, 6)),
    ),
    "conv: bias": (
        errors.ShapeError, "bias",
        lambda: convolution.conv(X4, lamina.ones(2, 4, 3, 3), lamina.ones(3)),
    ),
    "conv: stride": (
        errors.ArgumentError, "stride",
        lambda: convolution.conv(X4, lamina.ones(2, 4, 3, 3), stride=0),
    ),
    "conv: same": (
        errors.ArgumentError, "stride 1",
        lambda: convolution.conv(X4, lamina.ones(2, 4, 3, 3), stride=2, padding="same"),
    ),
    "conv: word": (
        errors.ArgumentError, "valid",
        lambda: convolution.conv(X4, lamina.ones(2, 4, 3, 3), padding="full"),
    ),
    "conv: bool": (
        errors.DTypeError, "bool", lambda: convolution.conv(X4 > 0, lamina.ones(2, 4, 3, 3) > 0),
    ),
    "conv_transpose: output padding": (
        errors.ArgumentError, "output_padding",
        lambda: convolution.conv_transpose(X4, lamina.ones(4, 2, 3, 3), output_padding=1),
    ),
    "conv_transpose: nothing left": (
        errors.ShapeError, "pad less",
        lambda: convolution.conv_transpose(X4, lamina.ones(4, 2, 1, 1), padding=3),
    ),
    "pool: too large": (errors.ShapeError, "does not fit", lambda: pooling.max_pool(X4, 6)),
    "pool: padding": (errors.ArgumentError, "half", lambda: pooling.max_pool(X4, 2, padding=2)),
    "pool: rank": (errors.ShapeError, "expected", lambda: pooling.max_pool(lamina.ones(3, 3), 2)),
    "pool: sizes": (errors.ArgumentError, "kernel", lambda: pooling.avg_pool(X4, 0)),
    "pool: integers": (
        errors.DTypeError, "float", lambda: pooling.avg_pool(X4.to("int32"), 2),
    ),
    "pool: divisor": (
        errors.ArgumentError, "divisor_override",
        lambda: pooling.avg_pool(X4, 2, divisor_override=0),
    ),
    "pool: padding alone": (
        errors.ShapeError, "padding alone",
        lambda: pooling.max_pool(lamina.ones(1, 1, 1), 2, padding=2, dilation=4),
    ),
    "batch_norm: one value": (
        errors.ShapeError, "at least 2",
        lambda: normalization.batch_norm(lamina.ones(1, 3), None, None, training=True),
    ),
    "batch_norm: no statistics": (
        errors.ArgumentError, "running", lambda: normalization.batch_norm(X4, None, None),
    ),
    "batch_norm: weight": (
        errors.ShapeError, "weight",
        lambda: normalization.batch_norm(X4, None, None, lamina.ones(3), training=True),
    ),
    "group_norm": (errors.ShapeError, "divides", lambda: normalization.group_norm(X4, 3)),
    "layer_norm": (errors.ShapeError, "last", lambda: normalization.layer_norm(X4, 4)),
    "layer_norm: integers": (
        errors.DTypeError, "float", lambda: normalization.layer_norm(X4.to("int64"), 5),
    ),
    "softmax: axis": (errors.AxisError, "axis 4", lambda: softmax.softmax(X4, 4)),
    "attention: shapes": (
        errors.ShapeError, "query",
        lambda: attention.scaled_dot_product_attention(X3, X3, lamina.ones(2, 3, 5)),
    ),
    "attention: mask": (
        errors.ShapeError, "mask",
        lambda: attention.scaled_dot_product_attention(X3, X3, X3, lamina.ones(3, 4)),
    ),
    "attention: mask type": (
        errors.DTypeError, "bool",
        lambda: attention.scaled_dot_product_attention(X3, X3, X3, lamina.ones(4, 4).to("int32")),
    ),
    "dropout": (errors.ArgumentError, "0 to 1", lambda: dropout.dropout(X3, 1.5)),
    "pad: odd": (errors.ShapeError, "two an axis", lambda: padding.pad(X3, (1, 2, 3))),
    "pad: reflect": (errors.ShapeError, "at most 4", lambda: padding.pad(X3, (5, 0), "reflect")),
    "pad: mode": (errors.ArgumentError, "mode", lambda: padding.pad(X3, (1, 1), "mirror")),
    "pad: value": (
        errors.ArgumentError, "constant", lambda: padding.pad(X3, (1, 1), "circular", 2),
    ),
    "pad: too much cut": (errors.ShapeError, "cut less", lambda: padding.pad(X3, (-3, -3))),
    "interpolate: mode": (
        errors.ArgumentError, "mode", lambda: resampling.interpolate(X4, 3, mode="x"),
    ),
    "interpolate: rank": (
        errors.ShapeError, "spatial", lambda: resampling.interpolate(X4, 3, mode="linear"),
    ),
    "interpolate: neither": (
        errors.ArgumentError, "one of them", lambda: resampling.interpolate(X4),
    ),
    "interpolate: corners": (
        errors.ArgumentError, "align_corners",
        lambda: resampling.interpolate(X4, 3, align_corners=True),
    ),
    "pixel_shuffle": (errors.ShapeError, "upscale", lambda: resampling.pixel_shuffle(X4, 3)),
    "pixel_unshuffle": (errors.ShapeError, "divisible", lambda: resampling.pixel_unshuffle(X4, 2)),
}  # fmt: skip


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG.keys())
def test_wrong_arguments_are_typed_errors(
    wrong: tuple[type[Exception], str, Callable[[], object]],
) -> None:
    kind, message, call = wrong
    with pytest.raises(kind, match=message):
        call()

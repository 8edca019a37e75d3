"""What a convolution is, in float64, and how far each strategy may be off."""

import itertools

import numpy as np
from kernels.operands import ArrayOperand, error_in_roundings

from lamina.kernels.convolution.entry import conv, parts, strategies
from lamina.kernels.convolution.winograd_transforms import TRANSFORMS


def spread_out(x, spread):
    """X with spread − 1 zeros between neighbours."""
    sizes = [(size - 1) * gap + 1 for size, gap in zip(x.shape[2:], spread, strict=True)]
    wide = np.zeros(x.shape[:2] + tuple(sizes))
    wide[(..., *(slice(None, None, gap) for gap in spread))] = x
    return wide


def framed(x, padding, sizes):
    """X moved by `padding` in a frame of zeros of the given sizes."""
    low = [max(0, -pad) for pad in padding]
    rows = zip(low, padding, x.shape[2:], sizes, strict=True)
    high = [max(start, min(size, full - pad)) for start, pad, size, full in rows]
    part = x[(..., *(slice(a, b) for a, b in zip(low, high, strict=True)))]
    frame = np.zeros(x.shape[:2] + tuple(sizes))
    begin = [a + pad for a, pad in zip(low, padding, strict=True)]
    frame[(..., *(slice(a, a + n) for a, n in zip(begin, part.shape[2:], strict=True)))] = part
    return frame


def reference(out_shape, x, w, stride, padding, dilation, input_dilation, groups, batch_groups):
    places, taps = out_shape[2:], w.shape[2:]
    rows = zip(places, taps, stride, dilation, strict=True)
    sizes = [(p - 1) * s + (t - 1) * d + 1 for p, t, s, d in rows]
    frame = framed(spread_out(x, input_dilation), padding, sizes)
    out = np.zeros(out_shape)
    outputs, channels = w.shape[0] // (groups * batch_groups), w.shape[1]
    for group in range(groups * batch_groups):
        images = slice(group * out_shape[0], (group + 1) * out_shape[0])
        features = slice(group * channels, (group + 1) * channels)
        source = frame[images] if batch_groups > 1 else frame[:, features]
        rows_out = slice(group * outputs, (group + 1) * outputs)
        for tap in itertools.product(*map(range, taps)):
            steps = zip(tap, dilation, places, stride, strict=True)
            window = [slice(t * d, t * d + (p - 1) * s + 1, s) for t, d, p, s in steps]
            weights = w[(rows_out, slice(None), *tap)]
            out[:, rows_out] += np.einsum("nc...,oc->no...", source[(..., *window)], weights)
    return out


def check(x, w, out, stride, padding, dilation, input_dilation, groups=1, batch_groups=1):
    """Compare what every strategy that applies writes into `out`."""
    options = (stride, padding, dilation, input_dilation, groups, batch_groups)
    wide_x, wide_w = x.astype(np.float64), w.astype(np.float64)
    want = reference(out.shape, wide_x, wide_w, *options)
    magnitude = reference(out.shape, np.abs(wide_x), np.abs(wide_w), *options)
    operands = [ArrayOperand(array) for array in (out, x, w)]
    named = {
        "stride": stride, "padding": padding, "dilation": dilation,
        "input_dilation": input_dilation, "groups": groups, "batch_groups": batch_groups,
    }  # fmt: skip
    # Phases of an input with gaps are computed together, or each for itself.
    together, apart = (
        strategies(parts(*operands, **named, strategy=name))
        for name in ("input gradient", "padded im2col")
    )
    for strategy in together | apart:
        out[...] = np.nan
        conv(*operands, **named, strategy=strategy)
        allowed = allowance(strategy, magnitude, x, w, groups, batch_groups)
        assert error_in_roundings(out, want, allowed) <= 1, (strategy, options)


def allowance(strategy, magnitude, x, w, groups, batch_groups):
    """How many roundings each result may be off."""
    if strategy == "winograd gradient":
        tiles = len(w[0]) * np.prod([-(-size // 4) for size in w.shape[2:]])
        return TRANSFORMS[4].gradient_error_bound(tiles) * peak_sums(x, w, groups, batch_groups)
    if strategy.startswith("winograd"):
        transform = TRANSFORMS[int(strategy[-1])]
        return transform.error_bound(w.shape[1]) * peak_sums(x, w, groups, batch_groups)
    # A sum of n products in any order: n roundings each of products and sums.
    return (2 * np.prod(w.shape[1:]) + 2) * magnitude


def peak_sums(x, w, groups=1, batch_groups=1):
    """For each image and output channel: Σ_c ‖w_c‖₁ · max |x_c|."""
    axes = tuple(range(2, x.ndim))
    parts = groups * batch_groups
    peaks = np.abs(x).max(axes).astype("f8")
    peaks = peaks.reshape(batch_groups, len(x) // batch_groups, groups, w.shape[1]).swapaxes(1, 2)
    peaks = peaks.reshape(parts, -1, w.shape[1])
    norms = np.abs(w).sum(axes).reshape(parts, -1, w.shape[1]).astype("f8")
    sums = np.einsum("gnc,goc->ngo", peaks, norms)
    return sums.reshape(sums.shape[0], len(w), *(1,) * len(axes))

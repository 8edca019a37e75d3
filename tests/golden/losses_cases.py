"""The losses that are compared with PyTorch: functions of one name there and here, with inputs.

A case is (function, inputs, options). Real inputs are differentiated, but for those in `FIXED`;
arrays among the options are made tensors.
"""

import numpy as np

Case = tuple[str, tuple[np.ndarray, ...], dict]


def reals(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape)


def labels(seed, classes, *shape):
    return np.random.default_rng(seed).integers(0, classes, shape)


def shares(seed, *shape):
    """Positive numbers that add up to 1 along axis 1."""
    x = np.exp(reals(seed, *shape))
    return x / x.sum(1, keepdims=True)


def signs(seed, *shape):
    return np.random.default_rng(seed).choice([-1.0, 1.0], shape)


def with_ignored(array, value, *places):
    array = array.copy()
    array.reshape(-1)[list(places)] = value
    return array


A, B = reals(0, 4, 3), reals(1, 4, 3)
SCORES, CLASSES = reals(2, 5, 7) * 3, labels(3, 7, 5)
IMAGES, PIXELS = reals(4, 2, 3, 4, 2), labels(5, 3, 2, 4, 2)
WEIGHT = np.abs(reals(6, 7)) + 0.1
WEIGHT3 = np.array([0.2, 1.5, 0.7])
EXTREME = np.array([[1e3, -1e3, 0.0], [-800.0, 2.0, 800.0], [40.0, 40.0, 40.0]])
CHANCES = np.clip(shares(7, 4, 3), 0.0, 1.0)
BITS = labels(8, 2, 4, 3).astype(np.float64)


def each_way(name: str, function: str, inputs: tuple, **options) -> dict[str, Case]:
    return {
        f"{name} {reduction}": (function, inputs, {**options, "reduction": reduction})
        for reduction in ("mean", "sum", "none")
    }


# The inputs of these functions and cases that PyTorch has no gradient for, or NaN.
FIXED = {
    "kl with zeros": (1,),
    "bce at the ends": (1,),
    "hinge_embedding_loss": (1,),
    "margin_ranking_loss": (2,),
    "cosine_embedding_loss": (2,),
}
# PyTorch divides by no less than 1e-12 there, written as a float32.
LOOSER = {"bce at the ends": 1e-8}
CASES: dict[str, Case] = {
    **each_way("mse", "mse_loss", (A, B)),
    **each_way("l1", "l1_loss", (A, B)),
    **each_way("smooth l1", "smooth_l1_loss", (A, B), beta=0.5),
    "smooth l1 without a bend": ("smooth_l1_loss", (A, B), {"beta": 0.0}),
    **each_way("huber", "huber_loss", (A, B), delta=0.7),
    **each_way("labels", "cross_entropy", (SCORES, CLASSES)),
    **each_way("weighted labels", "cross_entropy", (SCORES, CLASSES), weight=WEIGHT),
    **each_way(
        "ignored labels",
        "cross_entropy",
        (SCORES, with_ignored(CLASSES, -100, 1, 3)),
        weight=WEIGHT,
    ),
    **each_way("a class ignored", "cross_entropy", (IMAGES, PIXELS), ignore_index=1),
    **each_way("smoothed", "cross_entropy", (SCORES, CLASSES), label_smoothing=0.2),
    **each_way(
        "smoothed weighted images",
        "cross_entropy",
        (IMAGES, with_ignored(PIXELS, 9, 0, 5)),
        weight=WEIGHT3,
        ignore_index=9,
        label_smoothing=0.3,
    ),
    "one sample": ("cross_entropy", (SCORES[0], CLASSES[:1].reshape(())), {}),
    "extreme scores": ("cross_entropy", (EXTREME, np.array([0, 1, 2])), {}),
    "all ignored": ("cross_entropy", (SCORES, np.full(5, -100)), {}),
    **each_way("probabilities", "cross_entropy", (SCORES, shares(9, 5, 7))),
    **each_way(
        "smoothed probabilities",
        "cross_entropy",
        (IMAGES, shares(10, 2, 3, 4, 2)),
        weight=WEIGHT3,
        label_smoothing=0.1,
    ),
    **each_way("nll", "nll_loss", (SCORES, CLASSES), weight=WEIGHT),
    "nll of images": ("nll_loss", (IMAGES, PIXELS), {"ignore_index": 2}),
    **each_way("bce", "binary_cross_entropy", (CHANCES, BITS)),
    "bce weighted": ("binary_cross_entropy", (CHANCES, CHANCES[::-1].copy()), {"weight": WEIGHT3}),
    "bce at the ends": (
        "binary_cross_entropy",
        (np.array([0.0, 1.0, 0.0, 1.0]), np.array([0.0, 0.0, 1.0, 1.0])),
        {"reduction": "none"},
    ),
    **each_way("logits", "binary_cross_entropy_with_logits", (A, BITS)),
    "logits weighted": (
        "binary_cross_entropy_with_logits",
        (EXTREME, shares(11, 3, 3)),
        {"weight": WEIGHT3, "pos_weight": WEIGHT3[::-1].copy(), "reduction": "none"},
    ),
    **each_way("kl", "kl_div", (np.log(shares(12, 4, 3)), shares(13, 4, 3))),
    "kl with zeros": (
        "kl_div",
        (A, np.array([0.0, 0.25, 0.75])[None].repeat(4, 0)),
        {"reduction": "batchmean"},
    ),
    "kl of logarithms": ("kl_div", (A, B), {"log_target": True}),
    **each_way("hinge", "hinge_embedding_loss", (np.abs(A), signs(14, 4, 3)), margin=0.8),
    **each_way("ranking", "margin_ranking_loss", (A, B, signs(15, 4, 3)), margin=0.3),
    **each_way("margins", "multi_margin_loss", (SCORES, CLASSES), margin=0.5),
    "squared margins": ("multi_margin_loss", (SCORES, CLASSES), {"p": 2, "weight": WEIGHT}),
    "margins of one": ("multi_margin_loss", (SCORES[0], CLASSES[:1].reshape(())), {}),
    **each_way("angles", "cosine_embedding_loss", (A, B, signs(16, 4)), margin=0.1),
    **each_way("triplets", "triplet_margin_loss", (A, B, reals(17, 4, 3))),
    "swapped triplets": (
        "triplet_margin_loss",
        (A, B, reals(17, 4, 3)),
        {"swap": True, "p": 1.0, "margin": 2.0},
    ),
    **each_way("poisson", "poisson_nll_loss", (A, np.abs(B) * 3), full=True),
    "poisson of rates": ("poisson_nll_loss", (np.abs(A), np.abs(B)), {"log_input": False}),
    **each_way("gaussian", "gaussian_nll_loss", (A, B, np.abs(reals(18, 4, 3)) + 0.1), full=True),
    "gaussian of samples": ("gaussian_nll_loss", (A, B, np.abs(reals(18, 4)) + 0.1), {}),
    "cosine": ("cosine_similarity", (A, B), {}),
    "cosine of rows": ("cosine_similarity", (reals(19, 2, 3, 4), reals(20, 3, 1)), {}),
    "cosine of nothing": ("cosine_similarity", (np.zeros((2, 3)), B[:2]), {}),
    "distance": ("pairwise_distance", (A, B), {}),
    "distance by 3": ("pairwise_distance", (A, B[0], 3.0), {"eps": 0.0}),
    "unit rows": ("normalize", (A,), {}),
    "unit sums": ("normalize", (A, 1.0, 0), {}),
}

# Scores (time, batch, class), targets, input lengths, target lengths, options; log_softmax is taken
# of the scores.
SPEECH = reals(21, 9, 4, 5) * 2
SAID = np.array([[1, 2, 2, 3], [4, 4, 4, 1], [3, 1, 1, 1], [2, 3, 4, 1]])
CTC_CASES = {
    **{
        f"ctc {r}": (SPEECH, SAID, (9, 8, 7, 9), (4, 3, 1, 0), {"reduction": r})
        for r in ("mean", "sum", "none")
    },
    "ctc in a row": (SPEECH, np.array([1, 2, 2, 4, 4, 3]), (9, 9, 5, 4), (3, 2, 1, 0), {}),
    "ctc last blank": (SPEECH, SAID - 1, (9, 9, 9, 9), (4, 4, 4, 4), {"blank": 4}),
    "ctc too long": (
        SPEECH,
        SAID,
        (5, 4, 7, 3),
        (4, 3, 4, 4),
        {"zero_infinity": True, "reduction": "sum"},
    ),
    "ctc of one": (SPEECH[:, 0], SAID[0], (9,), (4,), {"reduction": "none"}),
}

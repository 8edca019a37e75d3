"""The layers and functions that are compared with PyTorch, and the inputs they are given.

A row is a name, how to make the layer (from `nn`) or call the function (from `nn.functional`), and
its inputs: a shape for normal numbers, or a kind and what it needs (see `nn_measure`).
"""

from collections import OrderedDict

IMAGE = (2, 4, 7, 6)
SIGNAL = (2, 4, 9)
VOLUME = (2, 2, 5, 4, 6)

LAYERS = {
    "identity": (lambda nn: nn.Identity(), [(2, 3)]),
    "linear": (lambda nn: nn.Linear(5, 3), [(4, 5)]),
    "linear_plain": (lambda nn: nn.Linear(5, 3, bias=False), [(2, 3, 5)]),
    "linear_vector": (lambda nn: nn.Linear(5, 3), [(5,)]),
    "linear_deep": (lambda nn: nn.Linear(5, 3), [(2, 1, 3, 5)]),
    "bilinear": (lambda nn: nn.Bilinear(3, 4, 5), [(2, 6, 3), (2, 6, 4)]),
    "bilinear_plain": (lambda nn: nn.Bilinear(3, 4, 2, bias=False), [(2, 3), (2, 4)]),
    "conv1d": (lambda nn: nn.Conv1d(4, 6, 3), [SIGNAL]),
    "conv1d_options": (
        lambda nn: nn.Conv1d(4, 6, 3, stride=2, padding=2, dilation=2, groups=2, bias=False),
        [SIGNAL],
    ),
    "conv1d_same": (lambda nn: nn.Conv1d(4, 3, 4, padding="same", dilation=2), [SIGNAL]),
    "conv1d_reflect": (lambda nn: nn.Conv1d(4, 3, 3, padding=2, padding_mode="reflect"), [SIGNAL]),
    "conv1d_single": (lambda nn: nn.Conv1d(4, 3, 3), [SIGNAL[1:]]),
    "conv2d": (lambda nn: nn.Conv2d(4, 6, 3), [IMAGE]),
    "conv2d_options": (
        lambda nn: nn.Conv2d(4, 6, (3, 2), (2, 1), (1, 2), (1, 2), groups=2),
        [IMAGE],
    ),
    "conv2d_depthwise": (lambda nn: nn.Conv2d(4, 8, 3, padding=1, groups=4, bias=False), [IMAGE]),
    "conv2d_same": (lambda nn: nn.Conv2d(4, 2, (2, 3), padding="same"), [IMAGE]),
    "conv2d_valid": (lambda nn: nn.Conv2d(4, 2, 3, padding="valid"), [IMAGE]),
    "conv2d_circular": (
        lambda nn: nn.Conv2d(4, 2, 3, padding=(1, 2), padding_mode="circular"),
        [IMAGE],
    ),
    "conv2d_replicate": (
        lambda nn: nn.Conv2d(4, 2, 3, padding=2, padding_mode="replicate", stride=2),
        [IMAGE],
    ),
    "conv2d_same_reflect": (
        lambda nn: nn.Conv2d(4, 2, (4, 3), padding="same", padding_mode="reflect"),
        [IMAGE],
    ),
    "conv2d_valid_circular": (
        lambda nn: nn.Conv2d(4, 2, 3, padding="valid", padding_mode="circular"),
        [IMAGE],
    ),
    "conv3d": (lambda nn: nn.Conv3d(2, 3, 2, stride=(1, 2, 1), padding=1), [VOLUME]),
    "conv3d_circular": (
        lambda nn: nn.Conv3d(2, 2, 3, padding=1, padding_mode="circular", groups=2),
        [VOLUME],
    ),
    "conv_transpose1d": (lambda nn: nn.ConvTranspose1d(4, 6, 3, stride=2), [SIGNAL]),
    "conv_transpose1d_options": (
        lambda nn: nn.ConvTranspose1d(4, 6, 3, 3, 1, 2, groups=2, bias=False, dilation=2),
        [SIGNAL],
    ),
    "conv_transpose2d": (lambda nn: nn.ConvTranspose2d(4, 6, 3, stride=2, padding=1), [IMAGE]),
    "conv_transpose2d_options": (
        lambda nn: nn.ConvTranspose2d(4, 2, (3, 2), (2, 1), (1, 0), (1, 0), groups=2),
        [IMAGE],
    ),
    "conv_transpose3d": (
        lambda nn: nn.ConvTranspose3d(2, 2, 2, stride=2, output_padding=1),
        [(1, 2, 3, 2, 2)],
    ),
    "max_pool1d": (lambda nn: nn.MaxPool1d(3, stride=2, padding=1), [SIGNAL]),
    "max_pool2d": (lambda nn: nn.MaxPool2d(2), [IMAGE]),
    "max_pool2d_options": (
        lambda nn: nn.MaxPool2d((3, 2), (2, 1), 1, dilation=(1, 2), ceil_mode=True),
        [IMAGE],
    ),
    "max_pool3d": (lambda nn: nn.MaxPool3d(2, ceil_mode=True), [VOLUME]),
    "avg_pool1d": (lambda nn: nn.AvgPool1d(3, 2, 1), [SIGNAL]),
    "avg_pool2d": (lambda nn: nn.AvgPool2d(2), [IMAGE]),
    "avg_pool2d_options": (
        lambda nn: nn.AvgPool2d((3, 2), 2, 1, ceil_mode=True, count_include_pad=False),
        [IMAGE],
    ),
    "avg_pool2d_divisor": (lambda nn: nn.AvgPool2d(2, divisor_override=3), [IMAGE]),
    "avg_pool3d": (lambda nn: nn.AvgPool3d(2, padding=1), [VOLUME]),
    "lp_pool1d": (lambda nn: nn.LPPool1d(2, 3), [SIGNAL]),
    "lp_pool2d": (lambda nn: nn.LPPool2d(2, (3, 2), stride=2), [IMAGE]),
    "lp_pool3d": (lambda nn: nn.LPPool3d(2, 2), [VOLUME]),
    "adaptive_avg_pool2d_one": (lambda nn: nn.AdaptiveAvgPool2d(1), [IMAGE[1:]]),
    "adaptive_avg_pool1d": (lambda nn: nn.AdaptiveAvgPool1d(4), [SIGNAL]),
    "adaptive_avg_pool2d": (lambda nn: nn.AdaptiveAvgPool2d((5, None)), [IMAGE]),
    "adaptive_avg_pool3d": (lambda nn: nn.AdaptiveAvgPool3d(2), [VOLUME]),
    "adaptive_max_pool1d": (lambda nn: nn.AdaptiveMaxPool1d(4), [SIGNAL]),
    "adaptive_max_pool2d": (lambda nn: nn.AdaptiveMaxPool2d((3, 2)), [IMAGE]),
    "adaptive_max_pool3d": (lambda nn: nn.AdaptiveMaxPool3d(2), [VOLUME]),
    "batch_norm1d": (lambda nn: nn.BatchNorm1d(4), [(6, 4)]),
    "batch_norm1d_signal": (lambda nn: nn.BatchNorm1d(4, momentum=None), [SIGNAL]),
    "batch_norm1d_eval": (lambda nn: nn.BatchNorm1d(4).eval(), [(6, 4)]),
    "batch_norm2d": (lambda nn: nn.BatchNorm2d(4, eps=0.01, momentum=0.3), [IMAGE]),
    "batch_norm2d_bare": (lambda nn: nn.BatchNorm2d(4, affine=False), [IMAGE]),
    "batch_norm2d_untracked": (
        lambda nn: nn.BatchNorm2d(4, track_running_stats=False).eval(),
        [IMAGE],
    ),
    "batch_norm2d_eval": (lambda nn: nn.BatchNorm2d(4).eval(), [IMAGE]),
    "batch_norm3d": (lambda nn: nn.BatchNorm3d(2), [VOLUME]),
    "layer_norm": (lambda nn: nn.LayerNorm(6), [(3, 5, 6)]),
    "layer_norm_axes": (lambda nn: nn.LayerNorm((5, 6), eps=0.1, bias=False), [(3, 5, 6)]),
    "layer_norm_bare": (lambda nn: nn.LayerNorm(6, elementwise_affine=False), [(3, 6)]),
    "group_norm": (lambda nn: nn.GroupNorm(2, 4), [IMAGE]),
    "group_norm_bare": (lambda nn: nn.GroupNorm(4, 4, eps=0.1, affine=False), [(3, 4)]),
    "instance_norm1d": (lambda nn: nn.InstanceNorm1d(4), [SIGNAL]),
    "instance_norm1d_single": (lambda nn: nn.InstanceNorm1d(4, affine=True), [SIGNAL[1:]]),
    "instance_norm2d": (
        lambda nn: nn.InstanceNorm2d(4, affine=True, track_running_stats=True),
        [IMAGE],
    ),
    "instance_norm2d_eval": (
        lambda nn: nn.InstanceNorm2d(4, track_running_stats=True).eval(),
        [IMAGE],
    ),
    "instance_norm3d": (lambda nn: nn.InstanceNorm3d(2, eps=0.1), [VOLUME]),
    "rms_norm": (lambda nn: nn.RMSNorm(6), [(3, 5, 6)]),
    "rms_norm_bare": (lambda nn: nn.RMSNorm((5, 6), 0.1, elementwise_affine=False), [(3, 5, 6)]),
    "local_response_norm": (lambda nn: nn.LocalResponseNorm(3, 0.1, 0.6, 2.0), [IMAGE]),
    "local_response_norm_even": (lambda nn: nn.LocalResponseNorm(2), [SIGNAL]),
    "embedding": (lambda nn: nn.Embedding(7, 3), [("int", 7, (2, 5))]),
    "embedding_padding": (lambda nn: nn.Embedding(7, 3, padding_idx=-1), [("int", 7, (20,))]),
    "embedding_max_norm": (lambda nn: nn.Embedding(7, 3, max_norm=1.0), [("int", 5, (6,))]),
    "embedding_frequency": (
        lambda nn: nn.Embedding(5, 3, scale_grad_by_freq=True),
        [("int", 5, (3, 4))],
    ),
    "embedding_bag": (lambda nn: nn.EmbeddingBag(7, 3), [("int", 7, (4, 5))]),
    "embedding_bag_max": (lambda nn: nn.EmbeddingBag(7, 3, mode="max"), [("int", 7, (4, 5))]),
    "embedding_bag_offsets": (
        lambda nn: nn.EmbeddingBag(7, 3, mode="sum"),
        [("int", 7, (9,)), ("fixed", [0, 2, 2, 6])],
    ),
    "dropout_eval": (lambda nn: nn.Dropout(0.3).eval(), [(3, 4)]),
    "relu": (lambda nn: nn.ReLU(), [(3, 4)]),
    "relu6": (lambda nn: nn.ReLU6(), [("wide", (5, 6))]),
    "leaky_relu": (lambda nn: nn.LeakyReLU(0.2), [(3, 4)]),
    "prelu": (lambda nn: nn.PReLU(), [(3, 4)]),
    "prelu_channels": (lambda nn: nn.PReLU(4, init=0.1), [IMAGE]),
    "rrelu_eval": (lambda nn: nn.RReLU(0.1, 0.4).eval(), [(3, 4)]),
    "elu": (lambda nn: nn.ELU(0.7), [(3, 4)]),
    "celu": (lambda nn: nn.CELU(0.7), [(3, 4)]),
    "selu": (lambda nn: nn.SELU(), [(3, 4)]),
    "gelu": (lambda nn: nn.GELU(), [("wide", (3, 4))]),
    "gelu_tanh": (lambda nn: nn.GELU(approximate="tanh"), [("wide", (3, 4))]),
    "silu": (lambda nn: nn.SiLU(), [("wide", (3, 4))]),
    "mish": (lambda nn: nn.Mish(), [("wide", (3, 4))]),
    "softplus": (lambda nn: nn.Softplus(2.0, 3.0), [("wide", (3, 4))]),
    "softsign": (lambda nn: nn.Softsign(), [(3, 4)]),
    "sigmoid": (lambda nn: nn.Sigmoid(), [("wide", (3, 4))]),
    "tanh": (lambda nn: nn.Tanh(), [(3, 4)]),
    "log_sigmoid": (lambda nn: nn.LogSigmoid(), [("wide", (3, 4))]),
    "hardtanh": (lambda nn: nn.Hardtanh(-0.5, 0.7), [(3, 4)]),
    "hardswish": (lambda nn: nn.Hardswish(), [("wide", (5, 6))]),
    "hardsigmoid": (lambda nn: nn.Hardsigmoid(), [("wide", (5, 6))]),
    "hardshrink": (lambda nn: nn.Hardshrink(0.6), [(3, 4)]),
    "softshrink": (lambda nn: nn.Softshrink(0.6), [(3, 4)]),
    "tanhshrink": (lambda nn: nn.Tanhshrink(), [(3, 4)]),
    "threshold": (lambda nn: nn.Threshold(0.2, -3.0), [(3, 4)]),
    "glu": (lambda nn: nn.GLU(1), [(3, 4, 2)]),
    "softmax": (lambda nn: nn.Softmax(1), [(3, 4, 2)]),
    "softmax2d": (lambda nn: nn.Softmax2d(), [(2, 3, 2, 2)]),
    "softmin": (lambda nn: nn.Softmin(-1), [(3, 4)]),
    "log_softmax": (lambda nn: nn.LogSoftmax(0), [(3, 4)]),
    "flatten": (lambda nn: nn.Flatten(1, 2), [(2, 3, 4, 2)]),
    "unflatten": (lambda nn: nn.Unflatten(1, (2, -1)), [(2, 6, 3)]),
    "pixel_shuffle": (lambda nn: nn.PixelShuffle(2), [(2, 8, 3, 2)]),
    "pixel_unshuffle": (lambda nn: nn.PixelUnshuffle(2), [(2, 2, 4, 6)]),
    "channel_shuffle": (lambda nn: nn.ChannelShuffle(3), [(2, 6, 2, 2)]),
    "upsample_size": (lambda nn: nn.Upsample((5, 9)), [(1, 2, 3, 4)]),
    "upsample_bilinear": (
        lambda nn: nn.Upsample(scale_factor=(2.5, 0.75), mode="bilinear", align_corners=False),
        [(1, 2, 4, 4)],
    ),
    "upsample_bicubic": (
        lambda nn: nn.Upsample(scale_factor=2, mode="bicubic", align_corners=True),
        [(1, 2, 3, 4)],
    ),
    "upsample_linear": (lambda nn: nn.Upsample(7, mode="linear"), [(2, 3, 4)]),
    "upsample_trilinear": (
        lambda nn: nn.Upsample(scale_factor=2, mode="trilinear"),
        [(1, 1, 2, 3, 2)],
    ),
    "upsampling_nearest2d": (lambda nn: nn.UpsamplingNearest2d(scale_factor=2), [(1, 2, 3, 4)]),
    "upsampling_bilinear2d": (lambda nn: nn.UpsamplingBilinear2d(size=5), [(1, 2, 3, 4)]),
    "zero_pad1d": (lambda nn: nn.ZeroPad1d((1, 2)), [(2, 3, 4)]),
    "zero_pad2d": (lambda nn: nn.ZeroPad2d((1, -1, 0, 2)), [(2, 3, 4, 5)]),
    "zero_pad3d": (lambda nn: nn.ZeroPad3d(1), [(1, 2, 2, 3, 2)]),
    "constant_pad1d": (lambda nn: nn.ConstantPad1d(2, 3.5), [(2, 3, 4)]),
    "constant_pad2d": (lambda nn: nn.ConstantPad2d((1, 2, 3, 0), -1.0), [(2, 3, 4)]),
    "constant_pad3d": (lambda nn: nn.ConstantPad3d((1, 0, 2, 0, 1, 1), 2.0), [(1, 2, 2, 3, 2)]),
    "reflection_pad1d": (lambda nn: nn.ReflectionPad1d((2, 1)), [(2, 3, 4)]),
    "reflection_pad2d": (lambda nn: nn.ReflectionPad2d((2, 1, 0, 2)), [(1, 2, 4, 5)]),
    "reflection_pad3d": (lambda nn: nn.ReflectionPad3d(1), [(1, 1, 3, 2, 3)]),
    "replication_pad1d": (lambda nn: nn.ReplicationPad1d(3), [(2, 3, 4)]),
    "replication_pad2d": (lambda nn: nn.ReplicationPad2d((2, 1, 0, 2)), [(1, 2, 2, 3)]),
    "replication_pad3d": (lambda nn: nn.ReplicationPad3d((1, 0, 2, 0, 1, 1)), [(1, 1, 2, 2, 3)]),
    "circular_pad1d": (lambda nn: nn.CircularPad1d((2, 3)), [(2, 3, 4)]),
    "circular_pad2d": (lambda nn: nn.CircularPad2d((2, 1, 0, 2)), [(1, 2, 3, 3)]),
    "circular_pad3d": (lambda nn: nn.CircularPad3d(1), [(1, 1, 2, 2, 3)]),
    "unfold": (lambda nn: nn.Unfold((2, 3), dilation=(2, 1), padding=1, stride=2), [IMAGE]),
    "fold": (lambda nn: nn.Fold((5, 4), (2, 3), padding=(0, 1), stride=(2, 1)), [(2, 12, 8)]),
    "fold_single": (lambda nn: nn.Fold(4, 3, dilation=1, padding=1), [(9, 16)]),
    "cosine_similarity": (lambda nn: nn.CosineSimilarity(dim=2), [(2, 3, 4), (2, 3, 4)]),
    "pairwise_distance": (lambda nn: nn.PairwiseDistance(3, keepdim=True), [(5, 4), (5, 4)]),
    "sequential": (
        lambda nn: nn.Sequential(
            nn.Conv2d(4, 3, 3, 2), nn.BatchNorm2d(3), nn.ReLU(inplace=True), nn.Flatten()
        ),
        [IMAGE],
    ),
}

LOSSES = {
    "l1": (lambda nn: nn.L1Loss(), [(3, 4), ("target", (3, 4))]),
    "mse": (lambda nn: nn.MSELoss(reduction="sum"), [(3, 4), ("target", (3, 4))]),
    "smooth_l1": (lambda nn: nn.SmoothL1Loss(beta=0.4), [(3, 4), ("target", (3, 4))]),
    "huber": (
        lambda nn: nn.HuberLoss(reduction="none", delta=0.4),
        [(3, 4), ("target", (3, 4))],
    ),
    "cross_entropy": (lambda nn: nn.CrossEntropyLoss(), [(5, 4), ("int", 4, (5,))]),
    "cross_entropy_options": (
        lambda nn: nn.CrossEntropyLoss(ignore_index=1, label_smoothing=0.2, reduction="sum"),
        [(2, 4, 3, 2), ("int", 4, (2, 3, 2))],
    ),
    "cross_entropy_shares": (
        lambda nn: nn.CrossEntropyLoss(label_smoothing=0.1),
        [(5, 4), ("shares", (5, 4))],
    ),
    "nll": (lambda nn: nn.NLLLoss(ignore_index=2), [(6, 4), ("int", 4, (6,))]),
    "poisson_nll": (
        lambda nn: nn.PoissonNLLLoss(full=True),
        [(3, 4), ("counts", 5, (3, 4))],
    ),
    "poisson_nll_rate": (
        lambda nn: nn.PoissonNLLLoss(log_input=False),
        [("unit", (3, 4)), ("counts", 5, (3, 4))],
    ),
    "gaussian_nll": (
        lambda nn: nn.GaussianNLLLoss(full=True),
        [(3, 4), ("target", (3, 4)), ("unit", (3, 4))],
    ),
    "kl_div": (lambda nn: nn.KLDivLoss(reduction="batchmean"), [(3, 4), ("shares", (3, 4))]),
    "kl_div_log": (
        lambda nn: nn.KLDivLoss(reduction="sum", log_target=True),
        [(3, 4), ("target", (3, 4))],
    ),
    "bce": (lambda nn: nn.BCELoss(), [("unit", (3, 4)), ("shares", (3, 4))]),
    "bce_with_logits": (lambda nn: nn.BCEWithLogitsLoss(), [(3, 4), ("shares", (3, 4))]),
    "hinge_embedding": (lambda nn: nn.HingeEmbeddingLoss(0.8), [(3, 4), ("sign", (3, 4))]),
    "soft_margin": (lambda nn: nn.SoftMarginLoss(reduction="none"), [(3, 4), ("sign", (3, 4))]),
    "multi_margin": (lambda nn: nn.MultiMarginLoss(p=2, margin=0.7), [(5, 4), ("int", 4, (5,))]),
    "multilabel_margin": (
        lambda nn: nn.MultiLabelMarginLoss(),
        [(2, 4), ("fixed", [[3, 0, -1, 1], [1, -1, 2, 0]])],
    ),
    "multilabel_soft_margin": (
        lambda nn: nn.MultiLabelSoftMarginLoss(),
        [(3, 4), ("int", 2, (3, 4))],
    ),
    "cosine_embedding": (
        lambda nn: nn.CosineEmbeddingLoss(0.1),
        [(5, 4), (5, 4), ("sign", (5,))],
    ),
    "margin_ranking": (
        lambda nn: nn.MarginRankingLoss(0.3, reduction="sum"),
        [(5,), (5,), ("sign", (5,))],
    ),
    "triplet_margin": (
        lambda nn: nn.TripletMarginLoss(swap=True),
        [(5, 4), (5, 4), (5, 4)],
    ),
    "triplet_margin_with_distance": (
        lambda nn: nn.TripletMarginWithDistanceLoss(
            distance_function=nn.PairwiseDistance(1), margin=2.0, swap=True
        ),
        [(5, 4), (5, 4), (5, 4)],
    ),
}

FUNCTIONS = {
    "dropout_eval": (lambda F, x: F.dropout(x, 0.3, training=False), [(3, 4)]),
    "max_pool2d_indices": (lambda F, x: F.max_pool2d(x, 2, return_indices=True)[1], [IMAGE]),
    "adaptive_max_pool2d_indices": (
        lambda F, x: F.adaptive_max_pool2d(x, (3, 4), return_indices=True)[1],
        [IMAGE],
    ),
    "softmax_dtype": (lambda F, x: F.softmax(x, dim=0), [(3, 4)]),
    "normalize": (lambda F, x: F.normalize(x, p=3, dim=2), [(2, 3, 4)]),
    "one_hot": (lambda F, x: F.one_hot(x, 6), [("int", 6, (2, 5))]),
    "pad_reflect": (lambda F, x: F.pad(x, (2, 1), mode="reflect"), [(2, 3, 4)]),
    "interpolate_area": (lambda F, x: F.interpolate(x, size=(3, 2), mode="area"), [IMAGE]),
    "interpolate_antialias": (
        lambda F, x: F.interpolate(x, size=(3, 4), mode="bicubic", antialias=True),
        [(1, 2, 7, 9)],
    ),
    "interpolate_exact": (
        lambda F, x: F.interpolate(x, scale_factor=1.7, mode="nearest-exact"),
        [(1, 2, 5)],
    ),
    "batch_norm_weights": (
        lambda F, x, w, b: F.batch_norm(x, None, None, w, b, training=True),
        [(5, 3, 2), (3,), (3,)],
    ),
    "cross_entropy_weight": (
        lambda F, x, t, w: F.cross_entropy(x, t, weight=w, label_smoothing=0.1),
        [(5, 4), ("int", 4, (5,)), ("weight", (4,))],
    ),
    "nll_weight": (
        lambda F, x, t, w: F.nll_loss(x, t, w, reduction="sum"),
        [(5, 4), ("int", 4, (5,)), ("weight", (4,))],
    ),
    "bce_pos_weight": (
        lambda F, x, t, w: F.binary_cross_entropy_with_logits(x, t, pos_weight=w),
        [(3, 4), ("shares", (3, 4)), ("weight", (4,))],
    ),
    "ctc": (
        lambda F, x, t, n, m: F.ctc_loss(F.log_softmax(x, dim=2), t, n, m),
        [(8, 2, 5), ("fixed", [[1, 2, 2], [4, 3, 1]]), ("fixed", [8, 7]), ("fixed", [3, 2])],
    ),
    "attention": (
        lambda F, q, k, v: F.scaled_dot_product_attention(q, k, v),
        [(2, 3, 4, 5), (2, 3, 6, 5), (2, 3, 6, 2)],
    ),
    "attention_causal": (
        lambda F, q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True, scale=0.3),
        [(2, 4, 5), (2, 4, 5), (2, 4, 3)],
    ),
    "attention_mask": (
        lambda F, q, k, v, m: F.scaled_dot_product_attention(q, k, v, attn_mask=m),
        [(2, 3, 4, 5), (2, 3, 6, 5), (2, 3, 6, 2), (4, 6)],
    ),
    "attention_grouped": (
        lambda F, q, k, v: F.scaled_dot_product_attention(q, k, v, enable_gqa=True),
        [(1, 4, 3, 5), (1, 2, 6, 5), (1, 2, 6, 2)],
    ),
}

# Printed forms that no case above shows.
PRINTED = {
    "nested": lambda nn: nn.Sequential(
        nn.Sequential(nn.Linear(2, 3), nn.ReLU(inplace=True)),
        nn.ModuleList([nn.Linear(3, 3) for _ in range(3)] + [nn.Tanh()]),
        nn.ModuleDict({"left": nn.Identity(), "right": nn.Sequential(nn.Dropout(0.1))}),
    ),
    "empty": lambda nn: nn.Sequential(),
    "empty_list": lambda nn: nn.ModuleList(),
    "named": lambda nn: nn.Sequential(
        OrderedDict(first=nn.Conv2d(1, 2, 3), second=nn.MaxPool2d(2))
    ),
    "inplace": lambda nn: nn.Sequential(
        nn.ReLU6(True),
        nn.ELU(inplace=True),
        nn.LeakyReLU(0.1, True),
        nn.Hardtanh(inplace=True),
        nn.Threshold(1, 2, True),
        nn.RReLU(inplace=True),
        nn.Hardswish(True),
        nn.Dropout(inplace=True),
    ),
    "dropouts": lambda nn: nn.Sequential(
        nn.Dropout1d(),
        nn.Dropout2d(0.2),
        nn.Dropout3d(),
        nn.AlphaDropout(),
        nn.FeatureAlphaDropout(),
    ),
    "embedding": lambda nn: nn.Embedding(5, 3, padding_idx=2, max_norm=2.0, norm_type=1.0),
}

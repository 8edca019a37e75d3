"""The optimisers and schedules that are compared with PyTorch, and the problem they are given."""

import numpy as np

STEPS = 25
KEPT = (1, 2, 3, 10, 25)  # steps after which the parameters are compared
SHAPES = ((3, 4), (5,), ())
EPOCHS = 40

# name → optimiser, its options
OPTIMIZERS = {
    "sgd": ("SGD", {"lr": 0.1}),
    "sgd_decay": ("SGD", {"lr": 0.1, "weight_decay": 0.05}),
    "sgd_momentum": ("SGD", {"lr": 0.1, "momentum": 0.9}),
    "sgd_dampening": ("SGD", {"lr": 0.1, "momentum": 0.9, "dampening": 0.3, "weight_decay": 0.1}),
    "sgd_nesterov": ("SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.1}),
    "sgd_maximize": ("SGD", {"lr": 0.1, "momentum": 0.5, "maximize": True, "weight_decay": 0.1}),
    "adam": ("Adam", {"lr": 0.05}),
    "adam_decay": ("Adam", {"lr": 0.05, "weight_decay": 0.1, "betas": (0.8, 0.95), "eps": 1e-3}),
    "adam_amsgrad": ("Adam", {"lr": 0.05, "amsgrad": True, "betas": (0.5, 0.7)}),
    "adam_maximize": ("Adam", {"lr": 0.05, "maximize": True, "weight_decay": 0.1}),
    "adam_decoupled": (
        "Adam",
        {"lr": 0.05, "weight_decay": 0.1, "decoupled_weight_decay": True},
    ),
    "adamw": ("AdamW", {"lr": 0.05}),
    "adamw_decay": ("AdamW", {"lr": 0.05, "weight_decay": 0.3, "amsgrad": True, "maximize": True}),
    "rmsprop": ("RMSprop", {"lr": 0.02}),
    "rmsprop_centered": ("RMSprop", {"lr": 0.02, "centered": True, "alpha": 0.9}),
    "rmsprop_momentum": (
        "RMSprop",
        {"lr": 0.02, "centered": True, "momentum": 0.8, "weight_decay": 0.1, "maximize": True},
    ),
    "rmsprop_plain_momentum": ("RMSprop", {"lr": 0.02, "momentum": 0.8, "eps": 1e-2}),
    "adagrad": ("Adagrad", {"lr": 0.1}),
    "adagrad_decay": (
        "Adagrad",
        {"lr": 0.1, "lr_decay": 0.1, "weight_decay": 0.1, "initial_accumulator_value": 0.5},
    ),
    "adagrad_maximize": ("Adagrad", {"lr": 0.1, "maximize": True, "eps": 1e-3}),
    "adadelta": ("Adadelta", {}),
    "adadelta_decay": (
        "Adadelta",
        {"lr": 0.5, "rho": 0.8, "eps": 1e-4, "weight_decay": 0.1, "maximize": True},
    ),
    "nadam": ("NAdam", {"lr": 0.05}),
    "nadam_decay": ("NAdam", {"lr": 0.05, "weight_decay": 0.1, "momentum_decay": 0.1}),
    "nadam_decoupled": (
        "NAdam",
        {"lr": 0.05, "weight_decay": 0.1, "decoupled_weight_decay": True, "maximize": True},
    ),
    "radam": ("RAdam", {"lr": 0.05}),
    "radam_decay": ("RAdam", {"lr": 0.05, "weight_decay": 0.1, "betas": (0.8, 0.9)}),
    "radam_decoupled": (
        "RAdam",
        {"lr": 0.05, "weight_decay": 0.1, "decoupled_weight_decay": True, "maximize": True},
    ),
    "adamax": ("Adamax", {"lr": 0.05}),
    "adamax_decay": ("Adamax", {"lr": 0.05, "weight_decay": 0.1, "maximize": True}),
}


def growth(epoch):
    """A curve for LambdaLR."""
    return 0.5 + 0.1 * epoch


# name → how to make the schedule, given the namespace of schedules and an optimiser (SGD with
# momentum, two groups of rates 0.5 and 0.02)
SCHEDULES = {
    "step": lambda s, o: s.StepLR(o, 7, 0.3),
    "multi_step": lambda s, o: s.MultiStepLR(o, [3, 10, 10, 31], 0.4),
    "exponential": lambda s, o: s.ExponentialLR(o, 0.93),
    "constant": lambda s, o: s.ConstantLR(o, 0.25, 6),
    "linear": lambda s, o: s.LinearLR(o, 0.1, 0.9, 12),
    "linear_default": lambda s, o: s.LinearLR(o),
    "polynomial": lambda s, o: s.PolynomialLR(o, 25, 0.9),
    "lambda": lambda s, o: s.LambdaLR(o, [growth, lambda epoch: 0.95**epoch]),
    "cosine": lambda s, o: s.CosineAnnealingLR(o, 11, 0.01),
    "cosine_long": lambda s, o: s.CosineAnnealingLR(o, 60),
    "restarts": lambda s, o: s.CosineAnnealingWarmRestarts(o, 9, 1, 0.001),
    "restarts_growing": lambda s, o: s.CosineAnnealingWarmRestarts(o, 4, 2),
    "one_cycle": lambda s, o: s.OneCycleLR(o, 0.7, 40),
    "one_cycle_linear": lambda s, o: s.OneCycleLR(
        o, [0.7, 0.3], epochs=5, steps_per_epoch=8, anneal_strategy="linear", pct_start=0.4
    ),
    "one_cycle_three": lambda s, o: s.OneCycleLR(
        o, 0.7, 40, three_phase=True, div_factor=10, final_div_factor=100, cycle_momentum=False
    ),
    "sequential": lambda s, o: s.SequentialLR(
        o,
        [s.LinearLR(o, 0.1, total_iters=5), s.CosineAnnealingLR(o, 20), s.ExponentialLR(o, 0.9)],
        [5, 25],
    ),
    "sequential_steps": lambda s, o: s.SequentialLR(
        o, [s.ConstantLR(o, 0.1, 4), s.StepLR(o, 3, 0.5)], [8]
    ),
    "chained": lambda s, o: s.ChainedScheduler(
        [s.ConstantLR(o, 0.1, 5), s.ExponentialLR(o, 0.9), s.StepLR(o, 10, 0.5)]
    ),
    "chained_cosine": lambda s, o: s.ChainedScheduler(
        [s.CosineAnnealingLR(o, 50, 0.01), s.LinearLR(o, 0.5, total_iters=10)]
    ),
    "plateau": lambda s, o: s.ReduceLROnPlateau(o, factor=0.5, patience=2, cooldown=1),
    "plateau_max": lambda s, o: s.ReduceLROnPlateau(
        o, "max", 0.3, 1, threshold=0.05, threshold_mode="abs", min_lr=[0.05, 0.001]
    ),
    "plateau_rel_max": lambda s, o: s.ReduceLROnPlateau(o, "max", patience=3, threshold=0.1),
}


def metric(epoch):
    """A loss that falls, stalls and falls again."""
    return [3.0, 2.5, 2.0, 1.99, 1.98, 1.97, 1.99, 2.0, 1.5, 1.49][epoch % 10] - 0.3 * (epoch // 10)


def problem():
    """Initial parameters, and the gradients of every step."""
    rng = np.random.default_rng(20)
    start = [rng.standard_normal(shape) for shape in SHAPES]
    grads = [[rng.standard_normal(shape) for shape in SHAPES] for _ in range(STEPS)]
    return start, grads

"""Methods of a tensor, called as PyTorch's are: by PyTorch for their results, by Lamina to compare.

Each is a function of the tensors in `inputs`. What comes back is a tensor, or a (named) tuple.
"""

import numpy as np

NAMES = ("x", "y", "p", "u", "i", "t", "b")


def inputs(lib):
    """Return the tensors that the calls use, floats with gradients, made by the library `lib`."""
    rng = np.random.default_rng(11)
    floats = {
        "x": rng.standard_normal((3, 4)),
        "y": rng.standard_normal((3, 4)),
        "p": rng.random((3, 4)) + 0.2,
        "u": rng.uniform(-0.9, 0.9, (3, 4)),
        "t": np.array([[1.0, 3.0, 3.0, 0.0], [2.0, 2.0, 2.0, 2.0], [0.0, -1.0, 5.0, 5.0]]),
    }
    made = {name: lib.tensor(values, requires_grad=True) for name, values in floats.items()}
    made["i"] = lib.tensor(rng.integers(-3, 4, (3, 4)))
    made["b"] = lib.tensor(rng.integers(0, 2, (3, 4)).astype(bool))
    return made


def results(value):
    """Return what a call gave as a list of tensors."""
    return list(value) if isinstance(value, tuple) else [value]


def numbers(lib, call):
    """Return the outputs of a call, and the gradients of the sum of the float ones, in numpy."""
    given = inputs(lib)
    outputs = results(call(*(given[name] for name in NAMES)))
    tracked = [out for out in outputs if out.requires_grad]
    if tracked:
        sum(((out * out).sum() for out in tracked[1:]), start=(tracked[0] ** 2).sum()).backward()
    grads = {name: given[name].grad for name in NAMES if given[name].requires_grad}
    return {
        **{str(place): out.detach().numpy() for place, out in enumerate(outputs)},
        **{f"grad {name}": g.detach().numpy() for name, g in grads.items() if g is not None},
    }


ELEMENTWISE = {
    "exp": lambda x, y, p, u, i, t, b: x.exp(),
    "exp2": lambda x, y, p, u, i, t, b: x.exp2(),
    "expm1": lambda x, y, p, u, i, t, b: x.expm1(),
    "log": lambda x, y, p, u, i, t, b: p.log(),
    "log1p": lambda x, y, p, u, i, t, b: p.log1p(),
    "log2": lambda x, y, p, u, i, t, b: p.log2(),
    "log10": lambda x, y, p, u, i, t, b: p.log10(),
    "sqrt": lambda x, y, p, u, i, t, b: p.sqrt(),
    "rsqrt": lambda x, y, p, u, i, t, b: p.rsqrt(),
    "square": lambda x, y, p, u, i, t, b: x.square(),
    "reciprocal": lambda x, y, p, u, i, t, b: p.reciprocal(),
    "sin": lambda x, y, p, u, i, t, b: x.sin(),
    "cos": lambda x, y, p, u, i, t, b: x.cos(),
    "tan": lambda x, y, p, u, i, t, b: u.tan(),
    "asin": lambda x, y, p, u, i, t, b: u.asin(),
    "acos": lambda x, y, p, u, i, t, b: u.acos(),
    "atan": lambda x, y, p, u, i, t, b: x.atan(),
    "sinh": lambda x, y, p, u, i, t, b: x.sinh(),
    "cosh": lambda x, y, p, u, i, t, b: x.cosh(),
    "tanh": lambda x, y, p, u, i, t, b: x.tanh(),
    "asinh": lambda x, y, p, u, i, t, b: x.asinh(),
    "acosh": lambda x, y, p, u, i, t, b: (p + 1).acosh(),
    "atanh": lambda x, y, p, u, i, t, b: u.atanh(),
    "sigmoid": lambda x, y, p, u, i, t, b: x.sigmoid(),
    "relu": lambda x, y, p, u, i, t, b: t.relu(),
    "erf": lambda x, y, p, u, i, t, b: x.erf(),
    "erfc": lambda x, y, p, u, i, t, b: x.erfc(),
    "erfinv": lambda x, y, p, u, i, t, b: u.erfinv(),
    "floor": lambda x, y, p, u, i, t, b: x.floor(),
    "ceil": lambda x, y, p, u, i, t, b: x.ceil(),
    "trunc": lambda x, y, p, u, i, t, b: x.trunc(),
    "frac": lambda x, y, p, u, i, t, b: x.frac(),
    "round": lambda x, y, p, u, i, t, b: (x * 10).round(),
    "round decimals": lambda x, y, p, u, i, t, b: x.round(decimals=2),
    "clamp": lambda x, y, p, u, i, t, b: t.clamp(0, 3),
    "clamp min": lambda x, y, p, u, i, t, b: t.clamp(min=2),
    "clamp tensor": lambda x, y, p, u, i, t, b: x.clamp(y, y + 1),
    "clip": lambda x, y, p, u, i, t, b: x.clip(-0.5, 0.5),
    "clamp_max": lambda x, y, p, u, i, t, b: x.clamp_max(0.1),
    "atan2": lambda x, y, p, u, i, t, b: x.atan2(y),
    "hypot": lambda x, y, p, u, i, t, b: x.hypot(y),
    "logaddexp": lambda x, y, p, u, i, t, b: x.logaddexp(y),
    "copysign": lambda x, y, p, u, i, t, b: x.copysign(y),
    "fmod": lambda x, y, p, u, i, t, b: x.fmod(0.4),
    "remainder": lambda x, y, p, u, i, t, b: x.remainder(0.4),
    "floor_divide": lambda x, y, p, u, i, t, b: x.detach().floor_divide(p.detach()),
    "xlogy": lambda x, y, p, u, i, t, b: t.xlogy(p),
    "lerp": lambda x, y, p, u, i, t, b: x.lerp(y, 0.25),
    "lerp tensor": lambda x, y, p, u, i, t, b: x.lerp(y, p),
    "addcmul": lambda x, y, p, u, i, t, b: x.addcmul(y, p, value=0.5),
    "addcdiv": lambda x, y, p, u, i, t, b: x.addcdiv(y, p, value=0.5),
    "logit": lambda x, y, p, u, i, t, b: p.sigmoid().logit(),
    "logit eps": lambda x, y, p, u, i, t, b: p.logit(eps=0.3),
    "nan_to_num": lambda x, y, p, u, i, t, b: (x / x.relu()).nan_to_num(1.0, 2.0, 3.0),
    "softmax": lambda x, y, p, u, i, t, b: x.softmax(dim=-1),
    "log_softmax": lambda x, y, p, u, i, t, b: x.log_softmax(0),
    "exp_": lambda x, y, p, u, i, t, b: (x * 1).exp_(),
    "relu_": lambda x, y, p, u, i, t, b: (x * 1).relu_(),
    "sqrt_": lambda x, y, p, u, i, t, b: (p * 1).sqrt_(),
    "log_": lambda x, y, p, u, i, t, b: (p * 1).log_(),
    "tanh_": lambda x, y, p, u, i, t, b: (x * 1).tanh_(),
    "sigmoid_": lambda x, y, p, u, i, t, b: (x * 1).sigmoid_(),
    "abs_ of a view": lambda x, y, p, u, i, t, b: view_made_positive(x),
}


def view_made_positive(x):
    whole = x * 1
    whole[1:].abs_()
    return whole


REDUCTIONS = {
    "sum": lambda x, y, p, u, i, t, b: x.sum(),
    "sum dims": lambda x, y, p, u, i, t, b: x.sum(dim=(0, 1), keepdim=True),
    "sum of int": lambda x, y, p, u, i, t, b: i.sum(1),
    "sum of bool": lambda x, y, p, u, i, t, b: b.sum(-1),
    "mean": lambda x, y, p, u, i, t, b: x.mean(1, True),
    "prod": lambda x, y, p, u, i, t, b: t.prod(1),
    "prod all": lambda x, y, p, u, i, t, b: x.prod(),
    "var": lambda x, y, p, u, i, t, b: x.var(),
    "var dim": lambda x, y, p, u, i, t, b: x.var(1),
    "var unbiased": lambda x, y, p, u, i, t, b: x.var(1, unbiased=False),
    "var correction": lambda x, y, p, u, i, t, b: x.var(dim=0, correction=2, keepdim=True),
    "var biased all": lambda x, y, p, u, i, t, b: x.var(False),
    "std": lambda x, y, p, u, i, t, b: x.std(dim=1),
    "logsumexp": lambda x, y, p, u, i, t, b: x.logsumexp(1, keepdim=True),
    "norm": lambda x, y, p, u, i, t, b: x.norm(),
    "norm p": lambda x, y, p, u, i, t, b: x.norm(3, dim=1),
    "norm 1": lambda x, y, p, u, i, t, b: x.norm(p=1, dim=0, keepdim=True),
    "norm inf": lambda x, y, p, u, i, t, b: x.norm(float("inf"), dim=1),
    "max": lambda x, y, p, u, i, t, b: t.max(),
    "min": lambda x, y, p, u, i, t, b: t.min(),
    "max dim": lambda x, y, p, u, i, t, b: x.max(1),
    "min dim": lambda x, y, p, u, i, t, b: x.min(dim=0, keepdim=True),
    "max other": lambda x, y, p, u, i, t, b: x.max(y),
    "amax": lambda x, y, p, u, i, t, b: t.amax(1),
    "amin": lambda x, y, p, u, i, t, b: t.amin(dim=(0, 1)),
    "aminmax": lambda x, y, p, u, i, t, b: x.aminmax(dim=1),
    "argmax": lambda x, y, p, u, i, t, b: x.argmax(),
    "argmax dim": lambda x, y, p, u, i, t, b: x.argmax(dim=1, keepdim=True),
    "argmin": lambda x, y, p, u, i, t, b: x.argmin(0),
    "any": lambda x, y, p, u, i, t, b: b.any(1),
    "all": lambda x, y, p, u, i, t, b: b.all(dim=0, keepdim=True),
    "count_nonzero": lambda x, y, p, u, i, t, b: i.count_nonzero(dim=0),
    "median": lambda x, y, p, u, i, t, b: x.median(),
    "median dim": lambda x, y, p, u, i, t, b: x.median(dim=1),
    "cumsum": lambda x, y, p, u, i, t, b: x.cumsum(dim=1),
    "cumprod": lambda x, y, p, u, i, t, b: t.cumprod(0),
    "cummax": lambda x, y, p, u, i, t, b: t.cummax(1),
    "cummin": lambda x, y, p, u, i, t, b: t.cummin(dim=0),
    "sort": lambda x, y, p, u, i, t, b: x.sort(),
    "sort descending": lambda x, y, p, u, i, t, b: x.sort(0, descending=True),
    "sort stable": lambda x, y, p, u, i, t, b: t.sort(stable=True),
    "argsort": lambda x, y, p, u, i, t, b: x.argsort(dim=0, descending=True),
    "topk": lambda x, y, p, u, i, t, b: x.topk(2),
    "topk least": lambda x, y, p, u, i, t, b: x.topk(2, dim=0, largest=False),
    "kthvalue": lambda x, y, p, u, i, t, b: x.kthvalue(2, dim=1),
    "unique": lambda x, y, p, u, i, t, b: i.unique(return_inverse=True, return_counts=True),
}

CALLS = {**ELEMENTWISE, **REDUCTIONS}

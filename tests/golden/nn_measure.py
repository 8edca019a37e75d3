"""What is measured of a layer, a function or a network, in either framework.

Both make their inputs and weights from the same counted numbers, so that the files need hold no
weights. numpy's `RandomState` is used because its numbers never change between versions.
"""

import zlib

import numpy as np

KEPT = 10  # elements kept of an array, beside its sums


def stream(name):
    """Random numbers that depend on `name` alone."""
    return np.random.RandomState(zlib.crc32(name.encode()))


def make_input(name, place, kind):
    """An input as an array, and whether its gradient is taken."""
    rng = stream(f"{name} input {place}")
    match kind:
        case ("int", high, shape):
            return rng.randint(0, high, shape), False
        case ("counts", high, shape):
            return rng.randint(0, high, shape).astype(np.float64), False
        case ("fixed", values):
            return np.array(values), False
        case ("unit", shape):
            return rng.uniform(0.05, 0.95, shape), True
        case ("wide", shape):
            return 4 * rng.standard_normal(shape), True
        case ("target", shape):
            return rng.standard_normal(shape), False
        case ("sign", shape):
            return np.where(rng.random_sample(shape) < 0.5, -1.0, 1.0), False
        case ("weight", shape):
            return rng.uniform(0.3, 2.0, shape), False
        case ("shares", shape):
            drawn = rng.uniform(0.1, 1.0, shape)
            return drawn / drawn.sum(1, keepdims=True), False
        case shape:
            return rng.standard_normal(shape), True


def make_weight(name, shape, kind="float"):
    """The weight, bias or running figure called `name`."""
    if kind == "int":
        return np.zeros(shape, np.int64)
    rng = stream(name)
    if name.endswith("running_var") or len(shape) < 2:
        spread = 0.2 if name.endswith("running_mean") or "bias" in name else 0.3
        centre = 0.0 if name.endswith("running_mean") or "bias" in name else 1.0
        return centre + spread * rng.uniform(-1, 1, shape)
    fan_in = int(np.prod(shape[1:]))
    return rng.uniform(-1, 1, shape) * np.sqrt(3 / fan_in)


def set_weights(module, name, from_numpy):
    """Give a module weights that depend on their names and shapes alone."""
    state = {}
    for key, value in module.state_dict().items():
        kind = "int" if key.endswith("num_batches_tracked") else "float"
        made = make_weight(f"{name} {key}", tuple(value.shape), kind)
        state[key] = from_numpy(made).to(value.dtype)
    module.load_state_dict(state)


def digest(array):
    """A few numbers that stand for an array: sums, and elements at even steps."""
    flat = np.asarray(array, np.float64).ravel()
    ramp = np.arange(1, flat.size + 1) / max(flat.size, 1)
    places = np.unique(np.linspace(0, flat.size - 1, KEPT).astype(int)) if flat.size else []
    return np.array([flat.size, flat.sum(), np.abs(flat).sum(), (flat * ramp).sum(), *flat[places]])


def backward(out, name, from_numpy):
    """Run backward from `out` weighed with fixed numbers."""
    weights = from_numpy(np.asarray(stream(f"{name} out").standard_normal(tuple(out.shape))))
    (out * weights.to(out.dtype)).sum().backward()


def measure_function(call, name, kinds, from_numpy):
    """Digests of the output and of the gradients of the inputs."""
    values, tracked = make_inputs(name, kinds, from_numpy)
    out = call(*values)
    found = {"out": out.detach().numpy()}
    if out.requires_grad:
        backward(out, name, from_numpy)
        found |= {f"grad {i}": values[i].grad.numpy() for i in tracked}
    return {key: digest(value) for key, value in found.items()}


def measure_layer(module, name, kinds, from_numpy):
    """Digests of output, input gradients, parameter gradients, and buffers afterwards."""
    set_weights(module, name, from_numpy)
    # A layer may write over its input.
    found = measure_function(lambda *v: module(*[x + 0 for x in v]), name, kinds, from_numpy)
    for key, parameter in module.named_parameters():
        found[f"grad {key}"] = digest(parameter.grad.numpy())
    for key, buffer in module.named_buffers():
        found[key] = digest(buffer.numpy())
    return found


def make_inputs(name, kinds, from_numpy):
    """The inputs as tensors, and the places of those whose gradient is taken."""
    values, tracked = [], []
    for place, kind in enumerate(kinds):
        array, is_tracked = make_input(name, place, kind)
        tensor = from_numpy(np.array(array))
        if is_tracked:
            tensor.requires_grad_()
            tracked.append(place)
        values.append(tensor)
    return values, tracked


# name → how to make the network (from the module of reference networks), its input
NETWORKS = {
    "mlp": (lambda m: m.MLP(), (3, 784)),
    "lenet": (lambda m: m.LeNet(), (2, 1, 28, 28)),
    "resnet18": (lambda m: m.ResNet18Cifar(), (2, 3, 16, 16)),
    "resnet50": (lambda m: m.ResNet50(), (2, 3, 64, 64)),
    "mobilenet": (lambda m: m.MobileNetV2(), (2, 3, 64, 64)),
    "encoder": (lambda m: m.Encoder(), (2, 12, 384)),
    "gpt": (lambda m: m.GPTMini(), ("int", 256, (2, 20))),
}


def measure_network(network, name, kind, from_numpy, dtype):
    """Digests of a training step's output and gradients, and of the evaluation that follows it."""
    network.to(dtype)
    set_weights(network, name, from_numpy)
    array, is_float = make_input(name, 0, kind)
    x = from_numpy(array)
    x = x.to(dtype) if is_float else x
    out = network.train()(x)
    backward(out, name, from_numpy)
    found = {"train": out.detach().numpy()}
    found |= {f"grad {key}": p.grad.numpy() for key, p in network.named_parameters()}
    found |= {key: b.numpy() for key, b in network.named_buffers() if "running" in key}
    found["eval"] = network.eval()(x).detach().numpy()
    return {key: digest(value) for key, value in found.items()}

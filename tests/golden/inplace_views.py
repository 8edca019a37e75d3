"""Random chains of views and writes in place, run by PyTorch: `python inplace_views.py` there.

A program is a list of steps over a list of tensors; step k appends a tensor or writes into one.
The names of the methods are the same on both sides, so `run` serves PyTorch here and Lamina in
tests/autograd/test_inplace_programs.py.
"""

import json
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

FILE = Path(__file__).with_suffix(".npz")
SHAPE = (4, 6)
Step = list[Any]

VIEWS = {
    "row": lambda t, k: t[k % t.shape[0]],
    "rows": lambda t, k: t[k % t.shape[0] :],
    "every other": lambda t, k: t[k % 2 :: 2],
    "column": lambda t, k: t[..., k % t.shape[-1]],
    "columns": lambda t, k: t[..., : 1 + k % t.shape[-1]],
    "transpose": lambda t, k: t.transpose(0, -1) if t.dim() else t.clone(),
    "flat": lambda t, k: t.reshape(-1),
    "unsqueeze": lambda t, k: t.unsqueeze(k % (t.dim() + 1)),
    "diagonal": lambda t, k: t.diagonal(0, 0, -1) if t.dim() > 1 else t[1:],
    "expand": lambda t, k: t.unsqueeze(0).expand(2, *t.shape),
}
MAKES = {
    "double": lambda t, k: t * 2.0,
    "tanh": lambda t, k: t.tanh(),
    "add": lambda t, k: t + 0.5,
    "clone": lambda t, k: t.clone(),
    "detach": lambda t, k: t.detach(),
    "square": lambda t, k: t * t,
}
WRITES = {
    "mul_ number": lambda t, o: t.mul_(1.5),
    "add_ number": lambda t, o: t.add_(0.25),
    "zero_": lambda t, o: t.zero_(),
    "mul_": lambda t, o: t.mul_(o),
    "add_": lambda t, o: t.add_(o),
    "sub_": lambda t, o: t.sub_(o),
    "copy_": lambda t, o: t.copy_(o),
    "clamp_": lambda t, o: t.clamp_(-1.0, 1.0),
    "pow_": lambda t, o: t.pow_(2.0),
    "set row": lambda t, o: t.__setitem__(0, o),
    "scale row": lambda t, o: t.__setitem__(0, t[0] * o.sum()),
}


def run(program: list[Step], x: Any, w: Any) -> Any:
    """Return the number that `program` computes from the leaves `x` and `w`."""
    tensors = [x * 1.0, w * 1.0]
    for family, name, i, j in program:
        if family == "view":
            tensors.append(VIEWS[name](tensors[i], j))
        elif family == "make":
            tensors.append(MAKES[name](tensors[i], j))
        else:
            WRITES[name](tensors[i], tensors[j])
    weights = [0.5 + 0.1 * k for k in range(len(tensors))]
    return sum((t * t).sum() * weight for t, weight in zip(tensors, weights, strict=True))


def random_program(random: Random) -> list[Step]:
    program, count = [], 2
    for _ in range(random.randrange(4, 14)):
        family = random.choice(("view", "view", "make", "write", "write", "write"))
        names = {"view": VIEWS, "make": MAKES, "write": WRITES}[family]
        other = random.randrange(count if family == "write" else 6)
        program.append([family, random.choice(list(names)), random.randrange(count), other])
        count += family != "write"
    return program


def leaves() -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    return generator.normal(size=SHAPE), generator.normal(size=SHAPE[-1:])


def overlaps(program: list[Step], x: Any, w: Any) -> bool:
    """Whether a write reads, shifted or broadcast, from what it writes: there PyTorch is wrong."""
    tensors = [x.detach() * 1.0, w.detach() * 1.0]
    for family, name, i, j in program:
        if family == "write":
            a, b = tensors[i], tensors[j]
            same = (a.shape, a.stride(), a.data_ptr()) == (b.shape, b.stride(), b.data_ptr())
            if a.untyped_storage().data_ptr() == b.untyped_storage().data_ptr() and not same:
                return True
        else:
            tensors.append((VIEWS if family == "view" else MAKES)[name](tensors[i], j))
    return False


def derivatives(program: list[Step], torch: Any) -> list[Any] | None:
    """Return value, gradients, and the gradients of the sum of squares of the first of those."""
    x, w = (torch.tensor(a, requires_grad=True) for a in leaves())
    try:
        value = run(program, x, w)
        if overlaps(program, x, w) or not value.detach() < 1e6:
            return None
        dx, dw = torch.autograd.grad(value, (x, w), create_graph=True, materialize_grads=True)
        seconds = torch.autograd.grad((dx * dx).sum(), (x, w), materialize_grads=True)
    except (RuntimeError, IndexError, ZeroDivisionError):
        return None  # shapes that do not fit, or a saved tensor overwritten
    return [t.detach().numpy() for t in (value, dx, dw, *seconds)]


def main() -> None:
    import torch

    random, kept = Random(0), {}
    while len(kept) < 400:
        program = random_program(random)
        found = derivatives(program, torch)
        if found is not None and any(step[0] == "write" for step in program):
            kept[json.dumps(program)] = found
    names = ("value", "dx", "dw", "ddx", "ddw")
    arrays = {name: np.array(column) for name, column in zip(names, zip(*kept.values()))}
    np.savez_compressed(FILE, program=np.array(list(kept)), **arrays)
    print(f"{FILE.name}: {len(kept)} programs, torch {torch.__version__}")


if __name__ == "__main__":
    main()

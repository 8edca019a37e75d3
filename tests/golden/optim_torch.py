"""Writes optim.npz: what PyTorch's optimisers and schedules make of the cases in optim_cases.py.

Run with a Python that has torch (made with 2.13.0, CPU):  python tests/golden/optim_torch.py
"""

import warnings
from pathlib import Path

import numpy as np
import optim_cases as cases
import torch

torch.set_default_dtype(torch.float64)


def trajectory(name, options):
    """The parameters after the kept steps, flat, one row a step; and the names of the state."""
    start, grads = cases.problem()
    params = [torch.tensor(p, requires_grad=True) for p in start]
    groups = [{"params": params[:1]}, {"params": params[1:], "lr": 0.01}]
    optimizer = getattr(torch.optim, name)(groups, **options)
    rows = []
    for step, gradient in enumerate(grads, 1):
        for param, g in zip(params, gradient):
            param.grad = torch.tensor(g)
        optimizer.step()
        if step in cases.KEPT:
            rows.append(np.concatenate([p.detach().numpy().ravel() for p in params]))
    state = optimizer.state_dict()["state"].get(0, {})
    return np.array(rows), np.array(sorted(k for k, v in state.items() if v is not None), str)


def rates(make):
    """Rates of both groups, and the momentum of the first, before every step."""
    first, second = (torch.nn.Parameter(torch.zeros(1)) for _ in range(2))
    optimizer = torch.optim.SGD(
        [{"params": [first], "lr": 0.5}, {"params": [second], "lr": 0.02}], momentum=0.9
    )
    schedule = make(torch.optim.lr_scheduler, optimizer)
    rows = []
    for epoch in range(cases.EPOCHS):
        groups = optimizer.param_groups
        rows.append([groups[0]["lr"], groups[1]["lr"], groups[0]["momentum"]])
        optimizer.step()
        if isinstance(schedule, torch.optim.lr_scheduler.ReduceLROnPlateau):
            schedule.step(cases.metric(epoch))
        else:
            schedule.step()
    return np.array(rows, dtype=np.float64)


warnings.simplefilter("ignore")
found = {}
for key, case in cases.OPTIMIZERS.items():
    found[key], found[f"state_{key}"] = trajectory(*case)
found |= {f"rates_{key}": rates(make) for key, make in cases.SCHEDULES.items()}
np.savez_compressed(Path(__file__).with_name("optim.npz"), **found)

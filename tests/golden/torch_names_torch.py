"""Writes torch_names.npz with PyTorch: `python torch_names_torch.py`, where torch is installed."""

from pathlib import Path

import numpy as np
import torch
from torch_names_cases import CALLS, inputs, numbers

results = {}
for name, call in CALLS.items():
    for place, value in enumerate(numbers(call(torch, inputs(torch)))):
        results[f"{name}/{place}"] = np.asarray(value)
np.savez_compressed(Path(__file__).with_name("torch_names.npz"), **results)
print(f"{len(CALLS)} calls, {len(results)} results of torch {torch.__version__}")

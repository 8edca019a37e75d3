"""Writes tensor_methods.npz with PyTorch: run `python tensor_methods_torch.py` where it is."""

from pathlib import Path

import numpy as np
import torch
from tensor_methods_cases import CALLS, numbers

found = {
    f"{name}/{what}": value
    for name, call in CALLS.items()
    for what, value in numbers(torch, call).items()
}
np.savez_compressed(Path(__file__).with_name("tensor_methods.npz"), **found)
print(f"{len(CALLS)} calls, {len(found)} results of torch {torch.__version__}")

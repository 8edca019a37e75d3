"""Writes nn_layers.npz, nn_layers.json and nn_networks.npz: what PyTorch makes of the same cases.

Run with a Python that has torch (made with 2.13.0, CPU):  python tests/golden/nn_torch.py
"""

import importlib.util
import json
import warnings
from pathlib import Path

import nn_cases as cases
import numpy as np
import torch
from nn_measure import NETWORKS, measure_function, measure_layer, measure_network
from torch import nn
from torch.nn import functional as F

warnings.simplefilter("ignore")
torch.set_default_dtype(torch.float64)


def packed(found):
    """The digests of one case as one array: for each its length, then its numbers."""
    return np.concatenate([[len(v), *v] for v in found.values()])


def described(make):
    """How a layer prints, and what its state is called."""
    layer = make(nn)
    state = {name: list(value.shape) for name, value in layer.state_dict().items()}
    return {"repr": repr(layer), "state": state}


layers = {**cases.LAYERS, **cases.LOSSES}
numbers, texts = {}, {}
for name, (make, kinds) in layers.items():
    found = measure_layer(make(nn), name, kinds, torch.from_numpy)
    numbers[name] = packed(found)
    texts[name] = {"parts": list(found), **described(make)}
for name, (call, kinds) in cases.FUNCTIONS.items():
    found = measure_function(lambda *v, call=call: call(F, *v), name, kinds, torch.from_numpy)
    numbers[f"F.{name}"] = packed(found)
    texts[f"F.{name}"] = {"parts": list(found)}
texts |= {f"printed {name}": described(make) for name, make in cases.PRINTED.items()}

REFERENCE = Path(__file__).parents[3] / "shared" / "bench" / "models_torch.py"
spec = importlib.util.spec_from_file_location("models_torch", REFERENCE)
models = importlib.util.module_from_spec(spec)
spec.loader.exec_module(models)
networks = {}
for name, (make, kind) in NETWORKS.items():
    found = measure_network(make(models), name, kind, torch.from_numpy, torch.float64)
    networks |= {f"{name} parts": np.array(list(found)), name: packed(found)}

folder = Path(__file__).parent
np.savez_compressed(folder / "nn_layers.npz", **numbers)
np.savez_compressed(folder / "nn_networks.npz", **networks)
text = json.dumps(texts, indent=1, ensure_ascii=False)
(folder / "nn_layers.json").write_text(text + "\n", encoding="utf-8")

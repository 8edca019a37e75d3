"""Layers, functions and networks against PyTorch's numbers (tests/golden/nn_torch.py), in float64.

The two frameworks add in different orders; `CLOSE` is what float64 leaves of that, relative to the
sizes of the numbers that were added.
"""

import importlib.util
import json
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from golden import nn_cases as cases
from golden import nn_measure as measure

import lamina
import lamina.nn.functional as F
from lamina import nn
from lamina.dtypes import DType

FOLDER = Path(__file__).parent.parent / "golden"
NUMBERS = np.load(FOLDER / "nn_layers.npz")
TEXTS = json.loads((FOLDER / "nn_layers.json").read_text(encoding="utf-8"))
LAYERS = {**cases.LAYERS, **cases.LOSSES}
CLOSE = 1e-10
# PyTorch keeps 1/6 and 1/alpha in float32 whatever the input.
LOOSE = {"hardsigmoid": 1e-7, "celu": 1e-7}

Digests = dict[str, np.ndarray]

REFERENCE = Path(__file__).parents[3] / "shared" / "bench" / "models_torch.py"
IMPORTS = {
    "import torch\n": "import lamina as torch\n",
    "from torch import nn\n": "from lamina import nn\n",
    "import torch.nn.functional as F\n": "import lamina.nn.functional as F\n",
}


def unpacked(values: np.ndarray, parts: Iterable[str]) -> Digests:
    """The digests of one case by the name of what they stand for."""
    found, start = {}, 0
    for part in parts:
        stop = start + 1 + int(values[start])
        found[str(part)] = values[start + 1 : stop]
        start = stop
    return found


def check(found: Digests, expected: Digests, close: float, least: float = 1.0) -> None:
    """Compare digests; numbers smaller than `least` may be off as much as `least` may."""
    assert list(found) == list(expected)
    for part, wanted in expected.items():
        size = max(least, np.abs(wanted[4:]).max(initial=0.0))
        sums = [max(1, wanted[0])] * 3
        tolerance = close * size * np.array([0, *sums, *[1] * (wanted.size - 4)])
        off = np.abs(found[part] - wanted) > tolerance
        assert not off.any(), f"{part}: {found[part][off]} for {wanted[off]}"


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer(name: str) -> None:
    make, kinds = LAYERS[name]
    found = measure.measure_layer(make(nn).double(), name, kinds, lamina.from_numpy)
    check(found, unpacked(NUMBERS[name], TEXTS[name]["parts"]), LOOSE.get(name, CLOSE))


@pytest.mark.parametrize("name", cases.FUNCTIONS)
def test_a_function(name: str) -> None:
    call, kinds = cases.FUNCTIONS[name]
    found = measure.measure_function(lambda *v: call(F, *v), name, kinds, lamina.from_numpy)
    check(found, unpacked(NUMBERS[f"F.{name}"], TEXTS[f"F.{name}"]["parts"]), CLOSE)


@pytest.mark.parametrize("name", [*LAYERS, *(f"printed {name}" for name in cases.PRINTED)])
def test_printed_form_and_state(name: str) -> None:
    make = cases.PRINTED[name.removeprefix("printed ")] if name not in LAYERS else LAYERS[name][0]
    layer = make(nn)
    assert repr(layer) == TEXTS[name]["repr"]
    state = {key: list(value.shape) for key, value in layer.state_dict().items()}
    assert list(state.items()) == list(TEXTS[name]["state"].items())


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> ModuleType:
    """The reference networks, their source as it is but for the import lines."""
    if not REFERENCE.exists():
        pytest.skip("the reference networks lie outside this project, and are not here")
    source = REFERENCE.read_text(encoding="utf-8")
    for before, after in IMPORTS.items():
        assert before in source
        source = source.replace(before, after)
    path = tmp_path_factory.mktemp("reference") / "models.py"
    path.write_text(source, encoding="utf-8")
    spec = importlib.util.spec_from_file_location("models", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def measured(name: str, models: ModuleType, dtype: DType) -> tuple[Digests, Digests]:
    """What Lamina makes of a network in `dtype`, and what PyTorch made of it in float64."""
    make, kind = measure.NETWORKS[name]
    expected = np.load(FOLDER / "nn_networks.npz")
    found = measure.measure_network(make(models), name, kind, lamina.from_numpy, dtype)
    return found, unpacked(expected[name], expected[f"{name} parts"])


@pytest.mark.parametrize("name", measure.NETWORKS)
def test_a_reference_network(name: str, models: ModuleType) -> None:
    found, expected = measured(name, models, lamina.float64)
    check(found, expected, CLOSE, least=0.1)


# In float32: the unit roundoff 6e-8 grown through the layers. The deep networks with batch
# normalisation over 8 values a channel amplify it, and where it makes a value that a ReLU cuts
# positive, or the other way round, gradients jump: of them the outputs alone are compared.
SINGLE = {"mlp": 5e-6, "lenet": 5e-6, "encoder": 2e-5, "gpt": 2e-5}
SINGLE_OUTPUTS = {"resnet18": 1e-4, "resnet50": 2e-3, "mobilenet": 2e-4}


@pytest.mark.parametrize("name", [*SINGLE, *SINGLE_OUTPUTS])
def test_a_reference_network_in_single_precision(name: str, models: ModuleType) -> None:
    found, expected = measured(name, models, lamina.float32)
    if name in SINGLE:
        check(found, expected, SINGLE[name], least=1e-2)
        return
    ends = ("train", "eval")
    outputs = [{part: digests[part] for part in ends} for digests in (found, expected)]
    check(*outputs, SINGLE_OUTPUTS[name])

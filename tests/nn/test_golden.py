"""Layers, functions and networks against PyTorch's numbers (tests/golden/nn_torch.py), in float64.

The two frameworks add in different orders; `CLOSE` is what float64 leaves of that, relative to the
sizes of the numbers that were added.
"""

import importlib.util
import json
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from golden import nn_cases as cases
from golden import nn_measure as measure

import lamina
import lamina.nn.functional as F
from lamina import nn

FOLDER = Path(__file__).parent.parent / "golden"
NUMBERS = np.load(FOLDER / "nn_layers.npz")
TEXTS = json.loads((FOLDER / "nn_layers.json").read_text(encoding="utf-8"))
LAYERS = {**cases.LAYERS, **cases.LOSSES}
CLOSE = 1e-10

REFERENCE = Path(__file__).parents[3] / "shared" / "bench" / "models_torch.py"
IMPORTS = {
    "import torch\n": "import lamina as torch\n",
    "from torch import nn\n": "from lamina import nn\n",
    "import torch.nn.functional as F\n": "import lamina.nn.functional as F\n",
}


def unpacked(values: np.ndarray, parts: list[str]) -> Iterator[tuple[str, np.ndarray]]:
    """The digests of one case by the name of what they stand for."""
    start = 0
    for part in parts:
        stop = start + 1 + int(values[start])
        yield part, values[start + 1 : stop]
        start = stop


def check(found: dict, values: np.ndarray, parts: list[str], close: float) -> None:
    assert list(found) == parts
    for part, expected in unpacked(values, parts):
        size = max(1.0, np.abs(expected[4:]).max(initial=0.0))
        tolerance = close * size * np.array([0, *[max(1, expected[0])] * 3, *[1] * KEPT])
        off = np.abs(found[part] - expected) > tolerance[: expected.size]
        assert not off.any(), f"{part}: {found[part][off]} for {expected[off]}"


KEPT = measure.KEPT


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer(name: str) -> None:
    make, kinds = LAYERS[name]
    found = measure.measure_layer(make(nn).double(), name, kinds, lamina.from_numpy)
    check(found, NUMBERS[name], TEXTS[name]["parts"], CLOSE)


@pytest.mark.parametrize("name", cases.FUNCTIONS)
def test_a_function(name: str) -> None:
    call, kinds = cases.FUNCTIONS[name]
    found = measure.measure_function(lambda *v: call(F, *v), name, kinds, lamina.from_numpy)
    check(found, NUMBERS[f"F.{name}"], TEXTS[f"F.{name}"]["parts"], CLOSE)


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


@pytest.mark.parametrize("name", measure.NETWORKS)
def test_a_reference_network(name: str, models: ModuleType) -> None:
    make, kind = measure.NETWORKS[name]
    expected = np.load(FOLDER / "nn_networks.npz")
    found = measure.measure_network(make(models), name, kind, lamina.from_numpy, lamina.float64)
    check(found, expected[name], list(expected[f"{name} parts"]), 1e-7)

"""Graphs as text: what is printed is read back, and passes are tested by reading."""

import numpy as np
import pytest

import lamina
import lamina.nn.functional as F
from lamina import nn, optim
from lamina.errors import GraphError
from lamina.graph.captured import capture
from lamina.graph.passes import optimise
from lamina.graph.text import parse, to_text
from lamina.graph.trees import flatten

ADD = """\
inputs %x0: float32[4, 3]
captured %c0: float32[3]
%0: float32[4, 3] = add(%x0, %c0)
%1: float32[4, 3] = formulas[expressions=(<maximum(x0,0.0:float32)>,), dtypes=('float32',)](%0)
write %c0 ← %c0
return %1, %x0"""


def graph_of(function, *args):
    tensors = []
    structure = flatten((args, {}), tensors)
    return capture(function, structure, tensors).graph


def step():
    lamina.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 3, 3, padding=1), nn.BatchNorm2d(3), nn.GELU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(12, 5), nn.Dropout(0.5), nn.LayerNorm(5),
    )  # fmt: skip
    optimizer = optim.Adam(model.parameters())

    def run(x, y):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x)[:, 1:], y)
        loss.backward()
        optimizer.step()
        return loss

    return run


def test_text_is_read_back():
    assert to_text(parse(ADD)) == ADD


@pytest.mark.parametrize("improve", [lambda graph: graph, optimise], ids=["captured", "optimised"])
def test_a_training_step_is_read_back(improve):
    labels = lamina.tensor(np.array([0, 2]))
    graph = improve(graph_of(step(), lamina.ones(2, 1, 4, 4), labels))
    text = to_text(graph)
    assert to_text(parse(text)) == text


def test_an_inference_is_read_back():
    model = nn.Sequential(nn.Conv2d(3, 16, 3), nn.BatchNorm2d(16), nn.ReLU(), nn.Conv2d(16, 8, 1))
    with lamina.no_grad():
        graph = optimise(graph_of(model.eval(), lamina.ones(1, 3, 9, 9)))
    text = to_text(graph)
    assert "conv_then" in text
    assert to_text(parse(text)) == text


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("%1: float32[2] = exp(%0)", "line 2.*%0 was not made before"),
        ("%1: float32[2] = nothing(%x0)", "line 2.*no op is named 'nothing'"),
        ("%1: float32[3] = exp(%x0)", "its outputs are said to be"),
        ("%1 = exp(%x0)", "line 2.*expected"),
        ("%1: float32[2] = expand[shape=(2(%x0)", "line 2"),
        ("%1: float32[2] = expand[shape=!](%x0)", "line 2.*no attribute"),
        ("what", "line 2"),
    ],
)
def test_what_is_no_graph(line, message):
    with pytest.raises(GraphError, match=message):
        parse(f"inputs %x0: float32[2]\n{line}\nreturn %x0")

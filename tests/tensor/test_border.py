"""Errors at the border that name what the user called."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import lamina
import lamina.nn.functional as F
from lamina.errors import ArgumentError, DTypeError, PathError, ShapeError


def test_the_nuclear_norm_wants_a_matrix() -> None:
    x = lamina.tensor([[3.0, 0.0], [0.0, -4.0]])
    assert lamina.norm(x, p="nuc").item() == pytest.approx(7.0)
    with pytest.raises(ArgumentError, match=r'p="nuc" over axis 0 of shape \(2, 2\)'):
        lamina.norm(x, p="nuc", dim=0)
    with pytest.raises(ArgumentError, match="expected a matrix"):
        lamina.norm(x[0], p="nuc")


@pytest.mark.parametrize("count", ["x", None, 1.5, 0])
def test_a_thread_count_is_a_whole_number(count: object) -> None:
    with pytest.raises(ArgumentError, match="whole number"):
        lamina.set_num_threads(count)


def test_cross_entropy_speaks_for_itself() -> None:
    with pytest.raises(ShapeError, match=r"^cross_entropy: labels of shape \(2,\)"):
        F.cross_entropy(lamina.ones(3, 4), lamina.tensor([1, 2]))


def test_paths_without_a_file(tmp_path: Path) -> None:
    for read in (lamina.load, lamina.from_file):
        with pytest.raises(PathError, match="there is no file"):
            read(tmp_path / "absent")
        with pytest.raises(PathError, match="folder"):
            read(tmp_path)
        with pytest.raises(DTypeError, match="expected the path"):
            read(None)


def test_a_mapped_shape_has_no_negative_sizes(tmp_path: Path) -> None:
    np.zeros(6, np.float32).tofile(tmp_path / "raw")
    with pytest.raises(ArgumentError, match=r"shape \(-2, -3\)"):
        lamina.from_file(tmp_path / "raw", shape=(-2, -3))


def test_the_package_runs_as_the_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "lamina", "--version"], capture_output=True, text=True, check=True
    )
    assert lamina.__version__ in done.stdout


def test_clamp_and_sigmoid_at_the_ends() -> None:
    x = lamina.tensor([float("nan"), -float("inf"), -90.0, 0.0, float("inf")])
    np.testing.assert_array_equal(F.sigmoid(x).numpy()[[0, 1, 3, 4]], [np.nan, 0, 0.5, 1])
    assert 0 <= F.sigmoid(x)[2].item() < 1e-38
    np.testing.assert_array_equal(lamina.clamp(x, -1, 1).numpy(), [np.nan, -1, -1, 0, 1])
    assert lamina.clamp(lamina.ones(2, 1), lamina.zeros(3), 0.5).shape == (2, 3)

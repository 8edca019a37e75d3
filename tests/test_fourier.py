"""Fourier transforms against the sum that defines them."""

import numpy as np
import pytest

import lamina
from lamina import fft
from lamina.errors import ArgumentError, DTypeError, ShapeError

RNG = np.random.default_rng(5)
REAL = RNG.standard_normal((3, 5))
COMPLEX = REAL + 1j * RNG.standard_normal((3, 5))


def dft(x: np.ndarray, n: int, axis: int, *, sign: int = -1) -> np.ndarray:
    """Σⱼ x[j]·exp(±2πi·jk/n), of `x` cut or filled with zeros to `n`."""
    moved = np.moveaxis(x, axis, -1)[..., :n]
    filled = np.zeros((*moved.shape[:-1], n), complex)
    filled[..., : moved.shape[-1]] = moved
    phase = np.outer(np.arange(n), np.arange(n))
    return np.moveaxis(filled @ np.exp(sign * 2j * np.pi * phase / n), -1, axis)


def close(a: lamina.Tensor, b: np.ndarray) -> bool:
    return bool(np.allclose(a.numpy(), b, rtol=1e-10, atol=1e-12))


@pytest.mark.parametrize("n", [None, 3, 5, 8])
@pytest.mark.parametrize("axis", [0, -1])
def test_transform_is_its_sum(n: int | None, axis: int) -> None:
    points = n or COMPLEX.shape[axis]
    expected = dft(COMPLEX, points, axis)
    x = lamina.tensor(COMPLEX)
    assert close(fft.fft(x, n=n, axis=axis), expected)
    assert close(fft.fft(x, n, axis, "ortho"), expected / np.sqrt(points))
    assert close(fft.fft(x, n, axis, "forward"), expected / points)
    assert close(fft.ifft(x, n, axis), dft(COMPLEX, points, axis, sign=1) / points)
    half = fft.rfft(lamina.tensor(REAL), n, axis)
    whole = dft(REAL, points, axis)
    assert close(half, np.take(whole, range(points // 2 + 1), axis))


@pytest.mark.parametrize("n", [4, 5])
def test_half_transforms_invert(n: int) -> None:
    x = lamina.tensor(REAL[:, :n])
    assert close(fft.irfft(fft.rfft(x), n), REAL[:, :n])
    assert close(fft.hfft(fft.ihfft(x), n), REAL[:, :n])
    whole = dft(REAL[:, :n], n, -1, sign=1)[:, : n // 2 + 1] / n
    assert close(fft.ihfft(x), whole)


def test_several_axes_are_one_after_the_other() -> None:
    x = lamina.tensor(COMPLEX)
    both = dft(dft(COMPLEX, 5, 1), 3, 0)
    assert close(fft.fftn(x), both)
    assert close(fft.ifftn(fft.fftn(x)), COMPLEX)
    assert close(fft.fftn(x, s=(4,)), dft(COMPLEX, 4, 1))
    assert close(fft.fftn(x, s=(-1, 2), axes=(0, 1)), dft(dft(COMPLEX, 2, 1), 3, 0))
    assert close(fft.irfftn(fft.rfftn(lamina.tensor(REAL)), s=(3, 5)), REAL)


def test_frequencies_and_shifts() -> None:
    assert fft.fftfreq(4).tolist() == [0.0, 0.25, -0.5, -0.25]
    assert fft.rfftfreq(5, 0.5).tolist() == pytest.approx([0.0, 0.4, 0.8])
    assert fft.fftshift(fft.fftfreq(5)).tolist() == sorted(fft.fftfreq(5).tolist())
    assert fft.ifftshift(fft.fftshift(fft.fftfreq(5))).tolist() == fft.fftfreq(5).tolist()


def test_single_precision_stays_single() -> None:
    x = lamina.tensor(REAL, dtype=lamina.float32)
    assert fft.fft(x).dtype is lamina.complex64
    assert fft.irfft(fft.rfft(x)).dtype is lamina.float32
    assert fft.fft(x.to(lamina.bfloat16)).dtype is lamina.complex64


def test_bad_input() -> None:
    with pytest.raises(ArgumentError, match="norm 'full'"):
        fft.fft(lamina.zeros(3), norm="full")
    with pytest.raises(ShapeError, match="0,"):
        fft.fft(lamina.zeros(3), n=0)
    with pytest.raises(DTypeError, match="use fft"):
        fft.rfft(lamina.tensor(COMPLEX))
    with pytest.raises(ArgumentError, match="2 sizes given for 1 axes"):
        fft.fftn(lamina.zeros(3, 3), s=(2, 2), axes=(0,))

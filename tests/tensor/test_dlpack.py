"""DLPack both ways, with numpy as the other side; torch is met by the same capsules."""

import numpy as np
import pytest

import lamina
from lamina.dtypes import DTYPES, DType
from lamina.errors import DeviceError, ExchangeError, GradientError


class Producer:
    """A library that offers the memory of a tensor, and may claim another device."""

    def __init__(self, x: lamina.Tensor, device: tuple[int, int] = (1, 0)) -> None:
        self.x = x
        self.device = device

    def __dlpack_device__(self) -> tuple[int, int]:
        return self.device

    def __dlpack__(self, **options: object) -> object:
        return self.x.__dlpack__(**options)


@pytest.mark.parametrize("dtype", DTYPES.values(), ids=str)
@pytest.mark.parametrize("copy", [None, False, True])
def test_memory_goes_round(dtype: DType, copy: bool | None) -> None:
    x = lamina.tensor([[1, 0], [1, 1]]).to(dtype).T
    back = lamina.from_dlpack(Producer(x), copy=copy)
    assert back.dtype is dtype
    assert back.tolist() == x.tolist()
    assert (back.data_ptr() == x.data_ptr()) is (copy is not True)


@pytest.mark.parametrize("version", [None, (0, 8), (1, 0), (2, 0)])
def test_numpy_reads_a_tensor(version: tuple[int, int] | None) -> None:
    x = lamina.arange(6).reshape(2, 3)[:, ::2]
    seen = np.from_dlpack(x)
    assert np.shares_memory(seen, x.numpy())
    assert seen.tolist() == [[0, 2], [3, 5]]
    name = repr(x.__dlpack__(max_version=version, dl_device=(1, 0)))
    assert ("dltensor_versioned" in name) is (version is not None and version >= (1, 0))


def test_a_tensor_of_ours_is_handed_on() -> None:
    x = lamina.tensor([1.0], requires_grad=True)
    assert lamina.from_dlpack(x).data_ptr() == x.data_ptr()
    assert not lamina.from_dlpack(x).requires_grad
    assert lamina.from_dlpack(x, copy=True).data_ptr() != x.data_ptr()


def test_what_cannot_be_shared_is_said() -> None:
    x = lamina.zeros(2)
    with pytest.raises(ExchangeError, match="only the CPU"):
        x.__dlpack__(dl_device=(2, 0))
    with pytest.raises(ExchangeError, match="stream"):
        x.__dlpack__(stream=1)
    with pytest.raises(GradientError, match="detach"):
        lamina.zeros(2, requires_grad=True).__dlpack__()
    with pytest.raises(ExchangeError, match="int does not speak DLPack"):
        lamina.from_dlpack(3)
    with pytest.raises(DeviceError, match="kind 2"):
        lamina.from_dlpack(Producer(x, (2, 0)))

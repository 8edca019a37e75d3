"""DLPack both ways: numpy makes and reads the capsules, and is taught bfloat16 on the way.

numpy knows no bfloat16, so such elements travel as uint16 and the type in the capsule is set right.
The layout of a capsule is that of dlpack.h, versions 0.x and 1.x.
"""

import ctypes
from typing import Any, Final, final

import ml_dtypes
import numpy as np

from lamina.errors import DeviceError, ExchangeError
from lamina.memory.array import NDArray

CPU: Final = (1, 0)
_CPU_KINDS = (1, 3)

_UINT, _BFLOAT = 1, 4
_TENSOR_OFFSET = {b"dltensor": 0, b"dltensor_versioned": 32}
_TYPE_OFFSET = 20

_name_of = ctypes.pythonapi.PyCapsule_GetName
_name_of.restype = ctypes.c_char_p
_name_of.argtypes = [ctypes.py_object]
_pointer_of = ctypes.pythonapi.PyCapsule_GetPointer
_pointer_of.restype = ctypes.c_void_p
_pointer_of.argtypes = [ctypes.py_object, ctypes.c_char_p]


class _DataType(ctypes.Structure):
    _fields_ = (("code", ctypes.c_uint8), ("bits", ctypes.c_uint8), ("lanes", ctypes.c_uint16))


def _type_in(capsule: Any) -> _DataType:
    name = _name_of(capsule)
    if name not in _TENSOR_OFFSET:
        raise ExchangeError(f"a capsule named {name!r} was offered; expected one of DLPack")
    return _DataType.from_address(_pointer_of(capsule, name) + _TENSOR_OFFSET[name] + _TYPE_OFFSET)


def offer(values: NDArray, *, max_version: Any, dl_device: Any, copy: bool | None) -> Any:
    """Return a DLPack capsule of the memory of `values`, or of a copy where `copy` asks for one."""
    if dl_device is not None and tuple(map(int, dl_device)) != CPU:
        raise ExchangeError(f"device {tuple(dl_device)} asked for; only the CPU, {CPU}, is here")
    is_bfloat = values.dtype == ml_dtypes.bfloat16
    shared = values.view(np.uint16) if is_bfloat else values
    try:
        capsule = shared.__dlpack__(max_version=max_version, dl_device=dl_device, copy=copy)
    except (BufferError, RuntimeError) as error:
        raise ExchangeError(f"this tensor cannot be shared by DLPack: {error}") from None
    if is_bfloat:
        _type_in(capsule).code = _BFLOAT
    return capsule


@final
class _Translated:
    """What another library offers, its bfloat16 said to be uint16."""

    def __init__(self, source: Any) -> None:
        self.source = source
        self.is_bfloat = False

    def __dlpack_device__(self) -> tuple[int, int]:
        kind, number = self.source.__dlpack_device__()
        return int(kind), number

    def __dlpack__(self, **options: Any) -> Any:
        capsule = self.source.__dlpack__(**options)
        told = _type_in(capsule)
        if told.code == _BFLOAT and told.bits == 16:
            told.code = _UINT
            self.is_bfloat = True
        return capsule


def accept(source: Any, *, copy: bool | None) -> NDArray:
    """Return a numpy array of the memory that `source` offers."""
    if not hasattr(source, "__dlpack__"):
        raise ExchangeError(f"from_dlpack: {type(source).__name__} does not speak DLPack")
    offered = _Translated(source)
    kind, _ = offered.__dlpack_device__()
    if kind not in _CPU_KINDS:
        raise DeviceError(
            f"from_dlpack: memory on a device of kind {kind} given; move it to the CPU"
        )
    try:
        values = np.from_dlpack(offered, copy=copy)
    except (BufferError, RuntimeError) as error:
        raise ExchangeError(f"from_dlpack: {error}") from None
    return values.view(ml_dtypes.bfloat16) if offered.is_bfloat else values

"""What the namespace can do, asked in the way of the Array API."""

from typing import Any, final

from lamina import dtypes
from lamina.array_api.dtypes_info import isdtype
from lamina.dtypes import DType
from lamina.tensor.core import check_device

__all__ = ["__array_namespace_info__", "device"]

# The dtypes that the standard knows; float16 and bfloat16 are beyond it.
_STANDARD = tuple(d for d in dtypes.DTYPES.values() if d.kind != "float" or d.itemsize > 2)


@final
class NamespaceInfo:
    """Capabilities, devices and data types of the namespace."""

    def capabilities(self) -> dict[str, Any]:
        """Return what the standard leaves optional and is there."""
        return {
            "boolean indexing": True,
            "data-dependent shapes": True,
            "max dimensions": 64,
        }

    def default_device(self) -> str:
        """Return the device that new tensors are on."""
        return "cpu"

    def devices(self) -> tuple[str, ...]:
        """Return all devices."""
        return ("cpu",)

    def default_dtypes(self, *, device: Any = None) -> dict[str, DType]:
        """Return the dtypes of tensors made without one, by kind."""
        check_device(device)
        return {
            "real floating": dtypes.default_float,
            "complex floating": dtypes.complex64,
            "integral": dtypes.default_int,
            "indexing": dtypes.int64,
        }

    def dtypes(self, *, device: Any = None, kind: Any = None) -> dict[str, DType]:
        """Return the standard's dtypes by name: all, or those of a kind or of a tuple of kinds."""
        check_device(device)
        return {d.name: d for d in _STANDARD if kind is None or isdtype(d, kind)}


def __array_namespace_info__() -> NamespaceInfo:
    """Return an object that tells capabilities, devices and dtypes of the namespace.

    >>> import lamina
    >>> lamina.__array_namespace_info__().default_dtypes()["integral"]
    lamina.int64
    """
    return NamespaceInfo()


def device(type: Any = "cpu") -> str:
    """Return the device of that name: the CPU, the only one there is; DeviceError for others."""
    check_device(type)
    return "cpu"

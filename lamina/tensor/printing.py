"""How a tensor prints."""

from typing import Any

import numpy as np

from lamina import dtypes

_SILENT = (dtypes.float32, dtypes.int64, dtypes.bool_, dtypes.complex64)


def describe(tensor: Any) -> str:
    """Return the text of a tensor: its elements (of many, the ends), then what is unusual."""
    values = tensor.array.numpy()
    if values.dtype == dtypes.bfloat16.numpy:
        values = values.astype(np.float32)
    with np.printoptions(
        precision=4, suppress=False, threshold=200, edgeitems=3, floatmode="maxprec"
    ):
        name = type(tensor).__name__
        body = np.array2string(values, separator=", ", prefix=f"{name}(")
    notes = [body]
    if tensor.dtype not in _SILENT:
        notes.append(f"dtype={tensor.dtype!r}")
    if 0 in tensor.shape and len(tensor.shape) > 1:
        notes.append(f"shape={tensor.shape}")
    if tensor.node is not None:
        notes.append(f"grad_fn=<{tensor.node.op.name}>")
    elif tensor.requires_grad:
        notes.append("requires_grad=True")
    return f"{name}({', '.join(notes)})"

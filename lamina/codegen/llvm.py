"""llvmlite's `ir` and `binding`, imported when first used: `llvm.ir`, `llvm.binding`.

Importing llvmlite costs as much as all of numpy, and a process whose kernels are in the disk cache
never needs it.
"""

import importlib
from typing import Any


def __getattr__(name: str) -> Any:
    if name not in ("ir", "binding"):
        raise AttributeError(f"module 'lamina.codegen.llvm' has no attribute {name!r}")
    # Found in the module itself from now on.
    found = globals()[name] = importlib.import_module(f"llvmlite.{name}")
    return found

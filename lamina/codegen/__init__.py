"""The kernel language and everything that turns it into running machine code.

Kernels are Python functions over a `Builder`; `jit.kernel` makes a native function of them and
keeps its object code on disk. llvmlite is imported by `llvm.py` alone, and only when something
compiles.
"""

# Everything is imported from its own module, so that LLVM is loaded by who needs it.
__all__: list[str] = []

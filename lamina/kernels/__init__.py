"""Kernels written in the kernel language, and the functions that call them on operands."""

# `gemm` and `conv` are modules as well as functions: import the functions from the modules.
__all__: list[str] = []

"""Kernels written in the kernel language, and the functions that call them on operands."""

# `gemm` is a package and `conv` a module, as well as functions: import the functions from them.
__all__: list[str] = []

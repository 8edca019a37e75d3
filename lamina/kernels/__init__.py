"""Kernels written in the kernel language, and the functions that call them on operands."""

"""Matrix products: one kernel in loops over packed panels, one for few rows."""

from lamina.kernels.gemm.epilogue import Epilogue
from lamina.kernels.gemm.packed import PackedRight, pack_right
from lamina.kernels.gemm.product import gemm

__all__ = ["Epilogue", "PackedRight", "gemm", "pack_right"]

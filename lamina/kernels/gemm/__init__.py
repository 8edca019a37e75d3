"""Matrix products: one kernel in loops over packed panels, one for few rows."""

from lamina.kernels.gemm.epilogue import Epilogue
from lamina.kernels.gemm.product import gemm

__all__ = ["Epilogue", "gemm"]

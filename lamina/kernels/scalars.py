"""The dtypes that the matrix kernels are compiled for."""

from lamina.codegen.types import f32, f64

SCALARS = {"float32": f32, "float64": f64}

"""The types that dtypes have in kernels."""

from lamina.codegen.types import (
    Scalar,
    bf16,
    f16,
    f32,
    f64,
    i1,
    i8,
    i16,
    i32,
    i64,
    u8,
    u16,
    u32,
    u64,
)

SCALARS = {"float32": f32, "float64": f64}
"""The dtypes that the matrix kernels are compiled for."""

STORED: dict[str, Scalar] = {
    "bool": u8,
    "int8": i8,
    "int16": i16,
    "int32": i32,
    "int64": i64,
    "uint8": u8,
    "uint16": u16,
    "uint32": u32,
    "uint64": u64,
    "float16": f16,
    "bfloat16": bf16,
    "float32": f32,
    "float64": f64,
}
"""How each real dtype lies in memory."""

COMPUTED: dict[str, Scalar] = STORED | {"bool": i1, "float16": f32, "bfloat16": f32}
"""What each real dtype is in registers."""

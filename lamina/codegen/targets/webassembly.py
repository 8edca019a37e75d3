"""WebAssembly: addresses of 32 bits, vectors of 128, no fused multiply-add."""

from dataclasses import replace

from lamina.codegen.targets.description import Target

SCALAR = Target("wasm32-scalar", "wasm32", "mvp", system="unknown-unknown", relocation="static")
SIMD128 = replace(SCALAR, name="simd128", features=("simd128",), vector_bytes=16, has_rounding=True)

TARGETS = (SCALAR, SIMD128)

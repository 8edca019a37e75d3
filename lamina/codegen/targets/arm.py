"""AArch64: NEON, which every 64-bit ARM processor has."""

from dataclasses import replace

from lamina.codegen.targets.description import Target

SCALAR = Target(
    "aarch64-scalar",
    "aarch64",
    "generic",
    registers=32,
    has_fma=True,
    has_rounding=True,
    has_half_conversions=True,
)
NEON = replace(SCALAR, name="neon", features=("neon",), vector_bytes=16)
NEON_DOT = replace(NEON, name="neon-dot", features=("neon", "dotprod"))

TARGETS = (SCALAR, NEON, NEON_DOT)

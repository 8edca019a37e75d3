"""RISC-V: vectors of a length that the processor promises at least."""

from dataclasses import replace

from lamina.codegen.targets.description import Target

SCALAR = Target(
    "riscv64-scalar", "riscv64", "generic-rv64", ("m", "a", "f", "d"), registers=32, has_fma=True
)
RVV128 = replace(
    SCALAR,
    name="rvv128",
    features=(*SCALAR.features, "v", "zvl128b"),
    vector_bytes=16,
    has_masks=True,
    has_byte_masks=True,
    has_rounding=True,
)
RVV256 = replace(RVV128, name="rvv256", features=(*RVV128.features, "zvl256b"), vector_bytes=32)

TARGETS = (SCALAR, RVV128, RVV256)

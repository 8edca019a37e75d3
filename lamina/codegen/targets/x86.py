"""x86-64, from no vectors to AMX; narrow before wide."""

from dataclasses import replace

from lamina.codegen.targets.description import Target

SCALAR = Target("scalar", "x86_64", "x86-64")
SSE42 = replace(
    SCALAR,
    name="sse4.2",
    cpu="x86-64-v2",
    features=("ssse3", "sse4.1", "sse4.2", "popcnt"),
    vector_bytes=16,
    has_rounding=True,
)
AVX2 = replace(
    SSE42,
    name="avx2",
    cpu="x86-64-v3",
    features=(*SSE42.features, "avx2", "fma", "f16c", "bmi", "bmi2", "lzcnt", "movbe"),
    vector_bytes=32,
    has_fma=True,
    has_masks=True,
    has_half_conversions=True,
)
AVX2_VNNI = replace(AVX2, name="avx2-vnni", features=(*AVX2.features, "avxvnni"))
AVX512 = replace(
    AVX2,
    name="avx512",
    cpu="x86-64-v4",
    features=(*AVX2.features, "avx512f", "avx512vl", "avx512dq", "avx512bw", "avx512cd"),
    vector_bytes=64,
    registers=32,
    has_byte_masks=True,
)
AVX512_VNNI = replace(AVX512, name="avx512-vnni", features=(*AVX512.features, "avx512vnni"))
AVX512_BF16 = replace(
    AVX512_VNNI, name="avx512-bf16", features=(*AVX512_VNNI.features, "avx512bf16")
)
AMX = replace(
    AVX512_BF16, name="amx", features=(*AVX512_BF16.features, "amx-tile", "amx-int8", "amx-bf16")
)

TARGETS = (SCALAR, SSE42, AVX2, AVX2_VNNI, AVX512, AVX512_VNNI, AVX512_BF16, AMX)

"""The targets whose kernels this machine can run: what tests loop over."""

from dataclasses import replace

from lamina.codegen.target import AVX2, AVX512, TARGETS, Target, runs_here

# Vectors of 512 bits and 32 registers, as pairs of vectors of 256 bits: the values of AVX-512
# kernels can be tested without AVX-512.
LEGALISED = replace(AVX512, name="avx512-legalised", cpu=AVX2.cpu, features=AVX2.features)


def usable_targets() -> list[Target]:
    """Return every target that runs here, narrow before wide."""
    found = [target for target in TARGETS.values() if runs_here(target)]
    if AVX2 in found and AVX512 not in found:
        found.append(LEGALISED)
    return found


USABLE = usable_targets()

"""What a target is: an instruction set in words for LLVM and in numbers for kernels."""

from dataclasses import dataclass

from lamina.codegen.types import Scalar


@dataclass(frozen=True, slots=True)
class Target:
    """An instruction set: what LLVM is told, and what kernels may count on.

    `features` are in LLVM's words; a processor that has all of them runs the target's code.
    """

    name: str
    arch: str
    cpu: str
    features: tuple[str, ...] = ()
    vector_bytes: int = 0
    registers: int = 16
    has_fma: bool = False
    has_masks: bool = False
    has_byte_masks: bool = False
    has_rounding: bool = False
    has_half_conversions: bool = False
    system: str = "unknown-linux-gnu"
    relocation: str = "pic"

    @property
    def triple(self) -> str:
        """How LLVM names the architecture and the system."""
        return f"{self.arch}-{self.system}"

    def has(self, *features: str) -> bool:
        """Return whether the instruction set has all of `features`, in LLVM's words."""
        return set(features) <= set(self.features)

    def lanes(self, scalar: Scalar) -> int:
        """Return how many `scalar`s one vector register holds (1 where there are no vectors)."""
        return max(1, self.vector_bytes // scalar.bytes)

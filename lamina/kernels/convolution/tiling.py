"""How the direct convolution is cut: data, one row for each kind of vector.

Channels of the input lie in blocks, innermost; results are summed for a few pixels and a panel of
output channels, `vectors` registers wide, which stay in registers. Only `steps` shows in the
results: it says after how many products a sum goes to memory.
"""

from dataclasses import dataclass

from lamina.codegen.target import Target
from lamina.codegen.types import Scalar

# Products that a tile sums before another tile begins, and the weights of so many: they stay in the
# first cache.
_MOST_STEPS = 256
_MOST_WEIGHT_BYTES = 32 << 10
# Registers of a panel by those that the target has. With 32, more output channels and not more
# pixels: each pixel has a pointer, and those are in general registers.
_VECTORS = {32: 4, 16: 2}
# Products in a row: of more in one loop, LLVM loads the factors ahead until registers spill.
_UNROLLED = {32: 4, 16: 8}
# Heights of a tile in pixels that are compiled: all that an even cut of many pixels gives. Only the
# last tile of a band may be computed with a greater one.
_HEIGHTS = (2, 4, 5, 6)
_LEAST_BLOCK = 8


@dataclass(frozen=True, slots=True)
class Tiling:
    """Sizes in scalars: a block of input channels, a register, a panel of output channels."""

    block: int
    lanes: int
    panel: int
    heights: tuple[int, ...]
    steps: int
    unrolled: int

    @property
    def vectors(self) -> int:
        """How many registers a panel has."""
        return self.panel // self.lanes

    @property
    def pixels(self) -> int:
        """How many pixels the greatest tile has."""
        return self.heights[-1]


def channel_block(target: Target, scalar: Scalar) -> int:
    """Return how many channels lie side by side in the blocked layout of a target."""
    return max(_LEAST_BLOCK, target.lanes(scalar))


def tiling_for(target: Target, scalar: Scalar, block: int) -> Tiling:
    """Return the tiling of a target for an input with `block` channels side by side."""
    lanes = target.lanes(scalar)
    panel = max(channel_block(target, scalar), _VECTORS[target.registers] * lanes)
    heights = _HEIGHTS if lanes > 1 else (1,)
    steps = min(_MOST_STEPS, _MOST_WEIGHT_BYTES // (panel * scalar.bytes))
    return Tiling(block, lanes, panel, heights, steps, _UNROLLED[target.registers])

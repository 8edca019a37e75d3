"""How the direct convolution is cut: data, one row for each kind of vector.

Channels of the input lie in blocks, innermost; results are summed for a few pixels and a panel of
output channels, `vectors` registers wide, which stay in registers. Only `steps` shows in the
results: it says after how many products a sum goes to memory.
"""

from dataclasses import dataclass

from lamina.codegen.target import Target
from lamina.codegen.types import Scalar

# Products that a tile sums before another tile begins: their weights stay in the first cache.
STEPS = 256
# Heights of a tile in pixels that are compiled: all that an even cut of many pixels gives. Only the
# last tile of a band may be computed with a greater one. By number of vector registers.
_HEIGHTS = {32: (2, 4, 7, 8, 9, 10, 11, 12, 13, 14), 16: (2, 4, 5, 6), 0: (1,)}
_LEAST_BLOCK = 8


@dataclass(frozen=True, slots=True)
class Tiling:
    """Sizes in scalars: a block of input channels, a register, a panel of output channels."""

    block: int
    lanes: int
    panel: int
    heights: tuple[int, ...]

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
    panel = max(channel_block(target, scalar), 2 * lanes)
    heights = _HEIGHTS[target.registers if target.vector_bytes else 0]
    return Tiling(block, lanes, panel, heights)

"""Register tiles and cache blocks of the matrix kernels: data, one row for each size of register
file.

A tile of `rows` × `vectors` accumulators stays in registers; `k_block` rows of a packed panel of B
stay in the first cache, `m_tiles` packed tiles of A in half of the second, the packed panels of B
of a chunk in the third. `heights` are the tile heights that are compiled. Only `k_block` shows in
the results: it says after how many products a sum goes to memory.
"""

from dataclasses import dataclass

from lamina.codegen import cpu
from lamina.codegen.target import Target
from lamina.codegen.types import Scalar


@dataclass(frozen=True, slots=True)
class Tile:
    """How a matrix product is cut."""

    rows: int
    vectors: int
    unroll: int
    k_block: int
    m_tiles: int
    heights: tuple[int, ...]

    @property
    def pitch(self) -> int:
        """How far apart packed tiles of A start: they may be filled a register past their end."""
        return self.rows * self.k_block + _LONGEST_REGISTER


_WIDE = Tile(14, 2, 4, 256, 28, (1, 2, 4, 6, 8, 10, 12, 14))
_NARROW = Tile(6, 2, 4, 384, 24, (1, 2, 4, 6))
_ONE_BY_ONE = Tile(3, 2, 1, 256, 128, (1, 3))
_TILES = {32: _WIDE, 16: _NARROW, 0: _ONE_BY_ONE}  # by number of vector registers
_COMMON_L2_BYTES = 512 << 10
_LONGEST_REGISTER = 16


def tile_for(target: Target) -> Tile:
    """Return the tile of a target: what its vector registers hold."""
    return _TILES[target.registers if target.vector_bytes else 0]


def columns(tile: Tile, target: Target, scalar: Scalar) -> int:
    """Return how many columns a tile has: the width of a packed panel of B."""
    return tile.vectors * target.lanes(scalar)


def m_tiles_in_cache(tile: Tile, scalar: Scalar) -> int:
    """Return how many packed tiles of A fill half of this processor's second cache.

    It changes when work is done, never a result.
    """
    cache_bytes = cpu.describe().l2_bytes or _COMMON_L2_BYTES
    packed_bytes = tile.rows * tile.k_block * scalar.bytes
    return max(1, min(tile.m_tiles, cache_bytes // 2 // packed_bytes))


def k_block(k: int, tile: Tile) -> int:
    """Return the length of the blocks that k is summed in: equal ones, as few as fit."""
    blocks = max(1, -(-k // tile.k_block))
    each = -(-k // blocks)
    return max(1, -(-each // tile.unroll) * tile.unroll)

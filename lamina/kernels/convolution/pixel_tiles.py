"""What kernels share that compute rows of pixels whose channels lie side by side: tiles of a row,
registers of channels, and what becomes of a tile of sums.
"""

from collections.abc import Callable

from lamina.codegen.builder import Builder, Function, KernelModule
from lamina.codegen.types import Pointer, Scalar, Type, i64
from lamina.codegen.values import Value
from lamina.kernels.convolution.results import BIAS, RESIDUAL, reads
from lamina.kernels.expression import Expression, emit
from lamina.kernels.gemm.tiles import tile_for


class Lanes:
    """Emits reads and writes of a register of channels, all of them or the first `left`."""

    def __init__(self, k: Builder, scalar: Scalar, left: Value | None) -> None:
        self.k, self.left = k, left
        self.count = k.target.lanes(scalar)

    def load(self, place: Value) -> Value:
        """Return the channels at `place`; what is not there counts as 0."""
        if self.left is None:
            return place.load(0, lanes=self.count)
        return self.k.load_first(place, self.left, self.count)

    def store(self, place: Value, value: Value) -> None:
        """Write the channels to `place`."""
        if self.left is None:
            place.store(0, value)
        else:
            self.k.store_first(place, value, self.left)


def each_tile(k: Builder, pixels: Value, work: Callable[[Value], None]) -> None:
    """Emit `work(first pixel)` for each tile of a row, which has one at least; the last tile may
    overlap the one before.
    """
    height = tile_for(k.target).rows
    with k.loop(pixels, step=height) as turn:
        work(k.minimum(turn.index, pixels - height))


def emit_end(module: KernelModule, scalar: Scalar, after: Expression, width: int) -> Function:
    """Define `_end(out, pixel, sums, bias, residual, left)`: what becomes of a tile of sums, `left`
    channels of each pixel; pixels lie `pixel` apart in out and residual.
    """
    pointer = Pointer(scalar)
    parameters: dict[str, Type] = {
        "out": pointer, "pixel": i64, "sums": pointer, "bias": pointer, "residual": pointer,
        "left": i64,
    }  # fmt: skip
    rows, size = tile_for(module.target).rows, module.target.lanes(scalar)
    with module.function("_end", parameters, inline="never") as opened:
        k, out, pixel, sums, bias, residual, left = opened

        def register(first: int, lanes: Lanes) -> None:
            constant = lanes.load(bias + first) if reads(after, BIAS) else k.zeros(scalar)
            with k.loop(rows) as turn:
                there = turn.index * pixel + first
                inputs = [sums.load(turn.index * width + first, lanes=size), constant]
                if reads(after, RESIDUAL):
                    inputs.append(lanes.load(residual + there))
                lanes.store(out + there, emit(k, after, inputs))

        for first in range(0, width, size):
            with k.either(left >= first + size) as (whole, part):
                with whole:
                    register(first, Lanes(k, scalar, None))
                with part, k.when(left > first):
                    register(first, Lanes(k, scalar, left - first))
        handle: Function = k.handle
    return handle

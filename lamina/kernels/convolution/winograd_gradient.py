"""The gradient of 3×3 weights by Winograd's minimal filtering: a convolution whose taps are the
gradient of an image and whose nine results are those of the weights.
"""

from dataclasses import dataclass
from math import prod

from lamina.codegen import jit
from lamina.codegen.target import host_target
from lamina.kernels.convolution.problem import Problem, plane_fields
from lamina.kernels.convolution.strategy import Strategy
from lamina.kernels.convolution.winograd_gradient_kernel import (
    FIELDS,
    LARGEST_BLOCK,
    SLOT,
    emit_winograd_gradient,
    scratch_bytes,
)
from lamina.kernels.convolution.winograd_kernel import shapes
from lamina.kernels.convolution.winograd_stages import Shapes
from lamina.kernels.convolution.winograd_transforms import TAPS
from lamina.kernels.launch import Plan, Step, argument_block, workers_for

_OUTPUTS = 4
_CHUNKS_A_THREAD = 4
# Cycles: of a register of a tile transformed, of a product, of a call of the multiplication at one
# place, of a register of sums transformed and written.
_TILE, _PRODUCT, _CALL, _SUM = 150, 0.55, 40, 120
# It rounds more than the others do, and has to be worth that.
_WORTH = 1.25


@dataclass(frozen=True, slots=True)
class WinogradGradient:
    """One gradient of 3×3 weights to compute: x is the input with images as channels, w the
    gradient of the output, out the gradient of the weights with inputs as images.
    """

    problem: Problem

    @property
    def _shapes(self) -> Shapes:
        return shapes(host_target(), self.problem.dtype, _OUTPUTS)

    @property
    def _tile_grid(self) -> tuple[int, int]:
        """How many tiles an image has, down and across."""
        _, rows, columns = self.problem.taps
        return -(-rows // _OUTPUTS), -(-columns // _OUTPUTS)

    @property
    def tiles(self) -> int:
        """How many tiles all images have."""
        return self.problem.channels * prod(self._tile_grid)

    @property
    def _lanes_are_outputs(self) -> bool:
        """Whether output channels leave fewer lanes idle than inputs do."""
        panel, sizes = self._shapes.panel, (self.problem.outputs, self.problem.out.shape[0])
        outputs, inputs = (size / (-(-size // panel) * panel) for size in sizes)
        return outputs > inputs

    def step(self) -> Step:
        """Return the kernel call that computes it."""
        s, p = self._shapes, self.problem
        inputs = p.out.shape[0]
        workers = workers_for(flops=2 * s.points * self.tiles * p.w.shape[0] * inputs)
        x_block, w_block = self._cut(workers)
        x_blocks, w_blocks = -(-inputs // x_block), -(-p.outputs // w_block)
        chunks = p.parts * x_blocks * w_blocks
        rows, columns = self._tile_grid
        arguments = {
            "lanes_are_outputs": int(self._lanes_are_outputs),
            "chunks": chunks, "x_blocks": x_blocks, "w_blocks": w_blocks, "x_block": x_block,
            "w_block": w_block, "inputs": inputs, "outputs": p.outputs, "tiles": self.tiles,
            "tile_rows": rows, "tile_columns": columns, **plane_fields(p),
        }  # fmt: skip
        return Step(
            jit.kernel(emit_winograd_gradient, p.dtype, _OUTPUTS),
            argument_block(*(arguments.get(name, 0) for name in FIELDS)),
            ((SLOT["out"], p.out.place), (SLOT["x"], p.x.place), (SLOT["w"], p.w.place)),
            scratch_bytes(s),
            min(workers, chunks),
        )

    def _cut(self, workers: int) -> tuple[int, int]:
        """Return how many inputs and output channels a chunk has: whole panels, equal chunks."""
        p, panel = self.problem, self._shapes.panel
        sizes = [-(-size // panel) for size in (p.out.shape[0], p.outputs)]
        parts = [-(-size * panel // LARGEST_BLOCK) for size in sizes]
        wanted = 1 if workers == 1 else _CHUNKS_A_THREAD * workers
        while p.parts * parts[0] * parts[1] < wanted and parts != sizes:
            axis = int(sizes[1] * parts[0] > sizes[0] * parts[1])
            parts[axis] = min(sizes[axis], parts[axis] + 1)
        x_block, w_block = (-(-n // k) * panel for n, k in zip(sizes, parts, strict=True))
        return x_block, w_block


def _applies(p: Problem) -> bool:
    is_plain = p.stride == p.dilation == p.spread == (1, 1, 1) and p.groups == 1
    is_plane = p.places == (1, TAPS, TAPS) and p.taps[0] == 1 and p.padding[0] == 0
    lies_along_rows = all(view.strides[4] == 1 or view.shape[4] == 1 for view in (p.w, p.x))
    has_sums = 0 not in p.w.shape and (p.outputs > 1 or p.parts == 1)
    return p.dtype == "float32" and is_plain and is_plane and lies_along_rows and has_sums


def _cost(p: Problem) -> float:
    """Return the cycles of one input of each group, of as many as fill the registers.

    How many there are may not choose; in groups there are likely as few as there are outputs.
    """
    way = WinogradGradient(p)
    s = way._shapes
    rows = max(p.outputs, s.lanes // s.registers.vectors)
    products = s.points * way.tiles * rows / s.lanes * _PRODUCT
    calls = s.points * rows / s.registers.rows / s.panel * _CALL
    registers = -(-p.outputs // s.lanes)
    transforms = way.tiles * _TILE * (-(-p.outputs // LARGEST_BLOCK) / s.lanes)
    transforms += way.tiles * _TILE * registers / LARGEST_BLOCK
    cycles = products + calls + transforms + registers * _SUM
    idle = max(1.0, s.panel / p.outputs) if p.parts > 1 else 1.0
    return p.parts * cycles * idle * _WORTH


WINOGRAD_GRADIENT = Strategy(
    name="winograd gradient",
    applies=_applies,
    cost=_cost,
    plan=lambda p: Plan((WinogradGradient(p).step(),)),
)

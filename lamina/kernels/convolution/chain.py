"""A chain of convolutions whose intermediate images stay in the caches: row by row, a kernel of one
tap that widens, a depthwise one, and a kernel of one tap that narrows again.

    a = expand(x)        e[h, w, c] = f(Σ_i x[h, w, i] · v[c, i])
    b = depthwise(a)     d[p, q, c] = g(Σ_k e[p·stride + k·dilation − padding, c] · t[c, k])
    out = project(b)     o[p, q, j] = h(Σ_c d[p, q, c] · u[j, c])

This is the inverted residual of Sandler et al., "MobileNetV2" (2018). Channels are last everywhere.
Work is cut into strips of rows of the output, and these into groups: a few rows are made together,
so that their pixels fill register tiles and weights come from far memory once for all of them. Rows
of `a` live in a ring that holds what the taps of a group reach, and those of `b` in one group's
room. A strip makes the rows of `a` that it needs itself. Sums run as they do in the kernels of
each, so the bits are those of one after the other.
"""

from dataclasses import dataclass

from lamina.codegen.builder import Builder, Function, KernelModule
from lamina.codegen.types import Pointer, Scalar, i8, i64
from lamina.codegen.values import Value
from lamina.kernels.convolution.depthwise_last import TapRow, Taps, zero_register
from lamina.kernels.convolution.pixel_tiles import each_tile, emit_end
from lamina.kernels.convolution.results import BIAS, SUM, reads
from lamina.kernels.expression import Expression
from lamina.kernels.gemm.arithmetic import Recipe
from lamina.kernels.gemm.epilogue import Epilogue
from lamina.kernels.gemm.finish import SIDE_BY_SIDE
from lamina.kernels.gemm.micro import ask_for_part, emit_micro
from lamina.kernels.gemm.tiles import columns, tile_for
from lamina.kernels.scalars import SCALARS

FIELDS = (
    "counter", "chunks", "out", "x", "residual", "expand_w", "expand_bias", "taps", "taps_bias",
    "project_w", "project_bias", "strips", "strip_rows", "height", "width", "out_height",
    "out_width", "depth", "channels", "outputs", "pitch", "padded", "expand_panels",
    "project_panels", "k_block", "ring", "group", "top", "left", "low", "high", "line", "sums",
    "zeros",
)  # fmt: skip
SLOT = {name: place for place, name in enumerate(FIELDS)}


@dataclass(frozen=True, slots=True)
class Steps:
    """What becomes of the sums of each step; nothing widens where `expand` is None."""

    expand: Expression | None
    depthwise: Expression
    project: Expression


@dataclass(frozen=True, slots=True)
class _Functions:
    expand: Function | None
    multiply: Function
    end: Function


class _Strip:
    """Emits the work on a strip of rows."""

    def __init__(
        self, k: Builder, scalar: Scalar, taps: Taps, steps: Steps, functions: _Functions,
        args: Value, scratch: Value,
    ) -> None:  # fmt: skip
        self.k, self.scalar, self.taps = k, scalar, taps
        self.steps, self.functions, self.args = steps, functions, args
        self.tile = tile_for(k.target)
        self.width = columns(self.tile, k.target, scalar)
        self.ring = k.cast_pointer(scratch, scalar)
        self.line, self.sums = (
            k.cast_pointer(scratch + self.get(name), scalar) for name in ("line", "sums")
        )
        self.zeros = zero_register(k, scalar, scratch + self.get("zeros"))

    def get(self, name: str) -> Value:
        return self.args[SLOT[name]]

    def at(self, name: str) -> Value:
        return self.k.pointer_at(self.get(name), self.scalar)

    def run(self, number: Value) -> None:
        """Compute strip `number` of all images."""
        k = self.k
        image, strip = number // self.get("strips"), number % self.get("strips")
        first = strip * self.get("strip_rows")
        stop = k.minimum(first + self.get("strip_rows"), self.get("out_height"))
        size = self.get("height") * self.get("width") * self.get("depth")
        self.x = self.at("x") + image * size
        self.rows_before = image * self.get("out_height")
        made = k.cell(i64, 0)
        made.set(k.maximum(first * self.taps.stride[0] - self.get("top"), 0))
        self._lay_out_ring(first, made.get())
        with k.loop(stop, start=first, step=self.get("group")) as turn:
            rows = k.minimum(self.get("group"), stop - turn.index)
            if self.functions.expand is not None:
                needed = self._needed(turn.index + rows)
                with k.repeat_while(lambda: made.get() < needed):
                    count = k.minimum(needed, made.get() + self._room(made.get())) - made.get()
                    self._expand(self.functions.expand, made.get(), count)
                    made.set(made.get() + count)
            with k.loop(rows) as row:
                self._depthwise(turn.index + row.index, row.index)
            self._project(turn.index, rows)

    def _needed(self, stop: Value) -> Value:
        """Return the row after the last that the taps of the rows before `stop` reach."""
        reach = (self.taps.size[0] - 1) * self.taps.dilation[0] + 1
        last = (stop - 1) * self.taps.stride[0] + (reach - self.get("top"))
        return self.k.minimum(last, self.get("height"))

    def _lay_out_ring(self, first: Value, made: Value) -> None:
        """Find where the ring starts: so that what a group makes, except the first, lies in one."""
        k, period = self.k, self.get("group") * self.taps.stride[0]
        needed = self._needed(first + self.get("group"))
        start = needed - (needed - made + (period - 1)) // period * period
        holds_all = self.get("ring") >= self.get("height")
        self.ring_start = k.select(holds_all, k.integer(0), start)

    def _in_ring(self, row: Value) -> Value:
        """Return where a row lies in the ring."""
        return (row + self.get("ring") - self.ring_start) % self.get("ring")

    def _room(self, row: Value) -> Value:
        """Return how many rows from `row` on lie one after the other."""
        return self.get("ring") - self._in_ring(row)

    def _expand(self, micro: Function, row: Value, count: Value) -> None:
        """Make `count` rows of what the taps read."""
        k, depth, pitch = self.k, self.get("depth"), self.get("pitch")
        source = self.x + row * self.get("width") * depth
        target = self.ring + self._in_ring(row) * self.get("width") * pitch
        one, zero, pixels = k.integer(1), k.integer(0), count * self.get("width")
        with k.loop(self.get("expand_panels")) as panel:
            b = self.at("expand_w") + panel.index * self.width * depth
            column = panel.index * self.width

            def work(pixel: Value) -> None:
                self._ask_for_next_panel(b, depth, pixel, pixels)
                ending = [one, self.at("expand_bias") + column, zero, one]
                c = target + (pixel * pitch + column)
                k.call(
                    micro, depth, source + pixel * depth, depth, b, k.integer(self.width), c,
                    pitch, zero, *ending[: len(micro.parameters) - 8],
                )  # fmt: skip

            each_tile(k, pixels, work)

    def _depthwise(self, row: Value, place: Value) -> None:
        """Make a row of what is narrowed, of the rows that its taps reach."""
        k, channels = self.k, self.get("channels")
        is_direct = self.functions.expand is None
        column = channels if is_direct else self.get("pitch")
        rows: list[tuple[Value, Value]] = []
        for tap in range(self.taps.size[0]):
            line = row * self.taps.stride[0] + (tap * self.taps.dilation[0] - self.get("top"))
            is_there = k.both(line > -1, line < self.get("height"))
            number = line if is_direct else self._in_ring(line)
            before = number * self.get("width") - self.get("left")
            start = (self.x if is_direct else self.ring) + before * column
            rows.append((is_there, start))
        target = self.line + place * self.get("out_width") * self.get("pitch")
        TapRow(
            taps=self.taps,
            after=self.steps.depthwise,
            channels=channels,
            rows=rows,
            width=self.get("width"),
            left=self.get("left"),
            x_column=column,
            w=self.at("taps"),
            padded=self.get("padded"),
            bias=self.at("taps_bias"),
            residual=target,
            out=target,
            out_column=self.get("pitch"),
            out_width=self.get("out_width"),
            low=self.get("low"),
            high=self.get("high"),
            zeros=self.zeros,
        ).emit(k)

    def _project(self, row: Value, rows: Value) -> None:
        """Make `rows` rows of the output of those that were made before."""
        k, outputs = self.k, self.get("outputs")
        start = (self.rows_before + row) * self.get("out_width") * outputs
        out, residual = self.at("out") + start, self.at("residual") + start
        pixels = rows * self.get("out_width")
        with k.loop(self.get("project_panels")) as panel:
            column = panel.index * self.width

            def work(pixel: Value) -> None:
                self._sum(column, pixel, pixels)
                there = pixel * outputs + column
                k.call(
                    self.functions.end, out + there, outputs, self.sums,
                    self.at("project_bias") + column, residual + there, outputs - column,
                )  # fmt: skip

            each_tile(k, pixels, work)

    def _sum(self, column: Value, pixel: Value, pixels: Value) -> None:
        """Sum up a tile of the output, block of channels after block."""
        k, width, pitch = self.k, self.k.integer(self.width), self.get("pitch")
        block, padded = self.get("k_block"), self.get("project_panels") * self.width
        with k.loop(self.get("channels"), step=block) as turn:
            count = k.minimum(block, self.get("channels") - turn.index)
            b = self.at("project_w") + (turn.index * padded + column * count)
            adds = k.select(turn.index > 0, k.integer(1), k.integer(0))
            a = self.line + (pixel * pitch + turn.index)
            self._ask_for_next_panel(b, count, pixel, pixels)
            k.call(self.functions.multiply, count, a, pitch, b, width, self.sums, width, adds)

    def _ask_for_next_panel(self, b: Value, depth: Value, pixel: Value, pixels: Value) -> None:
        """Ask for the part of the panel after `b` that is due at the tile of a pixel."""
        size, past = depth * self.width, self.tile.rows - 1
        tile, tiles = ((n + past) // self.tile.rows for n in (pixel, pixels))
        ask_for_part(self.k, b + size, size, tile, tiles)


def emit_chain(module: KernelModule, dtype: str, taps: Taps, steps: Steps) -> None:
    """Define `run(arguments, scratch)`: claim strips and compute them."""
    scalar, tile = SCALARS[dtype], tile_for(module.target)
    plain = Recipe.of(dtype)._replace(is_packed=True)
    expand = None
    if steps.expand is not None:
        inputs = ((dtype, SIDE_BY_SIDE),) if reads(steps.expand, BIAS) else ()
        epilogue = None if steps.expand == SUM else Epilogue(steps.expand)
        recipe = plain._replace(epilogue=epilogue, inputs=inputs)
        expand = emit_micro(module, recipe, tile, tile.rows, packed=False, prefix="_expand")
    width = columns(tile, module.target, scalar)
    functions = _Functions(
        expand=expand,
        multiply=emit_micro(module, plain, tile, tile.rows, packed=False, prefix="_project"),
        end=emit_end(module, scalar, steps.project, width),
    )
    with module.function("run", {"args": Pointer(i64), "scratch": Pointer(i8)}) as (
        k,
        args,
        scratch,
    ):
        strip = _Strip(k, scalar, taps, steps, functions, args, scratch)
        with k.claimed(args, strip.get("chunks")) as number:
            strip.run(number)

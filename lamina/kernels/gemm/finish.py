"""From sums to the output: epilogues, conversions, masks at the edges, columns anywhere."""

from dataclasses import dataclass

from lamina.codegen.builder import Builder, Function, KernelModule
from lamina.codegen.types import Pointer, Scalar, Type, element_of, i1, i64
from lamina.codegen.values import Value
from lamina.kernels.expression import Input, emit
from lamina.kernels.gemm.arithmetic import Recipe, arithmetic_of
from lamina.kernels.scalars import COMPUTED, STORED

# How an operand of an epilogue lies along the columns: one element for all, side by side, or at
# equal steps.
CONSTANT, SIDE_BY_SIDE, APART = "constant", "side by side", "apart"


@dataclass(frozen=True, slots=True)
class Further:
    """An operand of the epilogue beside the sum, at the first row and column of some work."""

    dtype: str
    lies: str
    pointer: Value
    row: Value
    column: Value

    def moved(self, rows: Value, columns: Value) -> "Further":
        """Return it `rows` and `columns` on."""
        along = {CONSTANT: rows * 0, SIDE_BY_SIDE: columns}
        step = along[self.lies] if self.lies in along else columns * self.column
        place = self.pointer + (rows * self.row + step)
        return Further(self.dtype, self.lies, place, self.row, self.column)

    def load(self, k: Builder, lanes: int, left: Value | None) -> Value:
        """Return its elements at the next `lanes` columns, of which `left` are there."""
        if self.lies == CONSTANT:
            value = self.pointer[0]
        elif self.lies == APART:
            count = k.integer(lanes) if left is None else left
            value = k.load_spread(self.pointer, self.column, count, lanes)
        elif left is None:
            value = self.pointer.load(0, lanes=lanes)
        else:
            value = k.load_first(self.pointer, left, lanes)
        return value.differs(0) if COMPUTED[self.dtype] == i1 else value


@dataclass(frozen=True, slots=True)
class Ending:
    """Emits what becomes of registers of sums."""

    k: Builder
    recipe: Recipe

    def store(
        self, place: Value, sums: Value, lanes: int, further: list[Further], left: Value | None,
        *, every: Value | None = None,
    ) -> None:  # fmt: skip
        """Store what the sums become; of a register that is not whole, the first `left` lanes.

        They go side by side, or `every` apart.
        """
        k, recipe = self.k, self.recipe
        inputs = [sums, *(operand.load(k, lanes, left) for operand in further)]
        expression = Input(0) if recipe.epilogue is None else recipe.epilogue.expression
        value = k.convert(emit(k, expression, inputs), STORED[recipe.out])
        if every is not None:
            k.store_spread(place, value, every, k.integer(lanes) if left is None else left)
        elif left is None:
            place.store(0, value)
        else:
            k.store_first(place, value, left)


def further_parameters(recipe: Recipe) -> dict[str, Type]:
    """Return the parameters of a function that takes the further operands."""
    parameters: dict[str, Type] = {}
    for number, (dtype, _) in enumerate(recipe.inputs):
        pointer = Pointer(STORED[dtype])
        parameters |= {f"x{number}": pointer, f"x{number}_row": i64, f"x{number}_column": i64}
    return parameters


def further_of(recipe: Recipe, values: list[Value]) -> list[Further]:
    """Return the further operands that values of these parameters stand for."""
    return [
        Further(dtype, lies, *values[3 * number : 3 * number + 3])
        for number, (dtype, lies) in enumerate(recipe.inputs)
    ]


def emit_finish(module: KernelModule, recipe: Recipe, width: int) -> Function:
    """Define `_finish(out, out_row, sums, pitch, rows, valid, offsets, runs, …further)`.

    out[row, column] = epilogue(sums[row, column], …) where column j lies at offsets[j].
    """
    total, index = arithmetic_of(recipe).total, Pointer(i64)
    parameters: dict[str, Type] = {
        "out": Pointer(STORED[recipe.out]), "out_row": i64, "sums": Pointer(total), "pitch": i64,
        "rows": i64, "valid": i64, "offsets": index, "runs": index,
    }  # fmt: skip
    parameters |= further_parameters(recipe)
    lanes = module.target.lanes(total)
    with module.function("_finish", parameters, inline="never") as opened:
        k, out, out_row, sums, pitch, rows, valid, offsets, runs, *values = opened
        further, ending = further_of(recipe, values), Ending(k, recipe)
        zero = k.integer(0)

        def piece(line: Value, column: Value, offset: Value, left: Value | None) -> None:
            moved = [operand.moved(line, column) for operand in further]
            register = (sums + (line * pitch + column)).load(0, lanes=lanes)
            ending.store(out + (line * out_row + offset), register, lanes, moved, left)

        is_whole = k.both(valid.equals(width), runs[0] >= width)
        with k.either(is_whole) as (whole, parts):
            with whole, k.loop(rows) as line:
                for start in range(0, width, lanes):
                    piece(line.index, zero + start, offsets[0] + start, None)
            with parts, k.loop(rows) as line:
                at = k.cell(i64, 0)
                with k.repeat_while(lambda: at.get() < valid):
                    begin = at.get()
                    run = k.minimum(runs[begin], valid - begin)
                    with k.loop(run, step=lanes) as turn:
                        offset = offsets[begin] + turn.index
                        piece(line.index, begin + turn.index, offset, run - turn.index)
                    at.set(begin + run)
        handle: Function = k.handle
    return handle


def emit_scatter(module: KernelModule, scalar: Scalar, width: int) -> Function:
    """Define `_scatter(out, row, tile, rows, valid, adds, offsets, runs)`: a tile to any place."""
    pointer, index = Pointer(scalar), Pointer(i64)
    parameters: dict[str, Type] = {
        "out": pointer, "row": i64, "tile": pointer, "rows": i64, "valid": i64, "adds": i64,
        "offsets": index, "runs": index,
    }  # fmt: skip
    with module.function("_scatter", parameters, inline="never") as opened:
        k, out, row, tile, rows, valid, adds, offsets, runs = opened
        with k.loop(rows) as line:
            here, there = tile + line.index * width, out + line.index * row
            with k.either(runs[0] > 1) as (runs_on, scattered):
                with runs_on:
                    _scatter_runs(k, there, here, valid, adds, offsets, runs)
                with scattered:
                    _scatter_scalars(k, there, here, valid, adds, offsets)
        handle: Function = k.handle
    return handle


def _scatter_runs(
    k: Builder, out: Value, tile: Value, valid: Value, adds: Value, offsets: Value, runs: Value
) -> None:
    at = k.cell(i64, 0)
    with k.repeat_while(lambda: at.get() < valid):
        begin = at.get()
        run = k.minimum(runs[begin], valid - begin)
        _scatter_run(k, out + offsets[begin], tile + begin, run, adds)
        at.set(begin + run)


def _scatter_scalars(
    k: Builder, out: Value, tile: Value, valid: Value, adds: Value, offsets: Value
) -> None:
    for number in (0, 1):
        with k.when(adds.equals(number)), k.loop(valid) as turn:
            place, content = offsets[turn.index], tile[turn.index]
            out[place] = out[place] + content if number else content


def _scatter_run(k: Builder, out: Value, tile: Value, run: Value, adds: Value) -> None:
    lanes = k.target.lanes(element_of(out.type))
    with k.loop(run, step=lanes) as turn:
        place, left = out + turn.index, run - turn.index
        content = (tile + turn.index).load(0, lanes=lanes)
        with k.either(adds.equals(1)) as (then, otherwise):
            with then:
                k.store_first(place, k.load_first(place, left) + content, left)
            with otherwise:
                k.store_first(place, content, left)

"""From a register tile to the output: to any place, with masks at the edges."""

from lamina.codegen.builder import Builder, Function, KernelModule
from lamina.codegen.types import Pointer, Scalar, Type, element_of, i64
from lamina.codegen.values import Value


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

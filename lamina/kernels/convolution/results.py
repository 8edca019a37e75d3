"""From a buffer of sums, a row for each pixel, through an epilogue to where results go: planes of
channels, or pixels whose channels lie side by side.
"""

from dataclasses import dataclass

from lamina.codegen.builder import Builder, Function, KernelModule
from lamina.codegen.types import Pointer, Scalar, Type, Vector, i64
from lamina.codegen.values import Value
from lamina.kernels.convolution.tiling import Tiling
from lamina.kernels.expression import Expression, Input, emit, in_order

SUM, BIAS, RESIDUAL = Input(0), Input(1), Input(2)


def reads(epilogue: Expression, place: Input) -> bool:
    """Return whether an epilogue depends on the bias, or on the residual.

    >>> reads(SUM + BIAS, BIAS), reads(SUM + BIAS, RESIDUAL)
    (True, False)
    """
    found = [operand for node in in_order(epilogue) for operand in node.operands]
    return place in (epilogue, *found)


def _parameters(scalar: Scalar) -> dict[str, Type]:
    pointer, index = Pointer(scalar), Pointer(i64)
    return {
        "out": pointer, "channel": i64, "buffer": pointer, "pixels": i64, "valid": i64,
        "offsets": index, "runs": index, "bias": pointer, "residual": pointer,
    }  # fmt: skip


def emit_planes(
    module: KernelModule, scalar: Scalar, tiling: Tiling, epilogue: Expression
) -> Function:
    """Define `_store(out, channel, buffer, pixels, valid, offsets, runs, bias, residual)`: write
    `epilogue` of a panel of `valid` channels, `channel` apart in out, of which a pixel is a row of
    the buffer.
    """
    lanes = tiling.lanes
    with module.function("_store", _parameters(scalar), inline="never") as opened:
        k, out, channel, buffer, pixels, valid, offsets, runs, bias, residual = opened
        with k.loop(k.minimum(valid, tiling.panel), step=lanes) as turn:
            steps = [channel * (turn.index + number) for number in range(lanes)]
            after = _After(k, epilogue, bias + turn.index, [residual + step for step in steps])
            targets = [out + step for step in steps]
            rows = _Rows(k, tiling, buffer + turn.index, targets, valid - turn.index, after)
            at = k.cell(i64, 0)
            with k.repeat_while(lambda: at.get() < pixels):
                place = at.get()
                run = k.minimum(runs[place], pixels - place)
                rows.store(place, offsets[place], run)
                at.set(place + run)
        handle: Function = k.handle
    return handle


@dataclass(frozen=True, slots=True)
class _After:
    """Emits what becomes of sums of one channel after the other."""

    k: Builder
    epilogue: Expression
    bias: Value
    residuals: list[Value]

    def value(self, number: int, place: Value, total: Value, left: Value | None) -> Value:
        """Return what is stored of the sums of channel `number` at `place`, `left` of them."""
        k, lanes = self.k, total.type.lanes if isinstance(total.type, Vector) else 1
        inputs = [total, total, total]
        if reads(self.epilogue, BIAS):
            inputs[1] = self.bias[number]
        if reads(self.epilogue, RESIDUAL):
            here = self.residuals[number] + place
            inputs[2] = here.load(0, lanes=lanes) if left is None else k.load_first(here, left)
        return emit(k, self.epilogue, inputs)


class _Rows:
    """Emits the writing of a register of channels: a row of out for each of them."""

    def __init__(
        self,
        k: Builder,
        tiling: Tiling,
        buffer: Value,
        targets: list[Value],
        valid: Value,
        after: _After,
    ) -> None:
        self.k = k
        self.tiling = tiling
        self.buffer = buffer
        self.targets = targets
        self.valid = valid
        self.after = after

    def store(self, place: Value, offset: Value, run: Value) -> None:
        """Write the `run` pixels from `place` on to where `offset` tells."""
        k, lanes = self.k, self.tiling.lanes
        whole = k.select(self.valid >= lanes, run // lanes * lanes, k.integer(0))
        with k.loop(whole, step=lanes) as turn:
            here = offset + turn.index
            for number, column in enumerate(self._columns(place + turn.index)):
                value = self.after.value(number, here, column, None)
                self.targets[number].store(here, value)
        with k.loop(run, start=whole, step=lanes) as turn:
            for number, column in enumerate(self._columns(place + turn.index)):
                with k.when(self.valid > number):
                    there, left = offset + turn.index, run - turn.index
                    value = self.after.value(number, there, column, left)
                    k.store_first(self.targets[number] + there, value, left)

    def _columns(self, place: Value) -> list[Value]:
        panel = self.tiling.panel
        first = self.buffer + place * panel
        return list(
            self.k.load_transposed([first + row * panel for row in range(len(self.targets))])
        )


def emit_pixels(
    module: KernelModule, scalar: Scalar, tiling: Tiling, epilogue: Expression
) -> Function:
    """Define `_store(…)` with the same parameters: write `epilogue` of the sums to pixels whose
    channels lie side by side.
    """
    with module.function("_store", _parameters(scalar), inline="never") as opened:
        k, out, _, buffer, pixels, valid, offsets, _, bias, residual = opened
        for first in range(0, tiling.panel, tiling.lanes):
            left = valid - first

            def write(count: Value | None, first: int = first) -> None:
                def loaded(place: Value) -> Value:
                    if count is None:
                        return place.load(0, lanes=tiling.lanes)
                    return k.load_first(place, count)

                constant = loaded(bias + first) if reads(epilogue, BIAS) else k.zeros(scalar)
                with k.loop(pixels) as turn:
                    there = offsets[turn.index] + first
                    total = buffer.load(turn.index * tiling.panel + first, lanes=tiling.lanes)
                    inputs = [total, constant]
                    if reads(epilogue, RESIDUAL):
                        inputs.append(loaded(residual + there))
                    result = emit(k, epilogue, inputs)
                    if count is None:
                        out.store(there, result)
                    else:
                        k.store_first(out + there, result, count)

            with k.either(left >= tiling.lanes) as (whole, part):
                with whole:
                    write(None)
                with part, k.when(left > 0):
                    write(left)
        handle: Function = k.handle
    return handle

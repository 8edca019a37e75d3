"""A chain of convolutions as one op: made by programs."""

from dataclasses import dataclass
from typing import final

import numpy as np

from lamina.errors import ShapeError
from lamina.kernels.convolution.chain import Steps
from lamina.kernels.convolution.chained import Chain
from lamina.kernels.convolution.depthwise_last import Taps
from lamina.memory import Array, Spec
from lamina.memory.array import NDArray
from lamina.ops.layers.convolution_then import ConvThen
from lamina.ops.registry import Kernel, Op, define, in_c_order


@define
@final
@dataclass(frozen=True, slots=True)
class ConvChain(Op):
    """One convolution after the other, of images whose channels are last.

    The steps are one of one tap that may be missing, a depthwise one, and one of one tap. After x
    come weights and bias, if any, of each; a residual of the last; and, where it `is_prepared`,
    what `prepare_chain` made of weights and biases.
    """

    name = "conv_chain"
    differentiable = False

    steps: tuple[ConvThen, ...]
    is_prepared: bool = False

    def infer(self, *inputs: Spec) -> Spec:
        found, left = inputs[0], list(inputs[1:])
        for step in self.steps:
            further = [left.pop(0) for _ in range(1 + step.has_bias + step.has_residual)]
            found = step.infer(found, *further)
        if len(left) != self.is_prepared:
            raise ShapeError(f"conv_chain: {left} given after the steps; expected nothing more")
        return found

    def ref(self, *inputs: NDArray) -> NDArray:
        found, left = inputs[0], list(inputs[1:])
        for step in self.steps:
            further = [left.pop(0) for _ in range(1 + step.has_bias + step.has_residual)]
            found = step.ref(found, *further)
        return found

    def operations(self, output: Spec, *inputs: Spec) -> int:
        found, left, total = inputs[0], list(inputs[1:]), 0
        for step in self.steps:
            given = [found, *(left.pop(0) for _ in range(1 + step.has_bias + step.has_residual))]
            found = step.infer(*given)
            total += step.operations(found, *given)
        return total

    def lower(self, *inputs: Spec) -> Kernel | None:
        return self._run if self.is_prepared else None

    def _run(self, out: Array, x: Array, *further: Array) -> None:
        chain = chain_of(self.steps, x.spec, [array.spec for array in further])
        residual = in_c_order(further[-2]) if self.steps[-1].has_residual else None
        chain.run(out, in_c_order(x), in_c_order(further[-1]), residual)


@define
@final
@dataclass(frozen=True, slots=True)
class PrepareChain(Op):
    """The weights and biases of a chain as its kernel reads them."""

    name = "prepare_chain"
    differentiable = False

    chain: Chain
    has_bias: tuple[bool, ...]

    def infer(self, *inputs: Spec) -> Spec:
        return Spec((self.chain.size,), inputs[0].dtype)

    def ref(self, *inputs: NDArray) -> NDArray:
        # The order is the kernel's own: without one, the weights stand in theirs.
        out = np.zeros(self.chain.size, inputs[0].dtype)
        given = np.concatenate([x.reshape(-1) for x in inputs])
        out[: min(given.size, out.size)] = given[: out.size]
        return out

    def lower(self, *inputs: Spec) -> Kernel | None:
        return self._prepare

    def _prepare(self, out: Array, *inputs: Array) -> None:
        numbers, left = out.numpy(), list(inputs)
        numbers[...] = 0
        weights: list[Array] = []
        biases: list[Array | None] = []
        for has_bias in self.has_bias:
            weights.append(in_c_order(left.pop(0)))
            biases.append(left.pop(0) if has_bias else None)
        for start, bias in zip(self.chain.prepare(out, weights), biases, strict=True):
            if bias is not None:
                numbers[start : start + bias.shape[0]] = bias.numpy()


def chain_of(steps: tuple[ConvThen, ...], x: Spec, further: list[Spec]) -> Chain:
    """Return what the kernel computes for inputs like these."""
    *expand, depthwise, project = steps
    left = list(further)
    found = Spec((1, *x.shape[1:]), x.dtype)
    for step in steps:
        given = [left.pop(0) for _ in range(1 + step.has_bias)]
        if step.has_residual:
            shape = left.pop(0).shape
            given.append(Spec((1, *shape[1:]), x.dtype))
        found = step.infer(found, *given)
    conv = depthwise.conv
    size = further[sum(1 + step.has_bias for step in expand)].shape[2:]
    taps = Taps(*((a, b) for a, b in (size, conv.stride, conv.dilation)))
    return Chain(
        dtype=x.dtype.name,
        x=x.shape[1:],
        out=found.shape[1:],
        channels=conv.groups,
        taps=taps,
        padding=(conv.padding[0], conv.padding[1]),
        steps=Steps(
            expand[0].expression if expand else None, depthwise.expression, project.expression
        ),
    )

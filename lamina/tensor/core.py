"""Tensor: an array with a history, and `apply`, the one door through which eager ops run."""

import weakref
from collections.abc import Callable
from typing import Any, Self

from lamina import autograd, dtypes
from lamina.autograd.anomaly import callers_line, check_output
from lamina.autograd.grad_mode import state
from lamina.autograd.hook_handle import HookHandle
from lamina.autograd.tape import Node, record
from lamina.dtypes import DType
from lamina.errors import DeviceError, DTypeError, GradientError, ShapeError
from lamina.layout import Shape
from lamina.memory import Array, pooled
from lamina.ops.elementwise.arithmetic import cast
from lamina.ops.registry import Op, View
from lamina.tensor.arithmetic import Arithmetic
from lamina.tensor.casting import Casting
from lamina.tensor.closeness import Closeness
from lamina.tensor.conversion import array_of, dtype_beside
from lamina.tensor.filling import Filling
from lamina.tensor.functions import Functions
from lamina.tensor.indexing import Indexing
from lamina.tensor.inplace_functions import InPlaceFunctions
from lamina.tensor.interchange import Interchange
from lamina.tensor.matrices import Matrices
from lamina.tensor.printing import describe
from lamina.tensor.random_filling import RandomFilling
from lamina.tensor.rearranging import Rearranging
from lamina.tensor.reductions import Reductions
from lamina.tensor.shaping import Shaping
from lamina.tensor.views import refresh_history, remember_base

Hook = Callable[[Any], Any]


class Tensor(
    Arithmetic,
    Functions,
    Reductions,
    Shaping,
    Indexing,
    InPlaceFunctions,
    Filling,
    RandomFilling,
    Rearranging,
    Matrices,
    Casting,
    Closeness,
    Interchange,
):
    """A strided tensor on the CPU that remembers how it was made.

    `Tensor(data)` copies numbers, nested lists or an array, as `lamina.tensor` does. The elements
    live in `array` (storage, layout, dtype); `grad` receives gradients if `requires_grad`.

    >>> Tensor([[1.0, 2.0], [3.0, 4.0]]) @ Tensor([1.0, 1.0])
    Tensor([3., 7.])
    """

    __slots__ = (
        *("__weakref__", "array", "base", "epoch", "grad", "hooks", "index", "node"),
        "requires_grad",
    )

    array: Array
    node: Node | None
    index: int
    requires_grad: bool
    grad: "Tensor | None"
    hooks: list[Hook] | None
    # The tensor whose storage this one views, and how often that one's history had been rewritten.
    base: "Tensor | None"
    epoch: int

    # numpy arrays leave mixed arithmetic to the tensor.
    __array_ufunc__ = None

    def __init__(self, data: Any, *, dtype: Any = None, requires_grad: bool = False) -> None:
        _initialise(self, array_of(data, dtype, copy=True))
        self.requires_grad_(requires_grad)

    @classmethod
    def of_array(cls, array: Array) -> Self:
        """Return a tensor of `array`, sharing its memory."""
        tensor = cls.__new__(cls)
        _initialise(tensor, array)
        return tensor

    @staticmethod
    def of_history(array: Array, source: tuple[Node, int] | None) -> "Tensor":
        """Return a tensor of `array` made by that output of that node."""
        tensor = wrap(array)
        if source is not None:
            tensor.node, tensor.index = source
            tensor.requires_grad = True
        return tensor

    @staticmethod
    def apply(op: Op, inputs: tuple[Any, ...]) -> Any:
        """Return `op` of `inputs`: dtypes made equal, run now, recorded if a gradient may come."""
        tensors = prepare(op, inputs)
        arrays = [t.array for t in tensors]
        if state.recorder is None:
            result = op.run(*arrays)
        else:
            state.recorder.meet(tensors)
            result = state.recorder.apply(op, arrays)
        outputs = tuple(map(wrap, result)) if isinstance(result, tuple) else (wrap(result),)
        if state.grad_enabled and op.differentiable and any(t.requires_grad for t in tensors):
            node = record(op, tensors, outputs)
            if state.anomaly:
                node.trace = callers_line()
        if isinstance(op, View):
            remember_base(tensors[0], outputs[0])
        elif state.anomaly:
            for out in outputs:
                check_output(op.name, tensors, out)
        return outputs if isinstance(result, tuple) else outputs[0]

    @property
    def shape(self) -> Shape:
        return self.array.layout.shape

    @property
    def dtype(self) -> DType:
        return self.array.dtype

    @property
    def device(self) -> str:
        return "cpu"

    @property
    def is_leaf(self) -> bool:
        """Whether no recorded operation made this tensor."""
        self.refresh()
        return self.node is None

    @property
    def grad_fn(self) -> Node | None:
        """The recorded operation that made this tensor."""
        self.refresh()
        return self.node

    @property
    def data(self) -> "Tensor":
        """The same memory without history, as PyTorch has it: writes to it are not recorded."""
        return self.detach()

    @data.setter
    def data(self, value: "Tensor") -> None:
        if value.shape != self.shape or value.dtype is not self.dtype:
            raise ShapeError(
                f"data: {value.dtype.name} {value.shape} given for a tensor of {self.dtype.name} "
                f"{self.shape}; expected the same shape and dtype: make a new tensor instead"
            )
        # Written, not swapped: views, and whoever holds this memory, see the new values.
        self.detach().copy_(value.detach())

    @property
    def version(self) -> int:
        """How often the memory was written in place."""
        return self.array.storage.version

    def detach(self) -> "Tensor":
        """Return the same memory without history."""
        return wrap(self.array)

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Ask for gradients to be added to `grad` (or no longer); return the tensor itself."""
        if requires_grad and not self.dtype.is_floating_point:
            raise GradientError(
                f"a {self.dtype.name} tensor has no gradient; convert it to float32"
            )
        if not requires_grad and self.node is not None:
            raise GradientError("a computed tensor keeps its history; detach() it instead")
        self.requires_grad = requires_grad
        return self

    def backward(
        self,
        gradient: "Tensor | None" = None,
        retain_graph: bool | None = None,
        create_graph: bool = False,
    ) -> None:
        """Add the gradient of this tensor (weighted by `gradient`) to `.grad` of every leaf behind
        it.

        >>> x = Tensor([1.0, 2.0], requires_grad=True)
        >>> (x * x).sum().backward()
        >>> x.grad
        Tensor([2., 4.])
        """
        autograd.backward(
            [self], [gradient], retain_graph=bool(retain_graph), create_graph=create_graph
        )

    def register_hook(self, hook: Hook) -> HookHandle:
        """Call `hook(gradient)` whenever the gradient of this tensor is known; it may return
        another.

        The handle's `remove()` takes it away.
        """
        self.refresh()
        if not self.requires_grad:
            raise GradientError("a hook was set on a tensor that does not require grad")
        if self.node is not None:
            hooks = self.node.hooks.setdefault(self.index, [])
        else:
            hooks = self.hooks = self.hooks if self.hooks is not None else []
        hooks.append(hook)
        return HookHandle(lambda: hooks.remove(hook))

    def retain_grad(self) -> None:
        """Add the gradient to `.grad` although this is not a leaf."""
        if self.is_leaf:
            return
        # By a weak reference: a hook of its own node must not keep the tensor alive.
        owner = weakref.ref(self)

        def keep(grad: Any) -> None:
            tensor = owner()
            if tensor is not None:
                tensor.grad = grad.detach() if tensor.grad is None else tensor.grad + grad.detach()

        self.register_hook(keep)

    def to(
        self, *targets: Any, dtype: Any = None, device: Any = None, copy: bool = False
    ) -> "Tensor":
        """Return the tensor in another dtype; the only device is the CPU.

        Takes PyTorch's forms: `to(dtype)`, `to("cpu")`, `to(other)`, `to(device, dtype)`.
        """
        for target in targets:
            if isinstance(target, Tensor):
                dtype = target.dtype
            elif isinstance(target, str) and target not in dtypes.DTYPES:
                device = target
            elif target is not None and not isinstance(target, bool):
                dtype = target
        check_device(device)
        wanted = self.dtype if dtype is None else dtypes.as_dtype(dtype)
        return self.clone() if copy and wanted is self.dtype else cast(self, wanted)

    def __repr__(self) -> str:
        return describe(self)

    def __hash__(self) -> int:
        return id(self)

    def __copy__(self) -> Self:
        if self.node is not None:
            raise GradientError("only leaves can be copied; detach() the tensor first")
        copied = type(self).of_array(self.array)
        copied.requires_grad = self.requires_grad
        return copied

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        if self.node is not None:
            raise GradientError("only leaves can be deep-copied; detach() the tensor first")
        copied = type(self).of_array(pooled(self.array.numpy()))
        copied.requires_grad = self.requires_grad
        memo[id(self)] = copied
        return copied

    def __reduce_ex__(self, protocol: Any) -> Any:
        raise DTypeError("tensors are not pickled; save them with lamina.save()")


def _initialise(tensor: Tensor, array: Array) -> None:
    tensor.array = array
    tensor.node = None
    tensor.index = 0
    tensor.requires_grad = False
    tensor.grad = None
    tensor.hooks = None
    tensor.base = None
    tensor.epoch = 0


def wrap(array: Array) -> Tensor:
    """Return a tensor of `array`, sharing its memory, without history."""
    tensor = Tensor.__new__(Tensor)
    _initialise(tensor, array)
    return tensor


def check_device(device: Any) -> None:
    """Raise DeviceError for anything but the CPU."""
    if device is not None and str(device).split(":")[0] != "cpu":
        raise DeviceError(f"device {device!r} given; Lamina computes on the CPU alone: pass 'cpu'")


def prepare(op: Op, inputs: tuple[Any, ...]) -> tuple[Tensor, ...]:
    """Return `inputs` as tensors, of the dtypes that `op` wants."""
    start = op.promotes_from
    common: DType | None = None
    settled = True
    for place, value in enumerate(inputs):
        if not isinstance(value, Tensor):
            settled = False
            continue
        if value.base is not None:
            refresh_history(value)
        if place >= start:
            dtype = value.array.dtype
            settled = settled and (common is None or common is dtype)
            common = dtype if common is None else dtypes.promote(common, dtype)
    if settled and (
        op.promotion != "float" or common is None or common.kind in ("float", "complex")
    ):
        return inputs
    return _convert_inputs(op, inputs, common)


def _convert_inputs(op: Op, inputs: tuple[Any, ...], common: DType | None) -> tuple[Tensor, ...]:
    start = op.promotes_from
    beside = common
    for place, value in enumerate(inputs):
        if place >= start and not isinstance(value, Tensor):
            own = dtype_beside(value, beside)
            common = own if common is None else dtypes.promote(common, own)
    if op.promotion == "float" and common is not None and common.kind not in ("float", "complex"):
        common = dtypes.default_float
    converted = []
    for place, value in enumerate(inputs):
        target = common if place >= start else None
        if not isinstance(value, Tensor):
            converted.append(wrap(array_of(value, target, copy=False)))
        elif op.promotion == "none" or target is None:
            converted.append(value)
        else:
            converted.append(cast(value, target))
    return tuple(converted)

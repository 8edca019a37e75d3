"""Parameter: the tensor that a module learns."""

from typing import Any, final

from lamina.memory import Array
from lamina.tensor import Tensor, asarray


@final
class Parameter(Tensor):
    """A tensor that modules find by themselves and that requires grad unless told otherwise.

    It shares the memory of `data`, as PyTorch's does; without `data` it is empty.

    >>> values = lamina.zeros(2)
    >>> weight = Parameter(values)
    >>> values.fill_(1.0)
    Tensor([1., 1.])
    >>> weight
    Parameter([1., 1.], requires_grad=True)
    """

    __slots__ = ()

    def __init__(self, data: Any = (), requires_grad: bool = True) -> None:
        super().__init__(())
        shared: Array = asarray(data).array
        self.array = shared
        self.requires_grad_(requires_grad)

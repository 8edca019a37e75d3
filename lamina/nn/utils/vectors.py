"""All parameters of a model as one vector, and back."""

from collections.abc import Iterable

from lamina.autograd import no_grad
from lamina.errors import ShapeError
from lamina.ops.shapes import copying
from lamina.tensor import Tensor


def parameters_to_vector(parameters: Iterable[Tensor]) -> Tensor:
    """Return the elements of all `parameters` end to end; gradients pass through.

    >>> parameters_to_vector([lamina.ones(2), lamina.zeros(1, 2)])
    Tensor([1., 1., 0., 0.])
    """
    return copying.concat([p.flatten() for p in parameters])


def vector_to_parameters(vec: Tensor, parameters: Iterable[Tensor]) -> None:
    """Copy the elements of `vec` into `parameters`, in the order of `parameters_to_vector`.

    ShapeError where there are more or fewer elements than the parameters hold.
    """
    targets = list(parameters)
    total = sum(p.numel() for p in targets)
    if vec.shape != (total,):
        raise ShapeError(f"a vector of shape {vec.shape} was given; expected ({total},)")
    start = 0
    with no_grad():
        for target in targets:
            stop = start + target.numel()
            target.copy_(vec[start:stop].reshape(target.shape))
            start = stop

"""Matrix product of strided views."""

from lamina.errors import DTypeError, ShapeError
from lamina.kernels.contract import Contraction
from lamina.kernels.operand import AXES, Operand, coalesce
from lamina.kernels.scalars import SCALARS


def gemm(out: Operand, a: Operand, b: Operand) -> None:
    """Write a·b into `out`: out[…, m, n] = Σ_k a[…, m, k] · b[…, k, n].

    Batch axes are equal in all three (stride 0 broadcasts); strides are free. `out` must not overlap
    the others. The bits depend on k alone, not on threads, batch or place. Raises DTypeError unless
    all are float32 or all float64, and ShapeError for sizes that do not fit.
    """
    _check(out, a, b)
    if 0 in out.shape:
        return
    if _is_turned(out):
        out, a, b = _turned(out), _turned(b), _turned(a)
    batch = _batch_axes(out, a, b)
    _run(out, a, b, batch, (0, 0, 0))


def _check(out: Operand, a: Operand, b: Operand) -> None:
    names = (out.dtype.name, a.dtype.name, b.dtype.name)
    if names[0] not in SCALARS or names != (names[0],) * 3:
        raise DTypeError(f"gemm: dtypes {names}; expected float32 or float64, the same for all three")
    shapes = (out.shape, a.shape, b.shape)
    if min(len(shape) for shape in shapes) < 2:
        raise ShapeError(f"gemm: shapes {shapes}; expected at least two axes each")
    batch, (m, n), k = out.shape[:-2], out.shape[-2:], a.shape[-1]
    if a.shape != (*batch, m, k) or b.shape != (*batch, k, n):
        raise ShapeError(f"gemm: {a.shape} · {b.shape} does not give {out.shape}")


class _Turned:
    """An operand with its last two axes exchanged."""

    __slots__ = ("address", "dtype", "shape", "strides")

    def __init__(self, operand: Operand) -> None:
        self.address = operand.address
        self.dtype = operand.dtype
        self.shape = (*operand.shape[:-2], operand.shape[-1], operand.shape[-2])
        self.strides = (*operand.strides[:-2], operand.strides[-1], operand.strides[-2])


def _turned(operand: Operand) -> Operand:
    return _Turned(operand)


def _is_turned(out: Operand) -> bool:
    """Return whether outᵀ = bᵀ·aᵀ is the better product: its rows are what lies side by side."""
    (m, n), (row, column) = out.shape[-2:], out.strides[-2:]
    return row == 1 and column != 1 and m > 1 or n == 1 and m > 1


def _batch_axes(out: Operand, a: Operand, b: Operand) -> list[tuple[int, ...]]:
    axes = zip(out.shape, out.strides, a.strides, b.strides, strict=True)
    return coalesce(list(axes)[:-2])


def _run(
    out: Operand, a: Operand, b: Operand, batch: list[tuple[int, ...]], start: tuple[int, ...]
) -> None:
    if len(batch) > AXES:
        size, *strides = batch[0]
        for index in range(size):
            moved = tuple(s + index * stride for s, stride in zip(start, strides, strict=True))
            _run(out, a, b, batch[1:], moved)
        return
    bytes_each = SCALARS[out.dtype.name].bytes
    m, n = out.shape[-2:]
    Contraction(
        dtype=out.dtype.name,
        out=out.address + start[0] * bytes_each,
        a=a.address + start[1] * bytes_each,
        b=b.address + start[2] * bytes_each,
        m=m,
        out_row=out.strides[-2],
        a_row=a.strides[-2],
        columns=[(n, out.strides[-1], b.strides[-1])],
        sums=[(a.shape[-1], a.strides[-1], b.strides[-2])],
        batch=batch,
    ).run()

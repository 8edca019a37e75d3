"""Matrix product of strided views."""

from dataclasses import replace
from functools import lru_cache

from lamina.codegen import threads
from lamina.errors import DTypeError, ShapeError
from lamina.kernels.gemm.contract import Contraction
from lamina.kernels.gemm.rows import MOST_ROWS, FewRows
from lamina.kernels.launch import LEFT, OUT, PLANS_KEPT, RIGHT, Place, Plan, Step, View
from lamina.kernels.operand import AXES, Operand, Shape, coalesce
from lamina.kernels.scalars import SCALARS

Layout = tuple[Shape, Shape]


def gemm(out: Operand, a: Operand, b: Operand) -> None:
    """Write a·b into `out`: out[…, m, n] = Σ_k a[…, m, k] · b[…, k, n].

    Batch axes are equal in all three (stride 0 broadcasts); strides are free. `out` must not
    overlap the others. The bits depend on k alone, not on threads, batch or place. Raises
    DTypeError unless all are float32 or all float64, and ShapeError for sizes that do not fit.
    """
    plan = _plan(
        (out.dtype.name, a.dtype.name, b.dtype.name),
        (out.shape, out.strides),
        (a.shape, a.strides),
        (b.shape, b.strides),
        threads.num_threads(),
    )
    plan.run(out.address, a.address, b.address)


@lru_cache(maxsize=PLANS_KEPT)
def _plan(dtypes: tuple[str, ...], out: Layout, a: Layout, b: Layout, workers: int) -> Plan:
    _check(dtypes, out[0], a[0], b[0])
    if 0 in out[0]:
        return Plan(())
    itemsize = SCALARS[dtypes[0]].bytes
    bases = zip((OUT, LEFT, RIGHT), (out, a, b), strict=True)
    views = [View(Place(base, 0), *layout, itemsize) for base, layout in bases]
    if _is_turned(views[0], views[1]):
        views = [_turned(views[0]), _turned(views[2]), _turned(views[1])]
    axes = zip(out[0][:-2], *(view.strides[:-2] for view in views), strict=True)
    batch = _folded(views, coalesce(list(axes)))
    return Plan(tuple(_steps(dtypes[0], views, batch)))


def _check(dtypes: tuple[str, ...], out: Shape, a: Shape, b: Shape) -> None:
    if dtypes[0] not in SCALARS or dtypes != (dtypes[0],) * 3:
        raise DTypeError(f"gemm: dtypes {dtypes}; expected float32 or float64, the same for all")
    if min(len(out), len(a), len(b)) < 2:
        raise ShapeError(f"gemm: shapes {out}, {a}, {b}; expected at least two axes each")
    batch, (m, n), k = out[:-2], out[-2:], a[-1]
    if a != (*batch, m, k) or b != (*batch, k, n):
        raise ShapeError(f"gemm: {a} · {b} does not give {out}")


def _turned(view: View) -> View:
    """Return `view` with its last two axes exchanged."""
    shape, strides = view.shape, view.strides
    return replace(
        view,
        shape=(*shape[:-2], shape[-1], shape[-2]),
        strides=(*strides[:-2], strides[-1], strides[-2]),
    )


def _is_turned(out: View, a: View) -> bool:
    """Return whether outᵀ = bᵀ·aᵀ is the better product: its rows are few, or lie side by side."""
    (m, n), (row, column) = out.shape[-2:], out.strides[-2:]
    if min(m, n) <= MOST_ROWS:
        return n < m and (n == 1 or 1 in a.strides[-2:])
    return row == 1 and column != 1


def _folded(views: list[View], batch: list[tuple[int, ...]]) -> list[tuple[int, ...]]:
    """Take batch axes that b does not have as further rows of `views`; return the other axes."""
    while batch and batch[-1][3] == 0:
        size, *strides = batch[-1]
        m = views[0].shape[-2]
        if any(m > 1 and step != m * view.strides[-2] for view, step in zip(views[:2], strides)):
            break
        for place, step in enumerate(strides[:2]):
            view = views[place]
            views[place] = replace(
                view,
                shape=(*view.shape[:-2], size * m, view.shape[-1]),
                strides=(
                    *view.strides[:-2],
                    step if m == 1 else view.strides[-2],
                    view.strides[-1],
                ),
            )
        batch = batch[:-1]
    return batch


def _steps(dtype: str, views: list[View], batch: list[tuple[int, ...]]) -> list[Step]:
    if len(batch) > AXES:
        size, *strides = batch[0]
        steps = []
        for index in range(size):
            pairs = zip(views, strides, strict=True)
            moved = [view.moved(index * stride) for view, stride in pairs]
            steps += _steps(dtype, moved, batch[1:])
        return steps
    out, a, b = views
    if out.shape[-2] <= MOST_ROWS and 1 in b.strides[-2:]:
        return [_few_rows(dtype, views, batch)]
    contraction = Contraction(
        dtype=dtype,
        out=out.place,
        a=a.place,
        b=b.place,
        m=out.shape[-2],
        out_row=out.strides[-2],
        a_row=a.strides[-2],
        columns=[(out.shape[-1], out.strides[-1], b.strides[-1])],
        sums=[(a.shape[-1], a.strides[-1], b.strides[-2])],
        batch=batch,
    )
    return [contraction.step()]


def _few_rows(dtype: str, views: list[View], batch: list[tuple[int, ...]]) -> Step:
    out, a, b = views
    return FewRows(
        dtype=dtype,
        out=out.place,
        a=a.place,
        b=b.place,
        m=out.shape[-2],
        n=out.shape[-1],
        k=a.shape[-1],
        out_strides=out.strides[-2:],
        a_strides=a.strides[-2:],
        b_strides=b.strides[-2:],
        batch=batch,
    ).step()

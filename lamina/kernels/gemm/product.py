"""Matrix product of strided views."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from lamina.codegen import threads
from lamina.errors import DTypeError, LayoutError, ShapeError
from lamina.kernels.apart import Extent, Neighbours
from lamina.kernels.gemm.arithmetic import Recipe, arithmetic_of
from lamina.kernels.gemm.contract import Contraction, FurtherOperand
from lamina.kernels.gemm.epilogue import Epilogue
from lamina.kernels.gemm.finish import APART, CONSTANT, SIDE_BY_SIDE
from lamina.kernels.gemm.packed import PackedRight
from lamina.kernels.gemm.rows import MOST_ROWS, FewRows
from lamina.kernels.launch import FURTHER, LEFT, OUT, PLANS_KEPT, RIGHT, Place, Plan, Step, View
from lamina.kernels.operand import AXES, Operand, Shape, coalesce
from lamina.kernels.scalars import STORED
from lamina.layout import Layout

_Laid = tuple[str, Shape, Shape]


def gemm(
    out: Operand,
    a: Operand,
    b: Operand | PackedRight,
    *,
    epilogue: Epilogue | None = None,
    inputs: Sequence[Operand] = (),
) -> None:
    """Write a·b into `out`: out[…, m, n] = Σ_k a[…, m, k] · b[…, k, n].

    Batch axes are equal in all three (stride 0 broadcasts); strides are free. Both of a and b are
    float64; or each is float32, float16 or bfloat16, added up in float32; or each is int8 or uint8,
    added up in int32, exactly where that holds the sum. An `epilogue` says what becomes of the
    sums, with `inputs` that broadcast to `out`, before they are stored; the bits are those of the
    same expression over stored sums. They depend on k alone, not on threads, batch or place, nor
    on whether b was packed in advance (`pack_right`); packed, it has no batch axes.

    Raises DTypeError for dtypes that do not meet, ShapeError for sizes that do not fit, LayoutError
    where `out` shares memory with another operand or with itself.
    """
    operands = (out, a, b, *inputs) if inputs else (out, a, b)
    plan, neighbours = _plan(
        tuple([(x.dtype.name, x.shape, x.strides) for x in operands]),
        epilogue,
        isinstance(b, PackedRight),
        threads.num_threads(),
    )
    addresses = [x.address for x in operands]
    neighbours.check(addresses)
    plan.run(*addresses)


@lru_cache(maxsize=PLANS_KEPT)
def _plan(
    operands: tuple[_Laid, ...], epilogue: Epilogue | None, is_packed: bool, workers: int
) -> tuple[Plan, Neighbours]:
    (out_dtype, out, _), (a_dtype, a, _), (b_dtype, b, _), *further = operands
    b_strides = operands[2][2]
    if is_packed:
        b, b_strides = (*out[:-2], *b), (*(0 for _ in out[:-2]), *b_strides)
    _check_shapes(out, a, b)
    recipe = Recipe(out_dtype, a_dtype, b_dtype, epilogue, is_packed=is_packed)
    _check_dtypes(recipe, len(further))
    if Layout(*operands[0][1:]).overlaps_itself:
        raise LayoutError(
            f"gemm: the output {out} has several elements in one place; copy it first"
        )
    extents = [Extent.of(x[1], x[2], STORED[x[0]].bytes) for x in operands]
    neighbours = Neighbours.of("gemm", extents)
    if 0 in out:
        return Plan(()), neighbours
    laid = (operands[0], operands[1], (b_dtype, b, b_strides))
    views = [
        View(Place(base, 0), shape, strides, STORED[dtype].bytes)
        for base, (dtype, shape, strides) in zip((OUT, LEFT, RIGHT), laid, strict=True)
    ]
    for number, (dtype, shape, strides) in enumerate(further):
        steps = _broadcast(shape, strides, out)
        views.append(View(Place(FURTHER + number, 0), out, steps, STORED[dtype].bytes))
    product = _Product(recipe, tuple(x[0] for x in further), views)
    if not is_packed and _is_turned(views[0], views[1]):
        product = product.turned()
    return Plan(tuple(product.steps())), neighbours


def _check_shapes(out: Shape, a: Shape, b: Shape) -> None:
    if min(len(out), len(a), len(b)) < 2:
        raise ShapeError(f"gemm: shapes {out}, {a}, {b}; expected at least two axes each")
    batch, (m, n), k = out[:-2], out[-2:], a[-1]
    if a != (*batch, m, k) or b != (*batch, k, n):
        raise ShapeError(f"gemm: {a} · {b} does not give {out}")


def _check_dtypes(recipe: Recipe, given: int) -> None:
    unknown = [name for name in (recipe.out, recipe.a, recipe.b) if name not in STORED]
    if unknown:
        raise DTypeError(
            f"gemm: {unknown[0]} given; expected floats or bytes: convert the operand with .to()"
        )
    total = arithmetic_of(recipe).total
    expected = 0 if recipe.epilogue is None else recipe.epilogue.inputs
    if given != expected:
        raise ShapeError(f"gemm: {given} inputs of the epilogue given; it reads {expected}")
    out = STORED.get(recipe.out)
    if recipe.epilogue is None and not (out == total or (out and total.bits == 32 and out.is_half)):
        raise DTypeError(
            f"gemm: sums of {recipe.a} and {recipe.b} are {total.name}, {recipe.out} was given for "
            "the output; give that dtype, a 16-bit float for float32, or an epilogue that converts"
        )


def _broadcast(shape: Shape, strides: Shape, out: Shape) -> Shape:
    """Return the strides of an operand seen as one of shape `out`."""
    missing = len(out) - len(shape)
    pairs = zip(shape, out[max(missing, 0) :], strict=True) if missing >= 0 else ()
    if missing < 0 or any(size not in (1, whole) for size, whole in pairs):
        raise ShapeError(
            f"gemm: an input of the epilogue is {shape}; expected to broadcast to {out}"
        )
    steps = (0 if size == 1 else step for size, step in zip(shape, strides, strict=True))
    return (0,) * missing + tuple(steps)


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


@dataclass(frozen=True, slots=True)
class _Product:
    """A product to plan: views of out, a and b, and of further operands in the shape of out."""

    recipe: Recipe
    dtypes: tuple[str, ...]
    views: list[View]

    def turned(self) -> "_Product":
        """Return outᵀ = bᵀ·aᵀ."""
        out, a, b, *further = (_turned(view) for view in self.views)
        recipe = self.recipe._replace(a=self.recipe.b, b=self.recipe.a)
        return _Product(recipe, self.dtypes, [out, b, a, *further])

    def steps(self) -> list[Step]:
        """Return the kernel calls that compute it."""
        shape = self.views[0].shape[:-2]
        axes = zip(shape, *(view.strides[:-2] for view in self.views), strict=True)
        batch = _folded(self.views, coalesce(list(axes)))
        return self._steps_of(self.views, batch)

    def _steps_of(self, views: list[View], batch: list[tuple[int, ...]]) -> list[Step]:
        if len(batch) <= AXES:
            return [self._step(views, batch)]
        # Call by call along the shortest axis.
        place = min(range(len(batch)), key=lambda axis: batch[axis][0])
        size, *strides = batch[place]
        steps = []
        for index in range(size):
            pairs = zip(views, strides, strict=True)
            moved = [view.moved(index * stride) for view, stride in pairs]
            steps += self._steps_of(moved, batch[:place] + batch[place + 1 :])
        return steps

    def _step(self, views: list[View], batch: list[tuple[int, ...]]) -> Step:
        out, a, b, *inputs = views
        lies = (_lies(view.strides[-1]) for view in inputs)
        recipe = self.recipe._replace(inputs=tuple(zip(self.dtypes, lies, strict=True)))
        further = tuple(FurtherOperand(view.place, *view.strides[-2:]) for view in inputs)
        if out.shape[-2] <= MOST_ROWS and 1 in b.strides[-2:] and not recipe.is_packed:
            return FewRows(
                recipe=recipe,
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
                further=further,
            ).step()
        return Contraction(
            recipe=recipe,
            out=out.place,
            a=a.place,
            b=b.place,
            m=out.shape[-2],
            out_row=out.strides[-2],
            a_row=a.strides[-2],
            columns=[(out.shape[-1], out.strides[-1], b.strides[-1])],
            sums=[(a.shape[-1], a.strides[-1], b.strides[-2])],
            batch=batch,
            further=further,
        ).step()


def _lies(stride: int) -> str:
    return {0: CONSTANT, 1: SIDE_BY_SIDE}.get(stride, APART)


def _folded(views: list[View], batch: list[tuple[int, ...]]) -> list[tuple[int, ...]]:
    """Take batch axes that b does not have as further rows of `views`; return the other axes."""
    while batch and batch[-1][3] == 0:
        size, *strides = batch[-1]
        m = views[0].shape[-2]
        rows = [place for place in range(len(views)) if place != 2]
        if any(m > 1 and strides[place] != m * views[place].strides[-2] for place in rows):
            break
        for place in rows:
            view = views[place]
            views[place] = replace(
                view,
                shape=(*view.shape[:-2], size * m, view.shape[-1]),
                strides=(
                    *view.strides[:-2],
                    strides[place] if m == 1 else view.strides[-2],
                    view.strides[-1],
                ),
            )
        batch = batch[:-1]
    return batch

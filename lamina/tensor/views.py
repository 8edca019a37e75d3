"""Writes in place, and how they reach the history of a view and of what it views.

After a recorded write to a view, its base is what it was with those elements replaced
(`strided_write`), and the view reads from that (`as_strided`). Other views of the base learn of it
when they are next used: their `epoch` lags behind the base's.
"""

from typing import Any

from lamina.autograd.grad_mode import state
from lamina.autograd.tape import record
from lamina.errors import GradientError, LayoutError, ShapeError
from lamina.layout import Layout
from lamina.ops.strided import StridedRead, StridedWrite

Tensor = Any


def remember_base(source: Tensor, view: Tensor) -> None:
    """Note that `view` shares the memory of `source`, if it does."""
    if view.array.storage is source.array.storage:
        base = source if source.base is None else source.base
        view.base, view.epoch = base, base.epoch


def refresh_history(view: Tensor) -> None:
    """Give a view the history its base has had since."""
    base = view.base
    if view.epoch != base.epoch:
        view.epoch = base.epoch
        if base.requires_grad:
            record(StridedRead(_within(base, view)), (base,), (view,))


def assign(target: Tensor, value: Tensor) -> Tensor:
    """Write `value` into the memory of `target`, which takes its history too; return `target`."""
    if value.shape != target.shape:
        raise ShapeError(
            f"a result of shape {value.shape} cannot be written in place to shape {target.shape}"
        )
    tracked = state.grad_enabled and (target.requires_grad or value.requires_grad)
    check_write(target, tracked=tracked)
    target.array.numpy()[...] = value.array.numpy()
    target.array.storage.version += 1
    if tracked:
        _rewrite_history(target, value.to(target.dtype))
    return target


def check_write(target: Tensor, *, tracked: bool) -> None:
    """Raise a typed error where `target` must not be written in place."""
    target.array.storage.check_writable()
    if target.array.layout.overlaps_itself:
        raise LayoutError(
            "elements of this tensor share memory (it was expanded); clone() it first"
        )
    if not tracked:
        return
    owner = target if target.base is None else target.base
    if owner.requires_grad and owner.node is None:
        raise GradientError(
            "a leaf that requires grad was written in place; write under no_grad(), or to a clone()"
        )


def _rewrite_history(target: Tensor, value: Tensor) -> None:
    base = target.base
    if base is None:
        target.node, target.index = value.node, value.index
        target.requires_grad = value.requires_grad
        target.epoch += 1
        return
    record(StridedWrite(_within(base, target)), (base, value), (base,))
    base.epoch += 1
    target.epoch = base.epoch
    record(StridedRead(_within(base, target)), (base,), (target,))


def _within(base: Tensor, view: Tensor) -> Layout:
    """Return the layout of `view` counted in the elements of `base`."""
    if not base.array.layout.is_contiguous:
        raise GradientError(
            "a write in place to a view of a non-contiguous tensor cannot be recorded; "
            "use base.contiguous(), or where() and index_put()"
        )
    layout: Layout = view.array.layout
    return layout._replace(offset=layout.offset - base.array.layout.offset)

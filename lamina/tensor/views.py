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
from lamina.ops.registry import View
from lamina.ops.shapes.copying import copy
from lamina.ops.shapes.movement import Permute
from lamina.ops.shapes.strided import StridedRead, StridedWrite

Tensor = Any


def remember_base(source: Tensor, view: Tensor) -> None:
    """Note that `view` shares the memory of `source`, if it does."""
    if view.array.storage is source.array.storage:
        base = source if source.base is None else source.base
        view.base, view.epoch = base, base.epoch


def refresh_history(view: Tensor) -> None:
    """Give a view the history its base has had since."""
    base = view.base
    if view.epoch == base.epoch:
        return
    view.epoch = base.epoch
    if base.requires_grad:
        _read(base, view)
    else:
        view.node, view.index, view.requires_grad = None, 0, False


def rejoin_base(view: Tensor) -> None:
    """Give a view about to be written the history of its base, if it was made without one."""
    view.refresh()
    base = view.base
    if base is not None and base.requires_grad and not view.requires_grad:
        _read(base, view)


def is_tracked(target: Tensor, value: Any) -> bool:
    """Whether a write of `value` into `target` is recorded."""
    if not state.grad_enabled:
        return False
    base = target.base
    return (
        target.requires_grad
        or getattr(value, "requires_grad", False)
        or (base is not None and base.requires_grad)
    )


def assign(target: Tensor, value: Tensor) -> Tensor:
    """Write `value` into the memory of `target`, whose history is a copy of it; return `target`."""
    target.refresh()
    value.refresh()
    if target.base is not None and _is_same_view(target, value):
        return target
    tracked = is_tracked(target, value)
    _write(target, value, tracked=tracked)
    if tracked and target.base is None:
        record(copy, (value,), (target,))
        target.epoch += 1
    elif tracked:
        _write_through(target, value)
    return target


def become(target: Tensor, value: Tensor) -> Tensor:
    """Write `value`, which nobody else holds, into `target`, which takes its history; return that.

    One node less than `assign`.
    """
    target.refresh()
    tracked = is_tracked(target, value)
    _write(target, value, tracked=tracked)
    if tracked and target.base is None:
        target.node, target.index = value.node, value.index
        target.requires_grad = value.requires_grad
        target.epoch += 1
    elif tracked:
        _write_through(target, value)
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


def _is_same_view(target: Tensor, value: Tensor) -> bool:
    """Whether the two are one view made twice, as in `a[0] += b`: nothing is left to write."""
    return (
        value.base is target.base
        and value.array.layout == target.array.layout
        and value.requires_grad == target.requires_grad
    )


def _write(target: Tensor, value: Tensor, *, tracked: bool) -> None:
    if value.shape != target.shape:
        raise ShapeError(
            f"a result of shape {value.shape} cannot be written in place to shape {target.shape}"
        )
    check_write(target, tracked=tracked)
    if state.recorder is not None:
        state.recorder.write(target.array, value.array)
        return
    target.array.numpy()[...] = value.array.numpy()
    target.array.storage.version += 1


def _write_through(view: Tensor, value: Tensor) -> None:
    """Record that `value` was written to `view`, in the histories of its base and of itself."""
    base = view.base
    ordered, order = _in_memory_order(base)
    write = StridedWrite(_within(base, view))
    if order is None:
        record(write, (base, value), (base,))
    else:
        written = ordered.detach()
        record(write, (ordered, value), (written,))
        record(Permute(_inverse(order)), (written,), (base,))
    base.epoch += 1
    view.epoch = base.epoch
    _read(base, view)


def _read(base: Tensor, view: Tensor) -> None:
    """Record that `view` is what its base holds in its place."""
    ordered, _ = _in_memory_order(base)
    record(StridedRead(_within(base, view)), (ordered,), (view,))


def _within(base: Tensor, view: Tensor) -> Layout:
    """Return the layout of `view` counted from the first element of `base`."""
    layout: Layout = view.array.layout
    return layout._replace(offset=layout.offset - base.array.layout.offset)


def _in_memory_order(base: Tensor) -> tuple[Tensor, tuple[int, ...] | None]:
    """Return `base` with its axes in the order in which they lie in memory, and that order."""
    layout: Layout = base.array.layout
    if layout.is_contiguous:
        return base, None
    order = tuple(sorted(range(len(layout.shape)), key=lambda axis: -layout.strides[axis]))
    op: View = Permute(order)
    moved = op.relayout(layout)
    if moved is None or not moved.is_contiguous:
        raise GradientError(
            "a write in place to a view of a tensor with gaps in memory cannot be recorded; "
            "use base.contiguous(), or where() and index_put()"
        )
    ordered = base.of_history(base.array.with_layout(moved), None)
    record(op, (base,), (ordered,))
    return ordered, order


def _inverse(order: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(sorted(range(len(order)), key=order.__getitem__))

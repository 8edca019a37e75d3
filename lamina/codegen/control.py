"""Loops and branches that run in the kernel; Python's own unroll and choose at compile time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from lamina.codegen.emission import Emission
from lamina.codegen.types import element_of, i64
from lamina.codegen.values import Value
from lamina.errors import CompileError


@dataclass(slots=True)
class Loop:
    """One run-time loop: `index`, the `carried` values, `next` to be set, `results` after it."""

    index: Value
    carried: list[Value]
    next: list[Value] = field(default_factory=list)
    results: list[Value] = field(default_factory=list)


class Control(Emission):
    """Emits loops and branches."""

    @contextmanager
    def loop(
        self,
        stop: Value | int,
        *,
        start: Value | int = 0,
        step: Value | int = 1,
        carry: Sequence[Value] = (),
    ) -> Iterator[Loop]:
        """Run the body for index = start, start + step, … < stop.

        `carry` gives the first values of `turn.carried`; the body sets `turn.next`, and after the
        loop `turn.results` holds what the last turn set, or `carry` where no turn ran.
        """
        start, stop, step = self.integer(start), self.integer(stop), self.integer(step)
        entry = self.emit.block
        head, body, after = (
            self.emit.append_basic_block(name) for name in ("head", "body", "after")
        )
        self.emit.branch(head)
        self.emit.position_at_end(head)
        index = self.emit.phi(start.ir.type)
        phis = [self.emit.phi(value.ir.type) for value in carry]
        self.emit.cbranch(self.emit.icmp_signed("<", index, stop.ir), body, after)
        self.emit.position_at_end(body)
        carried = [Value(self.emit, p, v.type) for p, v in zip(phis, carry, strict=True)]
        turn = Loop(Value(self.emit, index, i64), carried)
        with self.emit.scopes.scope("loop"):
            yield turn
            self._check_next(carry, turn.next)
        following = self.emit.add(index, step.ir, flags=("nsw",))
        last = self.emit.block
        self.emit.branch(head)
        index.add_incoming(start.ir, entry)
        index.add_incoming(following, last)
        for phi, first, value in zip(phis, carry, turn.next, strict=True):
            phi.add_incoming(first.ir, entry)
            phi.add_incoming(value.ir, last)
        self.emit.position_at_end(after)
        turn.results = turn.carried

    def _check_next(self, carry: Sequence[Value], following: Sequence[Value]) -> None:
        if len(following) != len(carry):
            raise CompileError(
                f"loop: carries {len(carry)} values, but next has {len(following)}\n"
                "set turn.next to as many values as carry has"
            )
        for number, (first, value) in enumerate(zip(carry, following, strict=True)):
            if value.type != first.type:
                raise CompileError(
                    f"loop: carries {first.type} as value {number}, but next has {value.type}\n"
                    f"convert it: k.convert(value, {element_of(first.type)})"
                )
            self.emit.scopes.check(value.ir)

    @contextmanager
    def repeat_while(self, condition: Callable[[], Value]) -> Iterator[None]:
        """Run the body as long as `condition`, evaluated before each turn, holds."""
        head, body, after = (
            self.emit.append_basic_block(name) for name in ("test", "turn", "done")
        )
        self.emit.branch(head)
        self.emit.position_at_end(head)
        self.emit.cbranch(condition().ir, body, after)
        self.emit.position_at_end(body)
        with self.emit.scopes.scope("loop"):
            yield
        self.emit.branch(head)
        self.emit.position_at_end(after)

    @contextmanager
    def when(self, condition: Value) -> Iterator[None]:
        """Run the body where `condition` holds."""
        with self.emit.if_then(condition.ir), self.emit.scopes.scope("branch"):
            yield

    @contextmanager
    def either(self, condition: Value) -> Iterator[tuple[Any, Any]]:
        """Give two contexts, one for each outcome of `condition`: `with then: … with otherwise:
        …`.
        """
        with self.emit.if_else(condition.ir) as branches:
            then, otherwise = branches
            yield self._branch(then), self._branch(otherwise)

    @contextmanager
    def _branch(self, branch: Any) -> Iterator[None]:
        with branch, self.emit.scopes.scope("branch"):
            yield

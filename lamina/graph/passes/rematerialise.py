"""Values computed again instead of kept: less memory for more work.

A value that a forward pass makes and only the backward pass reads fills memory in between. Where
the most is alive, the one that frees most bytes for the least work is made a second time, just
before it is needed, of what is still there then; and so on until the target is met, or nothing
helps any more. Ops are deterministic, so every bit stays. Jain et al., "Checkmate: Breaking the
Memory Wall with Optimal Tensor Rematerialization" (2020), solve the same problem exactly.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import final

from lamina.graph.ir import Graph, Node, Value
from lamina.ops.registry import View

# A chain of ops to run again must be short: each link keeps its own operands alive.
_LONGEST = 12
_MOST_TURNS = 1000


def rematerialise(graph: Graph, target: int) -> Graph:
    """Return a graph that keeps `target` bytes alive at most, or as few as it could find."""
    nodes, refused = list(graph.nodes), set[tuple[Value, Value]]()
    lives = _Lives.of(graph, nodes)
    for _ in range(_MOST_TURNS):
        if lives.most <= target:
            break
        choice = lives.choose(refused)
        if choice is None:
            break
        changed = lives.again(choice)
        after = _Lives.of(graph, changed)
        is_less = after.most < lives.most or after.busiest != lives.busiest
        if after.most <= lives.most and is_less:
            nodes, lives = changed, after
        else:
            refused.add((choice.value, choice.node.outputs[0]))
    return graph.with_nodes(nodes)


@final
@dataclass(frozen=True, slots=True)
class _Choice:
    """A value to make again just before a node that reads it, by way of these nodes."""

    value: Value
    node: Node
    place: int
    chain: tuple[Node, ...]
    score: float


@final
@dataclass(slots=True)
class _Lives:
    """Which memory is alive at which node; views count as what they are views of."""

    nodes: list[Node]
    makers: Mapping[Value, Node]
    roots: dict[Value, Value]
    born: dict[Value, int]
    uses: dict[Value, list[int]]
    kept: set[Value]
    places: dict[Node, int]
    alive: list[int] = field(default_factory=list)

    @staticmethod
    def of(graph: Graph, nodes: list[Node]) -> "_Lives":
        """Return the lives of what `nodes` make; inputs and captured memory are always there."""
        roots: dict[Value, Value] = {}
        born: dict[Value, int] = {}
        uses: dict[Value, list[int]] = {}
        for place, node in enumerate(nodes):
            for value in node.inputs:
                root = roots.get(value)
                if root is not None:
                    uses[root].append(place)
            for value in node.outputs:
                source = node.inputs[0] if isinstance(node.op, View) else None
                if source is not None:
                    if source in roots:
                        roots[value] = roots[source]
                    continue
                roots[value], born[value], uses[value] = value, place, []
        kept = {roots[value] for value in graph.results if value in roots}
        makers = {value: node for node in nodes for value in node.outputs}
        places = {node: place for place, node in enumerate(nodes)}
        lives = _Lives(nodes, makers, roots, born, uses, kept, places)
        lives._count()
        return lives

    def _count(self) -> None:
        changes = [0] * (len(self.nodes) + 1)
        for value, place in self.born.items():
            if value not in self.kept:
                changes[place] += value.nbytes
                changes[self._end(value) + 1] -= value.nbytes
        total = 0
        for change in changes[:-1]:
            total += change
            self.alive.append(total)

    def _end(self, value: Value) -> int:
        return max(self.uses[value], default=self.born[value])

    @property
    def most(self) -> int:
        """The most bytes that are alive at one node."""
        return max(self.alive, default=0)

    @property
    def busiest(self) -> int:
        """The first node at which that is so."""
        return self.alive.index(self.most)

    def choose(self, refused: set[tuple[Value, Value]]) -> _Choice | None:
        """Return what is best made again to free memory at the busiest node."""
        place = self.busiest
        found = [choice for choice in self._choices(place) if not self._is(choice, refused)]
        return max(found, key=lambda choice: choice.score, default=None)

    @staticmethod
    def _is(choice: _Choice, refused: set[tuple[Value, Value]]) -> bool:
        return (choice.value, choice.node.outputs[0]) in refused

    def _choices(self, place: int) -> Iterator[_Choice]:
        for value, start in self.born.items():
            uses = self.uses[value]
            idle = start < place < self._end(value) and place not in uses
            if not idle or value in self.kept:
                continue
            after = min(use for use in uses if use > place)
            chain = self._chain(value, after)
            if chain is not None:
                work = sum(node.op.operations(*(v.spec for v in _first(node))) for node in chain)
                yield _Choice(
                    value, self.nodes[after], after, tuple(chain), value.nbytes / (work + 1)
                )

    def _chain(self, value: Value, place: int) -> list[Node] | None:
        """Return the nodes that make a value of what is alive at `place`; None: too many."""
        chain: list[Node] = []
        wanted = [value]
        while wanted:
            maker = self.makers[wanted.pop()]
            if maker in chain:
                continue
            chain.append(maker)
            if len(chain) > _LONGEST:
                return None
            for x in maker.inputs:
                root = self.roots.get(x)
                is_alive = root is None or (root is not value and self._end(root) >= place)
                if x in self.makers and (not is_alive or root is value):
                    wanted.append(x)
        return sorted(chain, key=self.places.__getitem__)

    def again(self, choice: _Choice) -> list[Node]:
        """Return the nodes with the value made a second time for all that reads it from there."""
        renamed: dict[Value, Value] = {}
        copies = [_copied(node, renamed) for node in choice.chain]
        before, after = self.nodes[: choice.place], self.nodes[choice.place :]
        views: list[Node] = []
        for node in after:
            for value in node.inputs:
                if self.roots.get(value) is choice.value:
                    self._review(value, renamed, views)
        return [*before, *copies, *views, *(_renamed(node, renamed) for node in after)]

    def _review(self, value: Value, renamed: dict[Value, Value], views: list[Node]) -> None:
        """See that a view of the value, made before, is made of the second one."""
        if value in renamed:
            return
        maker = self.makers[value]
        self._review(maker.inputs[0], renamed, views)
        views.append(_copied(maker, renamed))


def _first(node: Node) -> tuple[Value, ...]:
    return (node.outputs[0], *node.inputs)


def _copied(node: Node, renamed: dict[Value, Value]) -> Node:
    """Return the same op on values as they are `renamed`; its outputs are new, and added."""
    copy = Node.of(node.op, *(renamed.get(x, x) for x in node.inputs))
    renamed.update(zip(node.outputs, copy.outputs, strict=True))
    return copy


def _renamed(node: Node, renamed: Mapping[Value, Value]) -> Node:
    if not any(x in renamed for x in node.inputs):
        return node
    return replace(node, inputs=tuple(renamed.get(x, x) for x in node.inputs))

"""What programs compute ahead: values made of nothing but constants.

All programs of one function share them, so that weights packed for one batch size serve every
other. They live as long as a program that reads them.
"""

from collections.abc import Hashable, Iterable
from typing import final
from weakref import WeakValueDictionary

from lamina.graph.ir import Graph, Node, Value
from lamina.memory import Array, Storage
from lamina.ops.registry import View


@final
class Known:
    """Values that were computed, and what the memory they were computed of had seen then."""

    __slots__ = ("__weakref__", "arrays", "sources", "versions")

    def __init__(self, arrays: tuple[Array, ...], sources: Iterable[Storage]) -> None:
        self.arrays = arrays
        self.sources = tuple({id(s): s for s in sources}.values())
        self.versions = [storage.version for storage in self.sources]

    @property
    def is_current(self) -> bool:
        """Whether none of that memory was written since."""
        return [storage.version for storage in self.sources] == self.versions


Shared = WeakValueDictionary[Hashable, Known]
"""Values by what they are computed of: an op with its operands, down to memory."""


@final
class Constants:
    """The constants of a graph, computed when somebody reads them."""

    def __init__(self, graph: Graph, shared: Shared) -> None:
        self._shared = shared
        self._captured = {v: graph.captured[v] for v in graph.constants}
        self._made: dict[Value, Node] = {}
        self._keys: dict[Value, Hashable] = {}
        for node in graph.nodes:
            if all(x in self for x in node.inputs):
                self._made.update(dict.fromkeys(node.outputs, node))
        # What programs must keep alive.
        self.used: dict[int, Known] = {}

    def __contains__(self, value: Value) -> bool:
        return value in self._captured or value in self._made

    def array(self, value: Value) -> Array:
        """Return the array that a constant is."""
        if value in self._captured:
            return self._captured[value]
        node = self._made[value]
        key = self._key(value)
        known = self._shared.get(key)
        if known is None or not known.is_current:
            known = self._shared[key] = self._computed(node)
        self.used[id(known)] = known
        return known.arrays[node.outputs.index(value)]

    def _key(self, value: Value) -> Hashable:
        """Return what tells the node that makes a value from all others."""
        if value not in self._keys:
            if value in self._captured:
                array = self._captured[value]
                self._keys[value] = (id(array.storage), array.layout, array.dtype)
            else:
                node = self._made[value]
                places = tuple(self._place(x) for x in node.inputs)
                self._keys[value] = (node.op, *map(self._key, node.inputs), places)
        return self._keys[value]

    def _place(self, value: Value) -> int:
        return self._made[value].outputs.index(value) if value in self._made else 0

    def _computed(self, node: Node) -> Known:
        held: dict[Value, Array] = {}
        sources: list[Storage] = []
        arrays = tuple(self._compute(value, held, sources) for value in node.outputs)
        # A view shows what the memory holds now, whenever that is.
        is_view = all(isinstance(self._made[v].op, View) for v in held)
        is_seen = is_view and all(any(a.storage is s for s in sources) for a in arrays)
        return Known(arrays, () if is_seen else sources)

    def _compute(self, value: Value, held: dict[Value, Array], sources: list[Storage]) -> Array:
        """Return the array that a constant is, by way of those in `held`, to which it is added."""
        if value in self._captured:
            array = self._captured[value]
            sources.append(array.storage)
            return array
        if value not in held:
            maker = self._made[value]
            found = maker.op.run(*(self._compute(x, held, sources) for x in maker.inputs))
            outputs = found if isinstance(found, tuple) else (found,)
            held.update(zip(maker.outputs, outputs, strict=True))
        return held[value]

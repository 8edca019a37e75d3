"""Attributes of ops as text: numbers, names, tuples, layouts, records and scalar expressions."""

import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any

from lamina.dtypes import DType, as_dtype
from lamina.errors import GraphError
from lamina.kernels.convolution.ahead import Layer
from lamina.kernels.convolution.chain import Steps
from lamina.kernels.convolution.chained import Chain
from lamina.kernels.convolution.depthwise_last import Taps
from lamina.kernels.expression import Apply, Constant, Expression, Input
from lamina.layout import Layout
from lamina.ops.indices.selection import Step
from lamina.ops.layers.convolution import Conv
from lamina.ops.layers.convolution_then import ConvThen
from lamina.ops.layers.windows import Window

_KINDS = (Chain, Conv, ConvThen, Layer, Layout, Step, Steps, Taps, Window)
_RECORDS: dict[str, Any] = {kind.__name__: kind for kind in _KINDS}
_TOKEN = re.compile(
    r"\s*(?:(?P<number>[-+]?(?:inf|nan|\d[\d.]*(?:e[-+]?\d+)?))(?![\w])|(?P<text>'[^']*')"
    r"|(?P<word>%?[A-Za-z_]\w*|%\d+)|(?P<mark>[()=,:;<>]))"
)


def written(value: Any) -> str:
    """Return an attribute as text that `Reader` reads."""
    if isinstance(value, Expression):
        return f"<{value!r}>"
    if isinstance(value, DType):
        return f"'{value.name}'"
    if is_dataclass(value) and not isinstance(value, type):
        inside = ", ".join(f"{f.name}={written(getattr(value, f.name))}" for f in fields(value))
        return f"{type(value).__name__}({inside})"
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        pairs = zip(value._fields, value, strict=True)
        inside = ", ".join(f"{name}={written(item)}" for name, item in pairs)
        return f"{type(value).__name__}({inside})"
    if isinstance(value, tuple):
        return f"({', '.join(map(written, value))}{',' if len(value) == 1 else ''})"
    return repr(value)


class Reader:
    """Reads attributes; GraphError where the text is none."""

    def __init__(self, text: str) -> None:
        self._tokens = list(_tokens(text))
        self._place = 0

    def attributes(self) -> dict[str, Any]:
        """Return all of `name=value, …`."""
        found: dict[str, Any] = {}
        while self._place < len(self._tokens):
            name = self._take()
            self._expect("=")
            found[name] = self._value()
            if self._place < len(self._tokens):
                self._expect(",")
        return found

    def _peek(self) -> str:
        return self._tokens[self._place] if self._place < len(self._tokens) else ""

    def _take(self) -> str:
        if self._place >= len(self._tokens):
            raise GraphError("the attributes end too early")
        self._place += 1
        return self._tokens[self._place - 1]

    def _expect(self, mark: str) -> None:
        found = self._take()
        if found != mark:
            raise GraphError(f"{found!r} found among the attributes; expected {mark!r}")

    def _value(self) -> Any:
        token = self._take()
        if token == "(":
            return tuple(self._items(")"))
        if token == "<":
            return self._expression()
        if token in _RECORDS and self._peek() == "(":
            self._expect("(")
            return _RECORDS[token](**dict(self._pairs()))
        return _plain(token)

    def _items(self, end: str) -> Iterator[Any]:
        while self._peek() != end:
            yield self._value()
            if self._peek() != end:
                self._expect(",")
        self._expect(end)

    def _pairs(self) -> Iterator[tuple[str, Any]]:
        while self._peek() != ")":
            name = self._take()
            self._expect("=")
            yield name, self._value()
            if self._peek() != ")":
                self._expect(",")
        self._expect(")")

    def _expression(self) -> Expression:
        """Return an expression: `%0=…;%1=…;` name what stands more than once in what follows."""
        shared: dict[str, Expression] = {}
        while self._tokens[self._place + 1 : self._place + 2] == ["="]:
            name = self._take()
            self._expect("=")
            shared[name] = self._operand(shared)
            self._expect(";")
        expression = self._operand(shared)
        self._expect(">")
        return expression

    def _operand(self, shared: dict[str, Expression]) -> Expression:
        token = self._take()
        if token in shared:
            return shared[token]
        if re.fullmatch(r"x\d+", token):
            return Input(int(token[1:]))
        if self._peek() == "(":
            self._expect("(")
            operands = []
            while self._peek() != ")":
                operands.append(self._operand(shared))
                if self._peek() != ")":
                    self._expect(",")
            self._expect(")")
            return Apply(token, tuple(operands))
        number = _plain(token)
        if self._peek() != ":":
            return Constant(number)
        self._expect(":")
        return Constant(number, as_dtype(self._take()).name)


_WORDS = {"None": None, "True": True, "False": False}


def _plain(token: str) -> Any:
    if token in _WORDS:
        return _WORDS[token]
    if token.startswith("'"):
        return token[1:-1]
    try:
        return int(token)
    except ValueError:
        return float(token)


def _tokens(text: str) -> Iterator[str]:
    place = 0
    while place < len(text.rstrip()):
        match = _TOKEN.match(text, place)
        if match is None:
            raise GraphError(f"{text[place:]!r} is no attribute")
        place = match.end()
        yield match.group().strip()

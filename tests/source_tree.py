"""The source of a package read as trees: what the structural tests look at."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "lamina"


@dataclass(frozen=True, slots=True)
class Module:
    """One file of a package: its dotted name and its syntax tree."""

    name: str
    path: Path
    tree: ast.Module

    @property
    def is_package(self) -> bool:
        return self.path.name == "__init__.py"


@dataclass(frozen=True, slots=True)
class Import:
    """One import: `name` out of `module`, or the module itself where `name` is empty."""

    module: str
    name: str
    line: int
    is_inside_function: bool


def read_package(folder: Path) -> dict[str, Module]:
    """Return every module of the package in `folder` by dotted name."""
    modules = (_read_module(path, folder) for path in sorted(folder.rglob("*.py")))
    return {module.name: module for module in modules}


def _read_module(path: Path, folder: Path) -> Module:
    parts = list(path.relative_to(folder.parent).with_suffix("").parts)
    if parts[-1] == "__init__":
        parts.pop()
    return Module(".".join(parts), path, ast.parse(path.read_text(encoding="utf-8"), str(path)))


def imports_of(module: Module) -> Iterator[Import]:
    """Yield every import of `module`, those inside functions and `import_module("…")` included."""
    inside = {
        id(node)
        for function in ast.walk(module.tree)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for node in ast.walk(function)
    }
    for node in ast.walk(module.tree):
        for target, name in _targets(node, module):
            yield Import(target, name, node.lineno, id(node) in inside)


def _targets(node: ast.AST, module: Module) -> Iterator[tuple[str, str]]:
    match node:
        case ast.Import(names=names):
            yield from ((alias.name, "") for alias in names)
        case ast.ImportFrom(names=names):
            source = _absolute(node, module)
            yield from ((source, alias.name) for alias in names)
        case ast.Call(args=[ast.Constant(value=str() as target), *_]) if _called(node) in (
            "import_module",
            "__import__",
        ):
            yield target, ""


def _absolute(node: ast.ImportFrom, module: Module) -> str:
    if node.level == 0:
        return node.module or ""
    parents = module.name.split(".")
    if not module.is_package:
        parents.pop()
    base = parents[: len(parents) - node.level + 1]
    return ".".join([*base, node.module] if node.module else base)


def _called(node: ast.Call) -> str:
    match node.func:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return ""

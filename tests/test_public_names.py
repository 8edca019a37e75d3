"""Public means listed: `__all__` of a package is what it binds, and every name in it is there.

Ruff keeps the lists sorted (RUF022). A name may be listed and not yet bound: a module-level
`__getattr__` that loads it when asked is how a package stays quick to import.
"""

import ast
import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from source_tree import PACKAGE, Module, imports_of, read_package

TREE = read_package(PACKAGE)
PACKAGES = [module for module in TREE.values() if module.is_package]


def bound_names(package: Module, tree: dict[str, Module]) -> set[str]:
    """The public names that `package` defines or re-exports; its submodules and imports aside."""
    names = {*defined(package.tree), *reexported(package, tree)}
    return {name for name in names if not name.startswith("_")}


def defined(tree: ast.Module) -> Iterator[str]:
    for node in tree.body:
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield name
            case ast.ClassDef(name=name):
                yield name
            case ast.Assign(targets=targets):
                for target in targets:
                    yield from names_in(target)
            case ast.AnnAssign(target=target):
                yield from names_in(target)


def names_in(target: ast.expr) -> Iterator[str]:
    return (node.id for node in ast.walk(target) if isinstance(node, ast.Name))


def reexported(package: Module, tree: dict[str, Module]) -> Iterator[str]:
    renamed = {
        (node.lineno, alias.name): alias.asname or alias.name
        for node in ast.walk(package.tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    for found in imports_of(package):
        is_own = found.module.split(".")[0] == package.name.split(".")[0]
        is_name = found.name not in ("", "*") and f"{found.module}.{found.name}" not in tree
        if is_own and is_name and not found.is_inside_function:
            yield renamed[found.line, found.name]


def problems(package: Module, tree: dict[str, Module]) -> list[str]:
    """What is wrong with the list of `package`, in words."""
    module = importlib.import_module(package.name)
    listed = getattr(module, "__all__", None)
    if listed is None:
        return [f"{package.name}: has no __all__; list its public names"]
    twice = sorted({name for name in listed if list(listed).count(name) > 1})
    unlisted = sorted(bound_names(package, tree) - set(listed))
    absent = [name for name in listed if not hasattr(module, name)]
    return (
        [f"{package.name}.{name}: listed twice in __all__" for name in twice]
        + [f"{package.name}.{name}: public and not in __all__" for name in unlisted]
        + [f"{package.name}.{name}: in __all__ and not there" for name in absent]
    )


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.name)
def test_the_list_is_what_is_there(package: Module) -> None:
    assert problems(package, TREE) == []


FAULTS = {
    "no list": ("x = 1", "fault: has no __all__"),
    "not listed": ("__all__ = []\ndef f(): ...", "fault.f: public and not in __all__"),
    "re-export not listed": (
        "from fault.inner import g as h\n__all__ = []",
        "fault.h: public and not in __all__",
    ),
    "not there": ("__all__ = ['gone']", "fault.gone: in __all__ and not there"),
    "twice": ("f = 1\n__all__ = ['f', 'f']", "fault.f: listed twice"),
}


@pytest.mark.parametrize("case", FAULTS.values(), ids=FAULTS.keys())
def test_a_fault_is_found(
    case: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text, message = case
    (found,) = faults_of(text, tmp_path, monkeypatch)
    assert found.startswith(message)


def test_a_sound_list_passes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = """
import math
from pathlib import Path
from fault import inner
from fault.inner import g, _hidden
__all__ = ["g", "inner", "later", "x"]
x, _y = 1, 2
def __getattr__(name):
    if name == "later": return 3
    raise AttributeError(name)
"""
    assert faults_of(text, tmp_path, monkeypatch) == []


def faults_of(text: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Check a package `fault` whose `__init__` is `text`; it is forgotten afterwards."""
    package = folder / "fault"
    package.mkdir()
    (package / "__init__.py").write_text(text, encoding="utf-8")
    (package / "inner.py").write_text("g = _hidden = 1", encoding="utf-8")
    monkeypatch.syspath_prepend(folder)
    try:
        tree = read_package(package)
        return problems(tree["fault"], tree)
    finally:
        for name in ("fault", "fault.inner"):
            sys.modules.pop(name, None)

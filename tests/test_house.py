"""Small rules of the house, counted so that nobody has to remember them."""

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from source_tree import ROOT

MAX_FILE_LINES = 500
MAX_FUNCTION_LINES = 70
# "file::function" or "file" → why it may be longer. Empty is the aim.
LONGER: dict[str, str] = {}

FOLDERS = ("lamina", "tests", "examples", "benchmarks", "scripts", "docs", ".ci")
SUFFIXES = {"", ".py", ".md", ".toml", ".proto", ".sh"}
# A work tree beside the first has a file .git that names where the first lies.
NOT_OURS = {"LICENSE", ".git"}
DRAWERS = {"utils", "util", "helpers", "common", "misc"}
OPEN_ENDS = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X|HA" r"CK)\b")
MACHINE_PATHS = re.compile(r"(?<![\w.])/(work|root|home)/\w")

Checker = Callable[[Path], list[str]]


def text_files(root: Path) -> Iterator[Path]:
    """Every file of the project that a person reads, those at its root included."""
    inside = (path for folder in FOLDERS for path in (root / folder).rglob("*"))
    for path in sorted([*root.glob("*"), *inside]):
        if path.is_file() and path.suffix in SUFFIXES and path.name not in NOT_OURS:
            yield path


def python_files(root: Path) -> Iterator[Path]:
    return (path for path in text_files(root) if path.suffix == ".py")


def numbered_lines(root: Path) -> Iterator[tuple[str, str]]:
    for path in text_files(root):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            yield f"{path.relative_to(root)}:{number}", line


def long_files(root: Path) -> list[str]:
    sizes = {
        str(path.relative_to(root)): len(path.read_text(encoding="utf-8").splitlines())
        for path in python_files(root)
    }
    return [
        f"{name}: {size} lines; a file has one subject and at most {MAX_FILE_LINES}"
        for name, size in sizes.items()
        if size > MAX_FILE_LINES and name not in LONGER
    ]


def long_functions(root: Path) -> list[str]:
    return [
        f"{where}: {size} lines; a function has at most {MAX_FUNCTION_LINES}"
        for where, size in function_sizes(root)
        if size > MAX_FUNCTION_LINES and where not in LONGER
    ]


def function_sizes(root: Path) -> Iterator[tuple[str, int]]:
    for path in python_files(root):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), str(path))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                size = (node.end_lineno or node.lineno) - node.lineno + 1
                yield f"{path.relative_to(root)}::{node.name}", size


def open_ends(root: Path) -> list[str]:
    found = ((where, OPEN_ENDS.search(line)) for where, line in numbered_lines(root))
    return [f"{where}: {match[0]}; do it or file it" for where, match in found if match]


def machine_paths(root: Path) -> list[str]:
    found = ((where, MACHINE_PATHS.search(line)) for where, line in numbered_lines(root))
    return [f"{where}: names a path of one machine" for where, match in found if match]


def drawers(root: Path) -> list[str]:
    return [
        f"{path.relative_to(root)}: name the file by its subject"
        for path in python_files(root)
        if path.stem in DRAWERS
    ]


CHECKERS = (long_files, long_functions, open_ends, machine_paths, drawers)


@pytest.mark.parametrize("checker", CHECKERS, ids=lambda checker: checker.__name__)
def test_the_rule_is_kept(checker: Checker) -> None:
    assert checker(ROOT) == []


def test_every_exception_is_still_needed() -> None:
    sizes = dict(function_sizes(ROOT))
    stale = [name for name in LONGER if "::" in name and sizes.get(name, 0) <= MAX_FUNCTION_LINES]
    assert stale == []


VIOLATIONS = {
    "file": (long_files, "lamina/a.py", "x = 1\n" * 501, "lamina/a.py: 501 lines"),
    "function": (
        long_functions,
        "lamina/a.py",
        "class A:\n    def f():\n" + "        x = 1\n" * 70,
        "lamina/a.py::f: 71 lines",
    ),
    "open end": (open_ends, "docs/a.md", "\nTODO: write this", "docs/a.md:2"),
    "machine": (machine_paths, "Makefile", "run:\n\t/root/bin/x", "Makefile:2"),
    "drawer": (drawers, "lamina/nn/utils.py", "", "lamina/nn/utils.py: name the file"),
}


@pytest.mark.parametrize("case", VIOLATIONS.values(), ids=VIOLATIONS.keys())
def test_a_violation_is_found(case: tuple[Checker, str, str, str], tmp_path: Path) -> None:
    checker, name, text, message = case
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    (found,) = checker(tmp_path)
    assert found.startswith(message)

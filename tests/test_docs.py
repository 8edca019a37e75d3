"""What the documentation says is run: docstrings, and the Python blocks of the pages.

In docstrings `lamina` and `np` are there without an import. The blocks of a page are one session:
they run in order and share their names, in an empty folder. Shell blocks are not run.
"""

import doctest
import importlib
import inspect
import re
from pathlib import Path

import numpy as np
import pytest
from source_tree import PACKAGE, ROOT, read_package

TREE = read_package(PACKAGE)
MODULES = sorted(name for name in TREE if not name.endswith("__main__"))
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")])
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SOURCE_PATH = re.compile(r"`((?:lamina|tests|docs|examples|benchmarks|scripts)/[\w./-]*)`")
PAGE_LINK = re.compile(r"\]\((?!https?:|#)([^)#]+)")


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = importlib.import_module(name)
    names = {"lamina": importlib.import_module("lamina"), "np": np}
    monkeypatch.chdir(tmp_path)
    report: list[str] = []
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS, verbose=False)
    for test in doctest.DocTestFinder().find(module, extraglobs=names):
        runner.run(test, out=report.append)
    assert not report, "".join(report)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_python_blocks_of_a_page(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    session: dict[str, object] = {"__name__": "__main__"}
    for code in padded_blocks(page.read_text(encoding="utf-8")):
        exec(compile(code, str(page), "exec"), session)  # noqa: S102


def padded_blocks(text: str) -> list[str]:
    """The Python blocks of a page, each moved to its own line so that tracebacks point there."""
    return ["\n" * text.count("\n", 0, m.start(1)) + m[1] for m in BLOCK.finditer(text)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_that_a_page_names_are_there(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    named = {ROOT / name for name in SOURCE_PATH.findall(text)}
    linked = {page.parent / name for name in PAGE_LINK.findall(text)}
    absent = sorted(str(p.relative_to(ROOT)) for p in named | linked if not p.exists())
    assert absent == []


def undocumented(name: str) -> list[str]:
    """The functions and classes that package `name` lists and that say nothing of themselves."""
    module = importlib.import_module(name)
    listed = {item: getattr(module, item) for item in getattr(module, "__all__", ())}
    return [
        f"{value.__module__}.{value.__qualname__}"
        for value in listed.values()
        if (inspect.isroutine(value) or inspect.isclass(value))
        and (value.__module__ or "").startswith(name.split(".")[0])
        and not (value.__doc__ or "").strip()
    ]


def test_everything_public_is_documented() -> None:
    packages = [name for name, module in TREE.items() if module.is_package]
    silent = sorted({item for name in packages for item in undocumented(name)})
    assert not silent, "no docstring:\n" + "\n".join(silent)


def test_a_missing_docstring_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = '__all__ = ["A", "f", "n"]\nclass A: "Said."\ndef f(): ...\nn = 1\n'
    (tmp_path / "silent_package.py").write_text(text, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    assert undocumented("silent_package") == ["silent_package.f"]


def test_blocks_keep_their_line() -> None:
    page = "# Title\n\n```python\nx = 1\n```\n\n```console\n$ ls\n```\n\n```python\ny = 2\n```\n"
    assert padded_blocks(page) == ["\n\n\nx = 1\n", "\n" * 11 + "y = 2\n"]

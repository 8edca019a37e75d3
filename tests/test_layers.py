"""The house stands in rows: an import goes to a lower row or stays in its own folder.

`ROWS` is the drawing, lowest first. Each checker gives the list of its violations, so that the
tests at the end can show that it finds one.
"""

import ast
import sys
from collections.abc import Callable, Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest
from source_tree import PACKAGE, Import, Module, imports_of, read_package

ROWS = (
    {"version", "errors", "config"},
    {"dtypes", "layout"},
    {"memory", "codegen", "philox"},
    {"kernels"},
    {"ops"},
    {"autograd"},
    {"tensor"},
    {"array_api", "nn", "optim", "data", "text", "train", "graph"},
    {"formats"},
    {"serve", "operate", "dist", "cli"},
    {"__init__", "__main__"},
)
ROW_OF = {part: row for row, parts in enumerate(ROWS) for part in parts}
# The training loop drives its neighbours; the command line is the door to the tools of its row.
NEIGHBOURS = {
    "train": {"nn", "optim", "data", "graph"},
    "cli": {"serve", "operate", "dist"},
}
REQUIRED_PACKAGES = {"lamina", "numpy", "ml_dtypes"}
PICKLES = {"pickle", "_pickle", "cPickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}
ENVIRONMENT = {"environ", "environb", "getenv", "putenv", "unsetenv"}
HEAVY = ("llvmlite", "rich", "click", "matplotlib", "google.protobuf", "PIL", "pickletools")

Tree = dict[str, Module]
Checker = Callable[[Tree], list[str]]


def part_of(name: str) -> str:
    """The part of the house that a module belongs to: `lamina.nn.linear` → `nn`."""
    parts = name.split(".")
    return parts[1] if len(parts) > 1 else "__init__"


def is_folder(part: str, tree: Tree) -> bool:
    return any(name.startswith(f"lamina.{part}.") for name in tree)


def target_of(found: Import, tree: Tree) -> str | None:
    """The module of the tree that an import reaches, or None for one from outside."""
    if found.module.split(".")[0] != "lamina":
        return None
    submodule = f"{found.module}.{found.name}"
    return submodule if submodule in tree else found.module


def edges(tree: Tree) -> Iterator[tuple[Module, Import, str]]:
    for module in tree.values():
        for found in imports_of(module):
            target = target_of(found, tree)
            if target is not None:
                yield module, found, target


def is_allowed(source: str, target: str, tree: Tree) -> bool:
    """Whether part `source` may know part `target`."""
    if source == target or target in NEIGHBOURS.get(source, ()):
        return True
    if ROW_OF[source] == ROW_OF[target]:  # the files of lamina/ itself share one folder
        return not is_folder(source, tree) and not is_folder(target, tree)
    return ROW_OF[source] > ROW_OF[target]


def unknown_parts(tree: Tree) -> list[str]:
    unknown = {part_of(name) for name in tree} - ROW_OF.keys()
    return [f"lamina.{part}: in no row; add it to ROWS in {__name__}" for part in sorted(unknown)]


def wrong_imports(tree: Tree) -> list[str]:
    return [
        f"{module.name}:{found.line} imports {target}: row {ROW_OF[part_of(module.name)]} must not "
        f"know row {ROW_OF[part_of(target)]}; move what is shared to a lower row"
        for module, found, target in edges(tree)
        if {part_of(module.name), part_of(target)} <= ROW_OF.keys()
        and not is_allowed(part_of(module.name), part_of(target), tree)
    ]


def cycles(tree: Tree) -> list[str]:
    graph: dict[str, set[str]] = {name: set() for name in tree}
    for module, _, target in edges(tree):
        graph[module.name].add(target)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return ["import cycle: " + " ← ".join(error.args[1])]
    return []


def hidden_imports(tree: Tree) -> list[str]:
    """Imports inside functions of what is always there: only optional packages may wait.

    `lamina/__init__.py` is free to load a part of the top rows when its name is first asked for.
    """
    return [
        f"{module.name}:{found.line} imports {found.module} inside a function; move it to the top"
        for module in tree.values()
        for found in imports_of(module)
        if found.is_inside_function
        and is_always_there(found.module.split(".")[0])
        and part_of(module.name) != "__init__"
    ]


def is_always_there(package: str) -> bool:
    return package in REQUIRED_PACKAGES or package in sys.stdlib_module_names


def type_checking_blocks(tree: Tree) -> list[str]:
    return [
        f"{module.name}:{node.lineno} uses TYPE_CHECKING; import it plainly or move the wall"
        for module in tree.values()
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Name | ast.Attribute | ast.alias)
        and "TYPE_CHECKING" in (getattr(node, key, None) for key in ("id", "attr", "name"))
    ]


def llvm_outside_codegen(tree: Tree) -> list[str]:
    return [
        f"{module.name}:{found.line} imports {found.module}: only lamina/codegen/ may"
        for module in tree.values()
        for found in imports_of(module)
        if found.module.split(".")[0] == "llvmlite" and part_of(module.name) != "codegen"
    ]


def environment_readers(tree: Tree) -> list[str]:
    return [
        f"{module.name}:{line} uses {name} of os: only lamina/config.py reads the environment"
        for module in tree.values()
        if module.name != "lamina.config"
        for line, name in os_names(module)
        if name in ENVIRONMENT
    ]


def os_names(module: Module) -> Iterator[tuple[int, str]]:
    yield from ((found.line, found.name) for found in imports_of(module) if found.module == "os")
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "os":
            yield node.lineno, node.attr


def pickles(tree: Tree) -> list[str]:
    imported = [
        f"{module.name}:{found.line} imports {found.module}: files are hostile, nothing is pickled"
        for module in tree.values()
        for found in imports_of(module)
        if found.module.split(".")[0] in PICKLES
    ]
    allowed = [
        f"{module.name}:{node.value.lineno} passes allow_pickle: leave it at False"
        for module in tree.values()
        for node in ast.walk(module.tree)
        if isinstance(node, ast.keyword)
        and node.arg == "allow_pickle"
        and not (isinstance(node.value, ast.Constant) and node.value.value is False)
    ]
    return imported + allowed


CHECKERS = (
    unknown_parts,
    wrong_imports,
    cycles,
    hidden_imports,
    type_checking_blocks,
    llvm_outside_codegen,
    environment_readers,
    pickles,
)


@pytest.mark.parametrize("checker", CHECKERS, ids=lambda checker: checker.__name__)
def test_the_house_stands(checker: Checker) -> None:
    assert checker(read_package(PACKAGE)) == []


@pytest.mark.parametrize("module", HEAVY)
def test_import_lamina_leaves_it_unloaded(module: str, modules_after_import: set[str]) -> None:
    assert module not in modules_after_import


@pytest.fixture(scope="module")
def modules_after_import(run_python: Callable[[str], str]) -> set[str]:
    return set(run_python("import lamina, sys; print(*sys.modules)").split())


def plant(folder: Path, files: dict[str, str]) -> Tree:
    """Write a small package `lamina` under `folder` and read it; every folder gets its __init__."""
    for name, text in {"__init__.py": "", **files}.items():
        path = folder / "lamina" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        (path.parent / "__init__.py").touch()
        path.write_text(text, encoding="utf-8")
    return read_package(folder / "lamina")


VIOLATIONS = {
    "unknown part": (unknown_parts, {"gadgets.py": ""}, "lamina.gadgets: in no row"),
    "upward": (
        wrong_imports,
        {"ops/add.py": "from lamina.tensor import Tensor", "tensor/core.py": ""},
        "lamina.ops.add:1 imports lamina.tensor: row 4 must not know row 6",
    ),
    "upward, relative": (
        wrong_imports,
        {"ops/add.py": "from ..tensor import core", "tensor/core.py": ""},
        "lamina.ops.add:1 imports lamina.tensor.core",
    ),
    "upward, in a function": (
        wrong_imports,
        {"ops/add.py": "def f():\n    import lamina.nn.linear", "nn/linear.py": ""},
        "lamina.ops.add:2 imports lamina.nn.linear",
    ),
    "upward, by name": (
        wrong_imports,
        {
            "ops/add.py": "import importlib\nimportlib.import_module('lamina.nn')",
            "nn/linear.py": "",
        },
        "lamina.ops.add:2 imports lamina.nn",
    ),
    "to the top": (
        wrong_imports,
        {"nn/linear.py": "import lamina"},
        "lamina.nn.linear:1 imports lamina: row 7 must not know row 10",
    ),
    "a neighbour": (
        wrong_imports,
        {"nn/linear.py": "from lamina.optim import sgd", "optim/sgd.py": ""},
        "lamina.nn.linear:1 imports lamina.optim.sgd",
    ),
    "a file beside a folder": (
        wrong_imports,
        {"memory/pool.py": "from lamina.philox import draw", "philox.py": "draw = 1"},
        "lamina.memory.pool:1 imports lamina.philox",
    ),
    "cycle": (
        cycles,
        {"nn/a.py": "from lamina.nn import b", "nn/b.py": "from lamina.nn.a import f"},
        "import cycle: lamina.nn.",
    ),
    "hidden": (
        hidden_imports,
        {"nn/a.py": "def f():\n    from lamina.ops import add", "ops/add.py": ""},
        "lamina.nn.a:2 imports lamina.ops inside a function",
    ),
    "hidden standard library": (
        hidden_imports,
        {"nn/a.py": "def f():\n    import json"},
        "lamina.nn.a:2 imports json inside a function",
    ),
    "type checking": (
        type_checking_blocks,
        {"nn/a.py": "from typing import TYPE_CHECKING"},
        "lamina.nn.a:1 uses TYPE_CHECKING",
    ),
    "llvm": (
        llvm_outside_codegen,
        {"kernels/gemm.py": "def f():\n    from llvmlite import ir"},
        "lamina.kernels.gemm:2 imports llvmlite",
    ),
    "environment": (
        environment_readers,
        {"memory/pool.py": "import os\nos.environ['A']"},
        "lamina.memory.pool:2 uses environ",
    ),
    "getenv": (
        environment_readers,
        {"memory/pool.py": "from os import getenv"},
        "lamina.memory.pool:1 uses getenv",
    ),
    "pickle": (pickles, {"data/a.py": "import pickle"}, "lamina.data.a:1 imports pickle"),
    "pickle through numpy": (
        pickles,
        {"data/a.py": "np.load(path, allow_pickle=True)"},
        "lamina.data.a:1 passes allow_pickle",
    ),
}


@pytest.mark.parametrize("case", VIOLATIONS.values(), ids=VIOLATIONS.keys())
def test_a_violation_is_found(case: tuple[Checker, dict[str, str], str], tmp_path: Path) -> None:
    checker, files, message = case
    (found,) = checker(plant(tmp_path, files))
    assert found.startswith(message)


def test_a_sound_house_passes_every_checker(tmp_path: Path) -> None:
    tree = plant(
        tmp_path,
        {
            "__init__.py": "from lamina import nn\nfrom lamina.tensor.core import Tensor",
            "errors.py": "",
            "config.py": "import os\nfrom lamina.errors import E\nvalue = os.environ.get('A')",
            "codegen/jit.py": "def compile():\n    import llvmlite.binding",
            "tensor/core.py": "from lamina.tensor import methods",
            "tensor/methods.py": "from lamina import config",
            "nn/linear.py": "from lamina.tensor.core import Tensor",
            "train/loop.py": "from lamina.nn import linear",
            "data/images.py": "def read():\n    from PIL import Image",
            "data/store.py": "np.load(path, allow_pickle=False)",
            "cli/__init__.py": "from lamina.operate import doctor",
            "operate/doctor.py": "",
        },
    )
    assert [message for checker in CHECKERS for message in checker(tree)] == []

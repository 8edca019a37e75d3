"""The op table's own table: for every op at least one case.

Each family is a module here with a list `CASES`; the rows are collected by the name of the op.
"""

import importlib
import pkgutil

import lamina.ops
from lamina.ops.registry import OPS

from .case import Case

__all__ = ["CASES", "OPS", "Case"]


def _collect() -> dict[str, list[Case]]:
    for module in pkgutil.walk_packages(lamina.ops.__path__, "lamina.ops."):
        importlib.import_module(module.name)
    table: dict[str, list[Case]] = {}
    for module in pkgutil.iter_modules(__path__):
        if module.name == "__main__":
            continue
        family = importlib.import_module(f"{__name__}.{module.name}")
        for case in getattr(family, "CASES", ()):
            table.setdefault(case.op.name, []).append(case)
    return table


CASES = _collect()

"""Writes version1.lamina, a file of the first version. Not to be run again: it is read for ever.

`python version1_lamina.py`
"""

from pathlib import Path

import lamina
from lamina.formats import save


def main() -> None:
    weight = lamina.arange(6, dtype="float32").reshape(3, 2).T
    half = lamina.tensor([1.5, -2.0], dtype="bfloat16")
    names = ("a", None, 2.5, b"\x00", 1 << 64)
    path = Path(__file__).with_name("version1.lamina")
    save({"epoch": 3, "names": names, "weight": weight, "half": half}, path)


if __name__ == "__main__":
    main()

"""Tables in CSV files, read into tensors."""

import csv
import math
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from lamina import dtypes
from lamina.dtypes import DType
from lamina.errors import ArgumentError, DataError, DTypeError
from lamina.memory import of_numpy
from lamina.memory.files import check_is_file
from lamina.tensor import Tensor

MISSING = {"", "na", "n/a", "nan", "null", "none", "?"}


@dataclass(frozen=True, slots=True)
class Table:
    """What a CSV file holds.

    `features` (rows, columns) and `target` (rows,), None where no column was named as such;
    `columns` names the features. `classes` are the texts that the labels 0, 1, … of a target of
    texts stand for; None where the target is numbers.
    """

    features: Tensor
    target: Tensor | None
    columns: tuple[str, ...]
    classes: tuple[str, ...] | None


class _Row(NamedTuple):
    """One record: the line of the file it begins at, and its fields."""

    line: int
    fields: list[str]


class _Cells(NamedTuple):
    """One column: how to speak of it, and the text of its fields beside their lines."""

    where: str
    texts: list[str]
    lines: list[int]

    def fault(self, row: int, what: str, advice: str) -> DataError:
        return DataError(
            f"{self.where} at row {row + 1} (line {self.lines[row]}): {what}; {advice}"
        )


def read_csv(
    path: str | os.PathLike[str],
    *,
    target: str | int | None = None,
    header: str | bool = "infer",
    dtype: Any = dtypes.default_float,
    delimiter: str = ",",
    classes: Sequence[str] | None = None,
    encoding: str = "utf-8",
) -> Table:
    """Return the numbers of a CSV file as tensors, the column `target` apart.

    `target` is a name from the header or a place, counted from −1 backwards too. Whole numbers make
    int64 labels, other numbers a tensor of `dtype`, texts the labels of the `classes` (by default
    all that occur, sorted). `header` says whether the first row holds names; "infer" takes it for
    names unless it has a number in it. Fields may be quoted, as RFC 4180 has it; blank lines are
    skipped.

    DataError, naming file, row and column: missing values (an empty field, NA, NaN, null, ?), what
    is not a finite number, rows of unequal length, an empty file, wrong encoding, a target that is
    not there or there twice, two columns of one name, a text that is none of `classes`.

    >>> import pathlib
    >>> text = "length,width,kind\\n5.1,3.5,setosa\\n6,3,virginica"
    >>> _ = pathlib.Path("iris.csv").write_text(text)
    >>> table = read_csv("iris.csv", target="kind")
    >>> table.features
    Tensor([[5.1, 3.5],
            [6. , 3. ]])
    >>> table.target, table.classes
    (Tensor([0, 1]), ('setosa', 'virginica'))
    """
    wanted = dtypes.as_dtype(dtype)
    if not wanted.is_floating_point:
        raise DTypeError(f"read_csv: dtype {wanted.name} given; expected a float dtype")
    if header not in ("infer", True, False):
        raise ArgumentError(f'read_csv: header={header!r} given; expected "infer", True or False')
    check_is_file(path)
    name = os.fspath(path)
    rows = _read_rows(name, delimiter, encoding)
    names, body = _split_header(name, rows, header)
    place = _place_of(name, target, names)
    _check_names(name, names)
    _check_widths(name, len(names), body)
    columns = [_column(name, names, body, i) for i in range(len(names))]
    features = [_numbers(c) for i, c in enumerate(columns) if i != place]
    values = np.stack(features, axis=1) if features else np.empty((len(body), 0))
    labels, found = (None, None) if place is None else _target(columns[place], classes, wanted)
    return Table(
        features=_tensor(values, wanted),
        target=labels,
        columns=tuple(n for i, n in enumerate(names) if i != place),
        classes=found,
    )


def _read_rows(name: str, delimiter: str, encoding: str) -> list[_Row]:
    if len(delimiter) != 1 or delimiter in '"\r\n':
        raise ArgumentError(f"read_csv: delimiter={delimiter!r} given; expected one character")
    # A byte-order mark is no part of the first name.
    codec = "utf-8-sig" if encoding.lower() in ("utf-8", "utf8") else encoding
    try:
        with open(name, encoding=codec, newline="") as file:
            rows = list(_records(csv.reader(file, delimiter=delimiter, strict=True)))
    except UnicodeError as error:
        raise DataError(
            f"{name} is not {encoding} text ({error}); pass its encoding, or save it as UTF-8"
        ) from None
    except LookupError:
        raise ArgumentError(f"read_csv: no encoding is named {encoding!r}") from None
    except csv.Error as error:
        raise DataError(f"{name} is not a CSV file: {error}; check quotes and line ends") from None
    if not rows:
        raise DataError(f"{name} is empty; expected rows of numbers")
    return rows


def _records(reader: Any) -> Iterator[_Row]:
    before = 0
    try:
        for fields in reader:
            if fields:
                yield _Row(before + 1, [text.strip() for text in fields])
            before = reader.line_num
    except csv.Error as error:
        raise csv.Error(f"line {before + 1}: {error}") from None


def _split_header(name: str, rows: list[_Row], header: str | bool) -> tuple[list[str], list[_Row]]:
    first = rows[0].fields
    has_names = header is True or (header == "infer" and not any(map(_is_number, first)))
    if not has_names:
        return [f"column {i}" for i in range(len(first))], rows
    if len(rows) == 1:
        raise DataError(f"{name} has a header and no rows; expected at least one row of numbers")
    return first, rows[1:]


def _check_names(name: str, names: list[str]) -> None:
    doubled = next((n for n, count in Counter(names).items() if n and count > 1), None)
    if doubled:
        raise DataError(
            f"{name}: the column {doubled!r} is there more than once; rename one of them, or "
            "pass header=False if the first line holds no names"
        )


def _check_widths(name: str, width: int, rows: list[_Row]) -> None:
    for number, row in enumerate(rows, 1):
        if len(row.fields) != width:
            raise DataError(
                f"{name}, row {number} (line {row.line}): {len(row.fields)} fields where the first "
                f"line has {width}; complete the row, or pass the right delimiter"
            )


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return "_" not in text  # Python's own, no number to anyone else


def _is_finite(text: str) -> bool:
    return _is_number(text) and math.isfinite(float(text))


def _place_of(name: str, target: str | int | None, names: list[str]) -> int | None:
    if target is None:
        return None
    if isinstance(target, str):
        if names.count(target) == 1:
            return names.index(target)
        fault = "is there more than once" if target in names else "is not there"
        raise DataError(
            f"{name}: the target column {target!r} {fault}; the columns are "
            f"{', '.join(map(repr, names))}: name one of them, or give its place"
        )
    if isinstance(target, bool) or not isinstance(target, int):
        raise ArgumentError(f"read_csv: target={target!r} given; expected a name or a place")
    if not -len(names) <= target < len(names):
        raise DataError(
            f"{name}: there is no column {target}; the file has {len(names)}, counted from 0"
        )
    return target % len(names)


def _column(name: str, names: list[str], rows: list[_Row], place: int) -> _Cells:
    where = f"{name}, column {names[place]!r}" if names[place] else f"{name}, column {place}"
    return _Cells(where, [row.fields[place] for row in rows], [row.line for row in rows])


def _numbers(cells: _Cells) -> np.ndarray[Any, np.dtype[np.float64]]:
    try:
        values = np.array(cells.texts, dtype=np.float64)
    except ValueError:
        raise _first_fault(cells) from None
    if not np.isfinite(values).all() or any("_" in text for text in cells.texts):
        raise _first_fault(cells)
    return values


def _first_fault(cells: _Cells) -> DataError:
    """Return what to say of the first field that is no finite number; there is one."""
    row = next(i for i, text in enumerate(cells.texts) if not _is_finite(text))
    text = cells.texts[row]
    if text.lower() in MISSING:
        return _missing(cells, row)
    if _is_number(text):
        return cells.fault(row, f"{text!r} is not a finite number", "replace it or drop the row")
    advice = "replace it, leave the column out, or make it the target"
    return cells.fault(row, f"{text!r} is not a number", advice)


def _missing(cells: _Cells, row: int) -> DataError:
    text = cells.texts[row]
    shown = f"the value is missing ({text!r})" if text else "the value is missing"
    return cells.fault(row, shown, "fill it in or drop the row")


def _target(
    cells: _Cells, classes: Sequence[str] | None, dtype: DType
) -> tuple[Tensor, tuple[str, ...] | None]:
    for row, text in enumerate(cells.texts):
        if text.lower() in MISSING and text not in (classes or ()):
            raise _missing(cells, row)
    if classes is None and all(map(_is_number, cells.texts)):
        return _numeric_target(cells, dtype), None
    names = tuple(sorted(set(cells.texts))) if classes is None else tuple(classes)
    label = {text: place for place, text in enumerate(names)}
    for row, text in enumerate(cells.texts):
        if text not in label:
            known = ", ".join(map(repr, names))
            raise cells.fault(row, f"{text!r} is none of the classes {known}", "add it to classes")
    labels = np.array([label[text] for text in cells.texts], np.int64)
    return Tensor.of_array(of_numpy(labels)), names


def _numeric_target(cells: _Cells, dtype: DType) -> Tensor:
    if all(text.lstrip("+-").isdecimal() for text in cells.texts):
        try:
            return Tensor.of_array(of_numpy(np.array([int(t) for t in cells.texts], np.int64)))
        except OverflowError:
            row = next(i for i, t in enumerate(cells.texts) if not -(2**63) <= int(t) < 2**63)
            raise cells.fault(
                row, f"{cells.texts[row]} does not fit a 64-bit label", "use smaller labels"
            ) from None
    return _tensor(_numbers(cells), dtype)


def _tensor(values: np.ndarray[Any, Any], dtype: DType) -> Tensor:
    return Tensor.of_array(of_numpy(np.ascontiguousarray(values.astype(dtype.numpy))))

"""read_csv: what it reads, and what it says of what it cannot read."""

import contextlib
import csv
import io
import string

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lamina import dtypes
from lamina.data import read_csv
from lamina.errors import ArgumentError, DataError, DTypeError, PathError


@pytest.fixture
def table(tmp_path):
    def read(text, **options):
        path = tmp_path / "table.csv"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_csv(path, **options)

    return read


def test_numbers_with_a_header(table):
    found = table("a, b ,c\n1,2.5,3\n-4,5e2,+.5\n", target="b")
    assert found.columns == ("a", "c")
    assert found.features.dtype is dtypes.float32
    assert found.features.tolist() == [[1.0, 3.0], [-4.0, 0.5]]
    assert found.target.tolist() == [2.5, 500.0]
    assert found.classes is None


def test_without_header_or_target(table):
    found = table("1;2\n3;4", delimiter=";", dtype="float64")
    assert found.columns == ("column 0", "column 1")
    assert found.features.dtype is dtypes.float64
    assert found.features.tolist() == [[1.0, 2.0], [3.0, 4.0]]
    assert found.target is None


def test_header_that_is_all_numbers(table):
    found = table("1990,1991\n1,2", header=True, target="1991")
    assert found.columns == ("1990",)
    assert found.target.tolist() == [2]
    assert table("1990,1991\n1,2").features.shape == (2, 2)


def test_whole_numbers_are_labels(table):
    found = table("x,y\n1,0\n2,3\n", target=-1)
    assert found.target.dtype is dtypes.int64
    assert table("x,y\n1,0.0\n2,3\n", target=-1).target.dtype is dtypes.float32


def test_texts_are_classes(table):
    text = "x,kind\n1,pear\n2,apple\n3,pear\n"
    found = table(text, target="kind")
    assert (found.target.tolist(), found.classes) == ([1, 0, 1], ("apple", "pear"))
    found = table(text, target="kind", classes=["pear", "apple", "plum"])
    assert (found.target.tolist(), found.classes) == ([0, 1, 0], ("pear", "apple", "plum"))
    found = table("x,kind\n1,7\n2,3\n", target="kind", classes=["3", "7"])
    assert found.target.tolist() == [1, 0]
    found = table("x,kind\n1,none\n2,some\n", target="kind", classes=["none", "some"])
    assert found.target.tolist() == [0, 1]


def test_quotes_line_ends_blank_lines_and_byte_order_mark(table):
    found = table(
        '\ufeff"a, or b","say ""hi""",kind\r\n1,"2",x\r\n\r\n3,4,"two\r\nlines"\r\n', target=2
    )
    assert found.columns == ("a, or b", 'say "hi"')
    assert found.features.tolist() == [[1.0, 2.0], [3.0, 4.0]]
    assert found.classes == ("two\r\nlines", "x")


def test_other_encodings(table):
    text = "größe,y\n1,2\n"
    assert table(text.encode("latin-1"), encoding="latin-1").columns == ("größe", "y")
    assert table(text.encode("utf-16"), encoding="utf-16").columns == ("größe", "y")


def test_only_a_target(table):
    found = table("y\n1\n2\n", target="y")
    assert found.features.shape == (2, 0)


FAULTS = {
    "empty": ("", {}, "is empty"),
    "blank": ("\n\n", {}, "is empty"),
    "header only": ("a,b\n", {}, "has a header and no rows"),
    "missing": ("a,b\n1,2\n3,\n", {}, r"column 'b' at row 2 \(line 3\): the value is missing"),
    "NaN": ("a,b\n1,nan\n", {}, r"column 'b' at row 1 \(line 2\): the value is missing \('nan'\)"),
    "NA": ("a,b\n1,2\nNA,3\n", {}, "column 'a' at row 2"),
    "missing label": ("a,b\n1,x\n2,?\n", {"target": "b"}, r"column 'b' at row 2 .* \('\?'\)"),
    "text": ("a,b\n1,2\n3,red\n", {}, "column 'b' at row 2 .*: 'red' is not a number; replace it"),
    "underscore": ("a\n1_000\n2\n", {"header": True}, "'1_000' is not a number"),
    "infinite": ("a,b\n1,inf\n", {}, "'inf' is not a finite number"),
    "overflow": ("a,b\n1,1e999\n", {}, "'1e999' is not a finite number"),
    "infinite target": ("a,b\n1,-inf\n", {"target": 1}, "column 'b' .* not a finite"),
    "big label": ("a,b\n1,99999999999999999999\n", {"target": 1}, "does not fit a 64-bit label"),
    "short": ("a,b\n1,2\n3\n", {}, r"row 2 \(line 3\): 1 fields where the first line has 2"),
    "long": ("1,2\n3,4,5\n", {}, r"row 2 \(line 2\): 3 fields"),
    "line after quoted lines": ('a,b\n"x\ny",1\n2,z\n', {"target": 0}, r"row 2 \(line 4\)"),
    "unknown class": ("a,b\n1,x\n", {"target": 1, "classes": ["y"]}, "'x' is none of the classes"),
    "no such target": ("a,b\n1,2\n", {"target": "c"}, "'c' is not there; the columns are 'a', 'b'"),
    "name twice": ("a,b,a\n1,2,3\n", {}, "'a' is there more than once"),
    "target twice": ("a,a\n1,2\n", {"target": "a"}, "'a' is there more than once"),
    "target place": ("a,b\n1,2\n", {"target": 2}, "there is no column 2; the file has 2"),
    "encoding": ("größe\n1\n".encode("latin-1"), {}, "is not utf-8 text .*; pass its encoding"),
    "open quote": ('a,b\n1,"2\n', {}, "is not a CSV file: line 2: "),
    "stray quote": ('a,b\n1,"2"3\n', {}, "is not a CSV file: line 2: "),
}


@pytest.mark.parametrize(("text", "options", "message"), FAULTS.values(), ids=FAULTS)
def test_faults_are_named_with_their_place(table, text, options, message):
    with pytest.raises(DataError, match=message) as caught:
        table(text, **options)
    assert "table.csv" in str(caught.value)


def test_wrong_arguments(table):
    for options in (
        {"delimiter": ""},
        {"delimiter": "||"},
        {"header": "maybe"},
        {"target": 1.5},
        {"encoding": "no such"},
    ):
        with pytest.raises(ArgumentError, match=next(iter(options)).split("_")[0]):
            table("1,2\n", **options)
    with pytest.raises(DTypeError, match="int64"):
        table("1,2\n", dtype="int64")
    with pytest.raises(PathError, match=r"there is no file 'no such\.csv'"):
        read_csv("no such.csv")
    with pytest.raises(PathError, match="folder"):
        read_csv(".")


names = (
    st.text(string.ascii_letters + " ,\"'\n;é", min_size=1)
    .map(str.strip)
    .filter(lambda s: s and s.lower() not in ("nan", "inf", "infinity"))
)
numbers = st.floats(allow_nan=False, allow_infinity=False)


@st.composite
def tables(draw):
    """Column names, rows of numbers and a text for each row."""
    columns = draw(st.lists(names, min_size=1, max_size=4, unique=True))
    row = st.lists(numbers, min_size=len(columns), max_size=len(columns))
    rows = draw(st.lists(row, min_size=1, max_size=6))
    kinds = draw(st.lists(names, min_size=len(rows), max_size=len(rows)))
    return columns, rows, kinds


def written(columns, rows, kinds, **style):
    file = io.StringIO()
    writer = csv.writer(file, **style)
    writer.writerow([*columns, "the kind"])
    writer.writerows([*map(repr, row), kind] for row, kind in zip(rows, kinds, strict=True))
    return file.getvalue()


@given(tables(), st.sampled_from(",;\t"), st.sampled_from(["\n", "\r\n"]), st.booleans())
def test_reads_what_the_csv_module_writes(tmp_path_factory, drawn, delimiter, end, quoted):
    columns, rows, kinds = drawn
    missing = {"", "na", "n/a", "nan", "null", "none", "?"}
    kinds = [k if k.lower() not in missing else "other" for k in kinds]
    quoting = csv.QUOTE_ALL if quoted else csv.QUOTE_MINIMAL
    text = written(columns, rows, kinds, delimiter=delimiter, lineterminator=end, quoting=quoting)
    path = tmp_path_factory.mktemp("csv") / "drawn.csv"
    path.write_bytes(text.encode())
    found = read_csv(
        path, target="the kind", delimiter=delimiter, dtype=dtypes.float64, header=True
    )
    assert found.columns == tuple(columns)
    assert np.array_equal(found.features.numpy(), np.array(rows))
    assert [found.classes[label] for label in found.target.tolist()] == kinds


@given(st.binary(max_size=60))
def test_any_bytes_give_a_table_or_a_typed_error(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("csv") / "any.csv"
    path.write_bytes(content)
    with contextlib.suppress(DataError):
        assert np.isfinite(read_csv(path).features.numpy()).all()

"""The promotion table, against the Array API's and numpy's."""

from itertools import combinations_with_replacement, product

import ml_dtypes
import numpy as np
import pytest

from lamina import dtypes
from lamina.dtypes import DTYPES, DType, as_dtype, of_scalar, promote
from lamina.errors import DTypeError

ALL = list(DTYPES.values())
PAIRS = list(combinations_with_replacement(ALL, 2))
RANK = {"bool": 0, "signed": 1, "unsigned": 1, "float": 2, "complex": 3}

# The tables of the Array API, 2025.12, "Type promotion rules": row, column → result.
INTEGERS = """
        int8  int16 int32 int64 uint8  uint16 uint32
int8    int8  int16 int32 int64 int16  int32  int64
int16   int16 int16 int32 int64 int16  int32  int64
int32   int32 int32 int32 int64 int32  int32  int64
int64   int64 int64 int64 int64 int64  int64  int64
uint8   int16 int16 int32 int64 uint8  uint16 uint32
uint16  int32 int32 int32 int64 uint16 uint16 uint32
uint32  int64 int64 int64 int64 uint32 uint32 uint32
"""
FLOATS = """
           float32    float64    complex64  complex128
float32    float32    float64    complex64  complex128
float64    float64    float64    complex128 complex128
complex64  complex64  complex128 complex64  complex128
complex128 complex128 complex128 complex128 complex128
"""


def cells(table: str) -> list[tuple[str, str, str]]:
    head, *rows = (line.split() for line in table.strip().splitlines())
    return [(row[0], name, cell) for row in rows for name, cell in zip(head, row[1:], strict=True)]


@pytest.mark.parametrize(("first", "second", "expected"), cells(INTEGERS) + cells(FLOATS))
def test_the_standards_tables(first: str, second: str, expected: str) -> None:
    assert promote(DTYPES[first], DTYPES[second]).name == expected


@pytest.mark.parametrize("other", ["uint8", "uint16", "uint32", "uint64"])
def test_uint64_goes_with_unsigned_integers(other: str) -> None:
    assert promote(dtypes.uint64, DTYPES[other]) is dtypes.uint64


@pytest.mark.parametrize("signed", ["int8", "int16", "int32", "int64"])
def test_uint64_with_a_signed_integer_has_no_common_type(signed: str) -> None:
    with pytest.raises(DTypeError, match=f"{signed} with uint64 has no common integer type"):
        promote(DTYPES[signed], dtypes.uint64)


def test_half_precisions_meet_in_float32() -> None:
    assert promote(dtypes.float16, dtypes.bfloat16) is dtypes.float32
    assert promote(dtypes.bfloat16, dtypes.float32) is dtypes.float32
    assert promote(dtypes.float16, dtypes.float64) is dtypes.float64


def test_of_two_kinds_the_higher_decides() -> None:
    for a, b in product(ALL, ALL):
        if RANK[a.kind] < RANK[b.kind] and not (a is dtypes.float64 and b is dtypes.complex64):
            assert promote(a, b) is b


def common(a: DType, b: DType) -> DType | None:
    try:
        return promote(a, b)
    except DTypeError:
        return None


@pytest.mark.parametrize(("a", "b"), PAIRS, ids=str)
def test_promotion_does_not_ask_for_the_order(a: DType, b: DType) -> None:
    assert common(a, b) is common(b, a)
    if a is b:
        assert common(a, b) is a


@pytest.mark.parametrize(
    ("a", "b"),
    [(a, b) for a, b in PAIRS if RANK[a.kind] == RANK[b.kind]],
    ids=str,
)
def test_within_a_kind_numpy_agrees(a: DType, b: DType) -> None:
    if common(a, b) is None or dtypes.bfloat16 in (a, b):
        return
    assert promote(a, b).numpy == np.promote_types(a.numpy, b.numpy)


def test_the_result_holds_both() -> None:
    for a, b in product(ALL, ALL):
        found = common(a, b)
        if found is not None and a.kind == b.kind == found.kind:
            assert found.itemsize >= max(a.itemsize, b.itemsize)


SCALARS = [
    (True, "bool", "bool"),
    (True, "int8", "int8"),
    (True, "float32", "float32"),
    (1, "bool", "int64"),
    (1, "uint8", "uint8"),
    (1, "float16", "float16"),
    (1, "complex64", "complex64"),
    (1.0, "bool", "float32"),
    (1.0, "int64", "float32"),
    (1.0, "bfloat16", "bfloat16"),
    (1.0, "float64", "float64"),
    (1.0, "complex128", "complex128"),
    (1j, "int8", "complex64"),
    (1j, "float32", "complex64"),
    (1j, "float64", "complex128"),
    (1j, "complex64", "complex64"),
]


@pytest.mark.parametrize(("value", "beside", "expected"), SCALARS)
def test_a_python_number_takes_the_type_beside_it(
    value: complex, beside: str, expected: str
) -> None:
    assert of_scalar(value, DTYPES[beside]).name == expected


@pytest.mark.parametrize(
    ("value", "expected"), [(True, "bool"), (1, "int64"), (1.0, "float32"), (1j, "complex64")]
)
def test_a_python_number_alone_takes_the_default(value: complex, expected: str) -> None:
    assert of_scalar(value, None).name == expected


def test_a_subclass_of_a_number_counts_as_it() -> None:
    assert of_scalar(np.float64(1.0), None) is dtypes.float32


@pytest.mark.parametrize("dtype", ALL, ids=str)
def test_every_way_to_name_a_dtype(dtype: DType) -> None:
    assert as_dtype(dtype) is dtype
    assert as_dtype(dtype.name) is dtype
    assert as_dtype(dtype.numpy) is dtype
    assert as_dtype(dtype.numpy.type) is dtype
    assert dtypes.from_numpy(dtype.numpy) is dtype
    assert repr(dtype) == f"lamina.{dtype.name}"
    assert dtype.itemsize == dtype.numpy.itemsize


@pytest.mark.parametrize(
    ("python", "expected"),
    [(bool, "bool"), (int, "int64"), (float, "float32"), (complex, "complex64")],
)
def test_python_types_mean_the_defaults(python: type, expected: str) -> None:
    assert as_dtype(python).name == expected


def test_bfloat16_is_the_one_of_ml_dtypes() -> None:
    assert as_dtype(ml_dtypes.bfloat16) is dtypes.bfloat16


@pytest.mark.parametrize("wrong", ["float8", "Float32", "", object(), "f4x", np.dtype("U3"), None])
def test_what_is_no_dtype_is_refused(wrong: object) -> None:
    with pytest.raises(DTypeError):
        as_dtype(wrong)


def test_numpys_other_types_are_refused_by_name() -> None:
    with pytest.raises(DTypeError, match=r"numpy dtype .*longdouble|float128.* has no counterpart"):
        dtypes.from_numpy(np.dtype(np.longdouble))


def test_parts_of_complex_numbers() -> None:
    assert dtypes.real_of(dtypes.complex64) is dtypes.float32
    assert dtypes.real_of(dtypes.complex128) is dtypes.float64
    assert dtypes.real_of(dtypes.int8) is dtypes.int8
    assert dtypes.complex_of(dtypes.float64) is dtypes.complex128
    assert dtypes.complex_of(dtypes.float32) is dtypes.complex64

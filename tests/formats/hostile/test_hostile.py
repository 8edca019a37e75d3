"""No file, however damaged or forged, gives anything but its object or a FileFormatError."""

import tracemalloc
import zlib
from contextlib import suppress
from pathlib import Path

import pytest
from formats.hostile import forge
from hypothesis import given
from hypothesis import strategies as st

import lamina
from lamina.errors import FileFormatError
from lamina.formats import load, save
from lamina.formats import package_pb2 as pb
from lamina.memory import stats

MAX_BYTES_TAKEN = 4 << 20


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("sound") / "sound.lamina"
    save({"w": lamina.arange(5, dtype="float32"), "b": lamina.ones(3), "step": 7}, path)
    return path.read_bytes()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "hostile.lamina"


def refusal(path: Path, content: bytes, *, verify: bool = True) -> str:
    """Load a file that must be refused; return the text of the error, which took little memory."""
    path.write_bytes(content)
    live = stats().live
    tracemalloc.start()
    try:
        with pytest.raises(FileFormatError) as error:
            load(path, verify=verify, copy=True)
        assert tracemalloc.get_traced_memory()[1] < MAX_BYTES_TAKEN + 8 * len(content)
    finally:
        tracemalloc.stop()
    message = str(error.value)
    assert stats().live <= live + len(content)
    assert str(path) in message
    assert "; " in message, "says what to do"
    return message


def test_a_forged_file_may_be_sound(path: Path) -> None:
    path.write_bytes(forge.one_tensor())
    assert load(path).tolist() == [[0.0] * 3] * 2


def test_truncated_at_every_length(sound: bytes, path: Path) -> None:
    for length in range(len(sound)):
        assert "truncated" in refusal(path, sound[:length])


def test_longer_than_it_says(sound: bytes, path: Path) -> None:
    assert f"holds {len(sound) + 1} bytes" in refusal(path, sound + b"\0")


def test_every_byte_flipped(sound: bytes, path: Path) -> None:
    for place in range(len(sound)):
        for bit in (0, 3, 7):
            content = bytearray(sound)
            content[place] ^= 1 << bit
            refusal(path, bytes(content))


def test_unverified_weights_are_taken_as_they_are(sound: bytes, path: Path) -> None:
    content = bytearray(sound)
    content[-1] ^= 1
    path.write_bytes(content)
    assert load(path, verify=False)["step"] == 7
    content[70] ^= 1
    refusal(path, bytes(content), verify=False)


def test_a_newer_version(path: Path) -> None:
    message = refusal(path, forge.container(b"", version=2))
    assert "format version 2, and this Lamina reads up to 1; install a newer lamina" in message


OTHER_KINDS = {
    "empty": b"",
    "text": b"epoch,loss\n" * 20,
    "zip": b"PK\x03\x04" + bytes(200),
    "pickle": b"\x80\x04cos\nsystem\n(S'echo'\ntR." + bytes(100),
    "zeros": bytes(500),
}


@pytest.mark.parametrize("content", OTHER_KINDS.values(), ids=OTHER_KINDS.keys())
def test_another_kind_of_file(content: bytes, path: Path) -> None:
    assert "another kind of file" in refusal(path, content)


def test_a_checkpoint_of_pytorch_is_recognised(tmp_path: Path) -> None:
    assert "PyTorch" in refusal(tmp_path / "model.pt", b"PK\x03\x04" + bytes(200))


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError):
        load(tmp_path)


PREFIXES = {
    "version 0": {"version": 0},
    "reserved field": {"zero": 1},
    "header past the end": {"header_bytes": 1 << 40},
    "header longer than allowed": {"header_bytes": (1 << 24) + 1},
    "header shorter than it is": {"header_bytes": 1},
    "weights at 0": {"offset": 0},
    "weights past the end": {"offset": 1 << 63},
    "weights longer than the file": {"nbytes": (1 << 64) - 1},
    "weights that wrap around": {"offset": (1 << 64) - 64, "nbytes": 64},
    "checksum of the header": {"crc": 1},
}


@pytest.mark.parametrize("fields", PREFIXES.values(), ids=PREFIXES.keys())
def test_a_prefix_that_lies(fields: dict[str, int], path: Path) -> None:
    refusal(path, forge.container(b"\x0a\x03abc" * 20, bytes(64), **fields))


TENSORS = {
    "more rows than there are": {"shape": [3, 3]},
    "one element past the end": {"offset": 1},
    "far past the end": {"offset": 1 << 62},
    "before the start": {"strides": [-3, 1]},
    "before the start, far": {"strides": [-(1 << 62), 1]},
    "absurd shape": {"shape": [1 << 40, 1 << 40], "strides": [1, 1]},
    "absurd and empty": {"shape": [0, 1 << 62]},
    "shape of 2**64 - 1": {"shape": [(1 << 64) - 1, 1], "strides": [0, 0]},
    "repeated without end": {"shape": [1 << 40, 3], "strides": [0, 1]},
    "elements that overlap": {"shape": [2, 2], "strides": [1, 1]},
    "too few strides": {"strides": [1]},
    "too many axes": {"shape": [1] * 65, "strides": [0] * 65},
    "very many axes": {"shape": [2] * 5000, "strides": [0] * 5000},
    "absurd strides of size 1": {"shape": [1, 3], "strides": [1 << 62, 1]},
    "unknown dtype": {"dtype": "float8"},
    "no dtype": {"dtype": ""},
    "object dtype": {"dtype": "object"},
    "wider dtype": {"dtype": "float64"},
    "no such section": {"section": 1},
    "no section near": {"section": (1 << 32) - 1},
}


@pytest.mark.parametrize("fields", TENSORS.values(), ids=TENSORS.keys())
def test_a_tensor_that_does_not_fit(fields: dict[str, object], path: Path) -> None:
    assert "is damaged" in refusal(path, forge.one_tensor(**fields))


SECTIONS = {
    "past the end": ([forge.section(25)], 24),
    "far past the end": ([forge.section(1 << 62)], 24),
    "of 2**64 - 1 bytes": ([forge.section((1 << 64) - 1)], 24),
    "less than there is": ([forge.section(20)], 24),
    "none": ([], 24),
    "not at the start": ([forge.section(24, offset=64)], 88),
    "not aligned": ([forge.section(24, offset=8)], 32),
    "overlapping": ([forge.section(24), forge.section(24, offset=0)], 24),
    "overlapping by half": ([forge.section(100), forge.section(24, offset=64)], 100),
    "out of order": ([forge.section(24, offset=64), forge.section(24)], 88),
    "with a gap": ([forge.section(24), forge.section(24, offset=128)], 152),
    "offset that wraps": ([forge.section(24), forge.section(24, offset=(1 << 64) - 64)], 24),
    "wrong checksum": ([forge.section(24, crc32=5)], 24),
}


@pytest.mark.parametrize("case", SECTIONS.values(), ids=SECTIONS.keys())
def test_sections_that_do_not_fit(case: tuple[list[pb.Section], int], path: Path) -> None:
    sections, nbytes = case
    content = forge.package(tensors=[forge.tensor()], sections=sections, weights=bytes(nbytes))
    assert "is damaged" in refusal(path, content)


def test_something_hidden_between_sections(path: Path) -> None:
    weights = bytearray(88)
    weights[40] = 1
    sections = [forge.section(24), forge.section(24, offset=64)]
    content = forge.package(tensors=[forge.tensor()], sections=sections, weights=bytes(weights))
    assert "bytes before section 1 of its weights are not zero" in refusal(path, content)


ROOTS = {
    "nothing at all": pb.Value(),
    "tensor that is not there": pb.Value(tensor=1),
    "tensor far away": pb.Value(tensor=(1 << 32) - 1),
    "entry without key": pb.Value(mapping=pb.Mapping(entries=[pb.Entry()])),
    "key that is a list": pb.Value(
        mapping=pb.Mapping(entries=[pb.Entry(key=forge.nested(1), value=pb.Value(integer=1))])
    ),
    "key given twice": pb.Value(
        mapping=pb.Mapping(
            entries=[pb.Entry(key=pb.Value(text="a"), value=pb.Value(integer=1))] * 2
        )
    ),
    "empty item": pb.Value(list_items=pb.Sequence(items=[pb.Value()])),
}


@pytest.mark.parametrize("root", ROOTS.values(), ids=ROOTS.keys())
def test_a_tree_that_is_none(root: pb.Value, path: Path) -> None:
    content = forge.package(root, [forge.tensor()], [forge.section()], bytes(24))
    assert "is damaged" in refusal(path, content)


@pytest.mark.parametrize("depth", [60, 1000, 20_000])
def test_nesting_without_end(depth: int, path: Path) -> None:
    value = pb.Value(integer=1).SerializeToString()
    for _ in range(depth):
        for tag in (0x0A, 0x4A):  # items of a Sequence, list_items of a Value
            value = bytes([tag]) + varint(len(value)) + value
    content = forge.container(b"\x12" + varint(len(value)) + value)
    assert "its header cannot be parsed" in refusal(path, content)


def varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def test_a_header_that_is_no_message(path: Path) -> None:
    assert "its header cannot be parsed" in refusal(path, forge.container(b"\xff" * 100))


def test_a_text_that_is_no_unicode(path: Path) -> None:
    assert "cannot be parsed" in refusal(path, forge.container(b"\x12\x04\x3a\x02\xff\xff"))


@given(data=st.data())
def test_a_header_changed_at_random(
    data: st.DataObject, sound: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """With a checksum that holds, so that what reads the header sees it."""
    path = tmp_path_factory.mktemp("changed") / "changed.lamina"
    length, offset = (int.from_bytes(sound[at : at + 8], "little") for at in (16, 24))
    header = bytearray(sound[64 : 64 + length])
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, length - 1))
        header[place] = data.draw(st.integers(0, 255))
    path.write_bytes(forge.container(bytes(header), sound[offset:]))
    with suppress(FileFormatError):
        load(path, verify=data.draw(st.booleans()))


def test_the_checksum_is_that_of_the_standard(sound: bytes) -> None:
    length = int.from_bytes(sound[16:24], "little")
    crc = int.from_bytes(sound[40:44], "little")
    assert zlib.crc32(sound[64 : 64 + length]) == crc

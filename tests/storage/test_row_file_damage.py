"""Damage to the file of rows: the parts answer then, and no reader crashes or reads anything else."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from row_files import arrow, edit, made, mapped, put, renew, segments, slow, spoken

from lookalike.storage.row_file import RowFile, write_row_file
from lookalike.storage.snapshot import Snapshot
from lookalike.storage.state import State

TESTS = Path(__file__).parents[1]

# Reads collections in a process of its own, so that one that it dies of is seen. Says of each what it holds.
READER = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from lookalike.storage.snapshot import Snapshot
from row_files import spoken

def everything(root):
    snapshot = Snapshot.open(root)
    table, filled = snapshot.table(), [one.name for one in snapshot.filled_columns]
    found = snapshot.rows_of([one for one in table["id"].to_pylist()] * 40).tolist()
    return spoken(root), table.to_pylist(), filled, found[:len(snapshot)]

for line in sys.stdin:
    try:
        answer = repr(everything(Path(line.strip())))
    except Exception as error:
        answer = f"{type(error).__name__}: {error}"
    print(ascii(answer), flush=True)
"""


class Reader:
    """A process that reads; `read` returns all that it found, or the error."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", READER, str(TESTS)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def read(self, root: Path) -> str:
        self._process.stdin.write(f"{root}\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer, f"the reader died with {self._process.wait()}"
        return answer

    def close(self) -> None:
        self._process.communicate()


@pytest.fixture(scope="module")
def reader() -> Iterator[Reader]:
    process = Reader()
    yield process
    process.close()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three parts, of which the second has a column of its own."""
    root = made(tmp_path_factory.mktemp("whole") / "rows.lookalike", ["a", "b"], ["c"], ["d", "é", "f"])
    put(root, 1, ["c", "g"], tags=pa.array([["x", "y"], None]), price=pa.array([1.5, None]))
    renew(root)
    return root


class Case:
    """A collection whose file of rows may be damaged again and again."""

    def __init__(self, root: Path, reader: Reader) -> None:
        self.root, self._reader = root, reader
        self._derived = {path.name: path.read_bytes() for path in (root / "derived").iterdir()}
        self.expected = reader.read(root)
        assert "jpeg of a" in self.expected

    def mend(self) -> None:
        for name, data in self._derived.items():
            (self.root / "derived" / name).write_bytes(data)

    def read(self) -> str:
        return self._reader.read(self.root)


@pytest.fixture(scope="module")
def case(whole: Path, reader: Reader) -> Case:
    return Case(whole, reader)


many = settings(
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)

CHANGE = st.tuples(
    st.sampled_from(["flip", "truncate", "insert", "remove"]),
    st.floats(0, 1, exclude_max=True),
    st.binary(min_size=1, max_size=9),
)


def damaged(data: bytes, change: tuple[str, float, bytes]) -> bytes:
    """The bytes with a change at a place that is a fraction of their length."""
    kind, fraction, more = change
    at = int(fraction * len(data))
    if kind == "flip":
        return data[:at] + bytes([data[at] ^ (more[0] or 1)]) + data[at + 1 :]
    if kind == "truncate":
        return data[:at]
    if kind == "insert":
        return data[:at] + more + data[at:]
    return data[:at] + data[at + len(more) :]


@pytest.mark.process
@many
@given(change=CHANGE)
def test_whatever_happens_to_the_rows_the_parts_answer(case, change):
    case.mend()
    path = arrow(case.root)
    path.write_bytes(damaged(path.read_bytes(), change))
    assert case.read() == case.expected


@pytest.mark.process
@many
@given(change=CHANGE)
def test_whatever_happens_to_rows_json_the_parts_answer(case, change):
    case.mend()
    path = case.root / "derived" / "rows.json"
    path.write_bytes(damaged(path.read_bytes(), change))
    assert case.read() == case.expected


@pytest.mark.process
@many
@given(change=CHANGE, part=st.integers(0, 2))
def test_rows_with_a_checksum_that_fits_do_not_crash_a_reader(case, change, part):
    """So that what stands behind the checksum is tried: what Arrow itself says of the bytes."""
    case.mend()
    path, (_, _, count, _, _, _, offset, length, *_) = arrow(case.root), segments(case.root)[part]
    data = path.read_bytes()
    new = damaged(data[offset : offset + length], change)[:length].ljust(length, b"\0")
    path.write_bytes(data[:offset] + new + data[offset + length :])
    hashes = new[: 8 * count]
    stream = new[-(-8 * count // 64) * 64 :]

    def seal(fields: dict[str, Any]) -> None:
        fields["segments"][part][8:] = [google_crc32c.value(hashes), google_crc32c.value(stream)]

    edit(case.root, seal)

    case.read()


ODD = st.one_of(
    st.none(), st.booleans(), st.integers(-5, 300), st.integers(), st.floats(), st.text(max_size=5),
    st.sampled_from([2**31, 2**63, 2**64, "../../../etc/passwd", "..", "", [], {}, [0], "\ud800"]),
)  # fmt: skip


@pytest.mark.process
@many
@given(part=st.integers(0, 2), field=st.integers(0, 9), value=ODD)
def test_no_field_of_a_segment_crashes_a_reader(case, part, field, value):
    """With a checksum that fits. What says where the rows lie is tried by another checksum besides."""
    case.mend()
    before = segments(case.root)[part][field]
    edit(case.root, lambda fields: fields["segments"][part].__setitem__(field, value))
    answer = case.read()
    place = field > 5  # the bytes and their checksums; which schema they have is believed
    if place or value == before:
        assert answer == case.expected


@pytest.mark.process
@many
@given(field=st.sampled_from(["format", "version", "file", "schemas", "segments"]), value=ODD)
def test_no_field_of_the_whole_crashes_a_reader(case, field, value):
    case.mend()
    edit(case.root, lambda fields: fields.__setitem__(field, value))
    assert case.read() == case.expected


@pytest.mark.process
@many
@given(field=st.integers(0, 9), value=ODD)
def test_a_changed_field_without_its_checksum_is_not_read(case, field, value):
    case.mend()
    path = case.root / "derived" / "rows.json"
    fields = json.loads(path.read_text())
    fields["segments"][1][field] = value
    path.write_text(json.dumps(fields))
    assert case.read() == case.expected


def nested(depth: int) -> str:
    return "[" * depth + "]" * depth


@pytest.mark.process
@pytest.mark.parametrize("text", ["", "null", "[]", "7", '"text"', "{", "\0", nested(100_000), "1" * 5000])
def test_json_of_another_kind_is_not_read(case, text):
    case.mend()
    (case.root / "derived" / "rows.json").write_text(text)
    assert RowFile.open(case.root) is None
    assert case.read() == case.expected


@pytest.fixture
def root(whole: Path, tmp_path: Path) -> Path:
    """A copy of the three parts that the test may damage."""
    shutil.copytree(whole, tmp_path / "copy.lookalike", ignore=shutil.ignore_patterns("derived"))
    renew(tmp_path / "copy.lookalike")
    return tmp_path / "copy.lookalike"


def set_in(part: int, field: int, value: object) -> Callable[[dict[str, Any]], None]:
    return lambda fields: fields["segments"][part].__setitem__(field, value)


@pytest.mark.parametrize(
    "name", ["../rows-0123456789ab.arrow", "background.json", "rows-0123.arrow", "/etc/passwd", ".."]
)
def test_no_file_is_mapped_but_one_of_rows_that_lies_beside_the_json(root, name):
    shutil.copy(arrow(root), root / "rows-0123456789ab.arrow")
    shutil.copy(arrow(root), root / "derived" / "background.json")
    edit(root, lambda fields: fields.__setitem__("file", name))
    assert RowFile.open(root) is None


def test_a_file_of_another_name_is_not_written(root):
    other = root / "derived" / "background.json"
    other.write_text("what someone keeps")
    edit(root, lambda fields: fields.__setitem__("file", "background.json"))
    renew(root)
    assert other.read_text() == "what someone keeps"
    assert mapped(root) == slow(root)


def test_no_tar_is_named_but_one_of_thumbnails(root):
    tar = segments(root)[0][3]
    edit(root, set_in(0, 3, f"../{tar}"))
    assert RowFile.open(root) is None
    edit(root, set_in(0, 3, tar))
    assert RowFile.open(root) is not None


def test_a_segment_that_ends_where_the_file_ends_is_there_and_one_that_ends_later_is_not(root):
    size = arrow(root).stat().st_size
    last = max(segments(root).values(), key=lambda one: one[6])
    assert last[6] + last[7] == size
    assert sorted(RowFile.open(root).segments) == [0, 1, 2]
    arrow(root).write_bytes(arrow(root).read_bytes()[:-1])
    assert len(RowFile.open(root).segments) == 2


def test_a_count_that_needs_more_hashes_than_the_segment_is_long_is_refused(root):
    length = segments(root)[0][7]
    edit(root, set_in(0, 2, length // 8 + 1))
    assert RowFile.open(root) is None


def test_rows_of_another_count_are_not_read(root):
    edit(root, set_in(0, 2, 1))
    file = RowFile.open(root)
    state = file.states(root)[0]
    assert state.count == 1
    assert file.rows(state) is None
    assert file.hashes(state) is None


def test_a_schema_that_is_not_there_is_refused(root):
    count = len(json.loads((root / "derived" / "rows.json").read_text())["schemas"])
    edit(root, set_in(0, 5, count))
    assert RowFile.open(root) is None
    edit(root, set_in(0, 5, count - 1))
    assert RowFile.open(root) is not None


def test_rows_under_another_schema_are_not_read(root):
    states = State.read(root).parts
    assert RowFile.open(root).rows(states[0]).num_rows == 2
    other = segments(root)[1][5]
    assert other != segments(root)[0][5]
    edit(root, set_in(0, 5, other))
    assert RowFile.open(root).rows(states[0]) is None


def test_damaged_hashes_are_not_looked_up(root):
    expected = spoken(root)
    offset = segments(root)[0][6]
    data = bytearray(arrow(root).read_bytes())
    data[offset] ^= 1
    arrow(root).write_bytes(data)
    states = State.read(root).parts
    opened = RowFile.open(root)
    assert opened.hashes(states[0]) is None
    assert opened.rows(states[0]).num_rows == 2
    assert spoken(root) == expected


def test_damaged_rows_are_not_read_and_their_hashes_are(root):
    offset = segments(root)[0][6]
    data = bytearray(arrow(root).read_bytes())
    data[offset + 70] ^= 1
    arrow(root).write_bytes(data)
    states = State.read(root).parts
    opened = RowFile.open(root)
    assert opened.rows(states[0]) is None
    assert opened.hashes(states[0]).dtype == np.uint64


def test_a_text_that_leads_out_of_the_segment_is_read_from_the_part(root):
    """The offsets of a text column, with a checksum that fits: a reader would go where they lead."""
    state = State.read(root).parts[0]
    expected = spoken(root)
    data, (_, _, count, _, _, _, offset, length, *_) = arrow(root).read_bytes(), segments(root)[0]
    uris = np.array([0, len("file:///0"), 2 * len("file:///0")], np.int32).tobytes()
    at = data.index(uris, offset)
    data = data[:at] + np.array([0, 9, 2**30], np.int32).tobytes() + data[at + len(uris) :]
    arrow(root).write_bytes(data)
    crc = google_crc32c.value(data[offset + 64 : offset + length])
    edit(root, set_in(0, 9, crc))

    assert RowFile.open(root) is not None
    assert count == 2
    assert spoken(root) == expected
    assert Snapshot.open(root).column("uri").to_pylist()[:2] == state.described()["uri"].to_pylist()


def test_a_damaged_file_is_written_anew_for_the_next_reader(root):
    expected = spoken(root)
    path = next((root / "derived").glob("rows-*.arrow"))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)

    assert spoken(root) == expected
    assert not (root / "derived" / "rows.json").exists()
    write_row_file(root, State.read(root).parts)
    assert Snapshot.open(root).is_mapped
    assert spoken(root) == expected

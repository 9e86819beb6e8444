"""Damage to the files of a part: no flipped byte goes unseen, and none is read or carried on."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator

import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet as pq
import pytest
from building import rows_of, written
from hypothesis import given
from hypothesis import strategies as st

import lookalike
from lookalike.errors import CollectionError
from lookalike.storage.parts import Failure, Part, failure_table


@pytest.fixture(scope="module")
def three_files(tmp_path_factory: pytest.TempPathFactory) -> Part:
    part = written(tmp_path_factory.mktemp("part"))
    part.write_failures(failure_table([Failure("bad.jpg", "file:///bad.jpg", "decode", "the file is empty")]))
    return part


@given(which=st.integers(0, 2), place=st.floats(0, 1, exclude_max=True), change=st.integers(1, 255))
def test_any_changed_byte_of_any_file_of_a_part_is_found(three_files, which, place, change):
    paths = [three_files.items_path, three_files.failures_path, three_files.thumbnails_path()]
    path = paths[which]
    whole = path.read_bytes()
    damaged = bytearray(whole)
    damaged[int(place * len(whole))] ^= change
    path.write_bytes(damaged)
    try:
        problems = three_files.problems()
    finally:
        path.write_bytes(whole)

    assert [problem for problem in problems if str(path) in problem] == problems != []


@pytest.mark.slow
def test_every_changed_byte_of_every_file_of_a_part_is_found(three_files):
    for path in (three_files.items_path, three_files.failures_path, three_files.thumbnails_path()):
        whole = path.read_bytes()
        for place in range(len(whole)):
            for bit in (0x01, 0x20, 0x80):
                damaged = bytearray(whole)
                damaged[place] ^= bit
                path.write_bytes(damaged)
                assert three_files.problems(), f"{path.name}, byte {place}"
        path.write_bytes(whole)


@pytest.mark.parametrize("kept", [0, 1, 8, 100, -1])
def test_a_cut_off_file_is_found(three_files, kept):
    for path in (three_files.items_path, three_files.failures_path, three_files.thumbnails_path()):
        whole = path.read_bytes()
        path.write_bytes(whole[:kept])
        assert three_files.problems()
        path.write_bytes(whole)


def test_the_checksum_is_the_sha256_of_the_file_with_zeros_in_its_place(three_files):
    for path in (three_files.items_path, three_files.failures_path):
        stated = pq.read_metadata(path).metadata[b"lookalike.sha256"]
        data = path.read_bytes()
        assert re.fullmatch(rb"[0-9a-f]{64}", stated)
        assert data.count(stated) == 1
        assert hashlib.sha256(data.replace(stated, b"0" * 64)).hexdigest().encode() == stated


def test_the_same_rows_give_the_same_bytes(tmp_path):
    one, two = written(tmp_path / "one"), written(tmp_path / "two")

    assert one.items_path.read_bytes() == two.items_path.read_bytes()
    assert one.thumbnails_path().read_bytes() == two.thumbnails_path().read_bytes()


def test_a_text_that_looks_like_the_checksum_does_not_confuse_it(tmp_path):
    part = Part(tmp_path, 0)
    trap = "lookalike.sha256" + "0" * 64
    part.write(rows_of([trap], [trap], **{trap: pa.array([trap])}), [b"jpeg"])

    assert part.problems() == []
    assert len(part.checksum()) == 64


def test_a_damaged_page_is_refused_when_it_is_read(tmp_path, damage):
    part = written(tmp_path)
    column = pq.read_metadata(part.items_path).row_group(0).column(part.column_names().index("embedding"))
    damage(part.items_path, column.data_page_offset + column.total_compressed_size - 1)

    with pytest.raises(CollectionError, match=r"part-000000\.parquet is damaged") as caught:
        part.embeddings()
    assert caught.value.hint == f"find out what else is: `lookalike.open('{tmp_path}').verify()`"


@pytest.mark.parametrize(
    "read",
    [Part.items, Part.column_names, Part.num_rows, Part.embeddings, Part.checksum, Part.thumbnails_path],
    ids=lambda method: method.__name__,
)
def test_a_damaged_footer_is_refused_whatever_is_asked_for(tmp_path, read):
    part = written(tmp_path)
    part.items_path.write_bytes(part.items_path.read_bytes()[:-8])

    with pytest.raises(CollectionError, match=r"part-000000\.parquet is damaged"):
        read(part)


def test_a_tar_that_is_missing_is_said_to_be_missing(tmp_path):
    part = written(tmp_path)
    part.thumbnails_path().unlink()

    assert [problem.split(": ")[1] for problem in part.problems()] == ["missing"]


def test_a_tar_that_is_missing_is_a_collection_error_when_it_is_read(tmp_path):
    part = written(tmp_path)
    part.thumbnails_path().unlink()

    with pytest.raises(CollectionError, match=r"part-000000-[0-9a-f]{16}\.tar"):
        part.thumbnails(part.items()["id"].to_pylist())


def test_a_tar_that_is_cut_off_is_a_collection_error_when_it_is_read(tmp_path):
    part = written(tmp_path)
    part.thumbnails_path().write_bytes(part.thumbnails_path().read_bytes()[:700])

    with pytest.raises(CollectionError, match=r"part-000000-[0-9a-f]{16}\.tar"):
        part.thumbnails(part.items()["id"].to_pylist())


def with_footer(part: Part, entry: str) -> None:
    """Write the items of a part again as plain pyarrow would, with this note on its thumbnails."""
    table = part.items()
    with pq.ParquetWriter(part.items_path, table.schema) as writer:
        writer.write_table(table)
        writer.add_key_value_metadata({"lookalike.thumbnails": entry})


@pytest.mark.parametrize("name", ["../../secret", "/etc/passwd", "thumbnails/part-000000.tar", "..", ".", ""])
def test_a_name_of_thumbnails_that_leads_elsewhere_is_refused(tmp_path, name):
    part = written(tmp_path)
    with_footer(part, f'{{"file": "{name}", "sha256": "0"}}')

    with pytest.raises(CollectionError, match="is damaged"):
        part.thumbnails(part.items()["id"].to_pylist())


@pytest.mark.parametrize("entry", ["", "null", "[]", "{}", '{"file": "part-000000.tar"}', "{"])
def test_a_footer_that_names_no_thumbnails_is_refused(tmp_path, entry):
    part = written(tmp_path)
    with_footer(part, entry)

    with pytest.raises(CollectionError, match="as its thumbnails"):
        part.thumbnails_path()


def test_damage_is_not_carried_into_a_rewritten_part(tmp_path, damage):
    part = written(tmp_path, ids=["a", "b", "c", "d", "e"])
    rows = part.items()
    place = rows["thumb_offset"][4].as_py() + 20
    damage(part.thumbnails_path(), place)

    def rewrite() -> Iterator[str]:
        kept = rows.slice(1)
        part.write(kept, part.thumbnails(kept["id"].to_pylist()))
        yield from part.problems()

    try:
        assert list(rewrite()) != []
    except CollectionError as error:
        assert "part-000000-" in str(error)


@pytest.mark.parametrize(
    "read",
    [
        len,
        lambda collection: collection.items(),
        lambda collection: collection.search(lookalike.Id("x"), include_query=True),
    ],
    ids=["len", "items", "search"],
)
def test_a_collection_with_a_damaged_part_says_which(copied, read: Callable[[lookalike.Collection], object]):
    path = copied.path / "items" / "part-000001.parquet"
    path.write_bytes(path.read_bytes()[:-8])

    with pytest.raises(CollectionError, match=r"part-000001\.parquet is damaged"):
        read(copied)

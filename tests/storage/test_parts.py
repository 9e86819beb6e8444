"""A part: its Parquet files and its tar, which other tools read, and how it is written again."""

from __future__ import annotations

import hashlib
import io
import re
import tarfile
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet as pq
import pytest
from building import JPEGS, rows_of, written
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from lookalike.storage.parts import (
    FAILURE_SCHEMA,
    RESERVED_COLUMNS,
    Failure,
    Part,
    _header,
    embedding_column,
    failure_table,
    list_parts,
    matrix,
)

# Any text that UTF-8 can hold; NUL is in no file name.
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)

IDS = st.lists(TEXT, min_size=1, max_size=6, unique=True)


def members(path: Path) -> dict[str, bytes]:
    with tarfile.open(path) as tar:
        return {member.name: tar.extractfile(member).read() for member in tar}


def test_a_row_has_these_columns_of_these_types_and_the_embedding_is_the_last(collection):
    schema = pq.read_schema(collection.path / "items" / "part-000000.parquet").remove_metadata()

    assert schema == pa.schema(
        [
            pa.field("id", pa.string(), nullable=False),
            pa.field("uri", pa.string(), nullable=False),
            pa.field("size_bytes", pa.int64(), nullable=False),
            pa.field("mtime_ns", pa.int64(), nullable=False),
            pa.field("sha256", pa.string(), nullable=False),
            pa.field("width", pa.int32(), nullable=False),
            pa.field("height", pa.int32(), nullable=False),
            pa.field("label", pa.string()),
            pa.field("thumb_offset", pa.int64(), nullable=False),
            pa.field("thumb_size", pa.int64(), nullable=False),
            pa.field("taken_at", pa.timestamp("us")),
            pa.field("latitude", pa.float64()),
            pa.field("longitude", pa.float64()),
            pa.field("camera", pa.string()),
            pa.field(
                "embedding", pa.list_(pa.field("element", pa.float32(), nullable=False), 192), nullable=False
            ),
        ]
    )


def test_the_columns_of_the_source_stand_before_the_embedding(tmp_path):
    part = Part(tmp_path, 0)
    part.write(rows_of(["a"], caption=pa.array(["a red rose"])), [b"jpeg"])

    assert part.column_names()[-4:] == ["thumb_offset", "thumb_size", "caption", "embedding"]


def test_the_names_of_the_files_have_six_digits(collection):
    names = [str(path.relative_to(collection.path)) for path in collection.path.rglob("part-*")]

    assert [re.sub("-[0-9a-f]{16}", "-CHECKSUM", name) for name in sorted(names)] == [
        "items/part-000000.parquet",
        "items/part-000001.parquet",
        "items/part-000002.parquet",
        "thumbnails/part-000000-CHECKSUM.tar",
        "thumbnails/part-000001-CHECKSUM.tar",
        "thumbnails/part-000002-CHECKSUM.tar",
    ]


def test_the_name_of_a_tar_states_the_start_of_its_checksum(collection):
    for part in list_parts(collection.path):
        path = part.thumbnails_path()
        checksum = hashlib.sha256(path.read_bytes()).hexdigest()
        assert path.name == f"part-{part.number:06d}-{checksum[:16]}.tar"


def test_the_folder_of_items_is_a_data_set_for_plain_pyarrow(collection):
    table = pyarrow.dataset.dataset(collection.path / "items").to_table()

    assert table.num_rows == 42
    assert table["id"][0].as_py() == "brick/brick-000.jpg"
    assert len(table["embedding"][0].as_py()) == 192


def test_every_row_gives_the_place_of_its_jpeg_in_the_tar(collection):
    for part in list_parts(collection.path):
        tar = part.thumbnails_path().read_bytes()
        for row in part.items().to_pylist():
            jpeg = tar[row["thumb_offset"] : row["thumb_offset"] + row["thumb_size"]]
            with Image.open(io.BytesIO(jpeg)) as image:
                assert (image.format, image.size) == ("JPEG", (row["width"], row["height"]))


def test_the_tar_has_a_member_for_every_row_named_by_its_id(collection):
    for part in list_parts(collection.path):
        rows = part.items()
        names = [f"{id_}.jpg" for id_ in rows["id"].to_pylist()]
        assert members(part.thumbnails_path()) == dict(
            zip(names, part.thumbnails(rows["id"].to_pylist()), strict=True)
        )


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_vectors_are_stored_as_fixed_size_lists_that_cannot_be_null(dtype):
    vectors = np.array([[1, 0], [0.5, -0.25]], np.float64)

    column = embedding_column(vectors, dtype)

    value_type = {"float32": pa.float32(), "float16": pa.float16()}[dtype]
    assert column.type == pa.list_(pa.field("element", value_type, nullable=False), 2)
    read = matrix(pa.chunked_array([column, column]))
    assert (read.dtype, read.flags.c_contiguous) == (np.float32, True)
    assert read.tolist() == [[1, 0], [0.5, -0.25], [1, 0], [0.5, -0.25]]


@given(data=st.data())
def test_any_ids_labels_and_metadata_are_read_back_as_they_were_written(data):
    ids = data.draw(IDS)
    count = len(ids)
    labels = data.draw(st.lists(st.none() | TEXT, min_size=count, max_size=count))
    free = TEXT.filter(lambda name: name not in {*RESERVED_COLUMNS, "label"})
    columns = {}
    for name in data.draw(st.lists(free, max_size=3, unique=True)):
        values, type_ = data.draw(
            st.sampled_from(
                [
                    (TEXT, pa.string()),
                    (st.integers(-(2**63), 2**63 - 1), pa.int64()),
                    (st.floats(allow_nan=False), pa.float64()),
                    (st.booleans(), pa.bool_()),
                    (st.binary(max_size=9), pa.binary()),
                ]
            )
        )
        columns[name] = pa.array(
            data.draw(st.lists(st.none() | values, min_size=count, max_size=count)), type_
        )
    rows = rows_of(ids, labels, **columns)
    with tempfile.TemporaryDirectory() as root:
        part = Part(Path(root), 0)
        part.write(rows, JPEGS[:count])

        read = part.items()
        assert read.drop_columns(["thumb_offset", "thumb_size"]) == rows
        assert part.thumbnails(read["id"].to_pylist()) == JPEGS[:count]
        assert list(members(part.thumbnails_path()).values()) == JPEGS[:count]
        assert part.problems() == []


@settings(deadline=None, max_examples=30)
@given(st.lists(st.tuples(TEXT, TEXT, TEXT, TEXT), min_size=1, max_size=5))
def test_any_failures_are_read_back_as_they_were_written(rows):
    table = failure_table([Failure(*row) for row in rows])
    with tempfile.TemporaryDirectory() as root:
        part = Part(Path(root), 0)
        part.write_failures(table)

        read = pq.read_table(part.failures_path)
        assert (read.schema.remove_metadata(), read.to_pylist()) == (FAILURE_SCHEMA, table.to_pylist())
        assert part.problems() == []


def test_a_rewritten_part_has_the_thumbnails_of_its_rows_and_no_others(tmp_path):
    part = written(tmp_path)
    rows = part.items().take([0, 2])

    part.write(rows, part.thumbnails(rows["id"].to_pylist()))

    assert part.items()["id"].to_pylist() == ["a.jpg", "c.jpg"]
    assert list((tmp_path / "thumbnails").iterdir()) == [part.thumbnails_path()]
    assert members(part.thumbnails_path()) == {"a.jpg.jpg": JPEGS[0], "c.jpg.jpg": JPEGS[2]}
    assert part.thumbnails(part.items()["id"].to_pylist()) == [JPEGS[0], JPEGS[2]]
    assert part.problems() == []


def test_a_part_can_be_rewritten_again_and_again(tmp_path):
    part = written(tmp_path)
    for kept in ([0, 1], [1]):
        rows = part.items().take(kept)
        part.write(rows, part.thumbnails(rows["id"].to_pylist()))

    assert list((tmp_path / "thumbnails").iterdir()) == [part.thumbnails_path()]
    assert part.thumbnails(part.items()["id"].to_pylist()) == [JPEGS[1]]


def test_a_part_rewritten_for_its_metadata_keeps_its_tar(tmp_path):
    part = written(tmp_path)
    tar = part.thumbnails_path()
    before = (tar.stat().st_ino, tar.stat().st_mtime_ns)
    rows = part.items()
    place = rows.column_names.index("label")

    part.write(rows.set_column(place, "label", pa.array(["rose", None, "tulip"])))

    assert part.items()["label"].to_pylist() == ["rose", None, "tulip"]
    assert (part.thumbnails_path(), tar.stat().st_ino, tar.stat().st_mtime_ns) == (tar, *before)
    assert part.problems() == []


def test_a_part_without_rows_is_no_part(tmp_path):
    part = written(tmp_path)

    part.write(part.items().slice(0, 0), [])

    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_no_failures_are_no_file(tmp_path):
    part = Part(tmp_path, 0)
    part.write_failures(failure_table([Failure("a", "file:///a", "read", "gone")]))
    part.write_failures(failure_table([]))

    assert not part.failures_path.exists()


def test_only_files_that_are_named_like_parts_are_parts(tmp_path):
    written(tmp_path, 7)
    written(tmp_path, 1_000_000)
    for name in ("part-000003.parquet.tmp", "part-3.parquet", ".part-000003.parquet", "notes.txt"):
        (tmp_path / "items" / name).touch()

    assert [part.number for part in list_parts(tmp_path)] == [7, 1_000_000]
    assert list_parts(tmp_path, "failures") == []


def test_a_path_that_looks_like_an_address_is_a_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    part = written(Path("s3:/bucket"))

    assert part.items()["id"].to_pylist() == ["a.jpg", "b.jpg", "c.jpg"]


def test_an_item_without_a_picture_has_no_member_in_the_tar(tmp_path):
    part = Part(tmp_path, 0)
    part.write(rows_of(["a", "b"]), [b"", b"jpeg"])

    assert members(part.thumbnails_path()) == {"b.jpg": b"jpeg"}
    assert part.thumbnails(["a", "b"]) == [b"", b"jpeg"]
    assert part.problems() == []


@given(st.text(min_size=1, max_size=130), st.integers(0, 2**31))
def test_the_header_of_a_thumbnail_is_that_of_tarfile(name: str, size: int) -> None:
    name = name.encode("utf-8", "ignore").decode() or "x"
    info = tarfile.TarInfo(name)
    info.size = size
    assert _header(name, size) == info.tobuf(tarfile.PAX_FORMAT)

"""Parquet and Arrow files as sources: columns of bytes, and of Hugging Face's structs."""

from __future__ import annotations

import datetime
import json
import os

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from building import counts, failures, labels
from conftest import build
from source_files import images, jpeg, listed, metadata, written

from lookalike.errors import SourceError
from lookalike.sources import table as table_source

PICTURE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def rows(count: int, **columns: list) -> pa.Table:
    return pa.table({**columns, "image": [jpeg(number) for number in range(count)]})


def write(path, table: pa.Table, **options):
    pq.write_table(table, path, **options)
    return path


def stream_of(table: pa.Table, batch_rows: int = 2) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table, batch_rows)
    return sink.getvalue().to_pybytes()


def file_of(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table, 2)
    return sink.getvalue().to_pybytes()


def test_a_row_is_an_image_under_its_number(tmp_path):
    shard = write(tmp_path / "train.parquet", rows(3), row_group_size=2)

    samples, _ = listed(shard)

    assert images(shard) == {f"train/{number}": jpeg(number) for number in range(3)}
    assert samples["train/2"].uri == f"{shard.as_uri()}#2"
    assert samples["train/2"].size_bytes is None


def test_the_images_are_not_read_to_list_them(tmp_path, monkeypatch):
    shard = write(tmp_path / "train.parquet", rows(3, url=["a", "b", "c"]))
    monkeypatch.setattr(table_source, "_load", lambda *_: pytest.fail("read an image"))

    assert [one["url"] for one in metadata(shard).values()] == ["a", "b", "c"]


def test_the_size_in_the_collection_is_that_of_the_image(tmp_path, target):
    shard = write(tmp_path / "train.parquet", rows(2))

    collection, _ = build(shard, target)

    assert collection.items(["size_bytes"])["size_bytes"].to_pylist() == [len(jpeg(0)), len(jpeg(1))]
    assert counts(build(shard, target)[1]) == {"unchanged": 2}
    os.utime(shard, ns=(0, 0))
    assert counts(build(shard, target)[1]) == {"embedded": 2}


def test_hugging_faces_structs_are_read_and_their_paths_are_names(tmp_path):
    pictures = [{"bytes": jpeg(0), "path": "a.jpg"}, {"bytes": jpeg(1), "path": "a.jpg"}]
    table = pa.table({"image": pa.array([*pictures, {"bytes": jpeg(2)}], PICTURE)})
    shard = write(tmp_path / "train.parquet", table)

    assert images(shard) == {"train/a.jpg": jpeg(0), "train/a.jpg~1": jpeg(1), "train/2": jpeg(2)}


def test_hugging_faces_notes_name_the_classes_and_the_column(tmp_path, target):
    features = {
        "label": {"names": ["daisy", "rose"], "_type": "ClassLabel"},
        "photo": {"_type": "Image"},
        "image": {"dtype": "binary", "_type": "Value"},
    }
    table = pa.table({"label": [1, 0], "photo": [jpeg(0), jpeg(1)], "image": [b"mask", b"mask"]})
    notes = {"huggingface": json.dumps({"info": {"features": features}})}
    shard = write(tmp_path / "train.parquet", table.replace_schema_metadata(notes))

    assert labels(build(shard, target)[0]) == {"train/0": "rose", "train/1": "daisy"}


def test_scalars_become_columns(tmp_path):
    table = rows(
        1,
        url=["http://h/a"],
        score=[0.5],
        day=[datetime.date(2020, 1, 2)],
        nan=[float("nan")],
        sizes=[[1, 2]],
        sha256=["x"],
    )
    shard = write(tmp_path / "train.parquet", table)

    assert metadata(shard) == {
        "train/0": {"url": "http://h/a", "score": 0.5, "day": "2020-01-02", "sha256_": "x"}
    }


def test_the_only_column_of_bytes_is_that_of_the_images(tmp_path):
    shard = write(tmp_path / "train.parquet", pa.table({"n": [1], "whatever": [jpeg()]}))

    assert images(shard) == {"train/0": jpeg()}


def test_a_table_without_images_is_no_source(tmp_path, target):
    shard = write(tmp_path / "train.parquet", pa.table({"title": ["a"], "n": [1]}))

    with pytest.raises(SourceError, match="has no column of images, only: title, n"):
        build(shard, target)
    with pytest.raises(SourceError, match="has no column photo, only: title, n"):
        build(shard, target, image_column="photo")


def test_a_table_with_two_columns_of_images_of_one_name_is_no_source(tmp_path, target):
    two = pa.table([pa.array([jpeg()])] * 2, ["image", "image"])
    (tmp_path / "train.arrow").write_bytes(file_of(two))

    for shard in (write(tmp_path / "train.parquet", two), tmp_path / "train.arrow"):
        with pytest.raises(SourceError, match="has no column of images, only: image, image"):
            build(shard, target)


def test_a_row_without_an_image_is_a_failure(tmp_path, target):
    pictures = [None, {"bytes": jpeg(0)}, {"path": "/etc/passwd"}]
    shard = write(tmp_path / "train.parquet", pa.table({"image": pa.array(pictures, PICTURE)}))

    collection, report = build(shard, target)

    assert counts(report) == {"embedded": 1, "failed": 2}
    assert {error for _, _, error in failures(collection)} == {"the row has no image"}


@pytest.mark.parametrize("form", [stream_of, file_of])
def test_arrow_streams_and_files_are_read(tmp_path, form):
    shard = written(tmp_path / "data.arrow", form(rows(5, n=list(range(5)))))

    assert images(shard) == {f"data/{number}": jpeg(number) for number in range(5)}
    assert [one["n"] for one in metadata(shard).values()] == [0, 1, 2, 3, 4]


def test_a_stream_is_read_up_to_where_it_breaks_off(tmp_path):
    whole = stream_of(rows(5))
    found = []
    for cut in range(0, len(whole), 13):
        shard = written(tmp_path / "data.arrow", whole[:cut])
        samples, failed = listed(shard)
        assert len(failed) == 1
        assert [one.read() for one in samples.values()] == [jpeg(number) for number in range(len(samples))]
        found.append(len(samples))
    assert sorted(set(found)) == [0, 2, 4, 5]
    assert found == sorted(found)


@pytest.mark.parametrize("cut", [0, 3, 100, -1])
def test_parquet_that_breaks_off_is_one_failure_beside_the_others(tmp_path, cut):
    whole = write(tmp_path / "a.parquet", rows(2)).read_bytes()
    written(tmp_path / "b.parquet", whole[:cut])

    samples, failed = listed(tmp_path)

    assert list(samples) == ["a/0", "a/1"]
    assert [(one.id, one.uri) for one in failed] == [("b.parquet", (tmp_path / "b.parquet").as_uri() + "#")]


def test_damaged_pages_are_failures_of_reading(tmp_path, target):
    shard = write(tmp_path / "a.parquet", rows(2), write_page_checksum=True, compression="none")
    data = bytearray(shard.read_bytes())
    data[data.index(jpeg(1)[-20:])] ^= 1
    shard.write_bytes(data)

    collection, report = build(shard, target, threads=1)

    assert counts(report) == {"failed": 2}
    assert all("checksum" in error for _, stage, error in failures(collection))


def test_a_table_that_was_written_anew_is_read_anew(tmp_path):
    shard = write(tmp_path / "a.parquet", rows(2))
    assert images(shard)["a/0"] == jpeg(0)

    write(shard, rows(2).take([1, 0]))

    assert images(shard)["a/0"] == jpeg(1)


def test_few_groups_of_rows_are_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(table_source, "_KEPT_BYTES", 3000)
    shard = write(tmp_path / "a.parquet", rows(40), row_group_size=2)

    assert len(images(shard)) == 40

    kept = table_source._recent._groups.values()
    assert len(kept) <= 3
    assert sum(one.nbytes for one in kept) <= 3000 or len(kept) == 2

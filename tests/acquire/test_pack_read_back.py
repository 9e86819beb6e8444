"""What `pack` and `download` wrote, read as a source: the ids of what was packed, and no second `width_`."""

from __future__ import annotations

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import build
from fsspec.implementations.memory import MemoryFileSystem
from source_files import images, jpeg, metadata, written
from web_server import web

import lookalike
from lookalike.acquire.download import download
from lookalike.acquire.entries import entries_of
from lookalike.acquire.pack import pack
from lookalike.acquire.resize import Resize
from lookalike.acquire.shards import FORMATS
from lookalike.errors import StoreError
from lookalike.sources.fetch import FetchOptions
from lookalike.sources.opening import open_source

LOCAL = FetchOptions(allow_private=True, ignore_robots=True)


def by_id(collection: lookalike.Collection, columns: list[str]) -> list[dict]:
    return sorted(collection.items(columns).to_pylist(), key=lambda row: row["id"])


@pytest.mark.parametrize("format_", FORMATS)
def test_packed_shards_build_the_same_collection_as_the_folder(folder, tmp_path, target, format_):
    name = "50% [off] é.x.jpg" if format_ == "folder" else "50% [off] é\\x.jpg"
    written(folder / "a.b" / name, jpeg(7))
    pack(folder, tmp_path / "out", format=format_, shard_size=5)

    packed, _ = build(tmp_path / "out", target, label="folder")
    built, _ = build(folder, tmp_path / "built.lookalike", label="folder")

    assert packed.items().column_names == built.items().column_names
    same = ["id", "sha256", "width", "height", "label"]
    assert by_id(packed, same) == by_id(built, same)


@pytest.mark.parametrize("format_", ["tar", "tfrecord", "parquet"])
def test_the_ids_of_packs_in_one_folder_begin_with_the_name_of_each(folder, tmp_path, format_):
    pack(folder, tmp_path / "all" / "one", format=format_, shard_size=5)
    pack(folder, tmp_path / "all" / "two", format=format_, count=1)

    found = images(tmp_path / "all")

    assert len(found) == 13
    assert next(iter(found)) == "one/brick/brick-000.jpg"
    assert list(found)[-1] == "two/brick/brick-000.jpg"
    assert next(iter(images(tmp_path / "all" / "two"))) == "brick/brick-000.jpg"
    (path,) = (tmp_path / "all" / "two").glob("0*")
    assert list(images(path)) == ["brick/brick-000.jpg"]


def test_a_pack_from_before_packs_had_ids_keeps_those_it_had(folder, tmp_path):
    pack(folder, tmp_path / "out")
    notes = json.loads((tmp_path / "out" / "_pack.json").read_text())
    del notes["has_ids"]
    (tmp_path / "out" / "_pack.json").write_text(json.dumps(notes))

    assert next(iter(images(tmp_path / "out"))) == "00000/brick/brick-000.jpg"
    assert metadata(tmp_path / "out")["00000/brick/brick-000.jpg"] == {"path": "brick/brick-000.jpg"}
    assert pack(folder, tmp_path / "out").images == 12  # and goes on


def test_a_list_of_urls_is_packed_under_the_ids_that_a_build_of_it_gives(tmp_path):
    with web() as site:
        path = written(tmp_path / "urls.txt", f"{site.url}/ok/1.jpg\n".encode())
        (sample,) = open_source(path, fetch=LOCAL).samples()
        (entry,) = entries_of([sample], None, by_label=False, without_folders=False)

    assert (entry.path, entry.key) == (f"{site.url}/ok/1.jpg", f"{site.url}/ok/1.jpg".replace("//", "/"))


def test_no_note_that_cannot_be_read_stops_a_build(folder, tmp_path):
    pack(folder, tmp_path / "out")
    (tmp_path / "out" / "_pack.json").write_bytes(b"[" * 100_000)

    assert next(iter(images(tmp_path / "out"))) == "00000/brick/brick-000.jpg"


@pytest.mark.parametrize("format_", FORMATS)
def test_what_was_downloaded_has_no_second_width_and_sha256(tmp_path, target, format_):
    with web() as site:
        path = written(tmp_path / "urls.csv", f"url,width\n{site.url}/ok/1.jpg,wide\n".encode())
        download(path, tmp_path / "out", format=format_, resize=Resize(20), fetch=LOCAL)

    (said,) = metadata(tmp_path / "out").values()
    collection, _ = build(tmp_path / "out", target)
    (row,) = collection.items().to_pylist()

    assert (said["width"], said["height"], said["sha256"]) == (row["width"], row["height"], row["sha256"])
    assert min(row["width"], row["height"]) == 20
    assert row["width_"] == "wide"  # what the list says is a column of its own
    assert {"height_", "sha256_"}.isdisjoint(row)
    assert row["original_width"] > row["width"]


def test_a_width_that_somebody_else_says_keeps_its_place_beside_ours(tmp_path, target):
    rows = {"image": [jpeg(0)], "width": [999], "sha256": ["?"]}
    pq.write_table(pa.table(rows), tmp_path / "rows.parquet")
    pack(tmp_path / "rows.parquet", tmp_path / "out")

    (row,) = build(tmp_path / "out", target)[0].items().to_pylist()

    assert (row["width"], row["width_"], row["sha256_"]) == (16, 999, "?")


def test_a_width_in_our_own_notes_is_not_believed(folder, tmp_path, target):
    pack(folder, tmp_path / "out", format="parquet", resize=Resize(24), count=1)
    (path,) = (tmp_path / "out").glob("0*")
    rows = pq.read_table(path)
    lie = pa.array([999], pa.int32())
    pq.write_table(rows.set_column(rows.column_names.index("width"), "width", lie), path)

    (row,) = build(tmp_path / "out", target)[0].items().to_pylist()

    assert row["width"] == 32


def test_a_store_that_fails_is_an_error_rather_than_other_ids(folder, monkeypatch):
    pack(folder, "memory://read-back/shards")
    source = open_source("memory://read-back/shards")

    def fail(system: object, key: str, *words: object, **more: object) -> bytes:
        raise TimeoutError("the store does not answer")

    monkeypatch.setattr(MemoryFileSystem, "cat_file", fail)
    with pytest.raises(StoreError, match="the store does not answer"):
        list(source.samples())


def test_a_store_that_shows_no_notes_to_us_has_none(folder, monkeypatch):
    pack(folder, "memory://read-back/hidden")
    source = open_source("memory://read-back/hidden")

    cat = MemoryFileSystem.cat_file

    def refuse(system: MemoryFileSystem, key: str, *words: object, **more: object) -> bytes:
        if key.endswith(".json"):
            raise PermissionError("access denied")
        return cat(system, key, *words, **more)

    monkeypatch.setattr(MemoryFileSystem, "cat_file", refuse)
    (first, *_) = source.samples()
    assert first.id == "00000/brick/brick-000.jpg"

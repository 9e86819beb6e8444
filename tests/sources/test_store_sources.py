"""Images in an object store as a source."""

from __future__ import annotations

import json
import time

import pytest
from buckets import upload
from building import counts, failures, ids, labels, vectors
from conftest import build
from source_files import jpeg

from lookalike.errors import SourceError
from lookalike.sources.addresses import shards_below
from lookalike.sources.opening import open_source
from lookalike.storage.stores import StorePath, place


@pytest.mark.parametrize("kind", ["s3", "memory"])
def test_a_folder_in_a_store_gives_what_one_on_disk_gives(bucket, photos, collection, target, kind):
    source = upload(photos, f"{kind}://{bucket}/photos")

    built, report = build(source + "/", target, label="folder", part_size=16)

    assert counts(report) == {"embedded": 42}
    assert (ids(built), labels(built)) == (ids(collection), labels(collection))
    assert vectors(built) == vectors(collection)
    assert list(built.manifest.sources) == [f"{kind}://{bucket}/photos/"]
    row = built.items().to_pylist()[0]
    assert row["uri"] == f"{kind}://{bucket}/photos/brick/brick-000.jpg"
    assert abs(row["mtime_ns"] / 1e9 - time.time()) < 100
    assert counts(build(source, target, label="folder")[1]) == {"unchanged": 42}


def test_an_object_that_changed_is_embedded_again(bucket, folder, target):
    source = upload(folder, f"s3://{bucket}/photos")
    build(source, target)
    (place(source) / "brick" / "brick-000.jpg").put(jpeg(77))
    (place(source) / "sea" / "sea-002.png").unlink()

    assert counts(build(source, target)[1]) == {"embedded": 1, "unchanged": 10, "removed": 1}


def test_what_is_no_image_is_passed_over(bucket):
    source = place(f"s3://{bucket}/photos")
    for name in ("b.jpg", "a/c.jpg", "a.jpg", ".hidden.jpg", "x/.git/d.jpg", "text.txt", "folder/", "UP.JPG"):
        (source / name).put(jpeg(1))
    (place(f"s3://{bucket}/photos-2") / "other.jpg").put(jpeg(1))
    (source / "c" / "collection.json").put(b'{"format": "lookalike-collection"}')
    (source / "c" / "deep" / "e.jpg").put(jpeg(1))
    (source / "d" / "collection.json").put(b"[")
    (source / "d" / "f.jpg").put(jpeg(1))

    found = [sample.id for sample in open_source(str(source)).samples()]

    assert found == ["UP.JPG", "a/c.jpg", "a.jpg", "b.jpg", "d/f.jpg"]


def test_keys_that_are_no_paths_are_failures_and_strange_ones_are_read(bucket, target):
    source = place(f"s3://{bucket}/p")
    strange = ["#a?.jpg", "*[b].jpg", "%41.jpg", "é ü.jpg"]
    for number, name in enumerate([*strange, "a//b.jpg", "x/../../up.jpg"]):
        (source / name).put(jpeg(number))

    built, report = build(str(source), target)

    assert counts(report) == {"embedded": 4, "failed": 2}
    assert sorted(ids(built)) == sorted(strange)
    uris = {row["id"]: row["uri"].rpartition("/")[2] for row in built.items(["id", "uri"]).to_pylist()}
    assert uris == {
        "#a?.jpg": "%23a%3F.jpg",
        "*[b].jpg": "%2A%5Bb%5D.jpg",
        "%41.jpg": "%2541.jpg",
        "é ü.jpg": "%C3%A9%20%C3%BC.jpg",
    }
    assert failures(built) == [
        ("a//b.jpg", "list", "the key is not the path of a file"),
        ("x/../../up.jpg", "list", "the key is not the path of a file"),
    ]
    assert counts(build(str(source), target)[1]) == {"unchanged": 4, "failed": 2}


def test_an_object_that_is_gone_when_it_is_read_is_a_failure(bucket, folder, target, monkeypatch):
    source = upload(folder, f"s3://{bucket}/photos")
    files = StorePath.files

    def gone_after_listing(self):
        found = files(self)
        (self / "brick" / "brick-003.jpg").unlink()
        return found

    monkeypatch.setattr(StorePath, "files", gone_after_listing)
    built, report = build(source, target)

    assert counts(report) == {"embedded": 11, "failed": 1}
    assert failures(built) == [("brick/brick-003.jpg", "read", "The specified key does not exist.")]


def test_an_empty_object_is_a_failure(bucket, folder, target):
    source = upload(folder, f"s3://{bucket}/photos")
    (place(source) / "empty.jpg").put(b"")

    assert failures(build(source, target)[0]) == [("empty.jpg", "decode", "the file is empty")]


def test_a_table_of_metadata_in_a_store_is_refused_with_what_to_do(bucket, folder, target):
    with pytest.raises(
        SourceError, match=r"s3://b/rows\.csv: it is not a file; copy it to this machine first"
    ):
        build(folder, target, metadata="s3://b/rows.csv")
    assert not target.exists()


def test_a_manifest_cannot_make_a_build_open_an_address(bucket, folder, target):
    (place(f"s3://{bucket}/table.csv")).put(b"path,caption\nbrick/brick-000.jpg,x\n")
    build(folder, target)
    manifest = json.loads((target / "collection.json").read_text())
    for options in manifest["sources"].values():
        options["metadata"] = f"s3://{bucket}/table.csv"
    (target / "collection.json").write_text(json.dumps(manifest))

    with pytest.raises(SourceError, match="cannot read the metadata"):
        build(folder, target)


def test_a_listing_of_shards_asks_for_no_object_alone(bucket, monkeypatch):
    source = place(f"memory://{bucket}/shards")
    for name in ("0.tar", "1.tar", "deep/2.tar"):
        (source / name).put(b"")
    asked = []
    info = source._system.info
    monkeypatch.setattr(source._system, "info", lambda key, **rest: asked.append(key) or info(key, **rest))

    assert [one.name for one in shards_below(source)] == ["0.tar", "1.tar", "2.tar"]
    assert asked == []

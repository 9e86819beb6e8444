"""Collections in an object store: a real S3 server on the loopback, and fsspec's own memory."""

from __future__ import annotations

import json
import shutil
from contextlib import contextmanager
from io import BytesIO

import httpx
import numpy as np
import pytest
from buckets import asked, objects, upload
from building import counts, failures, ids, labels
from conftest import build
from PIL import Image
from serving import running
from source_files import jpeg

import lookalike
from lookalike.cli import main
from lookalike.collection import open_collection
from lookalike.errors import CollectionError, SourceError
from lookalike.index import build_index, index_state, open_index
from lookalike.storage.parts import Part, list_parts
from lookalike.storage.stores import StorePath, is_remote, place
from lookalike.storage.writing import writing


def names(results: lookalike.Results) -> list[str]:
    return [hit.id for hit in results]


@pytest.mark.parametrize("kind", ["s3", "memory"])
def test_a_collection_in_a_store_is_the_same_as_one_on_disk(s3_server, bucket, collection, photos, kind):
    address = f"{kind}://{bucket}/deep/c.lookalike"

    stored, report = build(photos, address, label="folder", part_size=16)

    assert counts(report) == {"embedded": 42}
    assert is_remote(stored.path)
    assert (stored.name, len(stored), stored.fingerprint()) == ("c", 42, collection.fingerprint())
    assert stored.items().equals(collection.items())
    assert np.array_equal(stored.embeddings(), collection.embeddings())
    assert list(stored.verify()) == []
    assert [name for name in objects(address) if not name.startswith("derived/")] == sorted(
        path.relative_to(collection.path).as_posix()
        for path in collection.path.rglob("*")
        if path.is_file() and path.name != ".lock" and "derived" not in path.parts
    )
    part, same = list_parts(stored.path)[1], list_parts(collection.path)[1]
    assert part.thumbnails(ids(stored)[16:20]) == same.thumbnails(ids(stored)[16:20])
    query = lookalike.Id("sea/sea-002.png")
    found, wanted = (one.search(query, where="width > 10", k=7) for one in (stored, collection))
    assert [(hit.id, hit.score) for hit in found] == [(hit.id, hit.score) for hit in wanted]
    assert [hit.thumbnail for hit in found] == [hit.thumbnail for hit in wanted]
    assert names(stored.recommend([query], k=3)) == names(collection.recommend([query], k=3))


def test_a_later_build_mirrors_the_source(bucket, folder):
    address = f"s3://{bucket}/c"
    build(folder, address, part_size=4)
    (folder / "brick" / "brick-000.jpg").unlink()
    (folder / "new.jpg").write_bytes(jpeg(90))
    (folder / "bad.jpg").touch()

    stored, report = build(folder, address, part_size=4, label="folder")

    assert counts(report) == {"embedded": 1, "failed": 1, "unchanged": 11, "removed": 1}
    assert labels(stored)["sea/sea-002.png"] == "sea"
    assert failures(stored) == [("bad.jpg", "decode", "the file is empty")]
    assert list(stored.verify()) == []
    tars = [name for name in objects(address) if name.startswith("thumbnails/")]
    assert len(tars) == len(list_parts(stored.path))
    assert ".lock" not in objects(address)


def test_rebuilding_removes_what_was_there(bucket, folder):
    address = f"s3://{bucket}/c"
    build(folder, address, part_size=6)

    stored, report = build(folder, address, part_size=12, rebuild=True)

    assert counts(report) == {"embedded": 12}
    assert [name for name in objects(address) if name.startswith("items/")] == ["items/part-000000.parquet"]
    assert list(stored.verify()) == []


def test_a_collection_is_not_made_among_other_objects(bucket, folder):
    (place(f"s3://{bucket}/mine") / "text.txt").put(b"x")
    with pytest.raises(CollectionError, match="has other files and is not a collection"):
        build(folder, f"s3://{bucket}/mine")
    with pytest.raises(CollectionError, match="is a file"):
        build(folder, f"s3://{bucket}/mine/text.txt")
    assert objects(f"s3://{bucket}") == ["mine/text.txt"]


def test_a_name_with_the_signs_of_a_pattern_touches_nothing_else(bucket, folder):
    (place(f"s3://{bucket}/other") / "items" / "text.txt").put(b"x")
    build(folder, f"s3://{bucket}/o*[r]")
    build(folder, f"s3://{bucket}/o*[r]", rebuild=True)

    assert (place(f"s3://{bucket}/other") / "items" / "text.txt").read_bytes() == b"x"


def test_imported_vectors_are_a_collection_once_all_are_there(bucket, tmp_path):
    address, rows = f"s3://{bucket}/v", np.eye(3, 4, dtype=np.float32)

    with pytest.raises(SourceError):
        lookalike.from_vectors(address, np.vstack([rows, np.zeros((1, 4))]), ["a", "b", "c", "d"])
    assert not place(address).exists()
    made = lookalike.from_vectors(address, rows, ["a", "b", "c"])

    assert (ids(made), list(made.verify()), objects(address)[0]) == (["a", "b", "c"], [], "collection.json")
    with pytest.raises(CollectionError, match="is a collection already"):
        lookalike.from_vectors(address, rows, ["a", "b", "c"])


def test_damage_is_found(bucket, folder, damage):
    stored, _ = build(folder, f"s3://{bucket}/c", part_size=4)
    paths = [list_parts(stored.path)[0].items_path, list_parts(stored.path)[1].thumbnails_path()]
    for path in paths:
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 0xFF
        path.put(bytes(data))
    gone = list_parts(stored.path)[2].thumbnails_path()
    gone.unlink()

    assert list(stored.verify()) == [
        *(f"{path}: the checksum does not match, the file is damaged" for path in paths),
        f"{gone}: missing",
    ]


def test_a_part_that_is_replaced_while_it_is_read_is_read_again(bucket, folder, monkeypatch):
    stored, _ = build(folder, f"s3://{bucket}/c", label="folder")
    (part,) = list_parts(stored.path)
    read_ranges, reads = StorePath.read_ranges, []

    def replacing_it(self, ranges):
        reads.append(ranges)
        if len(reads) == 2:  # after the footer, before the rows
            monkeypatch.setattr(StorePath, "read_ranges", read_ranges)
            build(folder, f"s3://{bucket}/c", label="none", threads=1)
        return read_ranges(self, ranges)

    monkeypatch.setattr(StorePath, "read_ranges", replacing_it)

    assert set(part.items(["id", "label"])["label"].to_pylist()) == {None}
    assert len(reads) >= 2


def test_vectors_do_not_replace_a_collection_that_is_made_meanwhile(bucket, folder, monkeypatch):
    address = f"s3://{bucket}/v"

    @contextmanager
    def late(root):
        build(folder, address)
        with writing(root) as check:
            yield check

    monkeypatch.setattr("lookalike.builder.vectors.writing", late)
    with pytest.raises(CollectionError, match="is a collection already"):
        lookalike.from_vectors(address, np.eye(1), ["a"])
    assert (len(open_collection(address)), list(open_collection(address).verify())) == (12, [])


# The commands and the server.


def test_every_command_works_on_an_address(bucket, folder, tmp_path, monkeypatch, capsys):
    source, address = upload(folder, f"s3://{bucket}/photos"), f"s3://{bucket}/c.lookalike"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    said = {}
    for words in (
        ["build", source, "-c", address, "--model", "colors", "--label", "folder", "--json"],
        ["index", address, "--type", "flat", "--json"],
        ["search", address, "id:sea/sea-002.png", "-k", "2", "--json"],
        ["verify", address],
        ["info", address, "--json"],
        ["failures", address],
    ):
        assert main(words) == 0
        said[words[0]] = capsys.readouterr().out
    facts = json.loads(said["info"])

    assert json.loads(said["build"]) == {
        "collection": address,
        "embedded": 12,
        "failed": 0,
        "unchanged": 0,
        "removed": 0,
        "passed_over": {},
        "moved_from": "",
    }
    assert (facts["images"], facts["labels"]["sea"], facts["sources"]) == (12, 4, [source + "/"])
    assert facts["bytes"] == sum(path.stat().st_size for path in place(address).rglob("*"))
    assert [hit["label"] for hit in json.loads(said["search"])["hits"]] == ["sea", "sea"]


def test_nothing_is_put_into_a_store_unasked(s3_server, capsys):
    with asked(s3_server) as requests:
        assert main(["build", "s3://bucket/photos"]) == 1
    assert capsys.readouterr().err == (
        "lookalike: s3://bucket/photos has no name for its collection\n  say where to keep it with -c\n"
    )
    assert requests == []


def test_an_index_is_copied_here_once(s3_server, bucket, folder, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    stored, _ = build(folder, f"s3://{bucket}/c")
    exact = stored.search(lookalike.Id("sea/sea-002.png"), k=5)
    build_index(stored.path, "flat")
    (path,) = (stored.path / "derived").glob("index-*.faiss")
    whole = f"GET /{bucket}/c/derived/{path.name}"

    with asked(s3_server) as first:
        assert index_state(stored.snapshot.state) == "fresh"
        assert open_index(stored.snapshot.state).info.count == 12
    with asked(s3_server) as second:
        found = stored.search(lookalike.Id("sea/sea-002.png"), k=5)

    assert names(found) == names(exact)
    assert (first.count(whole), second.count(whole)) == (1, 0)
    (copy,) = (path for path in (tmp_path / "cache").rglob("*") if path.is_file())
    (folder / "new.jpg").write_bytes(jpeg(5))
    build(folder, f"s3://{bucket}/c")
    build_index(stored.path, "flat")
    assert open_index(stored.snapshot.state).info.count == 13
    assert [path for path in copy.parent.iterdir() if path != copy] == list(copy.parent.iterdir())


def test_a_damaged_index_is_not_kept(bucket, folder, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    stored, _ = build(folder, f"s3://{bucket}/c")
    build_index(stored.path, "flat")
    (path,) = (stored.path / "derived").glob("index-*.faiss")
    data = path.read_bytes()
    path.put(data[:-9])

    with pytest.raises(CollectionError, match="truncated"):
        open_index(stored.snapshot.state)
    path.put(data)
    assert open_index(stored.snapshot.state).info.count == 12


def test_a_collection_in_a_store_is_served(bucket, folder):
    stored, _ = build(folder, f"s3://{bucket}/c.lookalike", label="folder")
    with running(stored) as page:
        row = httpx.get(page + "api/c/items/sea/sea-002.png")
        thumbnail = httpx.get(page + "api/c/thumbnails/sea/sea-002.png")

    assert row.json()["label"] == "sea"
    assert Image.open(BytesIO(thumbnail.content)).size == (64, 48)


def test_a_copy_of_a_local_collection_is_one(bucket, collection, tmp_path):
    address = upload(collection.path, f"s3://{bucket}/copied")
    copied = open_collection(address)
    assert (copied.fingerprint(), list(copied.verify())) == (collection.fingerprint(), [])
    back = tmp_path / "back"
    for name in place(address).files():
        (back / name).parent.mkdir(parents=True, exist_ok=True)
        (back / name).write_bytes((place(address) / name).read_bytes())
    assert open_collection(back).fingerprint() == collection.fingerprint()
    assert Part(back, 0).problems() == []
    shutil.rmtree(back)

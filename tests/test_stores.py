"""Collections and sources in an object store: a real S3 server on the loopback, and fsspec's own memory."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import httpx
import numpy as np
import pytest
from buckets import Requests
from building import counts, failures, ids, labels, vectors
from conftest import build, command, picture, write_pictures
from PIL import Image
from serving import running

import lookalike
from lookalike import leases
from lookalike.cli import main
from lookalike.collection import check_target, open_collection, writing
from lookalike.errors import (
    CollectionError,
    ExtraError,
    LockedError,
    LookalikeError,
    SourceError,
    StorageError,
    StoreError,
)
from lookalike.index import build_index, index_state, open_index
from lookalike.parts import Part
from lookalike.sources import open_source
from lookalike.stores import StorePath, is_remote, place

boto3 = pytest.importorskip("boto3")
fsspec = pytest.importorskip("fsspec")


@contextmanager
def asked(server: Requests) -> Iterator[list[str]]:
    """The requests of the block, when it is over."""
    start, found = len(server.seen), list[str]()
    yield found
    found += server.seen[start:]


@pytest.fixture(scope="module")
def embedded(server: Requests, photos: Path) -> lookalike.Collection:
    """A collection in a bucket, of one part with 42 long vectors; read it, never change it."""
    boto3.client("s3").create_bucket(Bucket="embedded")
    return build(photos, "s3://embedded/c", model="efficientnet-lite0")[0]


def upload(folder: Path, address: str) -> str:
    """Put every file of a folder below an address."""
    target = place(address)
    for path in folder.rglob("*"):
        if path.is_file():
            (target / path.relative_to(folder).as_posix()).put(path.read_bytes())
    return address


def jpeg(seed: int) -> bytes:
    buffer = BytesIO()
    picture(seed).save(buffer, "JPEG")
    return buffer.getvalue()


def names(results: lookalike.Results) -> list[str]:
    return [hit.id for hit in results]


def objects(address: str) -> list[str]:
    return sorted(place(address).files())


# What an address is.


@pytest.mark.parametrize(
    "text",
    [
        "photos",
        "./s3:/photos",
        "C:\\photos",
        "C://photos",
        "s3:/bucket",
        "/a/s3://b",
        "~/x",
        "a b://c",
        "//x",
    ],
)
def test_text_without_a_scheme_is_a_local_path(text):
    assert type(place(text)) is type(Path(text))
    assert place(text) == Path(text)


def test_a_path_is_never_taken_for_an_address(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert place(Path("s3://bucket/photos")) == Path("s3:/bucket/photos")


def test_an_address_is_shown_as_it_was_given():
    path = place("S3://bucket/a b/%41#?x/") / "c.jpg"
    assert (str(path), path.name, path.suffix) == ("s3://bucket/a b/%41#?x/c.jpg", "c.jpg", ".jpg")
    assert [str(one) for one in path.parents] == ["s3://bucket/a b/%41#?x", "s3://bucket/a b", "s3://bucket"]
    assert place(path) is path
    assert place(str(path)) == path


def test_a_path_in_a_store_is_no_local_file_name():
    with pytest.raises(TypeError):
        os.fspath(place("memory://x"))


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("s3://key:secret@bucket/x", "holds a password"),
        ("nosuch://bucket/x", "nosuch"),
        ("http://host/photos", "is no folder in an object store"),
        ("file:///etc", "is no folder in an object store"),
    ],
)
def test_other_addresses_are_an_error(address, message):
    with pytest.raises(LookalikeError, match=message) as error:
        place(address)
    assert "secret" not in str(error.value)


def test_without_the_library_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "fsspec", None)
    with pytest.raises(ExtraError, match=r"pip install 'lookalike\[s3\]'"):
        place("s3://bucket/x")
    with pytest.raises(ExtraError, match=r"pip install 'lookalike\[remote\]'"):
        place("memory://x")


def test_local_paths_need_no_library(folder, target):
    words = "import sys; sys.modules['fsspec'] = None; import lookalike.builder as b; b.build(*sys.argv[1:])"
    done = subprocess.run([sys.executable, "-c", words, folder, target], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


# Collections.


@pytest.mark.parametrize("kind", ["s3", "memory"])
def test_a_collection_in_a_store_is_the_same_as_one_on_disk(server, bucket, collection, photos, kind):
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
    part, same = stored.parts()[1], collection.parts()[1]
    assert part.thumbnails(ids(stored)[16:20]) == same.thumbnails(ids(stored)[16:20])
    query = lookalike.Id("sea/sea-002.png")
    found, wanted = (one.search(query, where="width > 10", k=7) for one in (stored, collection))
    assert [(hit.id, hit.score) for hit in found] == [(hit.id, hit.score) for hit in wanted]
    assert [hit.thumbnail() for hit in found] == [hit.thumbnail() for hit in wanted]
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
    assert len(tars) == len(stored.parts())
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
    with pytest.raises(CollectionError, match="holds other files and is no collection"):
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
    with pytest.raises(CollectionError, match="holds a collection already"):
        lookalike.from_vectors(address, rows, ["a", "b", "c"])


def test_damage_is_found(bucket, folder, damage):
    stored, _ = build(folder, f"s3://{bucket}/c", part_size=4)
    paths = [stored.parts()[0].items_path, stored.parts()[1].thumbnails_path()]
    for path in paths:
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 0xFF
        path.put(bytes(data))
    gone = stored.parts()[2].thumbnails_path()
    gone.unlink()

    assert list(stored.verify()) == [
        *(f"{path}: the checksum does not match, the file is damaged" for path in paths),
        f"{gone}: missing",
    ]


def test_a_part_that_is_replaced_while_it_is_read_is_read_again(bucket, folder, monkeypatch):
    stored, _ = build(folder, f"s3://{bucket}/c", label="folder")
    (part,) = stored.parts()
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

    monkeypatch.setattr("lookalike.vectors.writing", late)
    with pytest.raises(CollectionError, match="holds a collection already"):
        lookalike.from_vectors(address, np.eye(1), ["a"])
    assert (len(open_collection(address)), list(open_collection(address).verify())) == (12, [])


# How much is asked of a store.


def test_a_footer_is_one_request_and_columns_a_few(server, embedded):
    (part,) = embedded.parts()
    name = "/embedded/c/items/part-000000.parquet"
    with asked(server) as footer:
        part.checksum()
    with asked(server) as all_columns:
        part.items()
    with asked(server) as without_embedding:
        part.described()
    wanted = ids(embedded)[:20]
    with asked(server) as thumbnails:
        part.thumbnails(wanted)

    assert footer == [f"GET {name}"]
    assert all_columns == [f"GET {name}"]
    assert len(without_embedding) <= 5
    assert len(thumbnails) <= 5 + 20


def test_a_file_is_read_by_ranges_or_in_large_pieces(server, bucket):
    path, data = place(f"s3://{bucket}/x"), os.urandom(100_000)
    path.put(data)
    get = f"GET /{bucket}/x"
    with asked(server) as ranges, path.open(buffering=0) as file:
        assert file.seek(-8, os.SEEK_END) == 99_992
        assert (file.read(4), file.read(), file.read(4), file.tell()) == (
            data[-8:-4], data[-4:], b"", 100_000,
        )  # fmt: skip
    with asked(server) as pieces, path.open() as file:
        assert b"".join(iter(lambda: file.read(1000), b"")) == data

    assert (ranges.count(get), pieces.count(get)) == (2, 1)


def test_the_embeddings_are_not_read_for_other_columns(embedded, monkeypatch):
    (part,) = embedded.parts()
    read_ranges, total = StorePath.read_ranges, []

    def counting(self, ranges):
        total.extend(size for _, size in ranges)
        return read_ranges(self, ranges)

    monkeypatch.setattr(StorePath, "read_ranges", counting)
    monkeypatch.setattr(StorePath, "read_bytes", None)
    part.described()

    assert part.items_path.stat().st_size > 42 * 1280 * 4
    assert 0 < sum(total) < 100_000


def test_a_build_that_finds_nothing_new_reads_no_image_and_writes_no_part(server, bucket, folder):
    source = upload(folder, f"s3://{bucket}/photos")
    build(source, f"s3://{bucket}/c", part_size=16)

    with asked(server) as requests:
        report = build(source, f"s3://{bucket}/c", part_size=16)[1]

    assert counts(report) == {"unchanged": 12}
    assert [one for one in requests if "/photos/" in one.partition("?")[0]] == []
    written = [one for one in requests if not one.startswith(("GET", "HEAD"))]
    assert written == [f"PUT /{bucket}/c/.lock", f"DELETE /{bucket}/c/.lock"]


# Sources.


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
        ("a//b.jpg", "list", "the key is no path of a file"),
        ("x/../../up.jpg", "list", "the key is no path of a file"),
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
    with pytest.raises(SourceError, match=r"s3://b/rows\.csv: it is no file; copy it to this machine first"):
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


# Troubles.


def test_a_missing_bucket_or_folder_is_a_clear_error(bucket, folder):
    with pytest.raises(SourceError, match="there is no folder s3://nosuchbucket/photos"):
        build("s3://nosuchbucket/photos", f"s3://{bucket}/c")
    with pytest.raises(CollectionError, match=f"there is no collection at s3://{bucket}/none"):
        open_collection(f"s3://{bucket}/none")
    with pytest.raises(StorageError, match=r"cannot write .*The specified bucket does not exist"):
        build(folder, "s3://nosuchbucket/c")
    (place(f"s3://{bucket}/one.jpg")).put(jpeg(1))
    with pytest.raises(SourceError, match="is a file"):
        build(f"s3://{bucket}/one.jpg", f"s3://{bucket}/c")


def test_no_credentials_are_one_line_with_a_hint(server, bucket, folder):
    environment = {key: text for key, text in os.environ.items() if not key.startswith("AWS_ACCESS")}
    done = command("build", f"s3://{bucket}/photos", "-c", "x", env=environment)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines() == [
        f"lookalike: s3://{bucket}/photos: Unable to locate credentials",
        "  check the address, the network and the credentials that s3:// takes from the environment",
    ]


def test_a_refused_request_is_one_line(bucket, folder, monkeypatch):
    path = place(f"s3://{bucket}/c")

    def refuse(*arguments, **options):
        raise PermissionError("Access Denied")

    monkeypatch.setattr(path._system, "info", refuse)
    with pytest.raises(StoreError, match="Access Denied; check the address"):
        open_collection(path)
    with pytest.raises(StoreError, match="Access Denied"):
        open_source(f"s3://{bucket}/photos")


def test_a_store_that_goes_away_is_not_taken_for_damage(bucket, folder, monkeypatch):
    stored, _ = build(folder, f"s3://{bucket}/c")

    def away(*arguments, **options):
        raise RuntimeError("Could not connect")

    for name in ("cat_file", "cat_ranges"):
        monkeypatch.setattr(stored.path._system, name, away)
    with pytest.raises(StoreError, match="Could not connect"):
        stored.items()
    with pytest.raises(StoreError, match="Could not connect"):
        len(stored)


def test_a_store_that_does_not_write_in_one_step_takes_no_collection(folder):
    with pytest.raises(StorageError, match="sftp:// does not put files in one step"):
        check_target(StorePath(None, "sftp://host/c"))


# One writer.


def lock(address: str, **fields: object) -> StorePath:
    path = place(address) / ".lock"
    path.put(json.dumps({"name": "other", "host": "elsewhere", "pid": 7, **fields}).encode())
    return path


def test_a_second_writer_is_refused(bucket, folder):
    address = f"s3://{bucket}/c"
    with writing(place(address)), pytest.raises(LockedError, match=rf"process {os.getpid()} on") as error:
        build(folder, address)
    assert f"once {address}/.lock is removed" in str(error.value)
    assert counts(build(folder, address)[1]) == {"embedded": 12}


@pytest.mark.parametrize("kind", ["s3", "memory"])
def test_of_many_writers_at_once_one_writes(server, bucket, kind):
    path = place(f"{kind}://{bucket}/c")
    start, outcomes = threading.Barrier(8), []

    def write():
        start.wait()
        try:
            with writing(path):
                outcomes.append("written")
                time.sleep(0.5)
        except LockedError:
            outcomes.append("refused")

    threads = [threading.Thread(target=write) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["refused"] * 7 + ["written"]


def test_a_writer_elsewhere_is_dead_after_a_time_of_silence(bucket, monkeypatch):
    path = lock(f"s3://{bucket}/c")
    monkeypatch.setattr(leases, "_SETTLING_S", 0)
    with pytest.raises(LockedError, match="process 7 on elsewhere"), writing(path.parent):
        pass
    monkeypatch.setattr(leases, "LEASE_S", -5.0)
    with writing(path.parent):
        assert json.loads(path.read_bytes())["pid"] == os.getpid()
    assert not path.exists()


def test_a_lock_that_says_nothing_is_a_lock(bucket):
    path = place(f"s3://{bucket}/c") / ".lock"
    path.put(b"")
    with pytest.raises(LockedError, match="another process"), writing(path.parent):
        pass


def test_a_writer_renews_its_lock_and_stops_when_another_has_it(bucket, folder, monkeypatch):
    monkeypatch.setattr(leases, "RENEWAL_S", 0.05)
    path = place(f"s3://{bucket}/c") / ".lock"
    with pytest.raises(LockedError, match="another process has taken"), writing(path.parent) as check:
        first = json.loads(path.read_bytes())["time"]
        time.sleep(0.3)
        assert json.loads(path.read_bytes())["time"] > first
        check()
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:  # again, as a renewal under way may put its own over it
            lock(f"s3://{bucket}/c")
            time.sleep(0.05)
            check()
    assert json.loads(path.read_bytes())["name"] == "other"


def test_a_store_without_conditions_is_checked_by_reading_again(bucket, monkeypatch):
    path = place(f"s3://{bucket}/c")
    pipe_file = path._system.pipe_file

    def unconditional(key, data, mode="overwrite"):
        if mode == "create":
            raise NotImplementedError
        pipe_file(key, data)

    monkeypatch.setattr(path._system, "pipe_file", unconditional)
    with writing(path), pytest.raises(LockedError), writing(path):
        pass


def killed(source: str, address: str, parts: int) -> bool:
    """Start `lookalike build` and `kill -9` it after it has committed so many parts."""
    words = ["build", source, "-c", address, "--model", "colors", "--part-size", "2", "--threads", "1"]
    process = subprocess.Popen(
        [sys.executable, "-m", "lookalike", *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    items = place(address) / "items"
    while process.poll() is None and len(list(items.glob("*.parquet"))) < parts:
        time.sleep(0.02)
    process.kill()
    return process.wait() == -signal.SIGKILL


@pytest.mark.parametrize("kills", [[2], pytest.param([1, 4, 7], marks=pytest.mark.slow)])
def test_a_killed_build_goes_on_from_what_is_committed(bucket, tmp_path, kills):
    folder = write_pictures(tmp_path / "pictures", 8 * len(kills) + 16)
    source, address = upload(folder, f"s3://{bucket}/photos"), f"s3://{bucket}/c"
    for parts in kills:
        assert killed(source, address, parts)
        stored = open_collection(address)
        assert list(stored.verify()) == []
        assert len(stored) >= 2 * parts
        assert (place(address) / ".lock").exists()
    committed = len(open_collection(address))
    (place(address) / "thumbnails" / "part-000099-0123456789abcdef.tar").put(b"left by a killed writer")

    stored, report = build(source, address, part_size=8)

    assert counts(report) == {"embedded": 8 * len(kills) + 16 - committed, "unchanged": committed}
    assert vectors(stored) == vectors(build(folder, tmp_path / "whole")[0])
    assert list(stored.verify()) == []
    tars = [name for name in objects(address) if name.startswith("thumbnails/")]
    assert len(tars) == len(stored.parts())


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
    }
    assert (facts["images"], facts["labels"]["sea"], facts["sources"]) == (12, 4, [source + "/"])
    assert facts["bytes"] == sum(path.stat().st_size for path in place(address).rglob("*"))
    assert [hit["label"] for hit in json.loads(said["search"])["hits"]] == ["sea", "sea"]


def test_nothing_is_put_into_a_store_unasked(server, capsys):
    with asked(server) as requests:
        assert main(["build", "s3://bucket/photos"]) == 1
    assert capsys.readouterr().err == (
        "lookalike: s3://bucket/photos has no name for its collection\n  say where to keep it with -c\n"
    )
    assert requests == []


def test_an_index_is_copied_here_once(server, bucket, folder, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    stored, _ = build(folder, f"s3://{bucket}/c")
    exact = stored.search(lookalike.Id("sea/sea-002.png"), k=5)
    build_index(stored, "flat")
    (path,) = (stored.path / "derived").glob("index-*.faiss")
    whole = f"GET /{bucket}/c/derived/{path.name}"

    with asked(server) as first:
        assert index_state(stored) == "fresh"
        assert open_index(stored).info.count == 12
    with asked(server) as second:
        found = stored.search(lookalike.Id("sea/sea-002.png"), k=5)

    assert names(found) == names(exact)
    assert (first.count(whole), second.count(whole)) == (1, 0)
    (copy,) = (path for path in (tmp_path / "cache").rglob("*") if path.is_file())
    (folder / "new.jpg").write_bytes(jpeg(5))
    build(folder, f"s3://{bucket}/c")
    build_index(stored, "flat")
    assert open_index(stored).info.count == 13
    assert [path for path in copy.parent.iterdir() if path != copy] == list(copy.parent.iterdir())


def test_a_damaged_index_is_not_kept(bucket, folder, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    stored, _ = build(folder, f"s3://{bucket}/c")
    build_index(stored, "flat")
    (path,) = (stored.path / "derived").glob("index-*.faiss")
    data = path.read_bytes()
    path.put(data[:-9])

    with pytest.raises(CollectionError, match="truncated"):
        open_index(stored)
    path.put(data)
    assert open_index(stored).info.count == 12


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

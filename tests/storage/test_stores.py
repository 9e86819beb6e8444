"""Object stores: what an address is, how much is asked of a store, and what is said of its troubles."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from buckets import Requests, asked, upload
from building import counts, ids
from conftest import build, command_process
from source_files import jpeg

import lookalike
from lookalike.collection import open_collection
from lookalike.errors import (
    CollectionError,
    ExtraError,
    LookalikeError,
    SourceError,
    StorageError,
    StoreError,
)
from lookalike.sources.opening import open_source
from lookalike.storage.parts import list_parts
from lookalike.storage.stores import StorePath, place
from lookalike.storage.writing import check_target

boto3 = pytest.importorskip("boto3")
fsspec = pytest.importorskip("fsspec")


@pytest.fixture(scope="module")
def embedded(s3_server: Requests, photos: Path) -> lookalike.Collection:
    """A collection in a bucket, of one part with 42 long vectors; read it, never change it."""
    boto3.client("s3").create_bucket(Bucket="embedded")
    return build(photos, "s3://embedded/c", model="efficientnet-lite0")[0]


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
        ("http://host/photos", "is not a folder in an object store"),
        ("file:///etc", "is not a folder in an object store"),
    ],
)
def test_other_addresses_are_an_error(address, message):
    with pytest.raises(LookalikeError, match=message) as error:
        place(address)
    assert "secret" not in str(error.value)


def test_without_the_library_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "fsspec", None)
    with pytest.raises(ExtraError, match=r"pip install 'fsspec>=.*' 's3fs>=.*'$"):
        place("s3://bucket/x")
    with pytest.raises(ExtraError, match=r"pip install 'fsspec>=[\d.]+'$"):
        place("memory://x")


@pytest.mark.process
def test_local_paths_need_no_library(folder, target):
    words = "import sys; sys.modules['fsspec'] = None; import lookalike; lookalike.build(*sys.argv[1:])"
    done = subprocess.run([sys.executable, "-c", words, folder, target], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


# How much is asked of a store.


def test_a_footer_is_one_request_and_columns_a_few(s3_server, embedded):
    (part,) = list_parts(embedded.path)
    name = "/embedded/c/items/part-000000.parquet"
    with asked(s3_server) as footer:
        part.checksum()
    with asked(s3_server) as all_columns:
        part.items()
    with asked(s3_server) as without_embedding:
        part.described()
    wanted = ids(embedded)[:20]
    with asked(s3_server) as thumbnails:
        part.thumbnails(wanted)

    assert footer == [f"GET {name}"]
    assert all_columns == [f"GET {name}"]
    assert len(without_embedding) <= 5
    assert len(thumbnails) <= 5 + 20


def test_a_file_is_read_by_ranges_or_in_large_pieces(s3_server, bucket):
    path, data = place(f"s3://{bucket}/x"), os.urandom(100_000)
    path.put(data)
    get = f"GET /{bucket}/x"
    with asked(s3_server) as ranges, path.open(buffering=0) as file:
        assert file.seek(-8, os.SEEK_END) == 99_992
        assert (file.read(4), file.read(), file.read(4), file.tell()) == (
            data[-8:-4], data[-4:], b"", 100_000,
        )  # fmt: skip
    with asked(s3_server) as pieces, path.open() as file:
        assert b"".join(iter(lambda: file.read(1000), b"")) == data

    assert (ranges.count(get), pieces.count(get)) == (2, 1)


def test_the_embeddings_are_not_read_for_other_columns(embedded, monkeypatch):
    (part,) = list_parts(embedded.path)
    read_ranges, total = StorePath.read_ranges, []

    def counting(self, ranges):
        total.extend(size for _, size in ranges)
        return read_ranges(self, ranges)

    monkeypatch.setattr(StorePath, "read_ranges", counting)
    monkeypatch.setattr(StorePath, "read_bytes", None)
    part.described()

    assert part.items_path.stat().st_size > 42 * 1280 * 4
    assert 0 < sum(total) < 100_000


def test_a_build_that_finds_nothing_new_reads_no_image_and_writes_no_part(s3_server, bucket, folder):
    source = upload(folder, f"s3://{bucket}/photos")
    build(source, f"s3://{bucket}/c", part_size=16)

    with asked(s3_server) as requests:
        report = build(source, f"s3://{bucket}/c", part_size=16)[1]

    assert counts(report) == {"unchanged": 12}
    assert [one for one in requests if "/photos/" in one.partition("?")[0]] == []
    written = [one for one in requests if not one.startswith(("GET", "HEAD"))]
    assert written == [f"PUT /{bucket}/c/.lock", f"DELETE /{bucket}/c/.lock"]


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


@pytest.mark.process
def test_no_credentials_are_one_line_with_a_hint(s3_server, bucket, folder):
    environment = {key: text for key, text in os.environ.items() if not key.startswith("AWS_ACCESS")}
    done = command_process("build", f"s3://{bucket}/photos", "-c", "x", env=environment)
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
    with pytest.raises(StorageError, match="sftp:// cannot write files atomically"):
        check_target(StorePath(None, "sftp://host/c"))

"""Tars as sources: WebDataset's and any other, whole and broken."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import tarfile

import pytest
import webdataset
from building import counts, failures, ids
from conftest import build
from hypothesis import given
from hypothesis import strategies as some
from pictures import quick
from source_files import images, jpeg, listed, metadata, tar_of, written

from lookalike.errors import SourceError
from lookalike.sources import unpacking
from lookalike.sources.opening import open_source
from lookalike.sources.tar import _key


def test_an_image_has_the_name_of_its_shard_and_its_own(tmp_path):
    tar = written(tmp_path / "000.tar", tar_of({"a.jpg": jpeg(0), "b/c.png": jpeg(1)}))

    samples, _ = listed(tar)

    assert list(samples) == ["000/a.jpg", "000/b/c.png"]
    assert samples["000/b/c.png"].uri == f"{tar.as_uri()}#b/c.png"
    assert samples["000/b/c.png"].size_bytes == len(jpeg(1))
    assert samples["000/b/c.png"].mtime_ns == tar.stat().st_mtime_ns
    assert images(tar) == {"000/a.jpg": jpeg(0), "000/b/c.png": jpeg(1)}


def test_one_name_in_two_shards_is_two_images(tmp_path):
    for name in ("000.tar", "001.tar"):
        written(tmp_path / name, tar_of({"0.jpg": jpeg()}))

    assert list(images(tmp_path)) == ["000/0.jpg", "001/0.jpg"]


def test_what_stands_beside_an_image_becomes_columns(tmp_path):
    fields = {"url": "http://h/a.jpg", "n": 3, "nested": {"x": 1}, "list": [1], "none": None, "width": 7}
    members = {
        "a.jpg": jpeg(0),
        "a.json": json.dumps(fields).encode(),
        "b.txt": b"a red thing\n",
        "b.cls": b"12",
        "b.jpg": jpeg(1),
    }
    tar = written(tmp_path / "000.tar", tar_of(members))

    assert metadata(tar) == {
        "000/a.jpg": {"url": "http://h/a.jpg", "n": 3, "width_": 7},
        "000/b.jpg": {"caption": "a red thing", "label": "12"},
    }


def test_columns_reach_the_collection_with_their_types(tmp_path, target):
    members = {}
    for number, fields in enumerate([{"n": 1, "x": 1, "m": 1}, {"n": 2, "x": 0.5, "m": "two"}, {}]):
        members |= {f"{number}.jpg": jpeg(number), f"{number}.json": json.dumps(fields).encode()}
    tar = written(tmp_path / "000.tar", tar_of(members))

    collection, _ = build(tar, target)

    rows = collection.items(["n", "x", "m"])
    assert [str(field.type) for field in rows.schema] == ["int64", "double", "string"]
    assert rows.to_pydict() == {"n": [1, 2, None], "x": [1, 0.5, None], "m": ["1", "two", None]}


@pytest.mark.parametrize("content", [b"{", b"[1]", b"\xff", b"[" * 100_000, b""])
def test_json_that_is_no_object_is_passed_over(tmp_path, content):
    tar = written(tmp_path / "000.tar", tar_of({"a.jpg": jpeg(), "a.json": content}))

    assert metadata(tar) == {"000/a.jpg": {}}


@quick
@given(some.text("ab./", max_size=9))
def test_the_key_is_that_of_webdataset(name):
    key, suffix = webdataset.tariterators.base_plus_ext(name)

    if key is not None and suffix:
        assert _key(name) == key


def test_hidden_members_and_others_are_passed_over(tmp_path):
    members = {"._a.jpg": b"resource fork", "notes.md": b"-", "./a.jpg": jpeg(), "x/.b.jpg": b""}
    tar = written(tmp_path / "000.tar", tar_of(members))

    assert list(images(tar)) == ["000/a.jpg"]


def test_members_that_are_neither_pictures_nor_describe_one_are_counted_by_their_ending(tmp_path):
    described = {"a.jpg": jpeg(), "a.json": b"{}", "a.txt": b"a caption"}
    others = {"b.JSON": b"{}", "notes.md": b"-", "c.mp4": b"-", "d": b"-", "._e.mp4": b"-"}
    written(tmp_path / "000.tar", tar_of(described | others))
    written(tmp_path / "001.tar", tar_of({"c.mp4": b"-"}))
    source = open_source(tmp_path)

    for _ in range(2):  # each listing counts anew
        assert [one.id for one in source.samples()] == ["000/a.jpg"]
        assert source.passed_over == {".mp4": 2, ".md": 1, ".json": 1, "": 1}


def test_a_hard_link_is_the_image_it_leads_to_and_a_symbolic_one_a_failure(tmp_path):
    (tmp_path / "a.jpg").write_bytes(jpeg())
    os.link(tmp_path / "a.jpg", tmp_path / "b.jpg")
    (tmp_path / "c.jpg").symlink_to("/etc/passwd")
    with tarfile.open(tmp_path / "000.tar", "w") as tar:
        for name in ("a.jpg", "b.jpg", "c.jpg"):
            tar.add(tmp_path / name, name)

    samples, failed = listed(tmp_path / "000.tar")

    assert {id_: one.read() for id_, one in samples.items()} == {"000/a.jpg": jpeg(), "000/b.jpg": jpeg()}
    assert [(one.id, one.error) for one in failed] == [("000/c.jpg", "not a regular file")]


@pytest.mark.parametrize("format_", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_every_format_of_tar_is_read(tmp_path, format_):
    name = "long/" * 18 + "é.jpg"
    tar = written(tmp_path / "000.tar", tar_of({name: jpeg()}, format_))

    assert list(images(tar)) == [f"000/{name}"]


def test_a_name_that_is_not_utf8_is_shown_with_escapes(tmp_path):
    tar = written(tmp_path / "000.tar", tar_of({"caf\udce9.jpg": jpeg()}, tarfile.GNU_FORMAT))

    samples, _ = listed(tar)

    assert list(samples) == ["000/caf\\xe9.jpg"]
    assert samples["000/caf\\xe9.jpg"].uri.endswith("#caf%E9.jpg")


def test_of_two_members_with_one_name_the_second_is_a_failure(tmp_path, target):
    tar = written(tmp_path / "000.tar", tar_of([("a.jpg", jpeg(0)), ("a.jpg", jpeg(1))]))

    collection, report = build(tar, target)

    assert counts(report) == {"embedded": 1, "failed": 1}
    assert failures(collection) == [("000/a.jpg", "list", f"the id is taken by {tar.as_uri()}#a.jpg")]


@pytest.mark.slow
def test_at_every_cut_what_precedes_it_is_there_and_the_rest_is_one_failure(tmp_path):
    members = {"a.jpg": b"A" * 600, "a.json": b'{"n": 1}', "b.jpg": b"B" * 10}
    whole = tar_of(members)
    first_end, second_end, complete = 512 + 600, 512 + 1024 + 1024 + 512 + 10, len(whole) - 1024 + 512
    tar = tmp_path / "000.tar"

    edges = {
        edge + step for edge in (first_end, second_end, *range(0, len(whole), 512)) for step in (-1, 0, 1)
    }
    for cut in sorted({*edges, *range(0, len(whole), 7)}.intersection(range(len(whole)))):
        tar.write_bytes(whole[:cut])
        samples, failed = listed(tar)
        assert [one.read() for one in samples.values()] == [b"A" * 600, b"B" * 10][
            : (cut >= first_end) + (cut >= second_end)
        ]
        assert len(failed) == (cut < complete), cut
        assert all((one.id, one.uri) == ("000.tar", f"{tar.as_uri()}#") for one in failed)


def test_a_tar_that_ends_with_a_whole_file_and_no_end_mark_breaks_off(tmp_path):
    tar = written(tmp_path / "000.tar", tar_of({"a.jpg": b"A" * 600})[: 512 + 1024])

    samples, failed = listed(tar)

    assert list(samples) == ["000/a.jpg"]
    assert [one.error for one in failed] == ["the tar breaks off at byte 1,536; 1 images precede it"]


def test_a_damaged_header_is_not_taken_for_the_end(tmp_path):
    data = bytearray(tar_of({"a.jpg": jpeg(0), "b.jpg": jpeg(1), "c.jpg": jpeg(2)}))
    second = data.index(b"b.jpg")
    data[second] ^= 1
    tar = written(tmp_path / "000.tar", bytes(data))

    samples, failed = listed(tar)

    assert list(samples) == ["000/a.jpg"]
    assert [one.error for one in failed] == [
        f"the tar is damaged (bad checksum) at byte {second:,}; 1 images precede it"
    ]


@quick
@given(some.integers(0, 5000), some.integers(1, 255))
def test_any_flipped_byte_leaves_a_listing(tmp_path_factory, position, flip):
    data = bytearray(tar_of({"long/" * 30 + "a.jpg": b"A" * 600, "b.jpg": b"B" * 10}))
    data[position % len(data)] ^= flip
    tar = written(tmp_path_factory.mktemp("flip") / "000.tar", bytes(data))

    samples, failed = listed(tar)

    assert len(samples) <= 2
    assert len(failed) <= 2
    for sample in samples.values():
        sample.read()


def test_a_file_that_is_no_tar_is_a_failure(tmp_path):
    written(tmp_path / "000.tar", b"<html>404</html>" * 99)
    written(tmp_path / "001.tar", tar_of({"a.jpg": jpeg()}))

    samples, failed = listed(tmp_path)

    assert list(samples) == ["001/a.jpg"]
    assert failed[0].error == "not a tar, or damaged from its start (1,584 bytes); 0 images precede it"


def test_a_compressed_tar_is_read_in_any_order(tmp_path):
    members = {f"{number}.jpg": jpeg(number) for number in range(4)}
    for name in ("a.tar.gz", "b.tgz", "c.tar.gz"):
        written(tmp_path / name, gzip.compress(tar_of(members)))

    samples, _ = listed(tmp_path)

    assert len(samples) == 12
    for id_, sample in reversed(samples.items()):
        assert sample.read() == members[id_.partition("/")[2]]


def test_a_compressed_tar_that_was_written_anew_is_read_anew(tmp_path):
    tar = written(tmp_path / "000.tar.gz", gzip.compress(tar_of({"a.jpg": jpeg(0)})))
    assert images(tar) == {"000/a.jpg": jpeg(0)}

    written(tar, gzip.compress(tar_of({"a.jpg": jpeg(1)})))

    assert images(tar) == {"000/a.jpg": jpeg(1)}


def test_of_a_damaged_compressed_tar_what_precedes_is_there(tmp_path):
    packed = gzip.compress(tar_of({f"{number}.jpg": jpeg(number) for number in range(9)}))
    tar = written(tmp_path / "000.tar.gz", packed[: len(packed) // 2])

    samples, failed = listed(tar)

    assert 0 < len(samples) < 9
    assert all(one.read() for one in samples.values())
    assert failed[0].error.startswith("the gzip file is damaged: ")


def test_a_compressed_tar_is_unpacked_no_further_than_a_hundred_times_its_size(tmp_path, monkeypatch):
    monkeypatch.setattr(unpacking, "_ALWAYS_BYTES", 0)
    members = {"a.jpg": jpeg(0), "b.jpg": bytes(10_000_000), "c.jpg": jpeg(1)}
    tar = written(tmp_path / "000.tar.gz", gzip.compress(tar_of(members)))

    samples, failed = listed(tar)

    assert list(samples) == ["000/a.jpg"]
    limit = 100 * tar.stat().st_size / 1e9
    assert failed[0].error == (
        f"the gzip file unpacks to more than {limit:.1f} GB; unpack it yourself; 1 images precede it"
    )


LIMITED_BUILD = """
import resource, sys
from lookalike.cli import main
resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, 2_000_000))
sys.exit(main(["build", sys.argv[1], "-c", sys.argv[2], "--model", "colors"]))
"""


@pytest.mark.slow
def test_without_room_to_unpack_the_build_ends_with_the_true_cause(tmp_path, target):
    members = {f"{number}.jpg": jpeg(number) + os.urandom(100_000) for number in range(40)}
    tar = written(tmp_path / "000.tar.gz", gzip.compress(tar_of(members), 1))

    done = subprocess.run(
        [sys.executable, "-c", LIMITED_BUILD, tar, target], capture_output=True, text=True, check=False
    )

    assert done.returncode != 0
    assert f"cannot unpack {tar} to " in done.stderr
    assert "File too large" in done.stderr
    assert "TMPDIR" in done.stderr
    assert "damaged" not in done.stderr


def test_a_tar_that_shrank_while_it_was_built_is_a_failure_of_reading(tmp_path):
    tar = written(tmp_path / "000.tar", tar_of({"a.jpg": jpeg()}))
    samples, _ = listed(tar)
    os.truncate(tar, 600)

    with pytest.raises(OSError, match=r"000.tar ends before byte"):
        samples["000/a.jpg"].read()


def test_a_tar_without_images_is_no_source(tmp_path, target):
    tar = written(tmp_path / "000.tar", tar_of({"notes.txt": b"-"}))

    with pytest.raises(SourceError, match="no images in"):
        build(tar, target)


def test_building_again_knows_what_is_unchanged(tmp_path, target):
    written(tmp_path / "shards" / "000.tar", tar_of({"a.jpg": jpeg(0), "b.jpg": jpeg(1)}))
    written(tmp_path / "shards" / "001.tar", tar_of({"a.jpg": jpeg(2)}))
    build(tmp_path / "shards", target)

    assert counts(build(tmp_path / "shards", target)[1]) == {"unchanged": 3}
    (tmp_path / "shards" / "001.tar").unlink()
    collection, report = build(tmp_path / "shards", target)
    assert counts(report) == {"unchanged": 2, "removed": 1}
    assert ids(collection) == ["000/a.jpg", "000/b.jpg"]


def test_a_tar_that_breaks_off_takes_no_rows_with_it(tmp_path, target):
    tar = written(tmp_path / "shards" / "000.tar", tar_of({f"{n}.jpg": jpeg(n) for n in range(4)}))
    build(tmp_path / "shards", target)
    os.truncate(tar, 1500)

    collection, report = build(tmp_path / "shards", target)

    assert counts(report) == {"embedded": 1, "failed": 1}
    assert sorted(ids(collection)) == [f"000/{n}.jpg" for n in range(4)]
    assert list(collection.verify()) == []

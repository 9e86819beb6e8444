"""Shards in an object store as sources: tars, TFRecords and tables, from a real S3 server on the loopback."""

from __future__ import annotations

import io
from collections.abc import Callable

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from building import counts, failures, ids
from conftest import build, command
from source_files import images, jpeg, listed, metadata, records_of, tar_of

from lookalike.storage.stores import place

PICTURES = {f"{number:03d}": jpeg(number) for number in range(8)}


def as_tar(names: list[str]) -> bytes:
    return tar_of(
        [pair for name in names for pair in ((f"{name}.jpg", PICTURES[name]), (f"{name}.cls", b"sea"))]
    )


def as_tfrecord(names: list[str]) -> bytes:
    rows = ({"image": PICTURES[name], "image_name": name.encode(), "label": b"sea"} for name in names)
    return records_of(*rows)


def as_parquet(names: list[str]) -> bytes:
    file = io.BytesIO()
    rows = [
        {"path": name, "image": {"bytes": PICTURES[name], "path": name}, "label": "sea"} for name in names
    ]
    pq.write_table(pa.Table.from_pylist(rows), file, row_group_size=2)
    return file.getvalue()


KINDS = {"tar": as_tar, "tfrecord": as_tfrecord, "parquet": as_parquet}
Write = Callable[[list[str]], bytes]


@pytest.fixture(params=KINDS)
def shards(request: pytest.FixtureRequest, bucket: str) -> str:
    """The address of two shards of four pictures each, as a brace range; the second is 001."""
    kind = request.param
    for number in range(2):
        data = KINDS[kind](list(PICTURES)[4 * number : 4 * number + 4])
        place(f"s3://{bucket}/shards/{number:03d}.{kind}").put(data)
    return f"s3://{bucket}/shards/{{000..001}}.{kind}"


def folder_of(shards: str) -> str:
    return shards.rpartition("/")[0]


def test_the_pictures_of_shards_in_a_store_come_with_their_columns(shards):
    found = images(shards)

    assert list(found.values()) == list(PICTURES.values())
    assert {id_.partition("/")[0] for id_ in found} == {"000", "001"}
    assert {row["label"] for row in metadata(shards).values()} == {"sea"}


def test_a_folder_of_shards_in_a_store_is_the_same_as_their_range(shards):
    assert images(folder_of(shards)) == images(shards)


@pytest.mark.parametrize("pattern", ["*", "00[01]", "{000,001}"])
def test_shards_in_a_store_match_patterns(shards, pattern):
    assert images(shards.replace("{000..001}", pattern)) == images(shards)


def test_a_build_embeds_them_and_a_second_one_nothing(shards, target):
    collection, report = build(shards, target)
    assert counts(report) == {"embedded": 8}
    assert ids(collection) == list(images(shards))

    assert counts(build(shards, target)[1]) == {"unchanged": 8}


def test_a_shard_that_is_gone_is_a_failure_and_keeps_its_rows(shards, target):
    build(shards, target)
    gone = place(shards.replace("{000..001}", "001"))
    gone.unlink()

    collection, report = build(shards, target)

    assert counts(report) == {"unchanged": 4, "failed": 1}
    assert failures(collection) == [(gone.name, "list", "there is no such object")]
    assert len(collection) == 8


@pytest.mark.parametrize("kind", ["tar", "tfrecord"])
def test_what_precedes_a_break_is_used(bucket, kind):
    data = KINDS[kind](list(PICTURES))
    address = f"s3://{bucket}/broken.{kind}"
    place(address).put(data[: len(data) // 2])

    found, (failure,) = listed(address)

    assert [sample.read() for sample in found.values()] == list(PICTURES.values())[: len(found)]
    assert 0 < len(found) < 8
    assert "breaks off" in failure.error


def test_the_command_builds_from_shards_in_a_store(shards, target):
    done = command("build", shards, "-c", target, "--model", "colors")

    assert (done.returncode, done.stderr.splitlines()[-1]) == (0, "8 embedded")

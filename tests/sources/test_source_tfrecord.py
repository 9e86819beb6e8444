"""TFRecord files as sources: the original library's, TensorFlow's and others', whole and broken."""

from __future__ import annotations

import gzip
import os

import pytest
from building import counts, failures, ids
from conftest import build
from source_files import images, jpeg, listed, metadata, records_of, written

from lookalike.errors import SourceError
from lookalike.sources.tfrecord_format import framed


def test_the_records_of_the_original_library_are_read(tmp_path):
    shard = written(
        tmp_path / "0.tfrecord",
        records_of(*({"image_name": f"rose_{n}".encode(), "image": jpeg(n)} for n in range(2))),
    )

    samples, _ = listed(shard)

    assert images(shard) == {"0/rose_0": jpeg(0), "0/rose_1": jpeg(1)}
    assert samples["0/rose_1"].uri == f"{shard.as_uri()}#rose_1"
    assert samples["0/rose_1"].size_bytes == len(jpeg(1))


@pytest.mark.parametrize("name", ["image", "image/encoded", "image_raw", "jpg"])
def test_the_image_is_found_by_its_usual_names(tmp_path, name):
    shard = written(tmp_path / "0.tfrecord", records_of({"label": 3, name: jpeg()}))

    assert images(shard) == {"0/0": jpeg()}
    assert metadata(shard) == {"0/0": {"label": "3"}}


def test_the_image_and_its_name_can_be_said(tmp_path):
    record = {"image": b"a mask", "photo": jpeg(), "title": b"dawn"}
    shard = written(tmp_path / "0.tfrecord", records_of(record))

    assert images(shard, image_column="photo", name_column="title") == {"0/dawn": jpeg()}


def test_records_without_images_are_no_source(tmp_path, target):
    shard = written(tmp_path / "0.tfrecord", records_of({"label": 3, "text": b"no"}))

    with pytest.raises(SourceError) as error:
        build(shard, target)
    assert error.value.message == f"{shard} has no column of images, only: label, text"
    assert error.value.hint == "name the one with the encoded images as `image_column`"


def test_features_of_one_value_become_columns(tmp_path):
    record = {"image": jpeg(), "caption": "müde".encode(), "n": -3, "x": 0.5, "raw": b"\xff", "width": 9}
    shard = written(tmp_path / "0.tfrecord", records_of(record))

    assert metadata(shard) == {"0/0": {"caption": "müde", "n": -3, "x": 0.5, "width_": 9}}


def test_a_name_that_is_there_again_gets_its_number(tmp_path):
    same = ({"image_name": b"rose", "image": jpeg(n)} for n in range(2))
    shard = written(tmp_path / "0.tfrecord", records_of(*same))

    assert images(shard) == {"0/rose": jpeg(0), "0/rose~1": jpeg(1)}


def test_tensorflow_numbers_its_shards_after_the_suffix(tmp_path):
    for number in range(2):
        name = f"flowers-train.tfrecord-0000{number}-of-00002"
        written(tmp_path / name, records_of({"image": jpeg(number)}))

    assert list(images(tmp_path)) == ["flowers-train-00000-of-00002/0", "flowers-train-00001-of-00002/0"]


def test_at_every_cut_what_precedes_it_is_there_and_the_rest_is_one_failure(tmp_path):
    first, second = (records_of({"image_name": name, "image": b"x" * 20}) for name in (b"a", b"b"))
    shard = tmp_path / "0.tfrecord"

    for cut in range(1, len(first + second)):
        shard.write_bytes((first + second)[:cut])
        samples, failed = listed(shard)
        assert list(samples) == (["0/a"] if cut >= len(first) else [])
        assert all(sample.read() == b"x" * 20 for sample in samples.values())
        assert len(failed) == (cut != len(first))


def test_a_record_without_its_checksum_is_a_failure_of_reading(tmp_path, target):
    first, second = (records_of({"image_name": name, "image": jpeg()}) for name in (b"a", b"b"))
    damaged = bytearray(first)
    damaged[-20] ^= 1
    shard = written(tmp_path / "0.tfrecord", bytes(damaged) + second)

    collection, report = build(shard, target)

    assert counts(report) == {"embedded": 1, "failed": 1}
    assert ids(collection) == ["0/b"]
    assert failures(collection) == [
        ("0/a", "read", "the record does not match its checksum: the file is damaged")
    ]


def test_a_damaged_length_ends_the_listing(tmp_path):
    first = records_of({"image": jpeg()})
    damaged = bytearray(first)
    damaged[0] ^= 1
    shard = written(tmp_path / "0.tfrecord", first + bytes(damaged))

    samples, failed = listed(shard)

    assert list(samples) == ["0/0"]
    assert [one.error for one in failed] == [
        f"the length at byte {len(first):,} does not match its checksum; 1 records precede it"
    ]


def test_a_record_that_is_no_example_is_a_failure_of_its_own(tmp_path):
    shard = written(tmp_path / "0.tfrecord", framed(b"\xff\xff") + records_of({"image": jpeg()}))

    samples, failed = listed(shard)

    assert list(samples) == ["0/1"]
    assert failed[0].id == "0/0"
    assert failed[0].error.startswith("not a tf.train.Example")


def test_a_record_without_an_image_among_others_is_a_failure_of_its_own(tmp_path):
    shard = written(tmp_path / "0.tfrecord", records_of({"image": jpeg()}, {"text": b"no"}))

    samples, failed = listed(shard)

    assert list(samples) == ["0/0"]
    assert [(one.id, one.error) for one in failed] == [("0/1", "no image in this record")]


def test_compressed_records_are_read(tmp_path):
    shard = written(tmp_path / "0.tfrecord.gz", gzip.compress(records_of({"image": jpeg(1)})))

    assert images(shard) == {"0/0": jpeg(1)}


def test_building_again_knows_what_is_unchanged(tmp_path, target):
    shard = written(tmp_path / "0.tfrecord", records_of(*({"image": jpeg(n)} for n in range(3))))
    build(shard, target)

    assert counts(build(shard, target)[1]) == {"unchanged": 3}
    os.utime(shard, ns=(0, 0))
    assert counts(build(shard, target)[1]) == {"embedded": 3}

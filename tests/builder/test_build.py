"""What a build writes, keeps and drops."""

from __future__ import annotations

import os
import shutil
import time

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from building import counts, failures, files, ids, labels, vectors
from conftest import build, write_picture, write_pictures

from lookalike.errors import CollectionError, LookalikeError, ModelError
from lookalike.storage.parts import list_parts


def test_a_build_embeds_every_image(folder, target):
    collection, report = build(folder, target)

    assert counts(report) == {"embedded": 12}
    assert ids(collection) == [
        *("brick/brick-000.jpg", "brick/brick-003.jpg", "brick/brick-006.jpg", "brick/brick-009.jpg"),
        *("meadow/meadow-001.jpg", "meadow/meadow-004.jpg", "meadow/meadow-007.jpg", "meadow/meadow-010.jpg"),
        *("sea/sea-002.png", "sea/sea-005.png", "sea/sea-008.png", "sea/sea-011.png"),
    ]
    assert list(collection.verify()) == []


def test_a_part_has_as_many_images_as_it_is_told(folder, target):
    collection, _ = build(folder, target, part_size=5)

    assert [(part.items_path.name, part.num_rows()) for part in list_parts(collection.path)] == [
        ("part-000000.parquet", 5),
        ("part-000001.parquet", 5),
        ("part-000002.parquet", 2),
    ]


def test_failures_count_towards_the_size_of_a_part(folder, target):
    (folder / "brick" / "aaa.jpg").touch()
    collection, _ = build(folder, target, part_size=5)

    assert [part.num_rows() for part in list_parts(collection.path)] == [4, 5, 3]


def test_vectors_can_be_stored_as_float16(folder, target):
    collection, _ = build(folder, target, dtype="float16")

    field = pq.read_schema(target / "items" / "part-000000.parquet").field("embedding")
    assert field.type.value_type == pa.float16()
    exact = build(folder, target.with_name("exact"))[0].embeddings()
    assert collection.embeddings().dtype == np.float32
    assert np.abs(collection.embeddings() - exact).max() < 0.0005
    assert list(collection.verify()) == []


def test_a_float16_collection_stays_one_when_rows_are_removed_and_labelled(folder, target):
    before = vectors(build(folder, target, dtype="float16")[0])
    schema = pq.read_schema(target / "items" / "part-000000.parquet").remove_metadata()
    (folder / "sea" / "sea-002.png").unlink()

    collection, _ = build(folder, target, label="folder")

    assert pq.read_schema(target / "items" / "part-000000.parquet").remove_metadata() == schema
    assert vectors(collection) == {id_: one for id_, one in before.items() if id_ != "sea/sea-002.png"}
    assert list(collection.verify()) == []


@pytest.mark.parametrize("options", [{"label": "folder"}, {"dtype": "float16"}, {"metadata": True}])
def test_a_second_build_of_the_same_files_writes_nothing(folder, target, options, tmp_path):
    if "metadata" in options:
        options = {"metadata": tmp_path / "notes.csv"}
        options["metadata"].write_text("id,price\nbrick/brick-000.jpg,1.5\n")
    build(folder, target, part_size=4, **options)
    before = files(target)
    time.sleep(0.01)

    for _ in range(3):
        _, report = build(folder, target, part_size=4)

        assert counts(report) == {"unchanged": 12}
        assert files(target) == before


def test_a_new_image_makes_a_new_part_and_leaves_the_others_alone(folder, target):
    build(folder, target, part_size=6)
    before = files(target)
    write_picture(folder / "sea" / "new.png", 100)

    collection, report = build(folder, target)

    assert counts(report) == {"embedded": 1, "unchanged": 12}
    assert ids(collection)[-1] == "sea/new.png"
    assert {name: state for name, state in files(target).items() if "000002" not in name} == before


def test_an_image_with_another_time_is_embedded_again(folder, target):
    build(folder, target)
    os.utime(folder / "sea" / "sea-002.png", ns=(1, 1))

    collection, report = build(folder, target)

    assert counts(report) == {"embedded": 1, "unchanged": 11}
    times = dict(zip(ids(collection), collection.items()["mtime_ns"].to_pylist(), strict=True))
    assert times["sea/sea-002.png"] == 1


def test_an_image_with_another_size_is_embedded_again(folder, target):
    before = vectors(build(folder, target)[0])
    path = folder / "sea" / "sea-002.png"
    mtime_ns = path.stat().st_mtime_ns
    write_picture(path, 100)
    os.utime(path, ns=(mtime_ns, mtime_ns))

    collection, report = build(folder, target)

    assert counts(report) == {"embedded": 1, "unchanged": 11}
    after = vectors(collection)
    assert {id_ for id_ in before if after[id_] != before[id_]} == {"sea/sea-002.png"}
    assert after["sea/sea-002.png"] == bytes(collection.model.embed([path])[0])


def test_a_removed_image_is_gone_with_its_thumbnail(folder, target):
    build(folder, target, part_size=6)
    part = list_parts(build(folder, target)[0].path)[1]
    rows = part.items()
    gone = part.thumbnails(rows.slice(2, 1)["id"].to_pylist())[0]
    assert rows["id"][2].as_py() == "sea/sea-002.png"
    (folder / "sea" / "sea-002.png").unlink()

    collection, report = build(folder, target)

    assert counts(report) == {"unchanged": 11, "removed": 1}
    assert "sea/sea-002.png" not in ids(collection)
    assert not any(gone in path.read_bytes() for path in target.rglob("*.tar"))
    assert len(list(target.rglob("*.tar"))) == 2
    assert list(collection.verify()) == []


def test_a_part_whose_images_are_all_gone_is_gone(folder, target):
    build(folder, target, part_size=4)
    shutil.rmtree(folder / "meadow")

    collection, report = build(folder, target)

    assert counts(report) == {"unchanged": 8, "removed": 4}
    assert sorted(files(target)) == [
        "items/part-000000.parquet",
        "items/part-000002.parquet",
        *(f"thumbnails/{part.thumbnails_path().name}" for part in list_parts(collection.path)),
    ]
    assert len(collection.embeddings()) == 8


def test_a_renamed_image_has_its_new_name_and_its_old_vector(folder, target):
    before = vectors(build(folder, target)[0])
    (folder / "sea" / "sea-002.png").rename(folder / "sea" / "renamed.png")

    collection, report = build(folder, target)

    assert counts(report) == {"embedded": 1, "unchanged": 11, "removed": 1}
    assert vectors(collection)["sea/renamed.png"] == before["sea/sea-002.png"]


def test_thumbnails_belong_to_their_rows_after_any_change(folder, target):
    build(folder, target, part_size=5)
    (folder / "brick" / "brick-003.jpg").unlink()
    write_picture(folder / "meadow" / "meadow-004.jpg", 50)
    write_picture(folder / "aaa.png", 51)

    collection, _ = build(folder, target, part_size=5)

    for part in list_parts(collection.path):
        rows = part.items()
        small = collection.model.embed(part.thumbnails(rows["id"].to_pylist()))
        cosines = (small * part.embeddings()).sum(axis=1)
        assert cosines.min() > 0.98, rows["id"].to_pylist()


def test_a_failure_is_tried_again_and_its_row_is_replaced(folder, target):
    (folder / "bad.jpg").touch()
    build(folder, target)

    collection, report = build(folder, target)

    assert counts(report) == {"failed": 1, "unchanged": 12}
    assert failures(collection) == [("bad.jpg", "decode", "the file is empty")]


def test_a_failure_that_was_mended_is_a_row(folder, target):
    (folder / "bad.jpg").touch()
    build(folder, target)
    write_picture(folder / "bad.jpg", 100)

    collection, report = build(folder, target)

    assert counts(report) == {"embedded": 1, "unchanged": 12}
    assert failures(collection) == []
    assert "bad.jpg" in ids(collection)


def test_an_image_that_breaks_is_a_failure_and_no_row(folder, target):
    build(folder, target)
    (folder / "sea" / "sea-002.png").write_text("broken")

    collection, report = build(folder, target)

    assert counts(report) == {"failed": 1, "unchanged": 11}
    assert "sea/sea-002.png" not in ids(collection)
    assert failures(collection)[0][:2] == ("sea/sea-002.png", "decode")


@pytest.mark.parametrize("wish", [{"model": "pixels"}, {"dtype": "float16"}])
def test_another_model_or_dtype_is_refused(folder, target, wish):
    build(folder, target)
    before = files(target)

    with pytest.raises(ModelError, match=f"was built with the .*, not {next(iter(wish.values()))}") as caught:
        build(folder, target, **wish)
    assert "rebuild=True" in caught.value.hint
    assert files(target) == before


def test_a_second_build_goes_on_with_the_model_and_the_dtype_of_the_first(folder, target):
    build(folder, target, model="pixels", dtype="float16")
    write_picture(folder / "new.png", 100)

    collection, report = build(folder, target, model=None)

    assert counts(report) == {"embedded": 1, "unchanged": 12}
    assert (collection.manifest.model.name, collection.manifest.dtype) == ("pixels", "float16")


def test_a_rebuild_starts_from_nothing_and_may_change_the_model(folder, target):
    build(folder, target, label="folder", part_size=4)

    collection, report = build(folder, target, model="pixels", dtype="float16", rebuild=True)

    assert counts(report) == {"embedded": 12}
    assert len(list_parts(collection.path)) == 1
    assert (collection.manifest.model.name, collection.manifest.dtype) == ("pixels", "float16")
    assert list(collection.verify()) == []


def test_a_rebuild_keeps_the_options_that_are_not_given(folder, target):
    build(folder, target, model="pixels", dtype="float16", label="folder")

    collection, _ = build(folder, target, model=None, rebuild=True)

    assert collection.manifest.model.name == "pixels"
    assert labels(collection)["sea/sea-002.png"] == "sea"
    assert collection.manifest.dtype == "float16"


@pytest.mark.parametrize(
    "wish", [{"model": "nosuch"}, {"device": "nosuch"}, {"dtype": "float64"}, {"threads": -1}]
)
def test_a_wish_that_cannot_be_met_is_refused_before_anything_is_written(folder, target, wish):
    with pytest.raises(LookalikeError, match=r"nosuch|float64|threads"):
        build(folder, target, **wish)
    assert not target.exists()


@pytest.mark.parametrize("part_size", [0, -1])
def test_a_part_of_no_images_is_refused(folder, target, part_size):
    with pytest.raises(LookalikeError, match="part_size"):
        build(folder, target, part_size=part_size)
    assert not target.exists()


def test_progress_counts_every_image_once(folder, target):
    (folder / "bad.jpg").touch()
    (folder / "broken.jpg").symlink_to("nowhere.jpg")
    calls = []

    build(folder, target, on_progress=lambda done, total: calls.append((done, total)))

    assert calls == [(done, 13) for done in range(1, 14)]


def test_progress_counts_only_what_there_is_to_do(folder, target):
    build(folder, target)
    write_picture(folder / "new.png", 100)
    calls = []

    build(folder, target, on_progress=lambda done, total: calls.append((done, total)))

    assert calls == [(1, 1)]


def test_the_number_of_threads_does_not_change_a_byte(folder, tmp_path):
    write_pictures(folder, 60, size=(20, 20))
    written = []
    for threads in (1, 2, 7):
        target = tmp_path / str(threads)
        build(folder, target, threads=threads, part_size=25, label="folder")
        written.append({name: (target / name).read_bytes() for name in files(target)})

    assert len(written[0]) == 6
    assert written[0] == written[1] == written[2]


def test_what_remains_of_a_killed_build_is_removed_by_the_next(folder, target):
    build(folder, target)
    leftovers = ["items/part-000001.parquet.tmp", "thumbnails/part-000001.tar", "collection.json.tmp"]
    for name in leftovers:
        (target / name).write_bytes(b"half")

    collection, _ = build(folder, target)

    assert not any((target / name).exists() for name in leftovers)
    assert list(collection.verify()) == []


def test_a_collection_that_lost_a_tar_is_refused_with_what_to_do(folder, target):
    collection, _ = build(folder, target)
    list_parts(collection.path)[0].thumbnails_path().unlink()
    (folder / "sea" / "sea-002.png").unlink()

    with pytest.raises(CollectionError, match=r"part-000000-[0-9a-f]{16}\.tar"):
        build(folder, target)

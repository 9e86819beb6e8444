"""A collection: what is read from it, and what verify finds."""

from __future__ import annotations

import json
import re
import shutil
from bisect import bisect_right
from itertools import accumulate
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from building import edit_manifest
from conftest import build, write_picture
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import lookalike
from lookalike.storage.parts import Part, list_parts


def rewrite_column(part: Part, name: str, values: list[object]) -> None:
    """Replace a column by way of the part itself, so that every checksum is right."""
    rows = part.items()
    place = rows.column_names.index(name)
    field = rows.schema.field(name)
    part.write(rows.set_column(place, field, pa.array(values, field.type)))


def test_items_are_the_rows_of_all_parts_in_order_without_the_embedding(collection):
    items = collection.items()

    assert items.column_names == (
        "id uri size_bytes mtime_ns sha256 width height label taken_at latitude longitude camera".split()
    )
    assert items.num_rows == len(collection) == 42
    assert items["id"].to_pylist() == sorted(items["id"].to_pylist())
    assert items["id"][13].as_py() == "brick/brick-039.jpg"
    assert set(items["label"].to_pylist()) == {"brick", "meadow", "sea"}


def test_where_a_thumbnail_lies_is_told_by_name_alone(collection):
    assert collection.items(["thumb_offset", "thumb_size"]).column_names == ["thumb_offset", "thumb_size"]


def test_what_was_derived_of_the_items_stands_in_their_data_frame(copied):
    copied.map(write=True)

    derived = set(copied.to_pandas().columns) - set(copied.items().column_names)

    assert derived == {"map_x", "map_y"}
    assert copied.to_arrow().column_names == list(copied.to_pandas().columns)


def test_items_can_be_asked_for_by_column(collection):
    assert collection.items(["label", "id"]).column_names == ["label", "id"]


def test_a_row_says_what_the_file_was(collection, photos):
    row = collection.items().to_pylist()[0]
    path = photos / "brick" / "brick-000.jpg"

    assert row["uri"] == path.as_uri()
    assert row["size_bytes"] == path.stat().st_size
    assert row["mtime_ns"] == path.stat().st_mtime_ns
    assert (row["width"], row["height"]) == (64, 48)
    assert re.fullmatch("[0-9a-f]{64}", row["sha256"])


def test_embeddings_are_float32_of_unit_length_in_the_order_of_the_items(collection, photos):
    vectors = collection.embeddings()

    assert (vectors.shape, vectors.dtype, vectors.flags.c_contiguous) == ((42, 192), np.float32, True)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(np.ones(42), abs=1e-6)
    ids = collection.items(["id"])["id"].to_pylist()
    assert np.array_equal(collection.model.embed([photos / id_ for id_ in ids]), vectors)


def test_an_empty_collection_has_columns_and_no_rows(tmp_path):
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "empty.jpg").touch()
    collection, _ = build(tmp_path / "bad", tmp_path / "target")

    assert len(collection) == 0
    assert collection.items().column_names[:2] == ["id", "uri"]
    assert collection.embeddings().shape == (0, 192)
    assert len(collection.search(Image.new("RGB", (8, 8)))) == 0
    assert list(collection.verify()) == []


def test_the_name_is_that_of_the_folder_without_its_ending(collection):
    assert collection.name == "photos"


def test_the_fingerprint_stays_when_nothing_changes(folder, target):
    before = build(folder, target, label="folder")[0].fingerprint()
    after = build(folder, target, label="folder")[0].fingerprint()

    assert re.fullmatch("[0-9a-f]{64}", before)
    assert after == before == lookalike.open(target).fingerprint()


def test_two_collections_of_the_same_files_have_the_same_fingerprint(folder, target):
    first, _ = build(folder, target)
    second, _ = build(folder, target.with_name("another"))

    assert first.fingerprint() == second.fingerprint()


@pytest.mark.parametrize("change", ["added", "removed", "changed", "labelled"])
def test_the_fingerprint_changes_when_a_row_does(folder, target, change):
    before = build(folder, target)[0].fingerprint()
    if change == "added":
        write_picture(folder / "sea" / "new.png", 100)
    if change == "removed":
        (folder / "sea" / "sea-002.png").unlink()
    if change == "changed":
        write_picture(folder / "sea" / "sea-002.png", 100)
    after = build(folder, target, label="folder" if change == "labelled" else None)[0].fingerprint()

    assert after != before


def test_an_open_collection_sees_what_is_committed_later(folder, target):
    opened, _ = build(folder, target)
    write_picture(folder / "sea" / "new.png", 100)
    build(folder, target)

    assert len(opened) == 13


def test_a_collection_can_be_moved(copied, tmp_path):
    copied.path.rename(tmp_path / "elsewhere")
    moved = lookalike.open(tmp_path / "elsewhere")

    assert list(moved.verify()) == []
    assert (
        moved.search(lookalike.Id("sea/sea-002.png"), k=1, include_query=True)[0].thumbnail[:2] == b"\xff\xd8"
    )


def test_nothing_is_wrong_with_a_collection_as_it_was_built(collection):
    assert list(collection.verify()) == []


@pytest.fixture(scope="module")
def its_own(collection, tmp_path_factory):
    """The path of a copy for the test below, which mends what it damages."""
    return shutil.copytree(collection.path, tmp_path_factory.mktemp("damaged") / "copy")


@settings(deadline=None, max_examples=30)
@given(place=st.floats(0, 1, exclude_max=True), change=st.integers(1, 255))
def test_verify_finds_any_changed_byte_of_any_part(its_own, place, change):
    files = sorted(path for path in its_own.rglob("part-*") if path.is_file())
    ends = list(accumulate(path.stat().st_size for path in files))
    byte = int(place * ends[-1])
    damaged = files[bisect_right(ends, byte)]
    whole = damaged.read_bytes()
    data = bytearray(whole)
    data[byte - ends[bisect_right(ends, byte)]] ^= change
    damaged.write_bytes(data)
    try:
        problems = list(lookalike.open(its_own).verify())
    finally:
        damaged.write_bytes(whole)

    assert len(problems) == 1
    assert problems[0].startswith(f"{damaged}: ")


def test_verify_finds_a_tar_that_is_missing(copied):
    tar = list_parts(copied.path)[1].thumbnails_path()
    tar.unlink()

    assert list(copied.verify()) == [f"{tar}: missing"]


def test_verify_finds_the_tar_of_another_part(copied):
    tars = [part.thumbnails_path() for part in list_parts(copied.path)]
    shutil.copy(tars[0], tars[1])

    assert list(copied.verify()) == [f"{tars[1]}: the checksum does not match, the file is damaged"]


def test_verify_finds_an_id_that_is_there_twice(copied):
    part = list_parts(copied.path)[1]
    ids = part.items(["id"])["id"].to_pylist()
    rewrite_column(part, "id", ["brick/brick-000.jpg", *ids[1:-1], ids[1]])

    assert list(copied.verify()) == [
        f"{part.items_path}: the id brick/brick-000.jpg occurs twice",
        f"{part.items_path}: the id {ids[1]} occurs twice",
    ]


@pytest.mark.parametrize("factor", [0.0, 2.0, float("nan"), float("inf")])
def test_verify_finds_a_vector_that_is_not_of_unit_length(copied, factor):
    part = list_parts(copied.path)[0]
    vectors = part.embeddings() * np.where(np.arange(16) == 3, np.float32(factor), 1).reshape(-1, 1)
    rewrite_column(part, "embedding", list(vectors))

    assert list(copied.verify()) == [
        f"{part.items_path}: the embedding of brick/brick-009.jpg is not of unit length"
    ]


def test_verify_finds_vectors_of_another_dimension(copied):
    model = json.loads((copied.path / "collection.json").read_text())["model"]
    changed = edit_manifest(copied, model={**model, "dim": 191})

    problems = list(changed.verify())

    assert len(problems) == 3
    assert problems[0] == f"{list_parts(copied.path)[0].items_path}: 192 dimensions, the model has 191"


@pytest.mark.parametrize(
    ("column", "value"), [("thumb_offset", 10**9), ("thumb_size", 10**9), ("thumb_offset", -5)]
)
def test_verify_finds_a_thumbnail_that_is_not_in_its_tar(copied, column, value):
    part = list_parts(copied.path)[0]
    rewrite_column(part, column, [*part.items()[column].to_pylist()[:-1], value])

    problems = list(copied.verify())

    assert len(problems) == 1
    assert "thumbnail" in problems[0]


def test_verify_finds_a_part_that_some_other_program_wrote_over(copied):
    path = list_parts(copied.path)[0].items_path
    pq.write_table(pq.read_table(path), path)

    problems = list(copied.verify())

    assert len(problems) == 1
    assert str(path) in problems[0]


def test_verify_reads_on_after_the_first_problem(copied, damage):
    for path in sorted((copied.path / "items").iterdir()):
        damage(path)

    assert len(list(copied.verify())) == 3


def test_a_damaged_part_is_mended_by_removing_its_items_and_building_again(folder, target, damage):
    build(folder, target, part_size=4)
    before = lookalike.open(target)
    rows, vectors = before.items(["id", "sha256"]).to_pylist(), before.embeddings()
    path = target / "items" / "part-000001.parquet"
    damage(path)
    path.unlink()

    after, report = build(folder, target, part_size=4)

    assert (report.embedded, report.unchanged) == (4, 8)
    assert list(after.verify()) == []
    found = {
        row["id"]: vector for row, vector in zip(after.items().to_pylist(), after.embeddings(), strict=True)
    }
    assert all(np.array_equal(found[row["id"]], vector) for row, vector in zip(rows, vectors, strict=True))


def test_damaged_failures_do_not_keep_a_build_from_going_on(folder, target):
    (folder / "bad.jpg").touch()
    collection, _ = build(folder, target)
    (target / "failures" / "part-000000.parquet").write_bytes(b"PAR1")
    assert len(list(collection.verify())) == 1

    build(folder, target)

    assert list(collection.verify()) == []
    assert collection.failures()["id"].to_pylist() == ["bad.jpg"]


def test_the_collection_does_not_hold_the_folder_it_came_from(collection, tmp_path: Path):
    shutil.copytree(collection.path, tmp_path / "alone")

    results = lookalike.open(tmp_path / "alone").search(
        lookalike.Id("sea/sea-002.png"), k=3, include_query=True
    )

    assert {hit.label for hit in results} == {"sea"}

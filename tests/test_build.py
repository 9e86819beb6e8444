"""A build makes the collection mirror its source, and does no more work than that takes."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import CLASSES, build, command, write_picture, write_pictures
from PIL import Image

import lookalike
from lookalike.drawing import write_flowers
from lookalike.errors import CollectionError, LockedError, LookalikeError, ModelError, SourceError

NOTHING = {"embedded": 0, "failed": 0, "unchanged": 0, "removed": 0}


def counts(report: lookalike.Report) -> dict[str, int]:
    """The counts of a report that are not zero."""
    found = {name: getattr(report, name) for name in NOTHING}
    return {name: count for name, count in found.items() if count}


def ids(collection: lookalike.Collection) -> list[str]:
    return collection.items(["id"])["id"].to_pylist()


def labels(collection: lookalike.Collection) -> dict[str, str | None]:
    return {row["id"]: row["label"] for row in collection.items(["id", "label"]).to_pylist()}


def vectors(collection: lookalike.Collection) -> dict[str, bytes]:
    return dict(zip(ids(collection), map(bytes, collection.embeddings()), strict=True))


def failures(collection: lookalike.Collection) -> list[tuple[str, str, str]]:
    return [(row["id"], row["stage"], row["error"]) for row in collection.failures().to_pylist()]


def files(root: Path) -> dict[str, tuple[int, int]]:
    """Every file of the parts with its inode and time of modification: what a rewrite changes."""
    return {
        str(path.relative_to(root)): (path.stat().st_ino, path.stat().st_mtime_ns)
        for path in root.rglob("part-*")
    }


def add_bad_files(folder: Path) -> None:
    """One of every kind of file that has the name of an image and is none."""
    whole = (folder / "brick" / "brick-000.jpg").read_bytes()
    (folder / "text.jpg").write_text("not a picture")
    (folder / "page.png").write_text("<html><body>404</body></html>")
    (folder / "empty.jpg").touch()
    (folder / "truncated.png").write_bytes((folder / "sea" / "sea-002.png").read_bytes()[:900])
    (folder / "headless.jpg").write_bytes(whole[:20])
    (folder / "broken-link.jpg").symlink_to("nowhere.jpg")
    (folder / "loop.jpg").symlink_to("loop.jpg")
    (folder / "again").symlink_to(".")
    os.mkfifo(folder / "fifo.jpg")
    header = bytearray((folder / "sea" / "sea-002.png").read_bytes())
    header[16:24] = (20_000).to_bytes(4, "big") + (15_000).to_bytes(4, "big")
    header[29:33] = zlib.crc32(header[12:29]).to_bytes(4, "big")
    (folder / "huge.png").write_bytes(header)
    write_picture(folder / "directory.jpg" / "inside.jpg", 7)


@contextmanager
def as_nobody(folder: Path) -> Iterator[None]:
    """Without the rights of root, whom permissions do not stop; `folder` is given to that user."""
    if os.geteuid() != 0:
        yield
        return
    for path in (folder, *folder.rglob("*")):
        os.chown(path, 65534, 65534)
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


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

    assert [(part.items_path.name, part.num_rows()) for part in collection.parts()] == [
        ("part-000000.parquet", 5),
        ("part-000001.parquet", 5),
        ("part-000002.parquet", 2),
    ]


def test_failures_count_towards_the_size_of_a_part(folder, target):
    (folder / "brick" / "aaa.jpg").touch()
    collection, _ = build(folder, target, part_size=5)

    assert [part.num_rows() for part in collection.parts()] == [4, 5, 3]


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


def test_metadata_that_is_no_number_is_no_reason_to_write(folder, target, tmp_path):
    prices = pa.table({"id": ["brick/brick-000.jpg", "sea/sea-002.png"], "price": [float("nan"), 1.0]})
    pq.write_table(prices, tmp_path / "prices.parquet")
    build(folder, target, metadata=tmp_path / "prices.parquet")
    before = files(target)

    build(folder, target)

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
    part = build(folder, target)[0].parts()[1]
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
        *(f"thumbnails/{part.thumbnails_path().name}" for part in collection.parts()),
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

    for part in collection.parts():
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


def test_labels_change_without_embedding(folder, target):
    before = vectors(build(folder, target)[0])

    collection, report = build(folder, target, label="folder")

    assert counts(report) == {"unchanged": 12}
    assert labels(collection)["sea/sea-002.png"] == "sea"
    assert vectors(collection) == before
    assert list(collection.verify()) == []


def test_a_label_can_be_a_group_of_the_name(folder, target):
    collection, _ = build(folder, target, label=r"regex:^([a-z]+)-\d")

    assert labels(collection)["sea/sea-002.png"] == "sea"


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("nosuch", "unknown label rule 'nosuch'"),
        ("regex:(", "is not a regular expression"),
        ("regex:sea", "has no group"),
        ("regex:(xyz)", "gives no image a label"),
    ],
)
def test_a_label_rule_that_cannot_be_meant_is_refused(folder, target, rule, message):
    with pytest.raises(SourceError, match=message):
        build(folder, target, label=rule)
    assert not target.exists()


def test_options_are_remembered_until_they_are_forgotten(folder, target, tmp_path):
    (tmp_path / "notes.csv").write_text("id,price\nsea/sea-002.png,3\n")
    build(folder, target, label="folder", metadata=tmp_path / "notes.csv")
    write_picture(folder / "sea" / "new.png", 100)

    collection, _ = build(folder, target)
    assert labels(collection)["sea/new.png"] == "sea"
    assert "price" in collection.items().column_names

    collection, _ = build(folder, target, label="none", metadata="none")
    assert set(labels(collection).values()) == {None}
    assert "price" not in collection.items().column_names

    collection, _ = build(folder, target)
    assert set(labels(collection).values()) == {None}


def test_a_relative_metadata_path_is_remembered_from_anywhere(folder, target, tmp_path, monkeypatch):
    (tmp_path / "notes.csv").write_text("id,price\nsea/sea-002.png,3\n")
    monkeypatch.chdir(tmp_path)
    build(folder, target, metadata="notes.csv")
    monkeypatch.chdir(folder)

    collection, _ = build(folder, target)

    assert collection.items()["price"].drop_null().to_pylist() == [3]


def test_metadata_becomes_columns(folder, target, tmp_path):
    (tmp_path / "notes.csv").write_text(
        "path,price,caption,label\nsea/sea-002.png,3,blue,water\nbrick/brick-000.jpg,4.5,,wall\nelse.jpg,9,x,y\n"
    )
    collection, _ = build(folder, target, metadata=tmp_path / "notes.csv")

    rows = {row["id"]: row for row in collection.items().to_pylist()}
    assert {name: rows["sea/sea-002.png"][name] for name in ("price", "caption", "label")} == {
        "price": 3.0,
        "caption": "blue",
        "label": "water",
    }
    assert rows["brick/brick-003.jpg"]["price"] is None


@pytest.mark.parametrize(
    "column",
    [
        pa.array(["a", None, "a"]).dictionary_encode(),
        pa.array([["a", "b"], [], None]),
        pa.array([{"x": 1}, None, {"x": 2}]),
        pa.array([1, 2, None], pa.timestamp("us", tz="UTC")),
        pa.array([1, 2, None], pa.date32()),
        pa.array([b"\xff", None, b""]),
        pa.array([None, None, None], pa.null()),
        pa.array([True, False, None]),
        pa.array(["12.50", None, "1.00"]).cast(pa.decimal128(10, 2)),
        pa.array([[1.0, 2.0], [3.0, 4.0], None], pa.list_(pa.float32(), 2)),
    ],
    ids=lambda array: str(array.type),
)
def test_metadata_of_any_type_is_kept(folder, target, tmp_path, column):
    names = ["brick/brick-000.jpg", "meadow/meadow-001.jpg", "sea/sea-002.png"]
    pq.write_table(pa.table({"id": names, "extra": column}), tmp_path / "extra.parquet")
    build(folder, target, metadata=tmp_path / "extra.parquet", part_size=6)
    before = files(target)

    collection, _ = build(folder, target)

    rows = {row["id"]: row.get("extra") for row in collection.items().to_pylist()}
    assert [rows[name] for name in names] == column.to_pylist()
    assert files(target) == before
    assert len(collection.search(lookalike.Id(names[0]), k=12, include_query=True)) == 12


def test_changed_metadata_is_refreshed_without_embedding(folder, target, tmp_path):
    notes = tmp_path / "notes.csv"
    notes.write_text("id,price\nsea/sea-002.png,3\n")
    build(folder, target, metadata=notes)
    notes.write_text("id,color\nsea/sea-002.png,blue\nsea/sea-005.png,green\n")

    collection, report = build(folder, target)

    assert counts(report) == {"unchanged": 12}
    assert "price" not in collection.items().column_names
    assert collection.items()["color"].drop_null().to_pylist() == ["blue", "green"]
    assert collection.parts()[0].column_names()[-2:] == ["color", "embedding"]


def test_metadata_may_change_its_type(folder, target, tmp_path):
    notes = tmp_path / "notes.csv"
    notes.write_text("id,price\nbrick/brick-000.jpg,1\nsea/sea-002.png,3\n")
    build(folder, target, metadata=notes, part_size=4)
    notes.write_text("id,price\nbrick/brick-000.jpg,1\nsea/sea-002.png,cheap\n")

    collection, _ = build(folder, target)

    assert collection.items()["price"].drop_null().to_pylist() == ["1", "cheap"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "cannot read the metadata"),
        ("price\n1\n", "has no column of relative paths, only: price"),
        ("id,sha256\nsea/sea-002.png,1\n", "needs itself or that are there twice: sha256"),
        ("id,embedding\nsea/sea-002.png,1\n", "needs itself or that are there twice: embedding"),
        ("id,price,price\nsea/sea-002.png,1,2\n", "there twice"),
        ("id,id\nsea/sea-002.png,sea/sea-002.png\n", "there twice"),
        ("id,price\nother.jpg,1\n", "no row of .* matches an image"),
        ("id,price\nsea\xe9.png,1\nsea/sea-002.png,2\n", "cannot read the metadata"),
        ("id,pric\xe9\nsea/sea-002.png,2\n", "cannot read the metadata"),
    ],
)
def test_metadata_that_cannot_be_joined_is_refused(folder, target, tmp_path, text, message):
    (tmp_path / "notes.csv").write_text(text, encoding="latin-1")

    with pytest.raises(SourceError, match=message):
        build(folder, target, metadata=tmp_path / "notes.csv")
    assert not target.exists()


def test_two_sources_share_a_collection(folder, target, tmp_path):
    other = write_picture(tmp_path / "other" / "one.png", 100).parent
    build(folder, target, label="folder")

    collection, report = build(other, target)

    assert counts(report) == {"embedded": 1}
    assert len(collection) == 13
    assert labels(collection)["one.png"] is None
    assert labels(collection)["sea/sea-002.png"] == "sea"
    assert list(collection.manifest.sources) == [folder.as_uri() + "/", other.as_uri() + "/"]


def test_a_build_of_one_source_leaves_the_rows_of_the_other_alone(folder, target, tmp_path):
    other = write_pictures(tmp_path / "other", 3)
    (other / "brick" / "brick-000.jpg").rename(other / "one.jpg")
    shutil.rmtree(other / "meadow")
    shutil.rmtree(other / "sea")
    (other / "bad.jpg").touch()
    (tmp_path / "notes.csv").write_text("id,price\nsea/sea-002.png,3\n")
    build(other, target)
    build(folder, target, metadata=tmp_path / "notes.csv", label="folder", part_size=4)
    before = files(target)

    for source in (other, folder, other, folder):
        collection, _ = build(source, target, part_size=4)
        assert failures(collection) == [("bad.jpg", "decode", "the file is empty")]
        assert {name: state for name, state in files(target).items() if name.startswith("items")} == {
            name: state for name, state in before.items() if name.startswith("items")
        }


def test_an_id_that_two_sources_have_belongs_to_the_first(folder, target, tmp_path):
    other = write_picture(tmp_path / "other" / "sea" / "sea-002.png", 100).parents[1]
    write_picture(other / "free.png", 101)
    before = vectors(build(folder, target)[0])

    for _ in range(2):
        collection, report = build(other, target)

        assert report.failed == 1
        assert vectors(collection)["sea/sea-002.png"] == before["sea/sea-002.png"]
        taken = (folder / "sea" / "sea-002.png").as_uri()
        assert failures(collection) == [("sea/sea-002.png", "list", f"the id is taken by {taken}")]
        assert list(collection.verify()) == []


def test_columns_of_one_name_and_two_types_are_refused_and_not_written(folder, target, tmp_path):
    other = write_picture(tmp_path / "other" / "one.png", 100).parent
    (tmp_path / "notes.csv").write_text("id,price\nsea/sea-002.png,3\n")
    (tmp_path / "other.csv").write_text("id,price\none.png,cheap\n")
    build(folder, target, metadata=tmp_path / "notes.csv")

    try:
        build(other, target, metadata=tmp_path / "other.csv")
    except LookalikeError as error:
        assert "price" in str(error)

    collection = lookalike.open(target)
    assert collection.items().num_rows == len(collection)
    assert len(collection.search(lookalike.Id("sea/sea-002.png"), k=20, include_query=True)) == len(
        collection
    )


def test_a_source_inside_another_does_not_take_its_rows(folder, target):
    before = set(ids(build(folder, target)[0]))

    try:
        collection, _ = build(folder / "sea", target)
    except LookalikeError:
        collection = lookalike.open(target)

    assert before <= set(ids(collection))


@pytest.mark.parametrize("wish", [{"model": "pixels"}, {"dtype": "float16"}])
def test_another_model_or_dtype_is_refused(folder, target, wish):
    build(folder, target)
    before = files(target)

    with pytest.raises(ModelError, match=f"was built with the .*, not {next(iter(wish.values()))}") as caught:
        build(folder, target, **wish)
    assert "--rebuild" in caught.value.hint
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
    assert len(collection.parts()) == 1
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


def test_a_source_that_is_not_there_is_refused(tmp_path, target):
    with pytest.raises(SourceError, match="there is no folder"):
        build(tmp_path / "nowhere", target)
    assert not target.exists()


def test_an_emptied_folder_leaves_the_collection_as_it_was(folder, target):
    build(folder, target)
    before = files(target)
    shutil.rmtree(folder)
    folder.mkdir()

    with pytest.raises(SourceError, match="no images in"):
        build(folder, target)
    assert files(target) == before


def test_an_unreadable_subfolder_keeps_its_rows_and_is_a_failure():
    root = Path(tempfile.mkdtemp(prefix="lookalike-test-"))
    folder, target = write_pictures(root / "pictures", 12), root / "target"
    try:
        collection, _ = build(folder, target, part_size=6)
        before = vectors(collection)
        (folder / "brick" / "brick-000.jpg").unlink()
        (folder / "sea").chmod(0)
        with as_nobody(root):
            collection, report = build(folder, target)

        assert counts(report) == {"failed": 1, "unchanged": 7, "removed": 1}
        assert failures(collection) == [("sea/", "list", "Permission denied")]
        assert vectors(collection) == {
            id_: one for id_, one in before.items() if id_ != "brick/brick-000.jpg"
        }
    finally:
        (folder / "sea").chmod(0o700)
        shutil.rmtree(root)


def test_an_unreadable_file_is_a_failure():
    root = Path(tempfile.mkdtemp(prefix="lookalike-test-"))
    folder, target = write_pictures(root / "pictures", 12), root / "target"
    try:
        (folder / "sea" / "sea-002.png").chmod(0)
        with as_nobody(root):
            collection, report = build(folder, target)

        assert counts(report) == {"embedded": 11, "failed": 1}
        assert failures(collection) == [("sea/sea-002.png", "read", "Permission denied")]
    finally:
        shutil.rmtree(root)


def test_a_link_into_a_folder_that_may_not_be_read_is_a_failure():
    root = Path(tempfile.mkdtemp(prefix="lookalike-test-"))
    folder, target = write_pictures(root / "pictures", 3), root / "target"
    try:
        write_picture(root / "private" / "one.jpg", 100)
        (folder / "link.jpg").symlink_to("../private/one.jpg")
        (root / "private").chmod(0)
        with as_nobody(root):
            collection, report = build(folder, target)

        assert counts(report) == {"embedded": 3, "failed": 1}
        assert failures(collection)[0][0] == "link.jpg"
    finally:
        (root / "private").chmod(0o700)
        shutil.rmtree(root)


def test_a_collection_inside_its_source_is_not_indexed(folder):
    target = folder / "deep" / "target"
    build(folder, target)
    Image.new("RGB", (9, 9)).save(target / "derived-map.png")

    collection, report = build(folder, target)

    assert counts(report) == {"unchanged": 12}
    assert len(collection) == 12


def test_a_folder_with_a_collection_json_of_another_program_is_indexed(folder, target):
    (folder / "sea" / "collection.json").write_text('{"type": "Collection", "stac_version": "1.0.0"}')

    collection, _ = build(folder, target)

    assert len(collection) == 12


def test_hidden_files_are_passed_over(folder, target):
    write_picture(folder / ".hidden.jpg", 100)
    write_picture(folder / ".cache" / "small.jpg", 101)

    assert counts(build(folder, target)[1]) == {"embedded": 12}


@pytest.mark.parametrize("rebuild", [False, True])
def test_a_target_that_holds_other_files_is_refused_and_left_as_it_is(folder, target, rebuild):
    target.mkdir()
    (target / "thesis.txt").write_text("years of work")

    with pytest.raises(CollectionError, match="holds other files and is no collection"):
        build(folder, target, rebuild=rebuild)
    assert [path.name for path in target.iterdir()] == ["thesis.txt"]


def test_a_target_that_is_the_source_is_refused(folder):
    with pytest.raises(CollectionError, match="holds other files"):
        build(folder, folder)
    assert not (folder / ".lock").exists()


def test_a_target_that_is_a_file_is_refused(folder, target):
    target.write_text("a file")

    with pytest.raises(CollectionError, match="is a file"):
        build(folder, target)


def test_an_empty_target_is_used(folder, target):
    target.mkdir()

    assert len(build(folder, target)[0]) == 12


def test_a_target_in_which_a_killed_build_left_its_first_file_is_used(folder, target):
    target.mkdir()
    (target / ".lock").touch()
    (target / "collection.json.tmp").write_text('{"format":')

    collection, _ = build(folder, target)

    assert len(collection) == 12
    assert not (target / "collection.json.tmp").exists()


def test_a_second_writer_is_told_which_lock_is_held(folder, target):
    said = []

    def from_another_process(done: int, total: int) -> None:
        if done == total:
            said.append(command("build", folder, "-c", target, "--model", "colors"))

    build(folder, target, on_progress=from_another_process)

    assert said[0].returncode == 1
    assert said[0].stderr == (
        f"lookalike: {target} is being written by another process, which holds {target}/.lock\n"
        "  wait until it has finished\n"
    )
    assert len(lookalike.open(target)) == 12


def test_a_second_writer_in_the_same_process_is_refused(folder, target):
    caught = []

    def from_inside(done: int, total: int) -> None:
        with pytest.raises(LockedError) as error:
            build(folder, target)
        caught.append(error)

    build(folder, target, on_progress=from_inside)

    assert len(caught) == 12


def test_a_build_that_fails_gives_its_lock_back(folder, target):
    def fail(done: int, total: int) -> None:
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        build(folder, target, on_progress=fail)

    assert counts(build(folder, target)[1]) == {"embedded": 12}


def test_bad_files_are_failures_and_the_good_ones_are_embedded(folder, target):
    add_bad_files(folder)
    with open(os.fsencode(folder) + b"/caf\xe9.jpg", "wb") as file:
        file.write((folder / "brick" / "brick-000.jpg").read_bytes())

    collection, report = build(folder, target)

    assert counts(report) == {"embedded": 14, "failed": 10}
    assert sorted((id_, stage) for id_, stage, _ in failures(collection)) == [
        ("again/", "list"),
        ("broken-link.jpg", "list"),
        ("empty.jpg", "decode"),
        ("fifo.jpg", "list"),
        ("headless.jpg", "decode"),
        ("huge.png", "decode"),
        ("loop.jpg", "list"),
        ("page.png", "decode"),
        ("text.jpg", "decode"),
        ("truncated.png", "decode"),
    ]
    errors = {id_: error for id_, _, error in failures(collection)}
    assert errors["again/"] == "a link that leads back to a folder above it"
    assert errors["broken-link.jpg"] == "a broken link"
    assert errors["empty.jpg"] == "the file is empty"
    assert errors["fifo.jpg"] == "not a regular file"
    assert errors["huge.png"] == "300 megapixels, the limit is 200; raise it with --max-megapixels"
    assert errors["page.png"] == "not an image that can be read (it is an HTML page)"
    assert errors["text.jpg"] == "not an image that can be read (it starts with b'not a pi')"
    assert {r"caf\xe9.jpg", "directory.jpg/inside.jpg"} < set(ids(collection))
    assert list(collection.verify()) == []


def test_a_name_that_is_not_utf8_is_found_again(folder, target):
    with open(os.fsencode(folder) + b"/caf\xe9.jpg", "wb") as file:
        file.write((folder / "brick" / "brick-000.jpg").read_bytes())
    build(folder, target)

    collection, report = build(folder, target)

    assert counts(report) == {"unchanged": 13}
    rows = {row["id"]: row["uri"] for row in collection.items().to_pylist()}
    assert rows[r"caf\xe9.jpg"] == folder.as_uri() + "/caf%E9.jpg"


def test_two_names_that_read_the_same_are_one_row_and_one_failure(folder, target):
    whole = (folder / "brick" / "brick-000.jpg").read_bytes()
    for name in (b"caf\xe9.jpg", rb"caf\xe9.jpg"):
        with open(os.path.join(os.fsencode(folder), name), "wb") as file:
            file.write(whole)

    for _ in range(2):
        collection, report = build(folder, target)

        assert len(collection) == 13
        assert (report.failed, failures(collection)[0][:2]) == (1, (r"caf\xe9.jpg", "list"))


def test_odd_names_are_ids_as_they_are(folder, target):
    names = [
        "a b.jpg",
        "ü.jpg",
        "雪/花.png",
        "new\nline.jpg",
        "'\"<&>.jpg",
        "%41.jpg",
        "#?.jpg",
        "x" * 200 + ".jpg",
    ]
    for number, name in enumerate(names):
        write_picture(folder / name, 100 + number)

    collection, report = build(folder, target)

    assert counts(report) == {"embedded": 20}
    assert set(names) < set(ids(collection))
    assert list(collection.verify()) == []
    for name in names:
        assert collection.search(lookalike.Id(name), k=1, include_query=True)[0].id == name


def test_an_image_that_vanishes_after_it_was_listed_is_a_failure(folder, target):
    def remove_the_last(done: int, total: int) -> None:
        (folder / "sea" / "sea-011.png").unlink(missing_ok=True)

    for number in range(100):
        write_picture(folder / "aaa" / f"{number:03d}.jpg", number, size=(16, 16))

    collection, report = build(folder, target, threads=1, on_progress=remove_the_last)

    assert counts(report) == {"embedded": 111, "failed": 1}
    assert failures(collection) == [("sea/sea-011.png", "read", "No such file or directory")]


def test_an_image_that_changes_after_it_was_listed_is_embedded_again_by_the_next_build(folder, target):
    def change_the_last(done: int, total: int) -> None:
        if done == 1:
            write_picture(folder / "sea" / "sea-011.png", 100)

    build(folder, target, part_size=1, on_progress=change_the_last)
    collection, _ = build(folder, target)

    path = folder / "sea" / "sea-011.png"
    assert vectors(collection)["sea/sea-011.png"] == bytes(collection.model.embed([path])[0])


def test_an_image_over_the_limit_is_a_failure_until_the_limit_is_raised(folder, target):
    write_picture(folder / "large.png", 100, size=(1200, 1000))

    collection, _ = build(folder, target, max_megapixels=1)
    assert failures(collection) == [
        ("large.png", "decode", "2 megapixels, the limit is 1; raise it with --max-megapixels")
    ]

    assert counts(build(folder, target)[1]) == {"embedded": 1, "unchanged": 12}


def test_a_picture_without_any_colour_of_its_own_still_has_a_unit_vector_or_is_a_failure(folder, target):
    grey = np.indices((64, 64)).sum(axis=0) % 2 * 255
    Image.fromarray(grey.astype(np.uint8)).save(folder / "checkerboard.png")

    collection, report = build(folder, target)

    assert report.embedded + report.failed == 13
    assert list(collection.verify()) == []


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


def test_a_moved_source_is_not_a_collection_full_of_failures(folder, target):
    build(folder, target)
    moved = folder.rename(folder.with_name("moved"))

    try:
        report = build(moved, target)[1]
    except LookalikeError as error:
        assert folder.as_uri() in str(error)
    else:
        assert report.failed == 0


def test_a_deep_folder_is_walked(folder, target):
    deep = folder
    for _ in range(500):
        deep = deep / "d"
    os.makedirs(deep)
    shutil.copy(folder / "brick" / "brick-000.jpg", deep / "x.jpg")

    assert counts(build(folder, target)[1]) == {"embedded": 13}


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
    collection.parts()[0].thumbnails_path().unlink()
    (folder / "sea" / "sea-002.png").unlink()

    with pytest.raises(CollectionError, match=r"part-000000-[0-9a-f]{16}\.tar"):
        build(folder, target)


def test_labels_of_classes_are_the_folders(collection):
    assert {id_.split("/")[0] for id_ in labels(collection)} == set(CLASSES)
    assert all(id_.startswith(f"{label}/") for id_, label in labels(collection).items())


def test_the_network_tags_each_image_with_what_it_sees(tmp_path):
    write_flowers(tmp_path / "flowers", count=12)

    collection = lookalike.build(tmp_path / "flowers", tmp_path / "c.lookalike", label="folder")

    table = collection.items(["label", "tags", "tag_probabilities"])
    tags = dict(zip(table["label"].to_pylist(), table["tags"].to_pylist(), strict=True))
    assert "daisy" in tags["daisy"]
    for names, chances in zip(table["tags"].to_pylist(), table["tag_probabilities"].to_pylist(), strict=True):
        assert len(names) == len(chances) <= 5
        assert chances == sorted(chances, reverse=True)
        assert all(0.2 <= chance <= 1 for chance in chances)


def test_tags_stay_when_labels_change(tmp_path):
    write_flowers(tmp_path / "flowers", count=4)
    tagged = lookalike.build(tmp_path / "flowers", tmp_path / "c.lookalike").items(["tags"])

    labelled = lookalike.build(tmp_path / "flowers", tmp_path / "c.lookalike", label="folder")

    assert labelled.items(["tags"]).equals(tagged)
    assert labelled.items(["label"])["label"].null_count == 0


def test_words_find_pictures(tmp_path):
    write_flowers(tmp_path / "flowers", count=60)
    collection = lookalike.build(tmp_path / "flowers", tmp_path / "c.lookalike", label="folder")

    assert collection.search(lookalike.Text("daisy"), k=1)[0].label == "daisy"

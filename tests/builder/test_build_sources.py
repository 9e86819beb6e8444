"""Where a build reads from and writes to, and who else is there."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import pytest
from building import as_nobody, counts, failures, files, ids, labels, vectors
from conftest import build, command, write_picture, write_pictures
from PIL import Image

import lookalike
from lookalike.errors import CollectionError, LockedError, LookalikeError, SourceError


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

    with pytest.raises(CollectionError, match="has other files and is not a collection"):
        build(folder, target, rebuild=rebuild)
    assert [path.name for path in target.iterdir()] == ["thesis.txt"]


def test_a_target_that_is_the_source_is_refused(folder):
    with pytest.raises(CollectionError, match="has other files"):
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

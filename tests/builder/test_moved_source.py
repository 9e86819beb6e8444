"""A source folder that was renamed or moved is recognised, and nothing is embedded again."""

from __future__ import annotations

import shutil

import pytest
from building import counts, failures, ids, labels, vectors
from conftest import build, write_picture
from source_files import jpeg, tar_of, written

import lookalike
from lookalike.storage.parts import list_parts


def uris(collection: lookalike.Collection) -> set[str]:
    return {uri.rpartition("/")[0] for uri in collection.items(["uri"])["uri"].to_pylist()}


@pytest.mark.parametrize("part_size", [1024, 5])
def test_a_renamed_folder_keeps_its_rows_and_nothing_is_embedded_again(folder, target, tmp_path, part_size):
    before = vectors(build(folder, target, part_size=part_size)[0])
    moved = folder.rename(tmp_path / "renamed")

    collection, report = build(moved, target, part_size=part_size)

    assert counts(report) == {"unchanged": 12}
    assert report.moved_from == folder.as_uri() + "/"
    assert vectors(collection) == before
    assert uris(collection) == {f"{moved.as_uri()}/{name}" for name in ("brick", "meadow", "sea")}
    assert list(collection.manifest.sources) == [moved.as_uri() + "/"]
    assert list(collection.verify()) == []
    _, report = build(moved, target, part_size=part_size)
    assert (counts(report), report.moved_from) == ({"unchanged": 12}, "")


def test_copied_files_with_new_times_are_recognised_by_their_bytes(folder, target, tmp_path):
    build(folder, target)
    moved = tmp_path / "moved"
    shutil.copytree(folder, moved, copy_function=shutil.copy)
    shutil.rmtree(folder)

    assert counts(build(moved, target)[1]) == {"unchanged": 12}


def test_labels_and_their_rule_come_along(folder, target, tmp_path):
    before = labels(build(folder, target, label="folder")[0])

    collection, _ = build(folder.rename(tmp_path / "renamed"), target)

    assert labels(collection) == before
    assert list(collection.manifest.sources.values()) == [{"label": "folder", "metadata": None}]


def test_what_changed_on_the_way_is_embedded_and_what_is_new_too(folder, target, tmp_path):
    before = vectors(build(folder, target)[0])
    moved = folder.rename(tmp_path / "renamed")
    write_picture(moved / "sea" / "sea-002.png", 99)
    write_picture(moved / "new.png", 100)

    collection, report = build(moved, target)

    assert counts(report) == {"embedded": 2, "unchanged": 11}
    assert failures(collection) == []
    after = vectors(collection)
    assert {id_ for id_ in before if after[id_] != before[id_]} == {"sea/sea-002.png"}


@pytest.mark.parametrize("part_size", [1024, 5])
def test_what_is_not_listed_is_not_taken_for_gone(folder, target, tmp_path, part_size):
    build(folder, target, part_size=part_size)
    moved = folder.rename(tmp_path / "renamed")
    shutil.rmtree(moved / "brick")

    for expected in ({"unchanged": 8}, {"unchanged": 8}):
        collection, report = build(moved, target, part_size=part_size)
        assert counts(report) == expected

    assert len(ids(collection)) == len(set(ids(collection))) == 12
    assert uris(collection) == {
        f"{folder.as_uri()}/brick",
        f"{moved.as_uri()}/meadow",
        f"{moved.as_uri()}/sea",
    }
    for part in list_parts(target):  # the rows of a part are of one source
        assert (
            len({uri.rpartition("/")[0].rpartition("/")[0] for uri in part.items()["uri"].to_pylist()}) == 1
        )
    assert sorted(collection.manifest.sources) == sorted([folder.as_uri() + "/", moved.as_uri() + "/"])
    assert list(collection.verify()) == []


def test_a_folder_that_is_still_there_was_not_moved(folder, target, tmp_path):
    build(folder, target)
    copied = tmp_path / "copied"
    shutil.copytree(folder, copied)

    with pytest.raises(lookalike.LookalikeError, match="already has the ids of all 12 images"):
        build(copied, target)

    assert list(lookalike.open(target).manifest.sources) == [folder.as_uri() + "/"]


def test_a_folder_of_the_same_names_and_other_pictures_was_not_moved_there(folder, target, tmp_path):
    build(folder, target)
    folder.rename(tmp_path / "elsewhere")
    other = tmp_path / "other"
    for number, id_ in enumerate(ids(lookalike.open(target))):
        (other / id_).parent.mkdir(parents=True, exist_ok=True)
        write_picture(other / id_, 100 + number)

    with pytest.raises(lookalike.LookalikeError, match="already has the ids of all 12 images"):
        build(other, target)


def test_a_kill_between_two_parts_leaves_the_rest_for_the_next_build(folder, target, tmp_path, monkeypatch):
    before = vectors(build(folder, target, part_size=5)[0])
    moved = folder.rename(tmp_path / "renamed")
    shutil.rmtree(moved / "brick")
    real, written = lookalike.storage.parts.Part.write, []

    def killed(part, *rows):
        if len(written) == 2:
            raise KeyboardInterrupt
        written.append(part)
        real(part, *rows)

    monkeypatch.setattr(lookalike.storage.parts.Part, "write", killed)
    with pytest.raises(KeyboardInterrupt):
        build(moved, target, part_size=5)
    monkeypatch.undo()

    collection, report = build(moved, target, part_size=5)

    assert counts(report) == {"unchanged": 8}
    assert sorted(ids(collection)) == sorted(before)
    assert vectors(collection) == before


def test_a_moved_folder_of_shards_is_recognised_too(tmp_path, target):
    written(tmp_path / "old" / "0.tar", tar_of({"a.jpg": jpeg(0), "b.jpg": jpeg(1)}))
    build(tmp_path / "old", target)
    (tmp_path / "old").rename(tmp_path / "new")

    assert counts(build(tmp_path / "new", target)[1]) == {"unchanged": 2}

"""Single pictures are added and removed, and a later build of a source goes on from there."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from building import counts, failures, ids, labels, vectors
from conftest import build, picture, write_picture, write_pictures
from PIL import Image

import lookalike
from lookalike.errors import CollectionError, LockedError, SourceError, StorageError, UnknownIdError
from lookalike.storage.parts import list_parts
from lookalike.storage.writing import writing


@pytest.fixture
def built(folder: Path, target: Path) -> lookalike.Collection:
    """The collection of the 12 pictures of `folder`, in parts of 4, labelled by folder."""
    return build(folder, target, label="folder", part_size=4)[0]


def row(collection: lookalike.Collection, id_: str) -> dict:
    return collection[id_].columns


def encoded(seed: int, kind: str = "PNG") -> bytes:
    file = io.BytesIO()
    picture(seed).save(file, kind)
    return file.getvalue()


def test_a_path_is_added_under_its_name(built, tmp_path):
    path = write_picture(tmp_path / "elsewhere" / "new.png", 99)
    report = built.add(path)
    assert counts(report) == {"embedded": 1}
    assert built.ids[-1] == "new.png"
    assert row(built, "new.png")["uri"] == path.resolve().as_uri()
    assert built.search(path, k=1)[0].id == "new.png"
    assert built["new.png"].thumbnail[:2] == b"\xff\xd8"


def test_several_paths_are_added_in_one_part(built, tmp_path):
    paths = [write_picture(tmp_path / f"{number}.png", number) for number in (50, 51, 52)]
    before = len(list_parts(built.path))
    assert counts(built.add([str(paths[0]), *paths[1:]], label="extra")) == {"embedded": 3}
    assert built.ids[-3:] == ["50.png", "51.png", "52.png"]
    assert [labels(built)[name] for name in ("50.png", "52.png")] == ["extra", "extra"]
    assert len(list_parts(built.path)) == before + 1


def test_nothing_can_be_added(built):
    before = built.fingerprint()
    assert counts(built.add([])) == {}
    assert built.fingerprint() == before


def test_pictures_of_every_kind_are_added_by_id(built, tmp_path):
    path = write_picture(tmp_path / "file.png", 7)
    pixels = np.asarray(picture(7))
    report = built.add(
        {
            "path": path,
            "text": str(path),
            "bytes": encoded(7),
            "pillow": picture(7),
            "array": pixels,
            "ä/ b": path,
        }
    )
    assert counts(report) == {"embedded": 6}
    assert built.ids[-6:] == ["path", "text", "bytes", "pillow", "array", "ä/ b"]
    assert len({bytes(vector) for vector in built.embeddings()[-6:]}) == 1
    assert row(built, "bytes")["uri"] == "added:bytes"
    assert row(built, "path")["uri"] == path.resolve().as_uri()
    assert [row(built, "array")[name] for name in ("width", "height", "label")] == [64, 48, None]
    assert list(built.verify()) == []


def test_bytes_are_kept_as_they_are(built):
    data = encoded(7, "JPEG")
    built.add({"ä b": data})
    assert row(built, "ä b")["sha256"] == hashlib.sha256(data).hexdigest()
    assert row(built, "ä b")["uri"] == "added:%C3%A4%20b"


def test_a_picture_that_was_added_before_gives_its_place_to_one_of_the_same_id(built):
    built.add({"mine": picture(76)})
    before = vectors(built)
    report = built.add({"mine": picture(77), "new": picture(78)})
    assert counts(report) == {"embedded": 2, "removed": 1}
    after = vectors(built)
    assert len(built) == 14
    assert {id_ for id_ in before if after[id_] != before[id_]} == {"mine"}
    assert sorted(after) == sorted([*before, "new"])
    assert built.ids[-2:] == ["mine", "new"]
    assert list(built.verify()) == []


def test_a_picture_of_a_source_keeps_its_id_for_itself(built):
    before = vectors(built)
    with pytest.raises(SourceError, match=r"the id 'sea/sea-002.png' belongs to file:///.*give it another"):
        built.add({"sea/sea-002.png": picture(77), "new": picture(78)})
    assert vectors(built) == before


def test_an_item_is_not_gone_where_the_new_one_cannot_be_written(built, monkeypatch):
    built.add({"mine": picture(76)})
    before = vectors(built)

    def full(*_):
        raise StorageError("no space left")

    monkeypatch.setattr("lookalike.builder.edit.commit_part", full)
    with pytest.raises(StorageError):
        built.add({"mine": picture(77)})
    assert vectors(built) == before


@pytest.mark.parametrize("id_", ["", 5, None])
def test_an_id_is_a_text(built, id_):
    with pytest.raises(SourceError, match="is empty or not text"):
        built.add({id_: picture(1)})


def test_all_items_can_be_removed_also_with_an_index(built):
    built.index("flat")
    assert built.remove(built.ids) == 12
    assert (len(built), built.search(np.ones(192)).ids) == (0, [])


def test_a_collection_that_was_moved_leaves_nothing_behind(built):
    built.path.rename(built.path.with_name("moved"))
    for ask in (lambda: built.add([]), lambda: built.remove(["a"]), built.index, built.failures):
        with pytest.raises(CollectionError, match="there is no collection at"):
            ask()
    assert not built.path.exists()


@pytest.mark.parametrize("bad", [b"no picture", b"", np.zeros((3, 3, 3, 3)), np.array(["text"]), None, 7])
def test_what_cannot_be_read_is_a_failure_and_the_others_are_added(built, bad):
    report = built.add({"bad": bad, "good": picture(5)})
    assert counts(report) == {"embedded": 1, "failed": 1}
    assert "bad" not in built
    assert "good" in built
    assert [one[0] for one in failures(built)] == ["bad"]


def test_an_item_stays_where_what_would_take_its_place_cannot_be_read(built):
    built.add({"mine": picture(76)})
    before = vectors(built)
    assert counts(built.add({"mine": b"no picture"})) == {"failed": 1}
    assert vectors(built) == before


def test_a_failure_is_forgotten_once_the_picture_is_added(built):
    built.add({"one": b"no picture", "other": b"neither"})
    assert [one[0] for one in failures(built)] == ["one", "other"]
    built.add({"one": b"still none"})
    assert sorted(one[0] for one in failures(built)) == ["one", "other"]
    built.add({"one": picture(1)})
    assert [one[0] for one in failures(built)] == ["other"]


def test_a_file_that_is_not_there_is_refused_and_nothing_is_added(built, tmp_path):
    good = write_picture(tmp_path / "good.png", 1)
    before = built.fingerprint()
    with pytest.raises(SourceError, match=r"cannot read .*none\.png: No such file"):
        built.add([good, tmp_path / "none.png"])
    assert built.fingerprint() == before


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no pipes among files")
def test_a_pipe_is_refused_and_not_waited_for(built, tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    with pytest.raises(SourceError, match=r"pipe\.jpg: not a regular file"):
        built.add([tmp_path / "pipe.jpg"])


def test_two_pictures_with_one_id_are_refused(built, tmp_path):
    paths = [write_picture(tmp_path / name / "same.png", 1) for name in "ab"]
    before = built.fingerprint()
    with pytest.raises(SourceError, match=r"two pictures have the id 'same\.png'") as caught:
        built.add([write_picture(tmp_path / "other.png", 2), *paths])
    assert caught.value.hint == "give them ids: {id: picture, ...}"
    assert built.fingerprint() == before


# Files below a source.


def test_a_file_below_a_source_is_what_the_next_build_expects(built, folder):
    path = write_picture(folder / "sea" / "deep" / "ä new.png", 99)
    built.add(path, label="sea")
    assert built.ids[-1] == "sea/deep/ä new.png"
    before = row(built, "sea/deep/ä new.png")

    _, report = build(folder, built.path)

    assert counts(report) == {"unchanged": 13}
    assert row(built, "sea/deep/ä new.png")["uri"] == before["uri"]


def test_a_file_below_a_source_is_known_by_whatever_way_it_is_reached(built, folder, tmp_path, monkeypatch):
    write_picture(folder / "sea" / "new.png", 99)
    (tmp_path / "link").symlink_to(folder)
    monkeypatch.chdir(folder / "meadow")
    built.add(tmp_path / "link" / "sea" / "new.png")
    assert built.ids[-1] == "sea/new.png"
    assert counts(built.add("../sea/new.png")) == {"embedded": 1, "removed": 1}
    assert counts(build(folder, built.path)[1]) == {"unchanged": 13}


def test_links_below_a_source_keep_their_names(built, folder, tmp_path):
    outside = write_picture(tmp_path / "outside" / "real.png", 99)
    (folder / "link.png").symlink_to(outside)
    (folder / "linked").symlink_to(tmp_path / "outside")
    built.add([folder / "link.png", folder / "linked" / "real.png", outside])
    assert built.ids[-3:] == ["link.png", "linked/real.png", "real.png"]
    assert counts(build(folder, built.path)[1]) == {"unchanged": 14}
    assert "real.png" in built


def test_a_folder_whose_name_begins_like_that_of_a_source_is_another(built, folder):
    path = write_picture(folder.with_name("pictures-2") / "sea" / "new.png", 99)
    built.add(path)
    assert built.ids[-1] == "new.png"


def test_files_of_a_source_and_others_may_be_added_together(built, folder, tmp_path):
    other = write_picture(tmp_path / "other.png", 98)
    below = write_picture(folder / "below.png", 99)
    for pictures in ([other, below], [below, other]):
        built.add(pictures)
        assert sorted(built.ids[-2:]) == ["below.png", "other.png"]
        assert counts(build(folder, built.path)[1]) == {"unchanged": 13}
        assert "other.png" in built
    for part in list_parts(built.path):
        ours = {uri.startswith(folder.as_uri()) for uri in part.items(["uri"])["uri"].to_pylist()}
        assert len(ours) == 1


def test_a_file_of_a_source_under_an_id_of_its_own_stays_through_a_build(built, folder):
    built.add({"mine": folder / "sea" / "sea-002.png"})
    assert counts(build(folder, built.path)[1]) == {"unchanged": 12}
    assert "mine" in built
    built.add({"sea/sea-002.png": folder / "sea" / "sea-002.png"})
    assert counts(build(folder, built.path)[1]) == {"unchanged": 12}
    assert len(built) == 13


def test_added_pictures_stay_through_builds(built, folder, tmp_path):
    built.add({"array": np.asarray(picture(1)), "bytes": encoded(2)})
    path = write_picture(tmp_path / "file.png", 3)
    built.add(path)
    path.unlink()
    write_picture(folder / "more.png", 4)
    (folder / "brick" / "brick-000.jpg").unlink()

    _, report = build(folder, built.path)

    assert counts(report) == {"embedded": 1, "unchanged": 11, "removed": 1}
    assert {"array", "bytes", "file.png", "more.png"} <= set(ids(built))
    assert labels(built)["array"] is None


def test_the_first_pictures_can_be_added_to_a_collection_of_no_source(tmp_path):
    made = build(write_pictures(tmp_path / "pictures", 3), tmp_path / "made.lookalike")[0]
    made.remove(made.ids)
    assert len(made) == 0
    made.add({"only": picture(1)})
    assert made.ids == ["only"]
    assert made.search(picture(1), k=3).ids == ["only"]


# Removing.


def test_items_are_removed_by_id(built):
    before = vectors(built)
    assert built.remove(["sea/sea-002.png", "brick/brick-000.jpg"]) == 2
    assert vectors(built) == {
        id_: one for id_, one in before.items() if id_ not in ("sea/sea-002.png", "brick/brick-000.jpg")
    }
    assert list(built.verify()) == []


def test_one_id_may_be_text_and_one_that_is_named_twice_counts_once(built):
    assert built.remove("sea/sea-002.png") == 1
    assert built.remove(["brick/brick-000.jpg", "brick/brick-000.jpg"]) == 1
    assert built.remove([]) == 0
    assert len(built) == 10


def test_an_unknown_id_removes_nothing(built):
    before = built.fingerprint()
    with pytest.raises(UnknownIdError, match=r"has no item 'sea/sea-003\.png'") as caught:
        built.remove(["sea/sea-002.png", "sea/sea-003.png"])
    assert "sea/sea-002.png" in caught.value.nearest
    assert built.fingerprint() == before


def test_a_removed_picture_of_a_source_comes_back_with_the_next_build(built, folder):
    built.remove("sea/sea-002.png")
    assert counts(build(folder, built.path)[1]) == {"embedded": 1, "unchanged": 11}


def test_the_thumbnail_of_a_removed_item_is_gone_from_the_disk(built):
    jpeg = built["sea/sea-002.png"].thumbnail
    tars = b"".join(path.read_bytes() for path in (built.path / "thumbnails").iterdir())
    assert jpeg in tars
    built.remove("sea/sea-002.png")
    assert jpeg not in b"".join(path.read_bytes() for path in (built.path / "thumbnails").iterdir())


# What stands on the rows.


def test_an_index_is_refreshed(built):
    built.index("flat")
    assert "index: up to date" in repr(built)
    built.add({"new": picture(77)})
    assert "index: up to date" in repr(built)
    assert built.search(picture(77), k=1).ids == ["new"]
    built.remove("new")
    assert "index: up to date" in repr(built)
    assert "new" not in built.search(picture(77), k=12).ids


def test_a_collection_without_an_index_gets_none(built):
    built.add({"new": picture(77)})
    assert not (built.path / "derived" / "index.json").exists()


def test_the_file_of_rows_and_the_background_are_of_the_new_state(built):
    built.add({"new": picture(77)})
    assert built.snapshot.is_mapped
    told = json.loads((built.path / "derived" / "background.json").read_text())
    assert told["fingerprint"] == built.fingerprint()
    built.remove("new")
    told = json.loads((built.path / "derived" / "background.json").read_text())
    assert told["fingerprint"] == built.fingerprint()


def test_while_another_process_writes_nothing_is_added_or_removed(built):
    with writing(built.path):
        with pytest.raises(LockedError):
            built.add({"new": picture(77)})
        with pytest.raises(LockedError):
            built.remove("sea/sea-002.png")
    assert len(built) == 12


def test_vectors_of_half_precision_stay_so(folder, target):
    made, _ = build(folder, target, dtype="float16")
    made.add({"new": picture(77)})
    types = {str(part.schema().field("embedding").type) for part in list_parts(target)}
    assert len(types) == 1
    assert "halffloat" in types.pop()


def test_a_collection_can_be_moved_and_added_to(built, tmp_path):
    shutil.move(built.path, tmp_path / "moved.lookalike")
    moved = lookalike.open(tmp_path / "moved.lookalike")
    moved.add({"new": Image.new("L", (10, 10))})
    assert moved.ids[-1] == "new"

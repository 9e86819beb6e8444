"""A collection built from the vectors of another, by a head on them."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from building import counts, failures, files, ids, labels
from conftest import write_pictures

import lookalike
from lookalike.cli import main
from lookalike.errors import CollectionError, LookalikeError, ModelError, SourceError
from lookalike.learning.saving import save_head
from lookalike.models.class_words import ClassWords
from lookalike.models.head_model import Branch, Layer
from lookalike.models.registry import load_model

PIXELS = load_model("pixels")


def head(folder: Path, name: str = "mine", seed: int = 0) -> str:
    """A head of 6 numbers on the vectors of `pixels`, with two words."""
    random = np.random.default_rng(seed)
    layer = Layer(random.normal(size=(PIXELS.dim, 6)).astype(np.float32), np.zeros(6, np.float32))
    words = ClassWords(("brick", "sea"), np.eye(2, 6, dtype=np.float32), 8.0, 0.0)
    save_head(folder, name, PIXELS.spec, [Branch((layer,), 0.5)], words=words)
    return f"{folder}/"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve pictures and a file that is none, as `c.lookalike` in three parts, and a head, `m`."""
    folder = tmp_path_factory.mktemp("built")
    source = write_pictures(folder / "photos", 12)
    (source / "sea" / "bad.jpg").write_text("not a picture")
    lookalike.build(source, folder / "c.lookalike", model="pixels", label="folder", part_size=5)
    head(folder / "m")
    return folder


@pytest.fixture
def place(built: Path, tmp_path: Path) -> Path:
    """A copy of it that a test may change."""
    shutil.copytree(built / "c.lookalike", tmp_path / "c.lookalike")
    shutil.copytree(built / "m", tmp_path / "m")
    return tmp_path


def heads(place: Path, **options: object) -> lookalike.Collection:
    return lookalike.build(place / "c.lookalike", place / "d.lookalike", model=f"{place / 'm'}/", **options)


def test_rows_labels_thumbnails_and_failures_are_those_of_the_other(place):
    made, other = heads(place), lookalike.open(place / "c.lookalike")

    assert counts(made.report) == {"embedded": 12, "failed": 1}
    assert (ids(made), labels(made), failures(made)) == (ids(other), labels(other), failures(other))
    assert made.thumbnails(ids(made)) == other.thumbnails(ids(made))
    columns = [name for name in other.items().column_names if not name.startswith(("thumb_", "tag"))]
    assert made.items(columns).equals(other.items(columns))
    assert list(made.verify()) == []


def test_vectors_and_tags_are_those_of_a_build_from_the_pictures(built, place):
    made = heads(place)
    other = lookalike.build(
        built / "photos", place / "e.lookalike", model=f"{place / 'm'}/", label="folder", part_size=5
    )

    assert ids(made) == ids(other)
    np.testing.assert_allclose(made.embeddings(), other.embeddings(), atol=1e-5)
    assert made.items(["tags"]).equals(other.items(["tags"]))
    assert made.manifest.model == other.manifest.model


def test_pictures_words_and_items_are_searched_for(built, place):
    made = heads(place)
    id_ = ids(made)[3]

    assert made.search(built / "photos" / id_, k=1)[0].id == id_
    assert made.search(lookalike.Text("a sea"), k=1)[0].label == "sea"


def test_a_second_build_makes_nothing_and_writes_nothing(place):
    made = heads(place)
    before = files(made.path)

    assert counts(heads(place).report) == {"unchanged": 12, "failed": 1}
    assert counts(lookalike.build(place / "c.lookalike", made.path).report) == {"unchanged": 12, "failed": 1}
    assert files(made.path) == before


def test_a_build_that_was_killed_continues_after_its_last_part(place, monkeypatch):
    from lookalike.storage.parts import Part

    write, done = Part.write, []

    def killed(part: Part, *arguments: object) -> None:
        if part.number == 1:
            raise KeyboardInterrupt
        done.append(part.number)
        write(part, *arguments)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Part, "write", killed)
        heads(place)
    assert done == [0]

    made = heads(place)
    assert counts(made.report) == {"embedded": 7, "unchanged": 5, "failed": 1}
    assert ids(made) == ids(lookalike.open(place / "c.lookalike"))
    assert list(made.verify()) == []


def test_it_follows_what_is_added_removed_and_marked(place):
    made, other = heads(place), lookalike.open(place / "c.lookalike")
    gone = ids(other)[:2]
    other.remove(gone)
    other.add({"new.png": np.zeros((8, 8, 3), np.uint8)})
    other.mark("label", "new.png", "night")

    report = heads(place).report
    assert (report.removed, ids(made)) == (2, ids(other))
    assert made.snapshot.marked("label")[ids(made).index("new.png")] == "night"
    assert list(made.verify()) == []


def test_half_precision_is_kept_or_asked_for(place):
    assert heads(place, dtype="float16").manifest.dtype == "float16"
    assert heads(place).manifest.dtype == "float16"


def test_the_pictures_may_be_built_into_it_later(built, place):
    made = heads(place)
    report = lookalike.build(built / "photos", made.path, model=f"{place / 'm'}/", label="folder").report

    assert counts(report) == {"unchanged": 12, "failed": 1}


@pytest.mark.parametrize(
    ("model", "error", "says"),
    [
        ("colors", ModelError, "is a collection: it has vectors and no pictures, and colors needs pictures"),
        ("other/", ModelError, "mine takes vectors of the model colors, those of .* are of pixels"),
    ],
)
def test_a_model_that_does_not_take_its_vectors_is_refused_before_anything_is_written(
    place, model, error, says
):
    layer = Layer(np.eye(192, 4, dtype=np.float32), np.zeros(4, np.float32))
    save_head(place / "other", "mine", load_model("colors").spec, [layer])
    name = f"{place}/{model}" if model.endswith("/") else model

    with pytest.raises(error, match=says):
        lookalike.build(place / "c.lookalike", place / "d.lookalike", model=name)
    assert not (place / "d.lookalike").exists()


def test_a_head_whose_base_is_not_here_takes_vectors_and_refuses_pictures_before_anything_is_written(
    built, place, monkeypatch
):
    own = SimpleNamespace(name="own", dim=3, size_px=8, features=lambda pixels: pixels.mean(axis=(1, 2)))
    with monkeypatch.context() as patch:
        patch.setattr("lookalike.models.registry._registered", {})
        other = lookalike.build(built / "photos", place / "own.lookalike", model=own)
    save_head(
        place / "h", "h", other.manifest.model, [Layer(np.eye(3, dtype=np.float32), np.ones(3, np.float32))]
    )

    made = lookalike.build(other.path, place / "e.lookalike", model=f"{place / 'h'}/")
    assert made.search(lookalike.Id(ids(made)[0]), k=2).ids
    with pytest.raises(ModelError, match="unknown model 'own'"):
        lookalike.build(built / "photos", place / "f.lookalike", model=f"{place / 'h'}/")
    assert not (place / "f.lookalike").exists()


def test_a_collection_of_another_head_or_another_source_is_refused_and_stays(place):
    made = heads(place)
    before = files(made.path)
    head(place / "n", seed=1)
    shutil.copytree(place / "c.lookalike", place / "b.lookalike")

    with pytest.raises(ModelError, match="was built with another version of it, not with mine"):
        lookalike.build(place / "c.lookalike", made.path, model=f"{place / 'n'}/")
    with pytest.raises(CollectionError, match=r"was not made of .*b\.lookalike"):
        lookalike.build(place / "b.lookalike", made.path, model=f"{place / 'm'}/")
    with pytest.raises(CollectionError, match="would replace itself"):
        lookalike.build(place / "c.lookalike", place / "c.lookalike", model=f"{place / 'm'}/")
    with pytest.raises(SourceError, match="whose vectors, labels and columns are taken; leave out `label`"):
        heads(place, label="folder")
    assert files(made.path) == before


def test_a_full_disk_leaves_the_old_collection_and_a_whole_part_or_none(place, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    before = files(place / "c.lookalike")
    with monkeypatch.context() as patch, pytest.raises(LookalikeError, match="no space left on the device"):
        patch.setattr("lookalike.storage.files.os.fsync", full)
        heads(place)
    assert files(place / "c.lookalike") == before
    assert counts(heads(place).report) == {"embedded": 12, "failed": 1}


def test_the_command_builds_it(place, capsys):
    words = [
        "build",
        str(place / "c.lookalike"),
        "--model",
        f"{place / 'm'}/",
        "-c",
        str(place / "d.lookalike"),
    ]

    assert main(words) == 0
    assert "12 embedded, 1 failed" in capsys.readouterr().err
    assert main(words[:2] + words[2:4]) == 1
    assert "say where to keep it with -c" in capsys.readouterr().err

"""Tags by a user's own list: which pictures get them, what is remembered, and what another list changes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from building import counts, failures, ids, vectors
from conftest import CLASSES, build, picture, write_picture, write_pictures
from networks import write_network
from towers import LENGTH, PIXELS, UNKNOWN, describe, write_model_of_classes, write_numbered, write_text_tower

import lookalike
from lookalike import Text
from lookalike.errors import LookalikeError, ModelError, SourceError, UnknownWordError
from lookalike.models.tag_list import tag_list

BUILT_IN = "efficientnet-lite0"


@pytest.fixture(scope="session")
def classes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model_of_classes(tmp_path_factory.mktemp("towers") / "classes")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def tags(collection: lookalike.Collection) -> dict[str, list[str]]:
    """The tags of each picture; nothing for those without."""
    if "tags" not in collection.items().column_names:
        return {}
    rows = collection.items(["id", "tags"]).to_pylist()
    return {row["id"]: row["tags"] for row in rows if row["tags"]}


def of_class(collection: lookalike.Collection, *names: str) -> dict[str, list[str]]:
    """What the pictures of some classes should have as tags."""
    return {one: [one.split("/")[0]] for one in ids(collection) if one.split("/")[0] in names}


# Queries


@pytest.fixture
def numbered(tmp_path: Path) -> Path:
    return write_numbered(tmp_path / "numbered", 12)


def test_words_find_their_pictures(numbered, target, classes):
    collection, _ = build(numbered, target, model=str(classes))

    for kind, name in enumerate(CLASSES):
        hits = collection.search(Text(name.upper()), k=4)
        assert {int(hit.id.removesuffix(".png")) % 3 for hit in hits} == {kind}
        assert min(hit.confidence for hit in hits) > 0.5
    assert collection.search(Text("anything else"), k=1)[0].confidence < 0.1


def test_words_add_up(numbered, target, classes):
    collection, _ = build(numbered, target, model=str(classes))

    best = collection.search(Text("sea") * 2 - Text("brick"), k=1)[0]

    assert int(best.id.removesuffix(".png")) % 3 == 2


def test_a_sentence_is_read_whole_though_a_word_of_it_is_a_folder(folder, target, classes):
    collection, _ = build(folder, target, model=str(classes))
    text = "brick by the sea"

    found = collection.search(Text(text), k=12)

    expected = collection.embeddings() @ collection.model.embed_text(text)
    assert sorted(hit.score for hit in found) == pytest.approx(sorted(expected.tolist()), abs=1e-5)


# A list


def test_pictures_get_the_tags_of_the_list(folder, target, classes):
    collection, _ = build(folder, target, model=str(classes), tags=["sea", "brick", "dragon"])

    assert tags(collection) == of_class(collection, "sea", "brick")
    assert json.loads((target / "collection.json").read_bytes())["tags"] == ["sea", "brick", "dragon"]


def test_a_model_with_a_text_tower_gives_no_tags_unasked(folder, target, classes):
    collection, _ = build(folder, target, model=str(classes))

    assert "tags" not in collection.items().column_names


def test_later_builds_and_added_pictures_use_the_same_list(folder, target, classes, tmp_path):
    build(folder, target, model=str(classes), tags=["sea"])
    write_picture(folder / "sea" / "new.png", 50, CLASSES["sea"])
    collection, report = build(folder, target, model=None)
    collection.add({"sea/added": picture(51, CLASSES["sea"]), "brick/added": picture(52, CLASSES["brick"])})

    assert counts(report) == {"embedded": 1, "unchanged": 12}
    assert tags(collection) == of_class(collection, "sea")
    assert "sea/added" in tags(collection)


def test_another_list_gives_all_pictures_new_tags_and_embeds_none(folder, target, classes):
    before, _ = build(folder, target, model=str(classes), tags=["sea"], part_size=5)
    old, thumbnail = vectors(before), before.thumbnails(["sea/sea-002.png"])

    collection, report = build(folder, target, model=None, tags=["brick", "meadow"])

    assert counts(report) == {"unchanged": 12}
    assert tags(collection) == of_class(collection, "brick", "meadow")
    assert vectors(collection) == old
    assert list(collection.verify()) == []
    assert collection.thumbnails(["sea/sea-002.png"]) == thumbnail


def test_the_same_list_rewrites_nothing(folder, target, classes):
    build(folder, target, model=str(classes), tags=["sea", "brick"])
    stamp = (target / "items" / "part-000000.parquet").stat()

    build(folder, target, model=None, tags=["sea", "brick"])

    assert (target / "items" / "part-000000.parquet").stat() == stamp


def test_parts_that_a_killed_build_left_with_old_tags_get_new_ones(folder, target, classes):
    build(folder, target, model=str(classes), tags=["sea"], part_size=5)
    shutil.copytree(target / "items", target.with_name("old"))
    build(folder, target, model=None, tags=["brick"])
    old = target.with_name("old") / "part-000002.parquet"
    old.replace(target / "items" / "part-000002.parquet")
    assert "sea/sea-011.png" in tags(lookalike.open(target))

    collection, _ = build(folder, target, model=None)

    assert tags(collection) == of_class(collection, "brick")


def test_none_forgets_the_list(folder, target, classes):
    build(folder, target, model=str(classes), tags=["sea"])

    collection, _ = build(folder, target, model=None, tags="none")

    assert tags(collection) == {}
    assert "tags" not in json.loads((target / "collection.json").read_bytes())


def test_building_anew_keeps_the_list(folder, target, classes):
    build(folder, target, model=str(classes), tags=["sea"])

    collection, _ = build(folder, target, model=str(classes), rebuild=True)

    assert tags(collection) == of_class(collection, "sea")


def test_a_collection_without_tags_gets_them_from_its_vectors(folder, target, classes):
    build(folder, target, model=str(classes))

    collection, report = build(folder, target, model=None, tags=["sea"])

    assert counts(report) == {"unchanged": 12}
    assert tags(collection) == of_class(collection, "sea")
    assert collection.where("list_contains(tags, 'sea')").ids == list(of_class(collection, "sea"))


# The built-in network


@pytest.fixture(scope="module")
def flowers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from lookalike.demo.flowers import draw_flower

    folder = tmp_path_factory.mktemp("flowers")
    for number in range(6):
        draw_flower("daisy", number).save(folder / f"daisy-{number}.png")
    return write_pictures(folder, 3).resolve()


@pytest.mark.slow
def test_the_built_in_network_picks_from_the_words_that_it_knows(flowers, target):
    own, _ = build(flowers, target.with_name("own.lookalike"), model=BUILT_IN)
    collection, _ = build(flowers, target, model=BUILT_IN, tags=["Flowers", "truck"])

    flower = {id_ for id_, names in tags(own).items() if "flower" in names}
    assert flower
    assert tags(collection) == {id_: ["Flowers"] for id_ in flower}


@pytest.mark.slow
def test_without_its_list_the_built_in_network_gives_its_own_tags_again(flowers, target):
    own, _ = build(flowers, target.with_name("own.lookalike"), model=BUILT_IN)
    build(flowers, target, model=BUILT_IN, tags=["truck"])

    collection, report = build(flowers, target, model=None, tags="none")

    assert counts(report) == {"unchanged": 9}
    assert tags(collection) == tags(own)


def test_words_that_the_built_in_network_does_not_know_are_named(flowers, target):
    with pytest.raises(UnknownWordError, match="does not know these tags: sunflower, quux;") as caught:
        build(flowers, target, model=BUILT_IN, tags=["daisy", "sunflower", "quux"])

    assert caught.value.nearest == ["flower"]
    assert not target.exists()


# Lists that are none


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "has no tags"),
        (b"\n \r\n\t\n", "has no tags"),
        (b"sea\xff\n", "are not text in UTF-8"),
        (b"x" * 201, "has the tag 'xxxx"),
        (b"sea\0", "which is too long or cannot be printed"),
        (b"".join(b"%d\n" % number for number in range(10_001)), "has 10,001 tags, the limit is 10,000"),
        (b"x" * 9_000_000, "is too large for a list of tags"),
    ],
)
def test_a_file_that_is_no_list_is_refused(tmp_path, data, message):
    (tmp_path / "tags.txt").write_bytes(data)

    with pytest.raises(SourceError, match=message):
        tag_list(tmp_path / "tags.txt")


def test_a_file_that_is_missing_is_refused_before_anything_is_written(folder, target, classes, tmp_path):
    with pytest.raises(SourceError, match=r"the tags .*nowhere\.txt cannot be read: No such file"):
        build(folder, target, model=str(classes), tags=tmp_path / "nowhere.txt")

    assert not target.exists()


def test_empty_lines_spaces_and_repeated_tags_are_tolerated(tmp_path):
    (tmp_path / "tags.txt").write_bytes(b"\xef\xbb\xbfsea\r\n\r\n  red   car \nsea\nSea\n\xe7\x8a\xac")

    assert tag_list(tmp_path / "tags.txt") == ("sea", "red car", "Sea", "犬")
    assert tag_list(["sea", "", "sea", " brick"]) == ("sea", "brick")


@pytest.mark.parametrize("given", [[], [""], [3], [None]])
def test_names_that_are_none_are_refused(given):
    with pytest.raises(SourceError):
        tag_list(given)


@pytest.mark.parametrize("model", ["colors", "pixels"])
def test_a_model_without_words_cannot_tag_by_a_list(folder, target, model):
    with pytest.raises(ModelError, match=f"the model {model} knows no words, so it cannot tag by a list"):
        build(folder, target, model=model, tags=["sea"])

    assert not target.exists()


# Towers that do not fit


def test_a_tower_of_other_dimensions_is_refused_before_anything_is_written(folder, target, tmp_path):
    write_network(tmp_path / "model" / "image.onnx")
    write_text_tower(tmp_path / "model", {"sea": np.ones(5)})
    describe(tmp_path / "model", text={"pad_id": 0, "context_length": LENGTH})

    for given in (None, ["sea"]):
        with pytest.raises(ModelError, match="gives 5 dimensions, the network of the pictures 8"):
            build(folder, target, model=str(tmp_path / "model"), tags=given)
    assert not target.exists()


def test_a_model_that_got_words_later_brings_them_when_its_path_is_given(folder, target, classes, tmp_path):
    mute = tmp_path / "model"
    write_network(mute / "image.onnx")
    describe(mute, **PIXELS)
    before, _ = build(folder, target, model=str(mute))
    old = vectors(before)
    with pytest.raises(LookalikeError, match="the word 'dragon' is unknown"):
        before.search(Text("dragon"))

    for name in ("text.onnx", "tokenizer.json", "model.json"):
        shutil.copy(classes / name, mute / name)
    collection, report = build(folder, target, model=str(mute), tags=["sea"])

    assert counts(report) == {"unchanged": 12}
    assert vectors(collection) == old
    assert collection.search(Text("sea"), k=1)[0].id.startswith("sea/")
    assert tags(collection) == of_class(collection, "sea")
    assert failures(collection) == []
    assert UNKNOWN not in str(tags(collection))

"""Colours are words: how much of a picture has them is measured on its thumbnail."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import build
from PIL import Image
from serving import encoded

import lookalike
from lookalike.errors import QueryError, UnknownWordError
from lookalike.images.color_names import COLORS, NAMES, color_in, color_shares, columns_of
from lookalike.learning.saving import save_head
from lookalike.models.class_words import ClassWords
from lookalike.models.head_model import Layer

PAINTED = {"cherry": (205, 20, 25), "forest": (10, 60, 10), "lime": (110, 220, 90), "sky": (150, 205, 250)}


@pytest.fixture(scope="module")
def painted(tmp_path_factory):
    """Twelve pictures of one colour each, three of every kind, in folders of their names."""
    folder = tmp_path_factory.mktemp("painted")
    for kind, color in PAINTED.items():
        (folder / "all" / kind).mkdir(parents=True)
        for number in range(3):
            image = Image.new("RGB", (60, 60), color)
            image.paste((128, 128, 128), (0, 0, 60, 4 + 16 * number))
            image.save(folder / "all" / kind / f"{kind}-{number}.png")
    return build(folder / "all", folder / "c.lookalike")[0]


@pytest.mark.parametrize("name", NAMES)
def test_a_picture_of_a_named_colour_has_that_name(name):
    value = COLORS[name]
    jpeg = encoded(Image.new("RGB", (20, 20), (value >> 16, value >> 8 & 255, value & 255)))

    shares = color_shares(jpeg)

    assert NAMES[int(shares.argmax())] == name
    assert shares.max() == 255


def test_half_of_a_picture_is_half_of_its_share():
    image = Image.new("RGB", (40, 40), (229, 0, 0))
    image.paste((3, 67, 223), (0, 0, 20, 40))

    shares = color_shares(encoded(image))

    assert shares[NAMES.index("red")] / 255 == pytest.approx(0.5, abs=0.05)
    assert shares[NAMES.index("blue")] / 255 == pytest.approx(0.5, abs=0.05)
    assert not color_shares(b"").any()


def test_dark_and_light_kinds_are_the_colour_too():
    assert [NAMES[at] for at in columns_of("green")] == ["green", "dark green", "light green"]
    assert [NAMES[at] for at in columns_of("dark green")] == ["dark green"]
    assert (color_in("dark gray"), color_in("greenish")) == ("dark grey", "")


def test_a_colour_is_searched_for_and_said(painted):
    found = painted.search(lookalike.Text("dark green"), k=3)

    assert {id_.split("/")[0] for id_ in found.ids} == {"forest"}
    assert found.meant[0].lines == ["dark green: by the colours of the pictures"]
    assert (found.confidences > 0.7).all()
    assert found.scores[0] == pytest.approx(56 / 60, abs=0.04)


def test_the_more_of_it_the_better(painted):
    assert painted.search(lookalike.Text("red"), k=3).ids == [f"cherry/cherry-{n}.png" for n in range(3)]


def test_a_colour_sorts_what_other_words_find(painted):
    painted.teach("plant", like=[f"{kind}/{kind}-{n}.png" for kind in ("forest", "lime") for n in (0, 1)])

    found = painted.search(lookalike.Text("light green plant"), k=3)

    assert {id_.split("/")[0] for id_ in found.ids[:2]} == {"lime"}
    assert [one.origin for one in found.meant[0].parts] == ["taught", "color"]


def test_a_colour_that_nothing_has_is_not_believed(painted):
    found = painted.search(lookalike.Text("yellow"), k=12)

    assert found.confidences.max() < 0.1
    assert len(painted.search(lookalike.Text("yellow"), k=12, min_confidence=0.5)) == 0


def test_conditions_hold_for_colours(painted):
    found = painted.search(lookalike.Text("red"), k=12, where="id LIKE 'sky/%'")

    assert {id_.split("/")[0] for id_ in found.ids} == {"sky"}


def test_a_word_of_the_collection_goes_before_a_colour(tmp_path):
    for kind, color in {"red": (20, 40, 220), "other": (220, 20, 20)}.items():
        (tmp_path / "all" / kind).mkdir(parents=True)
        for number in range(4):
            Image.fromarray(np.full((40, 40, 3), color, np.uint8) + np.uint8(number)).save(
                tmp_path / "all" / kind / f"{number}.png"
            )
    made = build(tmp_path / "all", tmp_path / "c.lookalike")[0]

    assert {id_.split("/")[0] for id_ in made.search(lookalike.Text("red"), k=4).ids} == {"red"}


def colored_files(folder, *names):
    """Pictures of a colour that is not the one that their names say, four of each."""
    (folder / "all").mkdir(parents=True)
    for name, color in zip(names, [(20, 40, 220), (30, 220, 30)], strict=True):
        for number in range(4):
            pixels = np.full((40, 40, 3), color, np.uint8) + np.uint8(number)
            Image.fromarray(pixels).save(folder / "all" / f"{name}-{number}.png")
    return build(folder / "all", folder / "c.lookalike")[0]


def test_a_colour_in_the_names_of_files_is_looked_for_in_the_pictures(tmp_path):
    found = colored_files(tmp_path, "green_thing", "blue_thing").search(lookalike.Text("green"), k=4)

    assert {id_.split("_")[0] for id_ in found.ids} == {"blue"}
    assert found.meant[0].parts[0].origin == "color"


def test_orange_in_the_names_of_files_is_a_word_of_theirs(tmp_path):
    found = colored_files(tmp_path, "orange", "lime").search(lookalike.Text("orange"), k=4)

    assert found.meant[0].parts[0].origin == "file name"


def test_without_thumbnails_a_colour_in_the_names_of_files_is_a_word_of_theirs(tmp_path):
    ids = [f"{name}_{number}.png" for name in ("red", "blue") for number in range(4)]
    made = lookalike.from_vectors(tmp_path / "c", np.eye(8, dtype=np.float32), ids)

    assert made.search(lookalike.Text("red"), k=4).meant[0].parts[0].origin == "file name"


def test_a_colour_cannot_be_unwanted_or_grouped(painted):
    with pytest.raises(QueryError, match="a colour cannot be unwanted: red"):
        painted.search(lookalike.Id("sky/sky-0.png") - lookalike.Text("red"))
    with pytest.raises(QueryError, match="a colour cannot be part of a search in groups"):
        painted.search(lookalike.Text("red"), group_by="id")


def test_colours_need_thumbnails(tmp_path):
    made = lookalike.from_vectors(
        tmp_path / "c", np.eye(3, dtype=np.float32), list("abc"), columns={"label": list("xxx")}
    )

    with pytest.raises(QueryError, match="the colours of its pictures are unknown: c has no thumbnails"):
        made.search(lookalike.Text("red"))


def test_colours_are_measured_once_for_a_state(painted):
    painted.search(lookalike.Text("red"), k=1)
    path = painted.path / "derived" / "colors.npz"
    before = path.stat().st_mtime_ns

    lookalike.open(painted.path).search(lookalike.Text("red"), k=1)
    assert path.stat().st_mtime_ns == before

    path.write_bytes(b"PK\x03\x04 damaged")
    assert lookalike.open(painted.path).search(lookalike.Text("red"), k=1).ids[0].startswith("cherry/")


def test_a_flipped_bit_in_the_file_of_colours_is_no_error(painted):
    painted.search(lookalike.Text("red"), k=1)
    path = painted.path / "derived" / "colors.npz"
    data = bytearray(path.read_bytes())
    data[data.rfind(b"PK\x01\x02") + 8] ^= 1  # so it says that an array is encrypted

    path.write_bytes(data)
    assert lookalike.open(painted.path).search(lookalike.Text("red"), k=1).ids[0].startswith("cherry/")


def test_colours_are_words_beside_the_classes_that_a_model_was_taught(painted, tmp_path):
    identity = Layer(
        np.eye(painted.snapshot.dim, dtype=np.float32), np.zeros(painted.snapshot.dim, np.float32)
    )
    words = ClassWords(("car", "red apple"), np.eye(2, painted.snapshot.dim, dtype=np.float32))
    save_head(tmp_path / "m", "m", painted.manifest.model, [identity], words=words)
    taught = lookalike.build(painted.path, tmp_path / "c.lookalike", model=tmp_path / "m")

    found = taught.search(lookalike.Text("something red"), k=3)
    assert {id_.split("/")[0] for id_ in found.ids} == {"cherry"}
    assert found.meant[0].lines == ["red: by the colours of the pictures", "unknown, and left out: something"]
    assert taught.search(lookalike.Text("red apple"), k=1).meant[0].of_model == "red apple"
    with pytest.raises(UnknownWordError, match="does not know the word 'house'"):
        taught.search(lookalike.Text("house"))

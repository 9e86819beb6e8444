"""Duplicates: each tier finds what was made for it, and nothing else; a burst is told by its time."""

from __future__ import annotations

import shutil
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageDraw, ImageEnhance, ImageOps

import lookalike
from lookalike.analysis import neighbours as neighbours_module
from lookalike.analysis.geometry import exact, laid, match, points_of
from lookalike.analysis.hashing import perceptual_hash
from lookalike.analysis.neighbours import nearest_others
from lookalike.analysis.tiers import TIERS
from lookalike.demo.flowers import draw_flower
from lookalike.errors import LookalikeError
from lookalike.storage.selection import Selection

SPECIES = ("daisy", "rose", "tulip", "lily", "iris", "poppy", "dahlia", "lavender")


@cache
def flower(number: int) -> Image.Image:
    return draw_flower(SPECIES[number % len(SPECIES)], 100 + number)


def taken(moment: str) -> bytes:
    """An EXIF block that says when the picture was taken."""
    exif = Image.Exif()
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = moment
    return exif.tobytes()


def crop(image: Image.Image) -> Image.Image:
    """The middle of a picture, 80% of each side."""
    x, y = image.width // 10, image.height // 10
    return image.crop((x, y, image.width - x, image.height - y))


@pytest.fixture(scope="module")
def images(tmp_path_factory) -> Path:
    """Eight flowers, and one duplicate of seven of them, each made in another way."""
    folder = tmp_path_factory.mktemp("duplicates") / "images"
    folder.mkdir()
    flowers = [flower(number) for number in range(8)]
    for number, image in enumerate(flowers):
        image.save(folder / f"{number}.jpg", quality=92)
    (folder / "0-bytes.jpg").write_bytes((folder / "0.jpg").read_bytes())
    with Image.open(folder / "1.jpg") as image:
        image.save(folder / "1-pixels.png")
    flowers[2].save(folder / "2-encoded.jpg", quality=40)
    flowers[3].resize((flowers[3].width // 2, flowers[3].height // 2)).save(folder / "3-resized.jpg")
    crop(flowers[4]).save(folder / "4-cropped.jpg")
    ImageOps.mirror(flowers[5]).save(folder / "5-mirrored.jpg")
    flowers[6].transpose(Image.Transpose.ROTATE_180).save(folder / "6-rotated.jpg")
    return folder


@pytest.fixture(scope="module")
def collection(images) -> lookalike.Collection:
    return lookalike.build(images, images.with_suffix(".lookalike"))


def test_each_made_duplicate_is_found_in_its_tier_and_nothing_else(collection):
    found = collection.duplicates(tiers=TIERS)

    ids = [item["id"] for item in found.items]
    assert {(*sorted(ids[row] for row in pair.rows), pair.tier) for pair in found.pairs} == {
        ("0-bytes.jpg", "0.jpg", "bytes"),
        ("1-pixels.png", "1.jpg", "pixels"),
        ("2-encoded.jpg", "2.jpg", "copy"),
        ("3-resized.jpg", "3.jpg", "copy"),
        ("4-cropped.jpg", "4.jpg", "edit"),
        ("5-mirrored.jpg", "5.jpg", "edit"),
        ("6-rotated.jpg", "6.jpg", "edit"),
    }
    reasons = {ids[pair.rows[0]]: pair.reason for pair in found.pairs}
    assert reasons["0-bytes.jpg"] == "the files have the same SHA-256"
    assert reasons["1-pixels.png"] == "all pixels are equal"
    assert reasons["2-encoded.jpg"].startswith("every place agrees, within ")
    assert reasons["4-cropped.jpg"].startswith("one is 6")
    assert reasons["5-mirrored.jpg"].startswith("mirrored: every place agrees, within ")
    assert reasons["6-rotated.jpg"].startswith("turned by 180 degrees: every place agrees, within ")


def test_edits_and_bursts_are_looked_for_only_when_asked(collection):
    assert {pair.tier for pair in collection.duplicates().pairs} == {"bytes", "pixels", "copy"}
    assert {pair.tier for pair in collection.duplicates(tiers=["pixels"]).pairs} == {"pixels"}


@pytest.mark.parametrize(("second", "tiers"), [(4, ["moment"]), (40, [])])
def test_a_burst_is_told_by_when_the_pictures_were_taken(second, tiers, tmp_path):
    (tmp_path / "images").mkdir()
    flower(1).save(tmp_path / "images" / "a.jpg", exif=taken("2024:05:01 10:00:00"))
    # Another crop of another size: too unlike for a copy, and too smooth for details to agree.
    blurred = flower(1).resize((40, 40)).resize((240, 240))
    blurred.save(tmp_path / "images" / "b.jpg", exif=taken(f"2024:05:01 10:00:{second:02d}"))
    flower(2).save(tmp_path / "images" / "c.jpg", exif=taken("2024:05:01 10:00:01"))
    collection = lookalike.build(tmp_path / "images", tmp_path / "c.lookalike", model="colors")

    assert [pair.tier for pair in collection.duplicates(tiers=TIERS).pairs] == tiers


def test_a_file_that_is_there_often_does_not_hide_what_else_is_like_it(tmp_path):
    """Each picture has ten others of its own kind: of one file, or of the same pixels."""
    folder = tmp_path / "images"
    folder.mkdir()
    flower(1).save(folder / "a.jpg", exif=taken("2024:05:01 10:00:00"))
    for number in range(11):
        shutil.copy(folder / "a.jpg", folder / f"a-{number}.jpg")
        moment = taken(f"2024:05:01 10:00:{number:02d}")
        ImageOps.mirror(flower(1)).save(folder / f"b-{number}.jpg", exif=moment)
    collection = lookalike.build(folder, tmp_path / "c.lookalike")

    tiers = {pair.tier for pair in collection.duplicates(tiers=("bytes", "pixels", "moment")).pairs}
    assert tiers == {"bytes", "pixels", "moment"}


def test_the_place_of_a_crop_is_found_to_a_fraction_of_a_pixel():
    image = flower(4)
    whole, part = points_of(np.asarray(image.convert("L"))), points_of(np.asarray(crop(image).convert("L")))

    found = match(part, whole)

    assert found is not None
    place = [[1, 0, image.width // 10], [0, 1, image.height // 10]]
    assert found.affine == pytest.approx(np.array(place, float), abs=1)
    assert found.scale == pytest.approx(1, abs=0.02)
    assert exact(found, part.grey, whole.grey).affine == pytest.approx(np.array(place, float), abs=0.05)
    assert found.inverse.affine[:, 2] == pytest.approx([-image.width // 10, -image.height // 10], abs=1)


def test_the_details_of_a_mirrored_picture_are_known_without_looking_again():
    grey = np.asarray(flower(4).convert("L"))

    found = match(points_of(grey).mirrored, points_of(np.ascontiguousarray(grey[:, ::-1])))

    assert found is not None
    assert found.inliers >= 0.5 * len(points_of(grey).places)
    assert found.affine == pytest.approx(np.array([[1, 0, 0], [0, 1, 0]], float), abs=1)


def test_a_picture_is_laid_only_where_it_lies_within_the_other():
    whole, part = np.asarray(flower(4)), np.asarray(crop(flower(4)))
    found = match(*(points_of(np.asarray(Image.fromarray(one).convert("L"))) for one in (part, whole)))

    shown = laid(found, part, whole)

    assert np.abs(shown.astype(int) - part).mean() < 3
    assert laid(found.inverse, whole, part) is None


def test_the_details_of_different_pictures_do_not_agree():
    points = [points_of(np.asarray(flower(number).convert("L"))) for number in range(8)]

    for one in range(8):
        for other in range(one):
            found = match(points[one], points[other])
            assert found is None or found.inliers < 20


@pytest.mark.parametrize("value", [0, 128, 255])
def test_a_picture_without_details_matches_nothing(value):
    plain = points_of(np.full((200, 200), value, np.uint8))

    assert len(plain.places) == 0
    assert match(plain, plain) is None
    assert match(plain, points_of(np.asarray(flower(0).convert("L")))) is None


def test_a_hash_survives_encoding_resizing_and_light_and_tells_pictures_apart():
    greys = [flower(number).convert("L") for number in range(8)]
    hashes = [perceptual_hash(np.asarray(one)) for one in greys]

    for grey, own in zip(greys, hashes, strict=True):
        half = np.asarray(grey.resize((grey.width // 2, grey.height // 2)))
        darker = (np.asarray(grey) * 0.8).astype(np.uint8)
        assert (perceptual_hash(half) != own).sum() <= 4
        assert (perceptual_hash(darker) != own).sum() <= 4
    assert min((a != b).sum() for i, a in enumerate(hashes) for b in hashes[:i]) > 8
    assert all(one.shape == (64,) and one.sum() == 32 for one in hashes)


def test_nothing_is_said_of_a_picture_without_contrast():
    noise = np.random.default_rng(0).integers(252, 256, (200, 300), np.uint8)

    assert not perceptual_hash(noise).any()


def test_blank_pictures_are_no_copies_of_each_other_and_not_all_pairs_are_compared(tmp_path):
    (tmp_path / "images").mkdir()
    for number in range(200):
        blank = Image.new("RGB", (64, 48), (240 + number % 16, 250, 240 + number // 16))
        blank.save(tmp_path / "images" / f"{number:03d}.png")
    blank.save(tmp_path / "images" / "199.bmp")
    collection = lookalike.build(tmp_path / "images", tmp_path / "c.lookalike", model="colors")

    found = collection.duplicates()

    ids = [item["id"] for item in found.items]
    assert [(sorted(ids[row] for row in pair.rows), pair.tier) for pair in found.pairs] == [
        (["199.bmp", "199.png"], "pixels")
    ]
    assert found.compared <= 10 * 201  # of 20,100


def vectors_of(count: int) -> np.ndarray:
    vectors = np.random.default_rng(0).normal(size=(count, 24))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize("most_exact", [20_000, 100])
def test_neighbours_are_those_of_a_slow_loop_exactly_or_through_the_index(most_exact, tmp_path, monkeypatch):
    monkeypatch.setattr(neighbours_module, "_MOST_EXACT", most_exact)
    vectors = vectors_of(300)
    collection = lookalike.from_vectors(tmp_path / "c.lookalike", vectors, [str(i) for i in range(300)])

    found = nearest_others(Selection.of(collection.snapshot), 4)

    for row in range(300):
        others = sorted((i for i in range(300) if i != row), key=lambda i: -float(vectors[i] @ vectors[row]))
        assert found.rows[row].tolist() == others[:4]
        assert found.scores[row] == pytest.approx(vectors[others[:4]] @ vectors[row], abs=1e-5)
    assert found.recall > 0.95
    pairs, cosines = found.pairs(0.5)
    assert cosines == pytest.approx(np.einsum("nd,nd->n", *vectors[pairs.T]), abs=1e-5)
    assert [tuple(pair) for pair in pairs.tolist()] == sorted(
        (i, j)
        for i in range(300)
        for j in range(i + 1, 300)
        if vectors[i] @ vectors[j] >= 0.5 and (j in found.rows[i] or i in found.rows[j])
    )


@pytest.mark.parametrize("k", [0, -1])
def test_a_number_of_neighbours_that_cannot_be_is_a_clear_error(k, tmp_path):
    collection = lookalike.from_vectors(tmp_path / "c.lookalike", vectors_of(5), list("abcde"))

    with pytest.raises(LookalikeError, match=f"k is the number of neighbours, at least 1, not {k}"):
        collection.neighbors(k)


def test_vectors_without_pictures_cannot_be_compared(tmp_path):
    collection = lookalike.from_vectors(tmp_path / "c.lookalike", vectors_of(5), list("abcde"))

    with pytest.raises(LookalikeError, match="has vectors but no thumbnails"):
        collection.duplicates()


def test_images_that_are_all_equal_are_found_to_be_so(tmp_path):
    (tmp_path / "images").mkdir()
    for number in range(30):
        flower(3).save(tmp_path / "images" / f"{number}.jpg")
    collection = lookalike.build(tmp_path / "images", tmp_path / "c.lookalike", model="colors")

    pairs = collection.duplicates().pairs

    assert [(pair.rows, pair.tier) for pair in pairs] == [((0, row), "bytes") for row in range(1, 30)]


def pictures_of(folder: Path, images: dict[str, Image.Image]) -> lookalike.Collection:
    (folder / "images").mkdir()
    for name, image in images.items():
        image.save(folder / "images" / name)
    return lookalike.build(folder / "images", folder / "c.lookalike", model="colors")


def pairs_of(collection: lookalike.Collection, tiers=tuple(TIERS)) -> list[tuple[str, str, str]]:
    found = collection.duplicates(tiers=tiers)
    ids = [item["id"] for item in found.items]
    return [(*(ids[row] for row in pair.rows), pair.tier) for pair in found.pairs]


def test_the_same_picture_in_another_colour_is_no_duplicate(tmp_path):
    red = flower(1).convert("RGB")
    green = Image.merge("RGB", [red.getchannel(name) for name in "GRB"])

    assert pairs_of(pictures_of(tmp_path, {"red.png": red, "green.png": green})) == []


def test_transparency_has_to_agree_too(tmp_path):
    image = flower(1).convert("RGBA")
    hole = image.copy()
    hole.paste((255, 255, 255, 0), (0, 0, 40, 40))
    white = hole.copy()
    white.paste((255, 255, 255, 255), (0, 0, 40, 40))
    other = white.copy()
    other.paste((255, 255, 255, 0), (0, 0, 40, 20))
    collection = pictures_of(tmp_path, {"hole.png": hole, "other.png": other, "white.png": white})

    found = collection.duplicates()

    # On white all three are equal; the two with holes in other places are not the same.
    ids = [item["id"] for item in found.items]
    assert [(*(ids[row] for row in pair.rows), pair.tier, ids[pair.richer]) for pair in found.pairs] == [
        ("hole.png", "white.png", "copy", "hole.png"),
        ("other.png", "white.png", "copy", "other.png"),
    ]


def cut_out(image: Image.Image, size: int) -> Image.Image:
    """The picture at this size, round, in the middle of a transparent square of 140 pixels."""
    shape = Image.new("L", (size, size))
    ImageDraw.Draw(shape).ellipse((0, 0, size - 1, size - 1), fill=255)
    ground = Image.new("RGBA", (140, 140))
    ground.paste(image.convert("RGB").resize((size, size)), ((140 - size) // 2,) * 2, shape)
    return ground


def test_a_lighter_cut_out_is_another_one_and_a_lighter_photograph_is_not(tmp_path):
    lighter = ImageEnhance.Brightness(flower(1).convert("RGB")).enhance(1.3)
    made = {"a.png": cut_out(flower(1), 120), "b.png": cut_out(lighter, 120)}
    photographs = {"a.png": flower(1).convert("RGB"), "b.png": lighter}
    for name in ("cut", "whole"):
        (tmp_path / name).mkdir()

    assert "copy" not in [tier for _, _, tier in pairs_of(pictures_of(tmp_path / "cut", made))]
    assert pairs_of(pictures_of(tmp_path / "whole", photographs)) == [("a.png", "b.png", "copy")]


@pytest.mark.parametrize(("size", "found"), [(31, []), (33, [("a.png", "b.webp", "copy")])])
def test_what_shows_of_a_cut_out_has_to_be_32_pixels_high_to_speak(tmp_path, size, found):
    image = cut_out(flower(1), size)
    folder = tmp_path / "images"
    folder.mkdir()
    image.save(folder / "a.png")
    image.save(folder / "b.webp", quality=80)

    assert pairs_of(lookalike.build(folder, tmp_path / "c.lookalike", model="colors")) == found


def test_a_mirrored_letter_is_another_letter(tmp_path):
    letter = Image.new("RGB", (120, 120), "white")
    ImageDraw.Draw(letter).text((35, 0), "b", fill="black", font_size=100)

    pair = {"b.png": letter, "d.png": ImageOps.mirror(letter)}
    assert pairs_of(pictures_of(tmp_path, pair)) == []


def test_pictures_that_were_taken_at_different_times_are_no_copies(tmp_path):
    (tmp_path / "images").mkdir()
    for name, second in (("a", 0), ("b", 40)):
        exif = taken(f"2024:05:01 10:00:{second:02d}")
        flower(1).save(tmp_path / "images" / f"{name}.jpg", exif=exif, quality=80 + second // 4)
    collection = lookalike.build(tmp_path / "images", tmp_path / "c.lookalike", model="colors")

    assert pairs_of(collection) == []


def test_what_people_say_is_no_duplicate_is_left_out_of_the_next_run(collection):
    assert ("2-encoded.jpg", "2.jpg", "copy") in pairs_of(collection)

    collection.not_duplicates("2.jpg", "2-encoded.jpg")
    assert ("2-encoded.jpg", "2.jpg", "copy") not in pairs_of(collection)

    collection.not_duplicates("2.jpg", "2-encoded.jpg", None)
    assert ("2-encoded.jpg", "2.jpg", "copy") in pairs_of(collection)

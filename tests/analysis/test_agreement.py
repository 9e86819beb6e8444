"""What encoding, resizing and light can do to a picture agrees; another print in one place does not."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageEnhance

from lookalike.analysis.agreement import agreement, is_plain
from lookalike.demo.flowers import draw_flower


def shirt(print_color: tuple[int, int, int] = (230, 60, 40), place: int = 96) -> Image.Image:
    """A flower with a print of an eighth of the side: all but the print is the same."""
    image = draw_flower("rose", 3).convert("RGB").resize((240, 240))
    ImageDraw.Draw(image).ellipse((place, 96, place + 30, 126), fill=print_color)
    return image


def encoded(image: Image.Image, quality: int) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer).convert("RGB")


def agree(one: Image.Image, other: Image.Image):
    return agreement(np.asarray(one), np.asarray(other))


@pytest.mark.parametrize(
    "made",
    [
        encoded(shirt(), 40),
        shirt().resize((120, 120)),
        shirt().resize((480, 470)),
        ImageEnhance.Brightness(shirt()).enhance(0.7),
        ImageEnhance.Contrast(shirt()).enhance(0.8),
    ],
    ids=["encoded", "half", "enlarged", "darker", "less contrast"],
)
def test_a_copy_agrees_with_its_original_either_way(made):
    assert agree(shirt(), made).is_same
    assert agree(made, shirt()).is_same


@pytest.mark.parametrize(
    "other",
    [shirt((40, 60, 230)), shirt((60, 150, 90)), shirt(place=120), draw_flower("iris", 5).convert("RGB")],
    ids=["another colour", "a colour of the same grey", "another place", "another flower"],
)
def test_what_differs_in_one_place_is_not_the_same(other):
    found = agree(shirt(), other)

    assert not found.is_same
    assert found.difference > 30


def test_a_picture_in_other_colours_is_not_the_same_whatever_its_grey():
    red = np.full((100, 100, 3), 255, np.uint8)
    red[20:80, 20:80] = (200, 40, 40)
    grey = red.copy()
    grey[20:80, 20:80] = 88

    assert not agreement(red, grey).is_same


def test_a_little_picture_has_too_few_places_to_speak():
    small = np.asarray(shirt().resize((31, 200)))

    assert agreement(small, small) is None
    assert agreement(*[np.asarray(shirt().resize((32, 200)))] * 2).is_same


def test_a_watermark_makes_nothing_darker_and_another_print_does():
    marked = shirt()
    ImageDraw.Draw(marked).text((60, 180), "(c) SAMPLE", fill=(255, 255, 255), font_size=24)

    found = agree(shirt(), encoded(marked, 85))

    assert not found.is_same
    assert 0.01 < found.overlaid < 0.15
    assert agree(shirt(), shirt((40, 60, 230))).overlaid is None
    assert agree(shirt(), shirt()).overlaid is None


def test_a_faint_watermark_on_an_exact_copy_is_a_watermark():
    marked = shirt()
    ImageDraw.Draw(marked).text((60, 180), "SAMPLE", fill="white", font_size=24)

    found = agree(shirt(), Image.blend(shirt(), marked, 0.2))

    assert (found.is_redrawn, found.is_same) == (True, False)
    assert 0 < found.overlaid < 0.1


def test_on_a_little_face_a_mouth_is_no_watermark():
    def faces(size: int) -> list[Image.Image]:
        calm = draw_flower("rose", 3).convert("RGB").resize((size, size))
        astonished = calm.copy()
        ImageDraw.Draw(astonished).ellipse([size * 0.4, size * 0.4, size * 0.6, size * 0.6], fill="white")
        return [calm, astonished]

    assert agree(*faces(40)).overlaid is None
    assert agree(*faces(80)).overlaid is not None


def test_a_letter_on_a_page_is_plain_and_a_photograph_is_not():
    page = Image.new("RGB", (100, 100), "white")
    ImageDraw.Draw(page).text((30, 0), "b", fill="black", font_size=90)

    assert is_plain(np.asarray(page))
    assert not is_plain(np.asarray(shirt()))


def icon(sign: str) -> Image.Image:
    """An icon of a set: a folder with a small grey sign."""
    image = Image.new("RGB", (120, 120), "white")
    draw = ImageDraw.Draw(image)
    draw.rectangle((10, 20, 110, 105), fill=(180, 180, 180), outline=(40, 40, 40), width=5)
    for height in (35, 50):
        draw.line((20, height, 100, height), fill=(90, 90, 90), width=2)
    draw.text((40, 65), sign, fill=(155, 155, 155), font_size=32)
    return image


def test_where_most_edges_are_equal_what_differs_was_drawn_differently():
    found = agree(icon("01"), icon("fg"))

    assert (found.difference < 20, found.relative < 0.2) == (True, True)
    assert found.is_redrawn
    assert not found.is_same
    assert agree(icon("01"), encoded(icon("01"), 40)).is_same
    assert agree(icon("01"), icon("01").quantize(16).convert("RGB")).is_same


def hatched(direction: tuple[int, int]) -> Image.Image:
    """A flower with fine grey lines across it: only the details say which way these go."""
    image = draw_flower("rose", 3).convert("RGB").resize((112, 112))
    draw = ImageDraw.Draw(image)
    across, down = direction
    for at in range(20, 92, 4):
        start = (at, 20) if down else (20, at)
        draw.line((*start, start[0] + 72 * across, start[1] + 72 * down), fill=(120, 120, 120), width=2)
    return image


def test_where_every_place_agrees_but_no_detail_another_thing_was_drawn():
    found = agree(hatched((1, 0)), hatched((0, 1)))

    assert (found.difference < 20, found.relative < 0.2) == (True, True)
    assert found.is_redrawn
    assert agree(hatched((1, 0)), encoded(hatched((1, 0)), 40)).is_same
    assert agree(hatched((1, 0)), ImageEnhance.Brightness(hatched((1, 0))).enhance(0.8)).is_same


def test_a_change_of_light_explains_a_difference_only_where_it_may():
    image = np.asarray(shirt().convert("L"))[:, :, None]
    half = image // 10 * 7

    assert agreement(image, half).is_same
    assert not agreement(image, half, may_be_lit=False).is_same

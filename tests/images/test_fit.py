"""What a network sees of a picture, against what torchvision's and timm's steps do, spelled out here."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from lookalike.images.fit import fit_whole_pixels

# Width, height, size and crop, and the size after resizing and the corner of the cut, worked out by hand.
CASES = [
    (500, 375, 224, 1.0, (298, 224), (37, 0)),
    (375, 500, 224, 1.0, (224, 298), (0, 37)),
    (500, 375, 224, 0.875, (341, 256), (58, 16)),  # 58.5 and 16: round() takes the even number
    (333, 333, 224, 0.9, (248, 248), (12, 12)),
    (50, 40, 64, 1.0, (80, 64), (8, 0)),  # enlarged
    (227, 224, 224, 1.0, (227, 224), (2, 0)),  # 1.5
]


def noise(width: int, height: int) -> np.ndarray:
    return np.random.default_rng(width * height).integers(0, 256, (height, width, 3), np.uint8)


@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear", "lanczos", "nearest"])
@pytest.mark.parametrize(("width", "height", "size", "crop", "resized", "corner"), CASES)
def test_a_picture_is_resized_by_its_shorter_side_and_cut_at_whole_pixels(
    width, height, size, crop, resized, corner, interpolation
):
    pixels = noise(width, height)
    left, top = corner

    found = fit_whole_pixels(pixels, size, crop, interpolation=interpolation)

    whole = Image.fromarray(pixels).resize(resized, getattr(Image.Resampling, interpolation.upper()))
    assert np.array_equal(found, np.asarray(whole)[top : top + size, left : left + size])


@pytest.mark.parametrize(("width", "left"), [(227, 1), (229, 2), (230, 3)])
def test_half_a_pixel_may_be_rounded_down_before_the_cut(width, left):
    pixels = noise(width, 224)

    found = fit_whole_pixels(pixels, 224, 1.0, offset="floor")

    assert np.array_equal(found, pixels[:, left : left + 224])


def test_a_squashed_picture_shows_all_of_it():
    pixels = noise(500, 375)

    found = fit_whole_pixels(pixels, 224, 1.0, squash=True)

    assert np.array_equal(
        found, np.asarray(Image.fromarray(pixels).resize((224, 224), Image.Resampling.BICUBIC))
    )


def test_a_squashed_picture_is_cut_after_it_was_resized():
    pixels = noise(500, 375)

    found = fit_whole_pixels(pixels, 224, 0.875, squash=True)

    whole = np.asarray(Image.fromarray(pixels).resize((256, 256), Image.Resampling.BICUBIC))
    assert np.array_equal(found, whole[16:240, 16:240])


def test_a_part_of_a_picture_is_seen_like_a_picture_of_its_own():
    pixels = noise(500, 375)

    found = fit_whole_pixels(pixels, 64, 1.0, box=(100, 50, 300, 150))

    assert np.array_equal(found, fit_whole_pixels(pixels[50:150, 100:300], 64, 1.0))


def test_of_a_picture_that_was_reduced_the_original_decides_the_proportions():
    pixels = noise(126, 94)  # a quarter of 501 x 375, rounded up

    found = fit_whole_pixels(pixels, 64, 1.0, box=(0, 0, 125.25, 93.75), original=(501, 375))

    whole = Image.fromarray(pixels).resize((85, 64), Image.Resampling.BICUBIC, box=(0, 0, 125.25, 93.75))
    assert np.array_equal(found, np.asarray(whole)[:, 10:74])


@pytest.mark.parametrize("shape", [(1, 20000, 3), (20000, 1, 3)])
def test_of_a_line_only_the_middle_is_resized(shape):
    pixels = np.zeros(shape, np.uint8)
    pixels.reshape(-1, 3)[9992:10008] = 200

    found = fit_whole_pixels(pixels, 64, 1.0)

    assert found.shape == (64, 64, 3)
    assert found.min() == found.max() == 200

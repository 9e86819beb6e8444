"""The fast path of JPEG, fitting to the model, and thumbnails."""

from __future__ import annotations

import io
import math
from functools import lru_cache

import numpy as np
import pytest
import simplejpeg
from hypothesis import example, given
from hypothesis import strategies as st
from pictures import (
    FLOWERS,
    UPRIGHT,
    encoded,
    exif_block,
    gradient,
    mean_difference,
    quadrants,
    quadrants_of,
    quick,
    with_segment,
)
from PIL import Image, ImageOps

from lookalike.demo.flowers import draw_flower
from lookalike.images.decoding import decode, load
from lookalike.images.fit import fit
from lookalike.images.picture import Picture
from lookalike.images.thumbnail import thumbnail
from lookalike.models.model import LoadedModel
from lookalike.models.spec import ModelSpec

# The fast path of JPEG


@quick
@given(st.integers(16, 600), st.integers(16, 600), st.integers(1, 400))
@example(4000, 3000, 224)
@example(448, 448, 224)
@example(447, 447, 224)
def test_a_jpeg_is_decoded_at_the_smallest_eighth_that_covers_the_wanted_size(
    width: int, height: int, cover_px: int
) -> None:
    data = simplejpeg.encode_jpeg(np.zeros((height, width, 1), np.uint8), colorspace="GRAY")
    sizes = [(math.ceil(height * eighth / 8), math.ceil(width * eighth / 8)) for eighth in range(1, 9)]
    expected = next((size for size in sizes if min(size) >= cover_px), (height, width))
    picture = decode(data, cover_px)
    assert picture.pixels.shape == (*expected, 3)
    assert (picture.width, picture.height) == (width, height)


def seen(image: bytes | np.ndarray) -> np.ndarray:
    """The 224 px square that a model is given of a picture."""
    batches = []

    def features(pixels: np.ndarray) -> np.ndarray:
        batches.append(pixels)
        return np.ones((1, 1), np.float32)

    LoadedModel(ModelSpec("sees", "0" * 64, dim=1, size_px=224, crop=1.0), features).embed([image])
    return np.asarray(batches[0][0])


@pytest.mark.slow
@pytest.mark.parametrize("orientation", UPRIGHT)
@pytest.mark.parametrize("size", [(496, 376), (500, 375), (375, 500), (1021, 681)], ids=str)
def test_a_model_sees_a_reduced_jpeg_in_the_place_where_it_sees_the_whole_one(
    size: tuple[int, int], orientation: int
) -> None:
    rows, columns = np.mgrid[0 : size[1], 0 : size[0]] / min(size)
    waves = 127.5 + 100 * np.sin(rows * 100) * np.sin(columns * 100)  # 16 periods a side
    data = encoded(Image.fromarray(waves.astype(np.uint8)), "JPEG", quality=95, exif=exif_block(orientation))
    whole = ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB")
    assert min(decode(data, cover_px=224).pixels.shape[:2]) < min(size)
    assert mean_difference(seen(data), seen(np.asarray(whole))) < 2


needs_flowers = pytest.mark.skipif(
    not FLOWERS.is_dir(), reason="the photographs of shared/data/flowers are not here"
)


@lru_cache
def fast_path_differences(size: tuple[int, int]) -> list[float]:
    """Of every 50th photograph at a size: how far what a model sees is from a full decode by Pillow."""
    differences = []
    for path in sorted(FLOWERS.iterdir())[::50]:
        large = Image.open(path).convert("RGB").resize(size, Image.Resampling.BICUBIC)
        data = encoded(large, "JPEG", quality=90)
        differences.append(mean_difference(seen(data), seen(np.asarray(Image.open(io.BytesIO(data))))))
    assert len(differences) >= 5
    return differences


@needs_flowers
@pytest.mark.parametrize("size", [(1200, 900), (500, 375), (1024, 683)], ids=str)
def test_the_fast_path_sees_photographs_within_3_grey_levels_of_a_full_decode(size: tuple[int, int]) -> None:
    differences = fast_path_differences(size)
    assert sum(differences) / len(differences) < 3


@needs_flowers
@pytest.mark.parametrize("size", [(1200, 900), (500, 375), (1024, 683)], ids=str)
def test_the_fast_path_sees_each_single_photograph_within_4_grey_levels_of_a_full_decode(
    size: tuple[int, int],
) -> None:
    assert max(fast_path_differences(size)) < 4


# Fitting to the model


def bicubic(x: float) -> float:
    """Keys' kernel with a = -0.5, which is Pillow's."""
    x = abs(x)
    if x < 1:
        return 1.5 * x**3 - 2.5 * x**2 + 1
    return -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2 if x < 2 else 0.0


def slow_resize(line: np.ndarray, start: float, length: float, size: int) -> np.ndarray:
    """(n, ...) to (size, ...): each output is the mean of its inputs, weighted by the widened kernel."""
    scale = length / size
    widened = max(scale, 1.0)
    outputs = []
    for i in range(size):
        center = start + (i + 0.5) * scale
        weights = np.array([bicubic((x + 0.5 - center) / widened) for x in range(len(line))])
        outputs.append(np.tensordot(weights / weights.sum(), line, axes=1))
    return np.clip(np.rint(outputs), 0, 255)


@pytest.mark.parametrize("crop", [1.0, 0.875, 0.5])
@pytest.mark.parametrize("height, width", [(20, 20), (31, 50), (50, 31), (7, 5), (16, 90)])
def test_fit_takes_the_central_square_and_resizes_it_as_a_slow_loop_does(
    height: int, width: int, crop: float
) -> None:
    # No extremes: with them the result would depend on where between the two passes values are cut off.
    pixels = np.random.default_rng(0).integers(64, 192, (height, width, 3), np.uint8)
    side = min(height, width) * crop
    wide = slow_resize(pixels.transpose(1, 0, 2), (width - side) / 2, side, 16).transpose(1, 0, 2)
    expected = slow_resize(wide, (height - side) / 2, side, 16)
    assert np.abs(fit(pixels, 16, crop).astype(int) - expected).max() <= 2


def test_fit_of_whole_boxes_is_a_crop_and_a_resize() -> None:
    smooth = gradient(300, 200)
    fitted = fit(np.asarray(smooth), 50, 0.5)
    expected = smooth.crop((100, 50, 200, 150)).resize((50, 50), Image.Resampling.BICUBIC)
    assert np.abs(fitted.astype(int) - np.asarray(expected))[2:-2, 2:-2].max() <= 1
    assert np.abs(fitted.astype(int) - np.asarray(expected)).max() <= 3  # the edge sees beyond the box


def test_fit_of_a_picture_of_the_wanted_size_changes_no_pixel() -> None:
    pixels = np.asarray(gradient(32, 32))
    np.testing.assert_array_equal(fit(pixels, 32, 1.0), pixels)


@quick
@given(st.integers(1, 300), st.integers(1, 300), st.integers(1, 64), st.floats(0.05, 1.0))
def test_fit_of_any_picture_of_one_color_is_a_square_of_that_color(
    height: int, width: int, size_px: int, crop: float
) -> None:
    fitted = fit(np.full((height, width, 3), (9, 99, 199), np.uint8), size_px, crop)
    assert fitted.shape == (size_px, size_px, 3)
    assert np.abs(fitted.astype(int) - (9, 99, 199)).max() <= 1


# Thumbnails


def opened(jpeg: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(jpeg))
    assert image.format == "JPEG"
    return image


@quick
@given(st.integers(1, 1500), st.integers(1, 1500))
@example(256, 256)
@example(257, 1)
@example(1, 5000)
def test_a_thumbnail_keeps_the_ratio_within_256_pixels_and_is_never_enlarged(width: int, height: int) -> None:
    small = opened(thumbnail(load(np.zeros((height, width), np.uint8), cover_px=224)))
    longest = max(width, height)
    expected = [side if longest <= 256 else max(1, side * 256 / longest) for side in (width, height)]
    assert small.size == pytest.approx(expected, abs=0.5)


def test_a_thumbnail_looks_like_its_picture() -> None:
    picture = decode(encoded(quadrants(1200, 900, "rgby"), "PNG"), cover_px=224)
    small = opened(thumbnail(picture))
    assert small.size == (256, 192)
    assert quadrants_of(np.asarray(small)) == "rgby"


@pytest.mark.parametrize("cover_px", [224, 2000])
def test_the_thumbnail_of_a_large_jpeg_is_256_pixels_whatever_the_model_needs(cover_px: int) -> None:
    data = encoded(gradient(1200, 900), "JPEG")
    assert opened(thumbnail(decode(data, cover_px))).size == (256, 192)


def test_the_thumbnail_of_a_rotated_photograph_is_upright_without_exif() -> None:
    data = encoded(quadrants(64, 32, "rgby"), "JPEG", exif=exif_block(6))
    small = opened(thumbnail(decode(data, cover_px=32)))
    assert small.size == (32, 64)
    assert quadrants_of(np.asarray(small)) == UPRIGHT[6]
    assert dict(small.getexif()) == {}


def test_a_small_jpeg_is_its_own_thumbnail_byte_for_byte() -> None:
    data = encoded(gradient(256, 200), "JPEG")
    assert thumbnail(decode(data, cover_px=224)) == data


@pytest.mark.parametrize(("more_bytes", "is_kept"), [(0, True), (1, False)])
def test_a_jpeg_is_its_own_thumbnail_up_to_a_number_of_bytes(
    monkeypatch: pytest.MonkeyPatch, more_bytes: int, is_kept: bool
) -> None:
    data = encoded(gradient(256, 200), "JPEG", quality=100)
    monkeypatch.setattr("lookalike.images.jpeg._PASS_THROUGH_BYTES", len(data) - more_bytes)
    assert (thumbnail(decode(data, cover_px=224)) == data) == is_kept


def test_a_jpeg_of_few_pixels_and_many_bytes_is_encoded_again() -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (256, 256, 3), np.uint8))
    data = encoded(noise, "JPEG", quality=98)
    assert len(thumbnail(decode(data, cover_px=224))) < len(data) / 2


def test_a_small_jpeg_above_the_wanted_size_is_encoded_again() -> None:
    data = encoded(gradient(257, 10), "JPEG")
    assert opened(thumbnail(decode(data, cover_px=224))).size == (256, 10)


@pytest.mark.parametrize(
    "marker, block",
    [
        pytest.param(0xE1, exif_block(1) + b"GPS: 48.8584 N, 2.2945 E", id="EXIF"),
        pytest.param(0xE1, b"Exif\x00\x00 not EXIF, GPS: 48.8584 N, 2.2945 E", id="damaged EXIF"),
        pytest.param(0xE1, b"http://ns.adobe.com/xap/1.0/\x00<x>GPS: 48.8584 N, 2.2945 E</x>", id="XMP"),
        pytest.param(
            0xED,
            b"Photoshop 3.0\x008BIM\x04\x04\0\0\0\0\0\x1d\x1c\x02\x5a\0\x18GPS: 48.8584 N, 2.2945 E\0",
            id="IPTC",
        ),
    ],
)
def test_what_a_jpeg_tells_of_its_place_is_never_in_its_thumbnail(marker: int, block: bytes) -> None:
    data = with_segment(encoded(gradient(), "JPEG"), marker, block)
    picture = decode(data, cover_px=20)
    small = thumbnail(picture)
    assert opened(small).size == (24, 20)
    assert b"GPS" in data
    assert b"GPS" not in small


@pytest.mark.parametrize(
    ("width", "by"),
    [(283, "OpenCV"), (383, "OpenCV"), (385, "Pillow"), (460, "Pillow"), (461, "OpenCV"), (768, "Pillow")],
)
def test_opencv_makes_thumbnails_as_good_as_pillow_does(
    monkeypatch: pytest.MonkeyPatch, width: int, by: str
) -> None:
    pytest.importorskip("cv2")
    whole = draw_flower("daisy", 1)
    pixels = np.asarray(whole.resize((width, width), Image.Resampling.LANCZOS))
    wanted = np.asarray(Image.fromarray(pixels).resize((256, 256), Image.Resampling.LANCZOS), int)
    picture = Picture(pixels, width, width)
    with_opencv = np.asarray(opened(thumbnail(picture)), int)
    monkeypatch.setattr("lookalike.images.thumbnail._opencv", lambda: None)
    without = np.asarray(opened(thumbnail(picture)), int)
    assert ("Pillow" if (with_opencv == without).all() else "OpenCV") == by
    assert np.square(with_opencv - wanted).mean() < 1.1 * np.square(without - wanted).mean()


def test_stripes_finer_than_the_pixels_of_a_thumbnail_become_grey() -> None:
    stripes = np.repeat(np.arange(500) % 2 * 255, 375 * 3).reshape(500, 375, 3).transpose(1, 0, 2)
    small = np.asarray(opened(thumbnail(load(np.ascontiguousarray(stripes, np.uint8), cover_px=224))), int)
    assert np.abs(small - 127)[4:-4, 4:-4].max() < 40


def test_a_thumbnail_of_a_picture_made_by_hand_needs_no_encoded_bytes() -> None:
    assert opened(thumbnail(Picture(np.zeros((4, 6, 3), np.uint8), 6, 4))).size == (6, 4)

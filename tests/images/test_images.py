"""Every format to upright RGB pixels: formats, colours, orientation, other forms of input."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pictures import (
    BLUE,
    FORMATS,
    GREEN,
    RED,
    UPRIGHT,
    WHITE,
    encoded,
    exif_block,
    first_pixel,
    gradient,
    mean_difference,
    png,
    png_chunk,
    quadrants,
    quadrants_of,
    quick,
    sample_file,
    with_segment,
)
from PIL import Image, ImageOps

from lookalike.errors import ImageError
from lookalike.images.decoding import decode, load
from lookalike.images.fit import fit
from lookalike.images.thumbnail import thumbnail

# Formats and colours


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_decodes_to_what_pillow_decodes(name: str) -> None:
    data = sample_file(name)
    picture = decode(data, cover_px=20)
    expected = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    assert (picture.width, picture.height) == (24, 20)
    assert picture.pixels.dtype == np.uint8
    assert mean_difference(picture.pixels, expected) <= (3 if name in ("jpeg", "progressive jpeg") else 0)


@pytest.mark.parametrize("name", FORMATS)
def test_the_bytes_decide_the_format_and_not_the_name(name: str, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(sample_file(name))
    from_path = load(tmp_path / "a.txt", cover_px=20)
    np.testing.assert_array_equal(from_path.pixels, decode(sample_file(name), cover_px=20).pixels)


@pytest.mark.parametrize("format_", ["GIF", "WEBP", "PNG", "TIFF", "AVIF"])
def test_of_an_animation_or_a_document_the_first_picture_is_taken(format_: str) -> None:
    frames = [Image.new("RGB", (8, 8), color) for color in (RED, BLUE, GREEN)]
    data = encoded(frames[0], format_, save_all=True, append_images=frames[1:])
    assert np.abs(decode(data, cover_px=8).pixels.astype(int) - RED).max() <= 3


def test_a_cmyk_jpeg_has_the_right_colors() -> None:
    data = encoded(Image.new("CMYK", (16, 16), (0, 255, 255, 0)), "JPEG", quality=95)
    assert np.abs(decode(data, cover_px=16).pixels.astype(int) - RED).max() <= 3


def test_a_jpeg_that_stores_rgb_has_the_right_colors() -> None:
    data = encoded(Image.new("RGB", (16, 16), (200, 30, 60)), "JPEG", quality=95, keep_rgb=True)
    assert np.abs(decode(data, cover_px=16).pixels.astype(int) - (200, 30, 60)).max() <= 3


def test_a_grey_jpeg_gives_three_equal_channels() -> None:
    pixels = decode(encoded(Image.new("L", (16, 16), 77), "JPEG"), cover_px=16).pixels
    assert pixels.shape == (16, 16, 3)
    assert np.abs(pixels.astype(int) - 77).max() <= 1


@pytest.mark.parametrize(
    "depth, color_type, row, extra, color",
    [
        pytest.param(1, 0, b"\x80", b"", WHITE, id="1-bit grey"),
        pytest.param(2, 0, b"\x40", b"", (85, 85, 85), id="2-bit grey"),
        pytest.param(8, 0, b"\x4d", b"", (77, 77, 77), id="8-bit grey"),
        pytest.param(16, 0, b"\x80\x80", b"", (128, 128, 128), id="16-bit grey"),
        pytest.param(16, 0, b"\x00\x64", b"", (0, 0, 0), id="16-bit grey, dark, is not stretched"),
        pytest.param(8, 2, b"\x01\x02\x03", b"", (1, 2, 3), id="8-bit RGB"),
        pytest.param(16, 2, b"\x80\x80\xff\xff\x12\x12", b"", (128, 255, 18), id="16-bit RGB"),
        pytest.param(8, 3, b"\x01", png_chunk(b"PLTE", b"\1\2\3\4\5\6"), (4, 5, 6), id="palette"),
        pytest.param(8, 6, b"\x00\x00\xff\x80", b"", (127, 127, 255), id="RGBA, half transparent"),
        pytest.param(8, 6, b"\x09\x09\x09\x00", b"", WHITE, id="RGBA, transparent"),
        pytest.param(8, 6, b"\x09\x08\x07\xff", b"", (9, 8, 7), id="RGBA, opaque"),
        pytest.param(8, 4, b"\x00\x80", b"", (127, 127, 127), id="grey with alpha"),
        pytest.param(16, 4, b"\x00\x00\x80\x80", b"", (127, 127, 127), id="16-bit grey with alpha"),
        pytest.param(16, 6, b"\x00\x00" * 3 + b"\x80\x80", b"", (127, 127, 127), id="16-bit RGBA"),
        pytest.param(
            8,
            3,
            b"\x00",
            png_chunk(b"PLTE", b"\1\2\3") + png_chunk(b"tRNS", b"\x00"),
            WHITE,
            id="palette with transparency",
        ),
        pytest.param(8, 0, b"\x07", png_chunk(b"tRNS", b"\x00\x07"), WHITE, id="grey with transparency"),
        pytest.param(8, 2, b"\1\2\3", png_chunk(b"tRNS", b"\0\1\0\2\0\3"), WHITE, id="RGB with transparency"),
    ],
)
def test_a_png_of_any_kind_has_the_right_color(
    depth: int, color_type: int, row: bytes, extra: bytes, color: tuple[int, int, int]
) -> None:
    assert first_pixel(png((1, 1), depth, color_type, b"\x00" + row, extra)) == pytest.approx(color, abs=1)


def test_what_is_white_and_transparent_lies_on_grey() -> None:
    logo = Image.new("RGBA", (4, 4), (255, 255, 255, 0))
    logo.putpixel((3, 3), (250, 255, 250, 255))
    picture = decode(encoded(logo, "PNG"), 4)
    assert picture.pixels[0, 0].tolist() == [128, 128, 128]
    assert picture.pixels[3, 3].tolist() == [250, 255, 250]


def test_a_transparent_gif_lies_on_white() -> None:
    image = Image.new("P", (4, 4), 1)
    image.putpalette([10, 20, 30, 200, 0, 0])
    assert first_pixel(encoded(image, "GIF", transparency=1)) == WHITE
    assert first_pixel(encoded(image, "GIF", transparency=0)) == (200, 0, 0)


def test_a_float_tiff_is_stretched_over_its_range() -> None:
    values = np.array([[-2.0, 0.0], [1.0, 2.0]], np.float32)
    pixels = decode(encoded(Image.fromarray(values), "TIFF"), cover_px=2).pixels
    assert pixels[:, :, 0].tolist() == [[0, 128], [191, 255]]


@pytest.mark.parametrize("size", [(1, 1), (1, 5000), (5000, 1)])
@pytest.mark.parametrize("format_", ["PNG", "JPEG"])
def test_the_thinnest_pictures_are_pictures(size: tuple[int, int], format_: str) -> None:
    picture = decode(encoded(Image.new("RGB", size, (10, 200, 30)), format_, quality=95), cover_px=224)
    assert (picture.width, picture.height) == size
    fitted = fit(picture.pixels, 224, 0.875)
    assert fitted.shape == (224, 224, 3)
    assert np.abs(fitted.astype(int) - (10, 200, 30)).max() <= 3
    small = Image.open(io.BytesIO(thumbnail(picture)))
    assert small.size == tuple(min(side, 256) for side in size)


# EXIF orientation


@pytest.mark.parametrize("orientation", UPRIGHT)
@pytest.mark.parametrize("format_", ["JPEG", "PNG", "TIFF", "WEBP", "AVIF"])
def test_each_exif_orientation_is_undone(format_: str, orientation: int) -> None:
    data = encoded(quadrants(64, 32, "rgby"), format_, exif=exif_block(orientation))
    picture = decode(data, cover_px=32)
    assert quadrants_of(picture.pixels) == UPRIGHT[orientation]
    assert (picture.width, picture.height) == ((64, 32) if orientation < 5 else (32, 64))


@pytest.mark.parametrize("orientation", UPRIGHT)
def test_each_exif_orientation_is_undone_on_a_picture_reduced_while_decoding(orientation: int) -> None:
    data = encoded(quadrants(640, 320, "rgby"), "JPEG", exif=exif_block(orientation))
    picture = decode(data, cover_px=40)
    assert sorted(picture.pixels.shape[:2]) == [40, 80]
    assert quadrants_of(picture.pixels) == UPRIGHT[orientation]
    assert (picture.width, picture.height) == ((640, 320) if orientation < 5 else (320, 640))


@pytest.mark.parametrize("orientation", range(10))
def test_an_oriented_png_has_the_very_pixels_of_pillows_exif_transpose(orientation: int) -> None:
    data = encoded(gradient(), "PNG", exif=exif_block(orientation))
    expected = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    np.testing.assert_array_equal(decode(data, cover_px=20).pixels, np.asarray(expected))


@pytest.mark.parametrize("orientation", range(10))
def test_an_oriented_jpeg_has_about_the_pixels_of_pillows_exif_transpose(orientation: int) -> None:
    data = encoded(gradient(48, 40), "JPEG", quality=95, exif=exif_block(orientation))
    expected = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    assert mean_difference(decode(data, cover_px=40).pixels, np.asarray(expected)) < 3


@pytest.mark.parametrize("orientation", [0, 9, 65535])
@pytest.mark.parametrize("format_", ["JPEG", "PNG"])
def test_an_orientation_that_exif_does_not_know_changes_nothing(format_: str, orientation: int) -> None:
    picture = decode(encoded(gradient(), format_, exif=exif_block(orientation)), cover_px=20)
    assert picture.pixels.shape == (20, 24, 3)
    assert (picture.width, picture.height) == (24, 20)


def test_exif_behind_a_long_colour_profile_is_found() -> None:
    data = encoded(quadrants(64, 32, "rgby"), "JPEG")
    data = with_segment(data, 0xE1, exif_block(6))
    for number in range(5):
        data = with_segment(data, 0xE2, b"ICC_PROFILE\x00" + bytes((5 - number, 5)) + bytes(65_000))
    assert quadrants_of(decode(data, cover_px=32).pixels) == UPRIGHT[6]


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@quick
@given(st.binary(max_size=60), st.sampled_from([b"", b"II*\x00", b"MM\x00*", b"II*\x00\x08\x00\x00\x00"]))
@example(b"\x01\x00\x12\x01\x03\x00\xff\xff\xff\xff\xff\xff\xff\xff", b"II*\x00\x08\x00\x00\x00")
def test_a_wrong_exif_block_does_not_cost_the_picture(garbage: bytes, start: bytes) -> None:
    data = with_segment(sample_file("jpeg"), 0xE1, b"Exif\x00\x00" + start + garbage)
    assert sorted(decode(data, cover_px=20).pixels.shape) == [3, 20, 24]


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@pytest.mark.parametrize("format_", ["PNG", "WEBP", "AVIF"])
def test_a_wrong_exif_block_does_not_cost_a_picture_of_another_format(format_: str) -> None:
    data = encoded(gradient(), format_, exif=b"Exif\x00\x00MM\x00*garbage garbage")
    assert decode(data, cover_px=20).pixels.shape == (20, 24, 3)


@pytest.mark.parametrize(
    "marker, payload",
    [(0xE0, b"JFIF"), (0xE2, b"ICC_PROFILE\x00"), (0xE2, b"MPF\x00junk"), (0xEE, b"Adobe\x00")],
    ids=["JFIF", "colour profile", "several pictures", "Adobe"],
)
@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
def test_a_wrong_block_beside_the_exif_does_not_cost_the_picture(marker: int, payload: bytes) -> None:
    data = with_segment(encoded(quadrants(64, 32, "rgby"), "JPEG"), marker, payload)
    assert quadrants_of(decode(data, cover_px=32).pixels) == "rgby"  # no EXIF: the damage does not matter
    data = with_segment(data, 0xE1, exif_block(6))
    assert quadrants_of(decode(data, cover_px=32).pixels) == UPRIGHT[6]


def test_a_wrong_exif_block_of_a_jpeg_is_passed_over_without_a_warning() -> None:
    data = with_segment(sample_file("jpeg"), 0xE1, b"Exif\x00\x00MM\x00*garbage garbage")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        decode(data, cover_px=20)
    assert [str(one.message) for one in caught] == []


# Paths, arrays and Pillow images


@pytest.mark.parametrize(
    "name, reason",
    [("nope.jpg", "No such file or directory"), ("folder.jpg", "Is a directory"), ("a\0b.jpg", "null byte")],
)
def test_a_path_that_cannot_be_read_is_an_image_error_with_the_path_and_the_reason(
    name: str, reason: str, tmp_path: Path
) -> None:
    (tmp_path / "folder.jpg").mkdir()
    with pytest.raises(ImageError) as caught:
        load(f"{tmp_path}/{name}", cover_px=20)
    assert name in str(caught.value)
    assert reason in str(caught.value)


def test_the_error_of_a_file_names_it_and_keeps_the_hint(tmp_path: Path) -> None:
    (tmp_path / "big.png").write_bytes(png((2000, 1000), 8, 0, b""))
    with pytest.raises(ImageError) as caught:
        load(str(tmp_path / "big.png"), cover_px=20, max_megapixels=1)
    assert caught.value.message == f"{tmp_path}/big.png: 2 megapixels, the limit is 1"
    assert caught.value.hint == "raise `max_megapixels`"


@pytest.mark.parametrize(
    "array, color",
    [
        (np.full((3, 4), 7, np.uint8), (7, 7, 7)),
        (np.full((3, 4, 1), 7, np.uint8), (7, 7, 7)),
        (np.full((3, 4, 3), (1, 2, 3), np.uint8), (1, 2, 3)),
        (np.full((3, 4, 4), (1, 2, 3, 255), np.uint8), (1, 2, 3)),
        (np.full((3, 4, 4), (1, 2, 3, 0), np.uint8), WHITE),
        (np.full((3, 8, 6), (1, 9, 2, 9, 3, 9), np.uint8)[:, ::2, ::2], (1, 2, 3)),
    ],
    ids=["(H, W)", "(H, W, 1)", "(H, W, 3)", "(H, W, 4)", "(H, W, 4) transparent", "not contiguous"],
)
def test_an_array_is_a_picture(array: np.ndarray, color: tuple[int, int, int]) -> None:
    picture = load(array, cover_px=224)
    assert (picture.width, picture.height) == (4, 3)
    assert picture.pixels.tolist() == [[list(color)] * 4] * 3


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((3, 4, 3), np.float32),
        np.zeros((3, 4, 3), np.int64),
        np.zeros((3, 4), bool),
        np.zeros((3, 4, 2), np.uint8),
        np.zeros((3, 4, 5), np.uint8),
        np.zeros(4, np.uint8),
        np.zeros((1, 3, 4, 3), np.uint8),
        np.zeros((0, 4, 3), np.uint8),
        np.zeros((3, 0), np.uint8),
    ],
    ids=lambda array: f"{array.dtype}{array.shape}",
)
def test_an_array_of_another_type_or_shape_is_an_error_that_names_them(array: np.ndarray) -> None:
    with pytest.raises(ImageError) as caught:
        load(array, cover_px=224)
    assert f"not {array.dtype} {array.shape}" in str(caught.value)


def test_the_pixels_of_an_array_are_a_copy() -> None:
    array = np.zeros((2, 2, 3), np.uint8)
    picture = load(array, cover_px=2)
    array[:] = 9
    assert picture.pixels.max() == 0


@pytest.mark.parametrize(
    "image, color",
    [
        (Image.new("1", (2, 2), 1), WHITE),
        (Image.new("L", (2, 2), 77), (77, 77, 77)),
        (Image.new("RGB", (2, 2), (1, 2, 3)), (1, 2, 3)),
        (Image.new("RGBA", (2, 2), (0, 0, 255, 128)), (127, 127, 255)),
        (Image.new("LA", (2, 2), (0, 128)), (127, 127, 127)),
        (Image.new("RGBA", (2, 2), (0, 0, 255, 0)).convert("RGBa"), WHITE),
        (Image.new("RGB", (2, 2), RED).convert("P"), RED),
        (Image.new("CMYK", (2, 2), (0, 255, 255, 0)), RED),
        (Image.new("RGB", (2, 2), RED).convert("HSV"), RED),
        (Image.new("I;16", (2, 2), 0x8080), (128, 128, 128)),
        (Image.new("I", (2, 2), 65535), WHITE),
        (Image.new("I", (2, 2), 200), (200, 200, 200)),
        (Image.new("F", (2, 2), 200.0), (200, 200, 200)),
    ],
    ids=lambda value: value.mode if isinstance(value, Image.Image) else None,
)
def test_a_pillow_image_of_any_mode_has_the_right_color(
    image: Image.Image, color: tuple[int, int, int]
) -> None:
    assert first_pixel(image) == pytest.approx(color, abs=1)


def test_a_rotated_photograph_that_pillow_opened_is_seen_as_its_file_is(tmp_path: Path) -> None:
    path = tmp_path / "phone.jpg"
    path.write_bytes(encoded(quadrants(64, 32, "rgby"), "JPEG", exif=exif_block(6)))
    with Image.open(path) as image:
        assert quadrants_of(load(image, cover_px=32).pixels) == quadrants_of(load(path, cover_px=32).pixels)


def test_a_truncated_file_that_pillow_opened_is_an_image_error() -> None:
    image = Image.open(io.BytesIO(sample_file("png")[:90]))
    with pytest.raises(ImageError):
        load(image, cover_px=20)


def test_a_pillow_image_without_pixels_is_an_image_error() -> None:
    with pytest.raises(ImageError):
        load(Image.new("RGB", (0, 5)), cover_px=20)

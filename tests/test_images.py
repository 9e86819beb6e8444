"""Bytes to pixels: every format and every kind of damage, against known colours and other decoders."""

from __future__ import annotations

import io
import math
import shutil
import struct
import time
import tracemalloc
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import simplejpeg
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import EpsImagePlugin, ExifTags, Image, ImageOps

from lookalike.errors import ImageError
from lookalike.images import Picture, decode, fit, load, thumbnail
from lookalike.models import Model, ModelSpec

FLOWERS = Path(__file__).parents[2] / "shared" / "data" / "flowers"
RED, GREEN, BLUE, YELLOW, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0), (255, 255, 255)

quick = settings(max_examples=50, deadline=None, database=None)

# Every format that the issue asks for, small and with a gradient, so that a missing part shows.
FORMATS = {
    "jpeg": ("JPEG", {"quality": 90}),
    "progressive jpeg": ("JPEG", {"quality": 90, "progressive": True}),
    "png": ("PNG", {}),
    "webp": ("WEBP", {}),
    "lossless webp": ("WEBP", {"lossless": True}),
    "gif": ("GIF", {}),
    "tiff": ("TIFF", {}),
    "lzw tiff": ("TIFF", {"compression": "tiff_lzw"}),
    "deflate tiff": ("TIFF", {"compression": "tiff_adobe_deflate"}),
    "jpeg tiff": ("TIFF", {"compression": "jpeg"}),
    "bmp": ("BMP", {}),
    "avif": ("AVIF", {}),
    "ppm": ("PPM", {}),
}


def encoded(image: Image.Image, format_: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, format_, **options)
    return file.getvalue()


def gradient(width: int = 24, height: int = 20) -> Image.Image:
    rows, columns = np.mgrid[0:height, 0:width]
    channels = [columns * 255 // width, rows * 255 // height, (rows + columns) * 255 // (width + height)]
    return Image.fromarray(np.stack(channels, axis=-1).astype(np.uint8))


def sample_file(name: str) -> bytes:
    format_, options = FORMATS[name]
    return encoded(gradient(), format_, **options)


def quadrants(width: int, height: int, colors: str) -> Image.Image:
    """Four blocks of colour; `colors` names them from the top left to the bottom right."""
    palette = {"r": RED, "g": GREEN, "b": BLUE, "y": YELLOW}
    image = Image.new("RGB", (width, height))
    for index, name in enumerate(colors):
        column, row = index % 2, index // 2
        image.paste(palette[name], (column * width // 2, row * height // 2, (column + 1) * width, height))
    return image


def quadrants_of(pixels: np.ndarray) -> str:
    """The inverse of `quadrants`, read in the middle of each block."""
    height, width = pixels.shape[:2]
    names = {(1, 0, 0): "r", (0, 1, 0): "g", (0, 0, 1): "b", (1, 1, 0): "y"}
    return "".join(
        names[tuple((pixels[height * row // 4, width * column // 4] > 127).astype(int).tolist())]
        for row in (1, 3)
        for column in (1, 3)
    )


def exif_block(orientation: int) -> bytes:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    return exif.tobytes()


def with_segment(jpeg: bytes, marker: int, payload: bytes) -> bytes:
    """The JPEG with one more segment, as its first."""
    return jpeg[:2] + bytes((0xFF, marker)) + struct.pack(">H", len(payload) + 2) + payload + jpeg[2:]


def with_size(jpeg: bytes, width: int, height: int) -> bytes:
    """The baseline JPEG with another size in its header."""
    at = jpeg.index(b"\xff\xc0") + 5
    return jpeg[:at] + struct.pack(">HH", height, width) + jpeg[at + 4 :]


def png(size: tuple[int, int], depth: int, color_type: int, rows: bytes, extra: bytes = b"") -> bytes:
    """A PNG by hand, since Pillow writes few of the kinds that there are."""
    header = struct.pack(">IIBBBBB", *size, depth, color_type, 0, 0, 0)
    data, end = png_chunk(b"IDAT", zlib.compress(rows)), png_chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header) + extra + data + end


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def first_pixel(image: Image.Image | bytes | np.ndarray) -> tuple[int, ...]:
    return tuple(load(image, cover_px=1000).pixels[0, 0].tolist())


def mean_difference(one: np.ndarray, other: np.ndarray) -> float:
    assert one.shape == other.shape
    return float(np.abs(one.astype(int) - other.astype(int)).mean())


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

# The stored picture is "rgby"; by EXIF 2.32, table 6, it is to be seen as this.
UPRIGHT = {1: "rgby", 2: "gryb", 3: "ybgr", 4: "byrg", 5: "rbgy", 6: "bryg", 7: "ygbr", 8: "gyrb"}


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

    Model(ModelSpec("sees", "0" * 64, dim=1, size_px=224, crop=1.0), features).embed([image])
    return np.asarray(batches[0][0])


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


# The limit in megapixels


@pytest.mark.parametrize(
    "data, megapixels",
    [
        pytest.param(png((30_000, 30_000), 8, 2, b""), 900, id="png"),
        pytest.param(with_size(encoded(gradient(), "JPEG"), 65_000, 65_000), 4225, id="jpeg"),
        pytest.param(
            with_size(encoded(Image.new("CMYK", (8, 8)), "JPEG"), 65_000, 65_000), 4225, id="cmyk jpeg"
        ),
        pytest.param(
            b"BM" + struct.pack("<IIIIiiHH24x", 54, 0, 54, 40, 40_000, 40_000, 1, 24), 1600, id="bmp"
        ),
        pytest.param(b"P6 30000 30000 255\n", 900, id="ppm"),
    ],
)
def test_a_header_above_the_limit_is_refused_before_time_or_memory_is_spent(
    data: bytes, megapixels: int
) -> None:
    decode(sample_file("png"), cover_px=20)  # so that Pillow has loaded its plugins
    tracemalloc.start()
    start = time.perf_counter()
    with pytest.raises(ImageError) as caught:
        decode(data, cover_px=224)
    elapsed_s, (_, peak_bytes) = time.perf_counter() - start, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert str(caught.value) == (f"{megapixels} megapixels, the limit is 200; raise it with --max-megapixels")
    assert elapsed_s < 0.5
    assert peak_bytes < 5_000_000


@pytest.mark.parametrize("format_", ["JPEG", "PNG"])
def test_the_limit_is_the_last_size_that_passes(format_: str) -> None:
    data = encoded(Image.new("L", (1000, 500)), format_)
    assert decode(data, cover_px=10, max_megapixels=0.5).width == 1000
    with pytest.raises(ImageError, match=r"the limit is 0\.499"):
        decode(data, cover_px=10, max_megapixels=0.499)


def test_the_message_of_the_limit_never_names_the_limit_itself_as_too_much() -> None:
    data = encoded(Image.new("1", (1001, 1000)), "PNG")
    with pytest.raises(ImageError) as caught:
        decode(data, cover_px=10, max_megapixels=1)
    assert not caught.value.message.startswith("1 megapixels")


def test_a_jpeg_above_pillows_limit_and_below_ours_passes_without_a_warning() -> None:
    assert Image.MAX_IMAGE_PIXELS is not None
    assert Image.MAX_IMAGE_PIXELS < 9500 * 10_000
    data = simplejpeg.encode_jpeg(np.full((9500, 10_000, 1), 50, np.uint8), colorspace="GRAY", fastdct=True)
    picture = decode(with_segment(data, 0xE1, exif_block(6)), cover_px=224)
    assert (picture.width, picture.height) == (9500, 10_000)


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("limit", [300, 100], ids=["where Pillow warns", "where Pillow refuses"])
def test_a_picture_of_any_format_above_pillows_limit_passes_without_a_warning(
    name: str, limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = sample_file(name)  # 480 pixels; Pillow warns above its limit and refuses above twice its limit
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    assert decode(data, cover_px=20).pixels.shape == (20, 24, 3)


def test_pillows_own_limit_is_as_it_was_after_decoding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 12_345)
    decode(sample_file("png"), cover_px=20)
    assert Image.MAX_IMAGE_PIXELS == 12_345
    for data in (b"no picture", sample_file("gif")[:50], sample_file("png")[:50]):
        with pytest.raises(ImageError):
            decode(data, cover_px=20)
        assert Image.MAX_IMAGE_PIXELS == 12_345


def test_pillows_own_limit_is_as_it_was_after_decoding_in_many_threads() -> None:
    before, good = Image.MAX_IMAGE_PIXELS, sample_file("png")

    def attempt(number: int) -> bool:
        try:
            return decode(good if number % 2 else good[:40], cover_px=20).width == 24
        except ImageError:
            return False

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(attempt, range(400))) == [False, True] * 200
    assert before == Image.MAX_IMAGE_PIXELS


# Damage


def cuts(size: int) -> list[int]:
    """About a hundred lengths to cut a file to, every one near its two ends."""
    return sorted({*range(1, 30), *range(1, size, max(1, size // 60)), *range(size - 25, size)})


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@pytest.mark.parametrize("name", FORMATS)
def test_a_truncated_file_is_an_error_and_never_a_half_grey_picture(name: str) -> None:
    data = sample_file(name)
    assert len(data) > 30
    whole = decode(data, cover_px=20).pixels
    refused = 0
    for size in cuts(len(data)):
        try:
            pixels = decode(data[:size], cover_px=20).pixels
        except ImageError:
            refused += 1
        else:
            np.testing.assert_array_equal(pixels, whole, err_msg=f"cut to {size} of {len(data)} bytes")
    assert refused > 20


@pytest.mark.parametrize("name", ["jpeg", "progressive jpeg"])
@pytest.mark.parametrize("reduced", [False, True], ids=["full size", "reduced"])
def test_a_truncated_jpeg_is_an_error_and_not_a_half_grey_picture(name: str, reduced: bool) -> None:
    data = encoded(gradient(640, 480), *FORMATS[name][:1], **FORMATS[name][1])
    for tenth in range(1, 10):
        with pytest.raises(ImageError):
            decode(data[: len(data) * tenth // 10], cover_px=60 if reduced else 480)


@pytest.mark.parametrize("name", ["jpeg", "progressive jpeg"])
@pytest.mark.parametrize(
    "tail", [b"\xff\xd9", bytes(100_000)], ids=["then an end mark", "then zeros, as of a stopped download"]
)
def test_a_jpeg_whose_data_stops_early_is_an_error_and_not_a_half_grey_picture(
    name: str, tail: bytes
) -> None:
    data = encoded(gradient(320, 240), *FORMATS[name][:1], **FORMATS[name][1])
    for tenth in (5, 7, 9):
        with pytest.raises(ImageError):
            decode(data[: len(data) * tenth // 10] + tail, cover_px=240)


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda jpeg: jpeg + b"<!-- a proxy's note -->", id="bytes after the end"),
        pytest.param(
            lambda jpeg: jpeg.replace(b"\xff\xda", b"\0\0\0\xff\xda", 1), id="stray bytes before a marker"
        ),
        pytest.param(lambda jpeg: jpeg[:-2] + b"\0\0\0" + jpeg[-2:], id="stray bytes before the end mark"),
    ],
)
def test_a_jpeg_with_stray_bytes_is_still_the_picture(damage) -> None:  # type: ignore[no-untyped-def]
    data = encoded(gradient(), "JPEG")
    assert mean_difference(decode(damage(data), 20).pixels, decode(data, 20).pixels) < 4


def test_an_empty_file_is_said_to_be_empty(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").touch()
    with pytest.raises(ImageError) as caught:
        load(tmp_path / "a.jpg", cover_px=20)
    assert str(caught.value) == f"{tmp_path}/a.jpg: the file is empty"


@pytest.mark.parametrize(
    "page",
    [b"<!DOCTYPE html><title>404</title>", b"\r\n <html><body>", b"\xef\xbb\xbf<!doctype html>"],
    ids=["doctype", "leading space", "byte order mark"],
)
def test_a_web_page_in_place_of_a_picture_is_said_to_be_one(page: bytes) -> None:
    with pytest.raises(ImageError, match="it is an HTML page"):
        decode(page, cover_px=20)


@pytest.mark.skipif(find_spec("pillow_heif") is not None, reason="HEIC can be read here")
@pytest.mark.parametrize("brand", ["heic", "heix", "heim", "heis", "hevc", "hevx", "mif1", "msf1"])
def test_heic_without_its_extra_is_an_error_that_names_the_extra(brand: str) -> None:
    with pytest.raises(ImageError, match=r"pip install 'lookalike\[heic\]'"):
        decode(b"\x00\x00\x00\x18ftyp" + brand.encode() + b"\x00\x00\x00\x00mif1heic", cover_px=20)


def test_postscript_is_refused_and_ghostscript_is_not_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = tmp_path / "started"
    (tmp_path / "gs").write_text(f"#!/bin/sh\n: > '{started}'\nexit 1\n")
    (tmp_path / "gs").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setattr(EpsImagePlugin, "gs_binary", None)
    assert shutil.which("gs") == str(tmp_path / "gs")
    with pytest.raises(ImageError):
        decode(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n", cover_px=20)
    assert not started.exists()


STARTS = (
    b"",
    b"\xff\xd8\xff",
    b"\x89PNG\r\n\x1a\n",
    b"GIF89a",
    b"RIFF\x40\0\0\0WEBPVP8 ",
    b"II*\0",
    b"BM",
    b"P6 ",
)


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@quick
@given(st.sampled_from(STARTS), st.binary(max_size=200))
def test_random_bytes_are_an_image_error_or_a_picture(start: bytes, rest: bytes) -> None:
    try:
        picture = decode(start + rest, cover_px=20, max_megapixels=1)
    except ImageError as error:
        assert "\n" not in str(error)
    else:
        assert picture.pixels.shape == (picture.height, picture.width, 3)


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@settings(quick, max_examples=150)
@given(
    st.sampled_from(list(FORMATS)),
    st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=8),
)
def test_a_file_with_wrong_bytes_is_an_image_error_or_a_picture(
    name: str, changes: list[tuple[float, int]]
) -> None:
    data = bytearray(sample_file(name))
    for where, value in changes:
        data[int(where**2 * len(data))] = value  # more often near the start, where the headers are
    try:
        picture = decode(bytes(data), cover_px=20, max_megapixels=1)
    except ImageError:
        return
    assert fit(picture.pixels, 8, 1.0).shape == (8, 8, 3)
    assert thumbnail(picture)[:2] == b"\xff\xd8"


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
    assert caught.value.hint == "raise it with --max-megapixels"


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


def test_a_thumbnail_of_a_picture_made_by_hand_needs_no_encoded_bytes() -> None:
    assert opened(thumbnail(Picture(np.zeros((4, 6, 3), np.uint8), 6, 4))).size == (6, 4)

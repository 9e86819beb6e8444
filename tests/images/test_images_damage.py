"""Pictures that are too large or damaged."""

from __future__ import annotations

import shutil
import struct
import time
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import simplejpeg
from hypothesis import given
from hypothesis import strategies as st
from pictures import (
    FORMATS,
    encoded,
    exif_block,
    gradient,
    mean_difference,
    png,
    quick,
    refused_or_read,
    sample_file,
    with_segment,
    with_size,
)
from PIL import EpsImagePlugin, Image

from lookalike.errors import ImageError
from lookalike.images.decoding import decode, load
from lookalike.images.fit import fit
from lookalike.images.thumbnail import thumbnail

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
    assert str(caught.value) == (f"{megapixels} megapixels, the limit is 200; raise `max_megapixels`")
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
def test_heic_without_its_extra_is_an_error_that_says_what_to_install(brand: str) -> None:
    with pytest.raises(ImageError, match=r"HEIC, which needs pillow-heif\); .* -m pip install 'pillow-heif"):
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
    refused_or_read(start + rest)


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@quick
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

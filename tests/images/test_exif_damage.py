"""Damaged EXIF costs no picture and no time, and a thumbnail carries none."""

from __future__ import annotations

import io
import struct
import time
import warnings
from datetime import datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pictures import (
    HARBOUR,
    encoded,
    gradient,
    photographed,
    png,
    png_chunk,
    quick,
    tiff,
    tiff_text,
    with_segment,
)
from PIL import ExifTags, Image

from lookalike.images.decoding import decode
from lookalike.images.exif import Exif, orientation_of, read_exif
from lookalike.images.thumbnail import thumbnail

ORIGINAL, MAKE = ExifTags.Base.DateTimeOriginal, ExifTags.Base.Make


def camera(*entries: tuple[int, int, int, bytes], order: str = "<") -> str | None:
    found = read_exif(tiff(*entries, order=order))
    return found.camera if found else None


@quick
@given(st.binary(max_size=300))
@example(b"II*\0" + b"\xff" * 40)
@example(b"MM\0*\0\0\0\x08\xff\xff")
@example(b"II*\0\x08\0\0\0")
@example(b"II*\0\x08\0\0\0\0")
def test_arbitrary_bytes_are_no_error(block: bytes) -> None:
    for start in (b"", b"II*\0\x08\0\0\0", b"MM\0*\0\0\0\x08"):
        assert isinstance(read_exif(start + block), Exif | None)
        assert isinstance(orientation_of(start + block), int | None)


@pytest.mark.parametrize("cut", range(len(photographed())))
def test_a_block_that_is_cut_off_says_what_is_left(cut: int) -> None:
    found = read_exif(photographed()[:cut]) or Exif()

    assert found.taken_at in (None, HARBOUR.taken_at, datetime(2019, 7, 31, 18, 4, 9))
    assert found.latitude in (None, HARBOUR.latitude)
    assert found.longitude in (None, HARBOUR.longitude)
    assert found.camera in (None, "Canon", "Canon EOS 5D")


@quick
@given(st.lists(st.tuples(st.integers(0, len(photographed()) - 1), st.integers(0, 255)), max_size=12))
def test_a_changed_block_costs_no_picture(changes: list[tuple[int, int]]) -> None:
    block = bytearray(photographed())
    for place, value in changes:
        block[place] = value
    data = with_segment(encoded(gradient(), "JPEG"), 0xE1, b"Exif\0\0" + bytes(block[6:]))
    picture = decode(data, cover_px=20)

    assert {picture.width, picture.height} == {24, 20}
    found = picture.exif or Exif()
    assert found.latitude is None or -90 <= found.latitude <= 90
    assert found.longitude is None or -180 <= found.longitude <= 180
    assert found.camera != ""


@pytest.mark.parametrize("format_", ["PNG", "WEBP"])
@pytest.mark.parametrize(
    "block", [b"", b"II", b"II*\0\xff\xff\xff\xff", b"MM\0*\0\0\0\x08\xff\xff" + bytes(99)]
)
def test_damaged_exif_costs_no_picture_that_pillow_decodes(format_: str, block: bytes) -> None:
    picture = decode(encoded(gradient(), format_, exif=b"Exif\0\0" + block), cover_px=20)

    assert (picture.pixels.shape, picture.exif) == ((20, 24, 3), None)


def test_a_directory_of_65535_long_texts_takes_no_time() -> None:
    entry = struct.pack("<HHII", MAKE, 2, 60_000, 8)
    block = b"II*\0\x08\0\0\0\xff\xff" + entry * 65_535
    start = time.thread_time()

    assert read_exif(block) is None
    assert time.thread_time() - start < 0.05


def test_a_png_with_such_a_directory_is_decoded_in_no_time_and_without_a_warning() -> None:
    entries = b"".join(struct.pack("<HHII", tag, 7, 700_000, 8) for tag in range(65_535))
    block = b"II*\0\x08\0\0\0\xff\xff" + entries
    data = png((1, 1), 8, 2, b"\0abc", png_chunk(b"eXIf", block))
    start = time.thread_time()

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert decode(data, cover_px=1).exif is None
    assert time.thread_time() - start < 0.3


def test_a_directory_that_nothing_points_to_is_not_looked_for_at_the_head() -> None:
    # Read as a directory, the head of this block has an entry with a time.
    entries = struct.pack("<HHII", 0x9999, 3, ORIGINAL | 2 << 16, 20) + struct.pack("<HHII", 34, 0, 0, 0)

    assert read_exif(b"II*\0\x08\0\0\0\x02\0" + entries + b"2020:01:01 00:00:00\0") is None


def test_a_value_of_no_numbers_is_none() -> None:
    block = tiff((ExifTags.Base.Orientation, 3, 0, b"\x06\0"), tiff_text(MAKE, b""), tiff_text(MAKE, b"Fuji"))

    assert orientation_of(block) is None
    assert read_exif(block) == Exif(camera="Fuji")


def test_directories_that_point_to_themselves_come_to_an_end() -> None:
    pointers = [(tag, 4, 1, struct.pack("<I", 8)) for tag in (0x8769, 0x8825)]

    assert read_exif(tiff(*pointers)) is None


def test_the_512th_entry_is_read_and_no_later_one() -> None:
    others = [(0x9999, 3, 1, b"\0\0")] * 511

    assert camera(*others, tiff_text(MAKE, b"Last")) == "Last"
    assert camera(*others, others[0], tiff_text(MAKE, b"Late")) is None


def test_a_text_of_256_bytes_is_read_and_no_longer_one() -> None:
    assert camera(tiff_text(MAKE, b"a" * 256)) == "a" * 256
    assert camera(tiff_text(MAKE, b"a" * 257)) is None


def test_a_value_that_ends_with_the_block_is_read_and_none_that_ends_after_it() -> None:
    block = tiff(tiff_text(MAKE, b"Hasselblad"))

    assert read_exif(block) == Exif(camera="Hasselblad")
    assert read_exif(block[:-1]) is None


# Thumbnails


@pytest.mark.parametrize("size", [(24, 20), (600, 400)], ids=["small", "large"])
@pytest.mark.parametrize("format_", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_a_thumbnail_says_nothing_of_it(format_: str, size: tuple[int, int]) -> None:
    small = thumbnail(decode(encoded(gradient(*size), format_, exif=photographed()), cover_px=20))

    assert b"Exif" not in small and b"Canon" not in small
    assert dict(Image.open(io.BytesIO(small)).getexif()) == {}


def test_what_stands_after_the_end_of_a_small_jpeg_is_not_in_its_thumbnail() -> None:
    data = encoded(gradient(), "JPEG") + b"\xff\xe1" + photographed()

    assert b"Canon" not in thumbnail(decode(data, cover_px=20))


def test_what_stands_between_the_scans_of_a_small_jpeg_is_not_in_its_thumbnail() -> None:
    plain = encoded(gradient(), "JPEG", progressive=True)
    block = photographed()
    second = plain.index(b"\xff\xda", plain.index(b"\xff\xda") + 2)
    segment = b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block
    data = plain[:second] + segment + plain[second:]

    assert thumbnail(decode(plain, cover_px=20)) == plain
    assert b"Canon" not in thumbnail(decode(data, cover_px=20))

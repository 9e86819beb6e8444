"""When, where and with which camera a picture was taken."""

from __future__ import annotations

import struct
from datetime import datetime
from importlib.util import find_spec

import pytest
from pictures import (
    HARBOUR,
    encoded,
    exif_block,
    gradient,
    photographed,
    png,
    png_chunk,
    tiff,
    tiff_text,
    with_segment,
)
from PIL import ExifTags

from lookalike.images.decoding import decode, load
from lookalike.images.exif import orientation_of, read_exif

ORIGINAL, DIGITIZED = ExifTags.Base.DateTimeOriginal, ExifTags.Base.DateTimeDigitized
MAKE, MODEL = ExifTags.Base.Make, ExifTags.Base.Model


def camera(*entries: tuple[int, int, int, bytes], order: str = "<") -> str | None:
    found = read_exif(tiff(*entries, order=order))
    return found.camera if found else None


# Formats


@pytest.mark.parametrize("format_", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_every_format_with_exif_says_when_where_and_with_what_it_was_taken(format_: str) -> None:
    data = encoded(gradient(), format_, exif=photographed())

    assert decode(data, cover_px=20).exif == HARBOUR


@pytest.mark.skipif(not find_spec("pillow_heif"), reason="pillow_heif is not installed")
def test_heic_says_when_where_and_with_what_it_was_taken() -> None:
    import pillow_heif

    pillow_heif.register_heif_opener()
    data = encoded(gradient(64, 64), "HEIF", exif=photographed())

    assert decode(data, cover_px=20).exif == HARBOUR


def test_a_jpeg_that_is_pillows_to_decode_says_it_too() -> None:
    data = encoded(gradient().convert("CMYK"), "JPEG", exif=photographed())

    assert decode(data, cover_px=20).exif == HARBOUR


def test_the_text_chunk_that_imagemagick_puts_into_a_png_is_read() -> None:
    block = photographed()
    profile = f"\nexif\n{len(block)}\n{block.hex()}".encode()
    chunk = png_chunk(b"tEXt", b"Raw profile type exif\0" + profile)

    assert load(png((1, 1), 8, 2, b"\0abc", chunk), cover_px=1).exif == HARBOUR


def test_such_a_chunk_that_is_no_text_of_a_block_costs_no_picture() -> None:
    chunk = png_chunk(b"tEXt", b"Raw profile type exif\0\nexif\n4\nno hexadecimal digits")

    assert load(png((1, 1), 8, 2, b"\0abc", chunk), cover_px=1).exif is None


@pytest.mark.parametrize("format_", ["JPEG", "PNG", "GIF", "TIFF", "BMP"])
def test_a_picture_without_exif_has_none(format_: str) -> None:
    assert decode(encoded(gradient(), format_), cover_px=20).exif is None


def test_an_orientation_alone_says_nothing_of_these() -> None:
    assert decode(encoded(gradient(), "JPEG", exif=exif_block(6)), cover_px=20).exif is None


def test_both_orders_of_bytes_are_read() -> None:
    assert camera(tiff_text(MAKE, b"Fuji\0"), order=">") == camera(tiff_text(MAKE, b"Fuji\0")) == "Fuji"


def test_a_bigtiff_is_no_exif_block() -> None:
    block = tiff(tiff_text(MAKE, b"Fuji\0"))

    assert read_exif(block[:2] + b"+\0" + block[4:]) is None


# Time


def taken_at(**details: object) -> datetime | None:
    tags = {
        "original": ORIGINAL,
        "digitized": DIGITIZED,
        "fraction": ExifTags.Base.SubsecTimeOriginal,
        "digitized_fraction": ExifTags.Base.SubsecTimeDigitized,
    }
    wanted = {tag: details.get(name) for name, tag in tags.items()}
    found = read_exif(photographed(details=wanted))
    assert found is not None
    return found.taken_at


@pytest.mark.parametrize(
    ("fraction", "microsecond"),
    [
        (None, 0),
        ("5", 500_000),
        ("05", 50_000),
        ("123456789", 123_456),
        ("25  ", 250_000),
        ("x", 0),
        ("-1", 0),
    ],
)
def test_the_fraction_of_a_second_is_part_of_the_time(fraction: str | None, microsecond: int) -> None:
    expected = datetime(2020, 2, 29, 23, 59, 58, microsecond)

    assert taken_at(original="2020:02:29 23:59:58", fraction=fraction) == expected


def test_a_fraction_of_other_digits_than_0_to_9_is_none() -> None:
    block = photographed().replace(b"25\0\0", "\u00b25\0\0".encode("latin-1"))

    assert read_exif(block).taken_at == datetime(2019, 7, 31, 18, 4, 9)


@pytest.mark.parametrize("written", ["2020-02-29 23:59:58", "2020-02-29T23:59:58", " 2020:02:29 23:59:58\0"])
def test_other_ways_to_write_a_time_are_read(written: str) -> None:
    assert taken_at(original=written) == datetime(2020, 2, 29, 23, 59, 58)


@pytest.mark.parametrize(
    "written",
    ["0000:00:00 00:00:00", "    :  :     :  :  ", "2019:02:29 00:00:00", "2020:01:01 24:00:00", "2020:01:01",
     "2020:01:01 00:00:00+02:00", "yesterday", ""],
)  # fmt: skip
def test_what_is_no_time_is_unknown(written: str) -> None:
    assert taken_at(original=written) is None


@pytest.mark.parametrize("original", [None, "0000:00:00 00:00:00"])
def test_the_time_of_digitizing_stands_in_with_its_own_fraction(original: str | None) -> None:
    found = taken_at(
        original=original, fraction="1", digitized="2021:03:04 05:06:07", digitized_fraction="75"
    )

    assert found == datetime(2021, 3, 4, 5, 6, 7, 750_000)


def test_the_original_time_comes_before_that_of_digitizing() -> None:
    found = taken_at(original="2020:01:01 00:00:00", digitized="2021:01:01 00:00:00")

    assert found == datetime(2020, 1, 1)


def test_when_the_file_was_changed_is_not_when_it_was_taken() -> None:
    changed = {ExifTags.Base.DateTime: "2022:01:01 00:00:00"}

    assert read_exif(photographed(changed, {ORIGINAL: None})).taken_at is None


# Place


@pytest.mark.parametrize(
    ("sides", "expected"),
    [("NE", (12.5, 45.255)), ("SW", (-12.5, -45.255)), ("sw", (-12.5, -45.255)), ("NW", (12.5, -45.255))],
)
def test_south_and_west_are_negative(sides: str, expected: tuple[float, float]) -> None:
    place = {1: sides[0], 2: (12.0, 30.0, 0.0), 3: sides[1], 4: (45.0, 15.0, 18.0)}
    found = read_exif(photographed(place=place))

    assert (found.latitude, found.longitude) == pytest.approx(expected, abs=1e-12)


def test_the_ends_of_the_earth_are_places() -> None:
    found = read_exif(photographed(place={1: "S", 2: (90.0, 0.0, 0.0), 3: "W", 4: (180.0, 0.0, 0.0)}))

    assert (found.latitude, found.longitude) == (-90.0, -180.0)


def test_the_equator_is_no_negative_zero() -> None:
    found = read_exif(photographed(place={1: "S", 2: (0.0, 0.0, 0.0)}))

    assert str(found.latitude) == "0.0"


@pytest.mark.parametrize(
    "place",
    [
        {2: (90.0, 0.0, 1.0)},
        {2: (91.0, 0.0, 0.0)},
        {2: (33.0, 51.0)},
        {1: None},
        {1: "E"},
        {1: ""},
        {2: None},
    ],
    ids=str,
)
def test_a_latitude_out_of_range_or_of_another_form_is_unknown(place: dict[int, object]) -> None:
    found = read_exif(photographed(place=place))

    assert (found.latitude, found.longitude) == (None, 151.2)


def test_a_longitude_out_of_range_is_unknown() -> None:
    found = read_exif(photographed(place={4: (180.0, 0.0, 1.0)}))

    assert (found.latitude, found.longitude) == (HARBOUR.latitude, None)


@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_rational_without_a_denominator_is_no_place(number: int) -> None:
    block = photographed(place={2: (33.0, 51.0, 24.0)})
    place = block.index(struct.pack("<6I", 33, 1, 51, 1, 24, 1)) + 8 * number
    damaged = block[:place] + bytes(8) + block[place + 8 :]

    assert read_exif(block).latitude == pytest.approx(-33.856666666)
    assert read_exif(damaged).latitude is None


# Camera


@pytest.mark.parametrize(
    ("make", "model", "expected"),
    [
        ("SONY", "ILCE-7", "SONY ILCE-7"),
        ("Canon", "Canon EOS 5D", "Canon EOS 5D"),
        ("CANON", "Canon EOS 5D", "Canon EOS 5D"),
        ("Canon", "CanonScan 9000F", "CanonScan 9000F"),
        ("NIKON CORPORATION", "NIKON D70", "NIKON D70"),
        ("EASTMAN KODAK COMPANY", "KODAK DC240", "KODAK DC240"),
        ("Leica Camera AG", "Leica Camera AG M8", "Leica Camera AG M8"),
        ("Canon", None, "Canon"),
        (None, "D70", "D70"),
        ("  Canon \0\0", " EOS  5D \0\0\0", "Canon EOS 5D"),
        ("Canon\0of before", "EOS", "Canon EOS"),
        ("a\x1b[31m\nb", "c", "a [31m b c"),
        ("\0\0", "   ", None),
        (None, None, None),
    ],
)
def test_a_camera_is_its_make_and_model_without_saying_the_make_twice(
    make: str | None, model: str | None, expected: str | None
) -> None:
    assert read_exif(photographed({MAKE: make, MODEL: model})).camera == expected


def test_a_name_in_utf8_or_else_latin1_is_read() -> None:
    assert camera(tiff_text(MAKE, "ライカ".encode())) == "ライカ"
    assert camera(tiff_text(MAKE, "Voigtländer".encode("latin-1"))) == "Voigtländer"
    assert camera(tiff_text(MAKE, "ライカ".encode(), kind=129)) == "ライカ"


def test_of_two_values_of_one_tag_the_first_is_taken() -> None:
    assert camera(tiff_text(MAKE, b"First"), tiff_text(MAKE, b"Second")) == "First"


def test_a_value_of_another_type_is_passed_over() -> None:
    assert camera(tiff_text(MAKE, b"Numbers", kind=7), tiff_text(MAKE, b"Letters")) == "Letters"


# Orientation


@pytest.mark.parametrize(("kind", "value"), [(4, 6), (1, 6), (9, 6), (8, 6)])
def test_an_orientation_that_is_no_short_is_not_taken(kind: int, value: int) -> None:
    block = b"Exif\0\0" + tiff((ExifTags.Base.Orientation, kind, 1, struct.pack("<I", value)))
    picture = decode(with_segment(encoded(gradient(24, 20), "JPEG"), 0xE1, block), cover_px=20)

    assert (picture.width, picture.height) == (24, 20)


def test_an_orientation_that_is_a_short_is_taken() -> None:
    block = tiff((ExifTags.Base.Orientation, 3, 1, struct.pack("<H", 6)))
    jpeg = with_segment(encoded(gradient(24, 20), "JPEG"), 0xE1, b"Exif\0\0" + block)

    assert orientation_of(block) == 6
    assert (decode(jpeg, cover_px=20).width, decode(jpeg, cover_px=20).height) == (20, 24)


@pytest.mark.parametrize("kind", [1, 4])
def test_an_orientation_that_is_no_short_is_not_taken_from_a_png_either(kind: int) -> None:
    block = tiff((ExifTags.Base.Orientation, kind, 1, struct.pack("<I", 6)))
    picture = decode(encoded(gradient(24, 20), "PNG", exif=b"Exif\0\0" + block), cover_px=20)

    assert (picture.width, picture.height) == (24, 20)


XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf tiff:Orientation="6"/></x:xmpmeta>'


@pytest.mark.parametrize("orientation", [None, 3])
def test_the_orientation_of_xmp_stands_in_for_one_that_exif_lacks(orientation: int | None) -> None:
    block = photographed({ExifTags.Base.Orientation: orientation})
    picture = decode(encoded(gradient(24, 20), "WEBP", exif=block, xmp=XMP), cover_px=20)

    assert (picture.width, picture.height) == ((24, 20) if orientation else (20, 24))


def test_the_orientation_of_a_tiff_is_undone() -> None:
    picture = decode(encoded(gradient(24, 20), "TIFF", exif=exif_block(6)), cover_px=20)

    assert (picture.width, picture.height) == (20, 24)

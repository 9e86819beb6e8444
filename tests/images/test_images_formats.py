"""The formats beside the usual ones: what is read, what is refused, and what is scaled."""

from __future__ import annotations

import gzip
import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pictures import BLUE, RED, encoded, gradient, mean_difference, png, quick, refused_or_read
from PIL import Image

from lookalike.errors import ImageError
from lookalike.images.decoding import decode
from lookalike.images.formats import FORMATS, SUFFIXES

# Formats that Pillow writes, beside those of `pictures.FORMATS`, and what they need for it.
WRITTEN = {
    "MPO": {"save_all": True, "append_images": [Image.new("RGB", (24, 20))], "quality": 95},
    "JPEG2000": {"irreversible": False},
    "DIB": {},
    "ICO": {"sizes": [(24, 20)]},
    "ICNS": {},
    "QOI": {},
    "DDS": {},
    "TGA": {},
    "SGI": {},
    "PCX": {},
    "SPIDER": {},
    "MSP": {},
    "XBM": {},
}
GREY = {"SPIDER": "F", "MSP": "1", "XBM": "1"}


@pytest.mark.parametrize("format_", WRITTEN)
def test_what_pillow_reads_is_read(format_: str) -> None:
    image = gradient(*((32, 32) if format_ == "ICNS" else (24, 20))).convert(GREY.get(format_, "RGB"))
    data = encoded(image, format_, **WRITTEN[format_])
    picture = decode(data, cover_px=20)
    expected = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    assert (picture.height, picture.width) == expected.shape[:2]
    if format_ != "SPIDER":  # of float values, which Pillow does not scale
        assert mean_difference(picture.pixels, expected) < 3


def test_a_photoshop_file_is_its_composite() -> None:
    layers = struct.pack(">4sH6xHIIHH", b"8BPS", 1, 3, 2, 2, 8, 3) + bytes(12) + b"\0\0"
    data = layers + bytes([10] * 4 + [20] * 4 + [30] * 4)
    assert decode(data, 2).pixels.tolist() == [[[10, 20, 30]] * 2] * 2


@pytest.mark.parametrize("data", [b"P4 8 1\n\x0f", b"P1 8 1\n00001111", b"P2 2 1 255\n255 0 "])
def test_all_of_netpbm_is_read(data: bytes) -> None:
    left = decode(data, 1).pixels[0, 0].tolist()
    right = decode(data, 1).pixels[0, -1].tolist()
    assert (left, right) == ([255] * 3, [0] * 3)


def test_an_animated_png_is_its_first_picture() -> None:
    frames = [Image.new("RGB", (8, 8), color) for color in (RED, BLUE)]
    data = encoded(frames[0], "PNG", save_all=True, append_images=frames[1:])
    assert decode(data, 8).pixels[0, 0].tolist() == list(RED)


def test_the_endings_are_those_that_pillow_knows_for_these_formats() -> None:
    Image.init()
    known = {ending for ending, format_ in Image.EXTENSION.items() if format_ in FORMATS}
    assert known - SUFFIXES == set()


@pytest.mark.parametrize("format_", ["EPS", "WMF", "IPTC", "BLP", "MPEG", "HDF5", "GRIB", "BUFR"])
def test_what_starts_programs_or_hides_pictures_is_not_read(format_: str) -> None:
    assert format_ not in FORMATS


# Pictures inside of pictures


@pytest.mark.parametrize("kind", [1, 2], ids=["icon", "cursor"])
def test_an_icon_that_hides_a_huge_png_is_refused_before_it_is_unpacked(kind: int) -> None:
    bomb = png((30_000, 30_000), 8, 2, b"")
    entry = struct.pack("<BBBBHHII", 16, 16, 0, 0, 1, 32, len(bomb), 22)
    with pytest.raises(ImageError, match=r"900 megapixels|not an image|damaged"):
        decode(struct.pack("<HHH", 0, kind, 1) + entry + bomb, cover_px=16)


def test_an_icon_of_apple_that_hides_a_huge_png_is_refused_before_it_is_unpacked() -> None:
    bomb = png((30_000, 30_000), 8, 2, b"")
    block = b"ic07" + struct.pack(">I", 8 + len(bomb)) + bomb
    with pytest.raises(ImageError, match="900 megapixels, the limit is 200"):
        decode(b"icns" + struct.pack(">I", 8 + len(block)) + block, cover_px=16)


def fits(extra: list[str], data: bytes) -> bytes:
    cards = ["SIMPLE  = T", "BITPIX  = 8", "NAXIS   = 2", "NAXIS1  = 2", "NAXIS2  = 2", *extra, "END"]
    return "".join(card.ljust(80) for card in cards).ljust(2880).encode() + data.ljust(2880, b"\0")


def test_a_fits_is_read() -> None:
    assert decode(fits([], bytes([1, 2, 3, 4])), 2).pixels[:, :, 0].tolist() == [[3, 4], [1, 2]]


def test_a_packed_fits_is_refused_since_it_may_hold_anything() -> None:
    header = "".join(
        card.ljust(80)
        for card in [
            "XTENSION= 'BINTABLE'",
            "BITPIX  = 8",
            "NAXIS   = 2",
            "NAXIS1  = 2",
            "NAXIS2  = 2",
            "ZIMAGE  = T",
            "ZBITPIX = 8",
            "ZNAXIS  = 2",
            "ZNAXIS1 = 2",
            "ZNAXIS2 = 2",
            "ZCMPTYPE= 'GZIP_1  '",
            "END",
        ]
    ).ljust(2880)
    first = "".join(card.ljust(80) for card in ["SIMPLE  = T", "BITPIX  = 8", "NAXIS   = 0", "END"]).ljust(
        2880
    )
    with pytest.raises(ImageError, match="a packed FITS"):
        decode((first + header).encode() + gzip.compress(bytes(10**6)), 2)


# 12 bits in 16


@pytest.mark.parametrize(
    ("brightest", "white"),
    [(255, 255), (1023, 255), (4095, 255), (16383, 255), (65535, 255), (4000, 249), (300, 75)],
)
def test_a_tiff_of_16_bits_is_scaled_by_the_bits_that_it_holds(brightest: int, white: int) -> None:
    values = np.array([[0, brightest // 2, brightest]], np.uint16)
    pixels = decode(encoded(Image.fromarray(values), "TIFF"), 1).pixels
    assert pixels[0, :, 0].tolist() == pytest.approx([0, white / 2, white], abs=1)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(
    ("brightest", "white"), [(255, 255), (1023, 255), (4095, 255), (16383, 255), (65535, 255), (4000, 249)]
)
def test_a_color_tiff_of_16_bits_is_scaled_by_the_bits_that_it_holds(
    brightest: int, white: int, packed: bool, order: str
) -> None:
    values = np.array([[[0, brightest // 2, brightest], [brightest // 4, 0, 0]]], np.uint16)
    pixels = decode(color_tiff(values, order, packed), 1).pixels
    expected = [[0, white / 2, white], [white / 4, 0, 0]]
    assert pixels[0].tolist() == [pytest.approx(one, abs=1) for one in expected]


def test_the_transparency_of_a_tiff_of_12_bits_is_too() -> None:
    values = np.array([[[4095, 0, 0, 4095], [4095, 0, 0, 0]]], np.uint16)
    pixels = decode(color_tiff(values, "<", packed=False), 1).pixels
    assert pixels[0].tolist() == [[255, 0, 0], [255, 255, 255]]


def test_a_large_color_tiff_of_12_bits_is_reduced_to_the_means_of_all_bits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("lookalike.images.pillow._WHOLE_PIXELS", 1000)
    values = np.zeros((41, 41, 3), np.uint16)
    values[::2] = 100
    values[0, 0] = 4095
    picture = decode(color_tiff(values, "<", packed=True), 4)
    assert picture.pixels.shape == (9, 9, 3)  # squares of five
    assert (picture.width, picture.height) == (41, 41)
    two_rows, three_rows = 40 / 4095 * 255, 60 / 4095 * 255
    assert np.unique(picture.pixels[1:8]).tolist() == [round(two_rows), round(three_rows)]


def color_tiff(values: np.ndarray, order: str, packed: bool) -> bytes:
    """A TIFF of one strip with 16 bits a channel, in either byte order, packed by deflate or not."""
    height, width, channels = values.shape
    strip = values.astype(f"{order}u2").tobytes()
    strip = zlib.compress(strip, 1) if packed else strip
    extra = [(338, 3, 1, 2)] if channels == 4 else []
    entries = [
        (256, 4, 1, width),
        (257, 4, 1, height),
        (258, 3, channels, 8),
        (259, 3, 1, 8 if packed else 1),
    ]
    entries += [(262, 3, 1, 2), (273, 4, 1, 16), (277, 3, 1, channels), (278, 4, 1, height)]
    entries += [(279, 4, 1, len(strip)), *extra]
    bits = struct.pack(f"{order}4H", 16, 16, 16, 16)
    fields = b"".join(
        struct.pack(f"{order}HHI", tag, kind, count)
        + (struct.pack(f"{order}I", value) if kind == 4 or count > 1 else struct.pack(f"{order}Hxx", value))
        for tag, kind, count, value in entries
    )
    head = {"<": b"II*\0", ">": b"MM\0*"}[order] + struct.pack(f"{order}I", 16 + len(strip))
    return head + bits + strip + struct.pack(f"{order}H", len(entries)) + fields + bytes(4)


def test_a_tiff_that_says_12_bits_is_scaled_by_these() -> None:
    entries = [(256, 2), (257, 1), (258, 12), (259, 1), (262, 1), (273, 122), (277, 1), (278, 1), (279, 3)]
    fields = b"".join(struct.pack("<HHIHxx", tag, 3, 1, value) for tag, value in entries)
    head = b"II*\0" + struct.pack("<IH", 8, len(entries)) + fields + bytes(4)
    two_of_0x100 = bytes([0x10, 0x01, 0x00])
    assert decode(head + two_of_0x100, 1).pixels[0, :, 0].tolist() == [16, 16]


def test_a_picture_in_lab_has_the_right_color() -> None:
    lab = Image.new("LAB", (4, 4), (128, 128, 128))
    assert decode(encoded(lab, "TIFF"), 4).pixels[0, 0].tolist() == pytest.approx([119] * 3, abs=2)


# Damage of any kind

STARTS = (
    b"\x00\x00\x00\x0cjP  \x0d\x0a\x87\x0a",
    b"\xff\x4f\xff\x51",
    b"8BPS\0\1",
    b"DDS ",
    b"icns",
    b"\0\0\1\0\1\0",
    b"\0\0\2\0\1\0",
    b"qoif",
    b"\x01\xda\x01\x01",
    b"\x0a\x05\x01\x08",
    b"SIMPLE  = T".ljust(80),
    b"\0\0\2\0",
    b"/* XPM */",
    b"#define a_width 3\n#define a_height 3\n",
    b"FTEX",
    b"II*\0\x08\0\0\0",
)


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@quick
@given(st.sampled_from(STARTS), st.binary(max_size=200))
def test_random_bytes_of_a_rare_format_are_an_image_error_or_a_picture(start: bytes, rest: bytes) -> None:
    refused_or_read(start + rest)

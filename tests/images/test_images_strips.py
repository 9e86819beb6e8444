"""A TIFF's large strips, packed by deflate, are unpacked in pieces, to the pixels that libtiff gives."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from lookalike.errors import ImageError
from lookalike.images import strips
from lookalike.images.decoding import decode

RGB, CMYK, GREY = 2, 5, 1


def tiff(
    values: np.ndarray,
    *,
    order: str = "<",
    predictor: int = 1,
    photometric: int = RGB,
    rows_per_strip: int | None = None,
    cut_bytes: int = 0,
) -> bytes:
    """A TIFF (H, W, C) packed by deflate."""
    height, width, channels = values.shape
    rows = rows_per_strip or height
    kind = values.dtype.newbyteorder(order)
    if predictor == 2:
        values = np.diff(values.astype(np.int64), axis=1, prepend=0).astype(values.dtype)
    packed = [
        zlib.compress(values[top : top + rows].astype(kind).tobytes()) for top in range(0, height, rows)
    ]
    packed = [one[: len(one) - cut_bytes] for one in packed]
    places = np.cumsum([8, *map(len, packed)]).tolist()
    bits = [8 * values.dtype.itemsize] * channels
    sample_format = 3 if values.dtype.kind == "f" else 1
    tags = [(256, [width]), (257, [height]), (258, bits), (259, [8]), (262, [photometric])]
    tags += [(273, places[:-1]), (277, [channels]), (278, [rows]), (279, [len(one) for one in packed])]
    tags += [(317, [predictor]), (339, [sample_format] * channels)]
    fields, beside = b"", b""
    beside_at = places[-1] + 2 + 12 * len(tags) + 4
    for tag, numbers in tags:
        value = struct.pack(f"{order}{len(numbers)}I", *numbers)
        if len(value) > 4:
            value, beside = struct.pack(f"{order}I", beside_at + len(beside)), beside + value
        fields += struct.pack(f"{order}HHI", tag, 4, len(numbers)) + value
    head = {"<": b"II*\0", ">": b"MM\0*"}[order] + struct.pack(f"{order}I", places[-1])
    directory = struct.pack(f"{order}H", len(tags)) + fields + bytes(4)
    return head + b"".join(packed) + directory + beside


def noise(channels: int, kind: str = "u1") -> np.ndarray:
    values = np.random.default_rng(7).random((50, 30, channels))
    dtype = np.dtype(kind)
    return values.astype(dtype) if dtype.kind == "f" else (values * np.iinfo(dtype).max).astype(dtype)


@pytest.mark.parametrize("predictor", [1, 2])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("rows_per_strip", [None, 7])
@pytest.mark.parametrize(
    ("values", "photometric"),
    [(noise(3), RGB), (noise(4), CMYK), (noise(1), GREY), (noise(3, "u2"), RGB), (noise(3, "u2") >> 4, RGB)],
    ids=["RGB", "CMYK", "grey", "16 bits", "12 bits in 16"],
)
def test_the_pixels_are_those_of_libtiff(
    values: np.ndarray,
    photometric: int,
    rows_per_strip: int | None,
    order: str,
    predictor: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = tiff(
        values, order=order, predictor=predictor, photometric=photometric, rows_per_strip=rows_per_strip
    )
    expected = decode(data, 1).pixels
    monkeypatch.setattr(strips, "_LEAST_BYTES", 1)
    monkeypatch.setattr(strips, "_PIECE_BYTES", 1000)
    monkeypatch.setattr("PIL.TiffImagePlugin.TiffImageFile._load_libtiff", None)
    assert (decode(data, 1).pixels == expected).all()
    assert len(np.unique(expected)) > 200


def test_so_are_those_of_a_float_tiff(monkeypatch: pytest.MonkeyPatch) -> None:
    data = tiff(noise(1, "f4"), photometric=GREY)
    expected = decode(data, 1).pixels
    monkeypatch.setattr(strips, "_LEAST_BYTES", 1)
    monkeypatch.setattr("PIL.TiffImagePlugin.TiffImageFile._load_libtiff", None)
    assert (decode(data, 1).pixels == expected).all()


def test_so_are_those_of_a_palette(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    path = tmp_path / "a.tif"
    Image.effect_mandelbrot((60, 50), (-2, -1, 1, 1), 99).convert("P").save(
        path, compression="tiff_adobe_deflate"
    )
    expected = decode(path.read_bytes(), 1).pixels
    monkeypatch.setattr(strips, "_LEAST_BYTES", 1)
    monkeypatch.setattr("PIL.TiffImagePlugin.TiffImageFile._load_libtiff", None)
    assert (decode(path.read_bytes(), 1).pixels == expected).all()


def test_a_strip_that_breaks_off_is_a_damaged_tiff(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strips, "_LEAST_BYTES", 1)
    with pytest.raises(ImageError, match="damaged TIFF, packed as tiff_adobe_deflate: a strip breaks off"):
        decode(tiff(noise(3), cut_bytes=900), 1)


def test_a_picture_that_its_strips_do_not_fill_is_a_damaged_tiff(monkeypatch: pytest.MonkeyPatch) -> None:
    data = tiff(noise(3), rows_per_strip=25)
    data = data.replace(struct.pack("<HHII", 257, 4, 1, 50), struct.pack("<HHII", 257, 4, 1, 51))
    monkeypatch.setattr(strips, "_LEAST_BYTES", 1)
    with pytest.raises(ImageError, match="damaged TIFF, packed as tiff_adobe_deflate: strips are missing"):
        decode(data, 1)

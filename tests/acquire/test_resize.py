"""Resizing while downloading: the sizes that are asked for, and pixels near the exact ones."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image
from web_server import jpeg

from lookalike.acquire.resize import Resize


@pytest.mark.parametrize(
    ("resize", "size"),
    [
        (Resize(), (400, 300)),
        (Resize(120, "none"), (400, 300)),
        (Resize(120), (160, 120)),
        (Resize(120, "border"), (120, 120)),
        (Resize(120, "crop"), (120, 120)),
        (Resize(600), (400, 300)),
        (Resize(600, enlarge=True), (800, 600)),
        (Resize(600, "crop"), (300, 300)),
        (Resize(600, "border"), (600, 600)),
    ],
)
def test_images_get_the_size_that_is_asked_for(resize, size):
    data = jpeg(1, (400, 300))

    image = resize(data)

    assert (image.width, image.height) == Image.open(io.BytesIO(image.data)).size == size
    assert (image.original_width, image.original_height) == (400, 300)
    assert (image.data == data) == (size == (400, 300))


@pytest.mark.parametrize("mode", ["keep", "crop", "border"])
def test_resizing_moves_nothing(mode):
    original = Image.open(io.BytesIO(jpeg(1, (401, 299))))
    small = Image.open(io.BytesIO(Resize(100, mode)(jpeg(1, (401, 299))).data))
    if mode == "keep":
        expected = original.resize(small.size, Image.Resampling.BICUBIC)
    elif mode == "crop":
        expected = original.resize((100, 100), Image.Resampling.BICUBIC, box=(51, 0, 350, 299))
    else:
        expected = Image.new("RGB", (100, 100), "white")
        expected.paste(original.resize((100, 75), Image.Resampling.BICUBIC), (0, 12))

    difference = np.abs(np.asarray(small, int) - np.asarray(expected, int))
    assert difference.mean() < 3


def test_without_opencv_pillow_resizes(monkeypatch):
    data = jpeg(1, (320, 240))  # so little smaller that OpenCV would do it
    with_opencv = np.asarray(Image.open(io.BytesIO(Resize(200)(data).data)), int)
    monkeypatch.setattr("lookalike.acquire.resize.cv2", None)

    without = np.asarray(Image.open(io.BytesIO(Resize(200)(data).data)), int)

    assert without.shape == with_opencv.shape == (200, 267, 3)
    assert np.abs(without - with_opencv).mean() < 3


def detailed(size: tuple[int, int], format: str) -> bytes:
    """Grey noise of every scale, as much in each as in photographs, and stripes of seven pixels."""
    width, height = size
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width)) + 1 / (width * height)
    noise = np.fft.fft2(np.random.default_rng(0).normal(size=(height, width)))
    noise[0, 0] = 0
    pixels = np.fft.ifft2(noise / frequency).real
    pixels = pixels / pixels.std() * 50 + 100 + 60 * (np.arange(width) // 7 % 9 == 0)
    file = io.BytesIO()
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).convert("RGB").save(file, format, quality=90)
    return file.getvalue()


@pytest.mark.parametrize(
    ("size", "format", "least_db"),
    [
        ((350, 280), "JPEG", 33),
        ((500, 375), "JPEG", 31.5),
        ((640, 480), "JPEG", 33),
        ((500, 375), "PNG", 33),
    ],
)
def test_a_resized_image_is_near_the_exact_one(size, format, least_db):
    """The peak signal-to-noise ratio, the noise of the JPEG that is written included."""
    data = detailed(size, format)

    small = Image.open(io.BytesIO(Resize(256)(data).data))

    exact = Image.open(io.BytesIO(data)).resize(small.size, Image.Resampling.BICUBIC)
    noise = np.mean((np.asarray(small, float) - np.asarray(exact, float)) ** 2)
    assert 10 * np.log10(255**2 / noise) > least_db

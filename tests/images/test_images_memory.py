"""What a picture of 199 megapixels takes, in every kind that Pillow decodes: each in a process of its own."""

from __future__ import annotations

import struct
import subprocess
import sys
import threading
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pictures import encoded, png, png_chunk
from PIL import Image

from lookalike.errors import ImageError
from lookalike.images import memory
from lookalike.images.decoding import decode
from lookalike.images.memory import Budget

SIDE = 14_107  # 199 megapixels
MOST_MB = 1300

EMBED = """
import sys
from lookalike.images.thumbnail import thumbnail
from lookalike.models.registry import DEFAULT_MODEL, load_model
from lookalike.models.runner import input_of, run

model = load_model(DEFAULT_MODEL)
with open(sys.argv[1], "rb") as file:
    seen = input_of(file.read(), model.spec)
thumbnail(seen.picture)
assert run(model.features, [seen.pixels]).shape == (1, model.dim)
(line,) = [line for line in open("/proc/self/status") if line.startswith("VmHWM")]
print(seen.picture.width, seen.picture.height, int(line.split()[1]) // 1024)
"""

MAKE = """
import sys
from PIL import Image
mode, path, options = sys.argv[1], sys.argv[2], eval(sys.argv[3])
Image.new(mode, (14107, 14107)).save(path, **options)
"""


def large_png(depth: int, color_type: int, extra: bytes = b"") -> bytes:
    """A PNG of 199 megapixels, in less than a megabyte."""
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[color_type]
    row = bytes(1 + (SIDE * channels * depth + 7) // 8)
    packer = zlib.compressobj()
    packed = b"".join(packer.compress(row) for _ in range(SIDE)) + packer.flush()
    header = struct.pack(">IIBBBBB", SIDE, SIDE, depth, color_type, 0, 0, 0)
    chunks = png_chunk(b"IHDR", header) + extra + png_chunk(b"IDAT", packed) + png_chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def peak_mb(path: Path) -> int:
    """The most memory that a process has held which embeds this picture, and does nothing else."""
    found = subprocess.run([sys.executable, "-c", EMBED, path], capture_output=True, text=True, check=True)
    width, height, peak = map(int, found.stdout.split())
    assert (width, height) == (SIDE, SIDE)
    return peak


@pytest.mark.process
@pytest.mark.parametrize(
    "depth, color_type, extra",
    [
        pytest.param(16, 0, b"", id="16-bit grey"),
        pytest.param(1, 0, b"", id="1-bit grey", marks=pytest.mark.slow),
        pytest.param(8, 2, b"", id="RGB", marks=pytest.mark.slow),
        pytest.param(16, 2, b"", id="16-bit RGB", marks=pytest.mark.slow),
        pytest.param(8, 6, b"", id="RGBA", marks=pytest.mark.slow),
        pytest.param(16, 6, b"", id="16-bit RGBA", marks=pytest.mark.slow),
        pytest.param(8, 4, b"", id="grey with alpha", marks=pytest.mark.slow),
        pytest.param(
            8,
            3,
            png_chunk(b"PLTE", b"\1\2\3") + png_chunk(b"tRNS", b"\x40"),
            id="palette with transparency",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            8, 2, png_chunk(b"tRNS", b"\0\1\0\2\0\3"), id="RGB with transparency", marks=pytest.mark.slow
        ),
    ],
)
def test_a_png_of_199_megapixels_is_embedded_in_less_than_1300_mb(
    depth: int, color_type: int, extra: bytes, tmp_path: Path
) -> None:
    (tmp_path / "a.png").write_bytes(large_png(depth, color_type, extra))
    assert peak_mb(tmp_path / "a.png") < MOST_MB


@pytest.mark.parametrize(
    "mode, name, options",
    [
        pytest.param("F", "a.tif", {"compression": "tiff_adobe_deflate"}, id="float TIFF"),
        pytest.param("I", "a.tif", {"compression": "tiff_adobe_deflate"}, id="32-bit TIFF"),
        pytest.param("I;16", "a.tif", {"compression": "tiff_lzw"}, id="16-bit TIFF"),
        pytest.param("CMYK", "a.tif", {"compression": "tiff_adobe_deflate"}, id="CMYK TIFF"),
        pytest.param("RGBA", "a.tif", {"compression": "tiff_lzw"}, id="RGBA TIFF"),
        pytest.param(
            "RGB", "a.tif", {"compression": "tiff_adobe_deflate", "strip_size": 2**31}, id="TIFF of one strip"
        ),
        pytest.param(
            "F", "a.tif", {"compression": "tiff_adobe_deflate", "strip_size": 2**31}, id="float of one strip"
        ),
        pytest.param("CMYK", "a.jpg", {}, id="CMYK JPEG"),
        pytest.param("RGB", "a.jpg", {"progressive": True}, id="progressive JPEG"),
        pytest.param("RGB", "a.jpg", {"progressive": True, "subsampling": 0}, id="progressive JPEG, 4:4:4"),
        pytest.param("P", "a.gif", {}, id="GIF"),
        pytest.param("L", "a.bmp", {}, id="BMP"),
        pytest.param("RGB", "a.jp2", {"tile_size": (1024, 1024)}, id="JPEG 2000"),
    ],
)
@pytest.mark.slow
def test_a_picture_of_199_megapixels_in_any_mode_is_embedded_in_less_than_1300_mb(
    mode: str, name: str, options: dict[str, object], tmp_path: Path
) -> None:
    path = tmp_path / name
    subprocess.run([sys.executable, "-c", MAKE, mode, path, repr(options)], check=True)
    assert peak_mb(path) < MOST_MB


# A large picture, reduced


def test_a_large_picture_is_reduced_as_it_is_converted_to_twice_what_is_asked_for() -> None:
    picture = decode(encoded(Image.new("L", (4100, 4100), 77), "PNG"), cover_px=224)
    assert (picture.width, picture.height) == (4100, 4100)
    assert picture.pixels.shape == (456, 456, 3)  # a ninth; the last pixel holds five of nine
    assert picture.box == (0, 0, 4100 / 9, 4100 / 9)
    assert (picture.pixels == 77).all()


def test_a_picture_of_16_megapixels_keeps_all_of_them() -> None:
    picture = decode(encoded(Image.new("L", (4000, 4000)), "PNG"), cover_px=224)
    assert picture.pixels.shape == (4000, 4000, 3)
    assert picture.box is None


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["L", "RGBA", "I;16", "P"])
def test_bands_are_seamless(mode: str) -> None:
    ramp = Image.linear_gradient("L").resize((4100, 4100))
    image = Image.new("I;16", ramp.size) if mode == "I;16" else ramp.convert(mode)
    whole = decode(encoded(image, "PNG"), cover_px=4100).pixels
    reduced = decode(encoded(image, "PNG"), cover_px=205).pixels
    expected = Image.fromarray(whole).reduce(10)
    assert abs(reduced.astype(int) - expected).max() <= 1


# One budget for all threads


def test_a_picture_that_takes_more_than_there_is_is_refused_with_what_it_takes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(memory.DECODING, "limit_bytes", 1_000_000)
    with pytest.raises(ImageError) as caught:
        decode(png((1000, 1000), 8, 2, b""), cover_px=10)
    assert caught.value.message == "decoding takes about 0.007 GB, the limit is 0.001 GB"
    assert caught.value.hint == "raise it to `max_memory_bytes=8000000`"


def test_threads_wait_until_the_budget_has_room() -> None:
    budget, lock, held, most = Budget(100), threading.Lock(), 0, 0

    def work(size: int) -> None:
        nonlocal held, most
        with budget.taking(size):
            with lock:
                held += size
                most = max(most, held)
            time.sleep(0.001)
            with lock:
                held -= size

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, [30, 60, 100, 1, 50, 40] * 8))
    assert 50 < most <= 100


def test_who_asks_for_a_fifth_more_than_there_is_waits_to_be_alone() -> None:
    budget, alone = Budget(100), threading.Event()
    with ThreadPoolExecutor(1) as pool:
        with budget.taking(1):
            large = pool.submit(_hold, budget, 121, alone)
            assert not alone.wait(0.02)
        large.result()
    assert alone.is_set()
    with pytest.raises(ImageError), budget.taking(122):
        pass


def _hold(budget: Budget, size: int, held: threading.Event) -> None:
    with budget.taking(size):
        held.set()


def test_a_failure_gives_its_memory_back() -> None:
    budget = Budget(10)
    for _ in range(3):
        with pytest.raises(ValueError, match="damaged"), budget.taking(10):
            raise ValueError("damaged")
    with budget.taking(10):
        pass


def test_the_first_that_waits_is_the_first_that_is_served() -> None:
    budget, served = Budget(10), []
    with ThreadPoolExecutor(2) as pool:
        with budget.taking(6):
            large = pool.submit(_take, budget, 10, served)
            while not budget._waiting:
                time.sleep(0.001)
            small = pool.submit(_take, budget, 1, served)  # there is room for it, but it has come later
            time.sleep(0.02)
            assert served == []
        large.result()
        small.result()
    assert served == [10, 1]


def _take(budget: Budget, size: int, served: list[int]) -> None:
    with budget.taking(size):
        served.append(size)

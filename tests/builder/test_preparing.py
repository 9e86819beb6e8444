"""What a model sees of many files: where a GPU decodes them, with the CPU's tensors in its place."""

from __future__ import annotations

import io
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import numpy as np
import pytest
import simplejpeg
from PIL import Image

from lookalike.builder import workers
from lookalike.builder.preparing import prepared
from lookalike.builder.worker_process import Work
from lookalike.builder.workers import Held, Prepared, Workers
from lookalike.demo.flowers import write_flowers
from lookalike.models.looking import Seen, decoder_name, stacked
from lookalike.models.registry import load_model
from lookalike.models.spec import ModelSpec
from lookalike.sources.local_file import LocalFile
from lookalike.sources.sample import Sample

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.reference


def decode(files: list[Any]) -> list[Any]:
    """Decode as nvJPEG does: whole, all or none."""
    try:
        found = [simplejpeg.decode_jpeg(one.numpy().tobytes()) for one in files]
    except ValueError as error:
        raise RuntimeError(str(error)) from None
    return [torch.from_numpy(one).permute(2, 0, 1) for one in found]


def none_left(files: list[Any]) -> list[Any]:
    raise torch.OutOfMemoryError("CUDA out of memory")


def looked(files: list[bytes], using: Any = decode, spec: ModelSpec | None = None, **options: Any) -> Any:
    """What is seen of files, by the device if a function that decodes there is given; or the reason."""
    from lookalike.images.on_device import Decoder

    work = Work(spec or load_model().spec, 1.0, options.get("thumbnails", True), leaves_jpegs=bool(using))
    samples = [Sample(str(number), "file:///x", None, 0, Held(data)) for number, data in enumerate(files)]
    found = prepared(samples, work=work, workers=Workers(work, 1, count=0), decoder=using and Decoder(using))
    return [one.seen if isinstance(one, Prepared) else one.error for one in found]


def jpeg(width: int, height: int, mode: str = "RGB", **options: Any) -> bytes:
    y, x = np.mgrid[:height, :width]
    image = Image.fromarray(np.stack([x % 256, y % 256, (x + y) // 2 % 256], -1).astype(np.uint8))
    buffer = io.BytesIO()
    image.convert(mode).save(buffer, "JPEG", quality=95, **options)
    return buffer.getvalue()


def png(width: int, height: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), "teal").save(buffer, "PNG")
    return buffer.getvalue()


def turned(orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return jpeg(300, 200, exif=exif)


def seen(data: bytes, using: Any = decode, **options: Any) -> Any:
    (found,) = looked([data], using, **options)
    return found


@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_are_upright_and_as_large_as_on_the_cpu(orientation: int) -> None:
    ours, theirs = seen(turned(orientation)), seen(turned(orientation), None)
    assert isinstance(ours.pixels, torch.Tensor)
    assert (ours.width, ours.height) == (theirs.width, theirs.height)
    assert np.abs(ours.pixels.numpy().astype(int) - theirs.pixels).mean() < 2


def test_a_picture_that_is_upright_is_not_copied() -> None:
    from lookalike.images.on_device import upright_on_device

    picture = torch.zeros((3, 4, 5), dtype=torch.uint8)
    assert upright_on_device(picture, 1) is picture


def test_without_reduction_the_pixels_are_those_of_the_cpu_but_for_rounding() -> None:
    ours, theirs = seen(jpeg(240, 230)), seen(jpeg(240, 230), None)
    assert np.abs(ours.pixels.numpy().astype(int) - theirs.pixels).max() <= 1


@pytest.mark.parametrize(
    "fields",
    [
        {"resize": "crop", "crop": 0.875},
        {"resize": "squash", "interpolation": "bilinear"},
        {"resize": "crop", "interpolation": "lanczos", "offset": "floor", "crop": 0.9},
    ],
)
def test_every_way_to_resize_is_that_of_the_cpu(fields: dict[str, Any]) -> None:
    spec = ModelSpec(**{"name": "net", "sha256": "", "dim": 3, "size_px": 112, "crop": 1.0, **fields})
    (ours,) = looked([jpeg(301, 200)], decode, spec)
    (theirs,) = looked([jpeg(301, 200)], None, spec)
    assert np.abs(ours.pixels.numpy().astype(int) - theirs.pixels).max() <= 1


def test_thumbnails_are_as_large_as_on_the_cpu_and_small_files_stay_as_they_are() -> None:
    (large, small) = looked([jpeg(500, 375), jpeg(120, 80)])
    with Image.open(io.BytesIO(large.thumbnail)) as image:
        assert image.size == (256, 192)
    assert small.thumbnail == jpeg(120, 80)
    assert seen(jpeg(500, 375), thumbnails=False).thumbnail == b""


@pytest.mark.parametrize(
    "data",
    [
        jpeg(300, 200, "CMYK"),
        jpeg(300, 200)[:-2],
        jpeg(300, 200, progressive=True),
        jpeg(300, 200, progressive=True)[:3000],
        b"\x89PNG\r\n\x1a\n",
        b"",
        jpeg(1200, 900),  # above the limit of one megapixel
    ],
    ids=["CMYK", "without an end", "progressive", "cut off", "another format", "empty", "too large"],
)
def test_what_is_left_to_the_cpu_ends_as_it_does_there(data: bytes) -> None:
    ours, theirs = seen(data), seen(data, None)
    if isinstance(theirs, str):
        assert ours == theirs
    else:
        assert isinstance(ours.pixels, np.ndarray)
        assert ours.pixels.tolist() == theirs.pixels.tolist()


def test_one_file_that_the_gpu_cannot_decode_leaves_the_others_there() -> None:
    files = [jpeg(300, 200), jpeg(300, 200)[:700] + b"\xff\xd9", jpeg(260, 300)]
    found = looked(files)
    assert [isinstance(one, Seen) and isinstance(one.pixels, torch.Tensor) for one in found] == [
        True,
        False,
        True,
    ]


def test_what_the_device_leaves_is_looked_at_by_the_cpu_and_stays_in_order() -> None:
    found = looked([b"a", jpeg(300, 200), png(70, 50), jpeg(120, 80)])
    assert isinstance(found[0], str)
    assert [(one.width, one.height) for one in found[1:]] == [(300, 200), (70, 50), (120, 80)]
    assert [isinstance(one.pixels, torch.Tensor) for one in found[1:]] == [True, False, True]


@pytest.mark.process
@pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="memory is shared on Linux alone")
def test_files_that_processes_read_look_as_those_that_are_read_here(tmp_path, monkeypatch) -> None:
    from lookalike.images.on_device import Decoder

    monkeypatch.setattr(workers, "_MANY_FILES", 0)
    monkeypatch.setattr(workers, "cores", lambda: 8)
    monkeypatch.setattr(workers._Worker, "is_ready", lambda self: self._connection.poll(20))
    monkeypatch.setattr(workers, "_SHARED_BYTES", 600_000)
    sizes = [(300 + 40 * n, 200 + 30 * n) for n in range(12)]
    files = [*(jpeg(*size) for size in sizes), png(70, 50), jpeg(120, 80), b"a", jpeg(300, 200)[:900]]
    samples = []
    for number, data in enumerate(files):
        path = tmp_path / str(number)
        path.write_bytes(data)
        samples.append(Sample(str(number), "file:///x", None, 0, LocalFile(os.fsencode(path), len(data))))
    work = Work(load_model().spec, 1.0, True, leaves_jpegs=True)
    found = []
    for threads in (1, 6):
        with closing(Workers(work, threads, len(samples))) as processes:
            made = prepared(samples, work=work, workers=processes, decoder=Decoder(decode))
            found.append([told(one) for one in made])
            assert len(processes._idle) == (0 if threads == 1 else 6)
    assert found[0] == found[1]
    assert [one is None for one in found[0]] == [False] * 14 + [True] * 2


def told(one: Any) -> Any:
    """What is known of a file; None for a failure."""
    if not isinstance(one, Prepared):
        return None
    seen = one.seen
    return one.sha256, seen.width, seen.height, seen.thumbnail, type(seen.pixels), seen.pixels.tolist()


def test_two_batches_at_a_time_have_their_turn() -> None:
    from lookalike.images.on_device import Decoder

    decoder, third = Decoder(decode), threading.Event()

    def wait_for_a_turn() -> None:
        with decoder.turn():
            third.set()

    with decoder.turn(), ThreadPoolExecutor(1) as pool:
        with decoder.turn():
            waiting = pool.submit(wait_for_a_turn)
            assert not third.wait(0.1)
        waiting.result(10)
    assert third.is_set()


def test_without_memory_on_the_gpu_the_cpu_decodes() -> None:
    assert isinstance(seen(jpeg(300, 200), none_left).pixels, np.ndarray)


def test_a_batch_of_both_is_one_on_the_device() -> None:
    found = looked([jpeg(300, 200, "CMYK"), jpeg(300, 200), png(70, 50), jpeg(240, 230)])
    batch = stacked([one.pixels for one in found])
    assert isinstance(batch, torch.Tensor)
    assert (batch.shape, batch.dtype) == ((4, 224, 224, 3), torch.uint8)
    assert [one.tolist() for one in batch] == [one.pixels.tolist() for one in found]


def test_a_batch_without_room_on_the_gpu_is_one_on_the_cpu(monkeypatch) -> None:
    found = looked([jpeg(300, 200), jpeg(300, 200, "CMYK")])
    monkeypatch.setattr(torch, "stack", none_left)
    batch = stacked([one.pixels for one in found])
    assert isinstance(batch, np.ndarray)
    assert [one.tolist() for one in batch] == [one.pixels.tolist() for one in found]


def test_the_vectors_of_photographs_are_near_those_of_the_cpu(tmp_path) -> None:
    write_flowers(tmp_path, count=12)
    files = [path.read_bytes() for path in sorted(tmp_path.rglob("*.jpg"))]
    large = [_enlarged(one) for one in files]
    vectors = [
        load_model().embed_pixels(np.stack([np.asarray(one.pixels) for one in found]))
        for found in (looked(large, using) for using in (decode, None))
    ]
    cosines = (vectors[0] * vectors[1]).sum(axis=1)
    assert cosines.min() >= 0.98
    assert cosines.mean() >= 0.995


def _enlarged(data: bytes) -> bytes:
    buffer = io.BytesIO()
    Image.open(io.BytesIO(data)).resize((500, 375), Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def test_on_the_cpu_libjpeg_decodes() -> None:
    assert decoder_name(load_model()) == "libjpeg-turbo"

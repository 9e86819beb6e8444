"""Processes that look at files answer as this process does, and what they do not answer is done here."""

from __future__ import annotations

import io
import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from conftest import build
from PIL import Image

from lookalike.models import lookers
from lookalike.models.lookers import Lookers
from lookalike.models.looking import Seen, look_at
from lookalike.models.registry import load_model

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="memory is shared on Linux alone"),
]
SPEC = load_model("colors").spec
OPTIONS: dict[str, Any] = {"max_megapixels": 1.0, "thumbnails": True}


def picture(number: int, kind: str = "JPEG", size: tuple[int, int] = (320, 240)) -> bytes:
    noise = np.random.default_rng(number).integers(0, 256, (size[1] // 8, size[0] // 8, 3), np.uint8)
    buffer = io.BytesIO()
    exif = Image.Exif()
    exif[0x0110] = f"camera {number}"
    Image.fromarray(noise).resize(size).save(buffer, kind, exif=exif)
    return buffer.getvalue()


FILES = [*(picture(number) for number in range(6)), b"not a picture", picture(7, "PNG"), picture(8)[:2000]]


@pytest.fixture
def looked(monkeypatch: pytest.MonkeyPatch) -> Iterator[Lookers]:
    monkeypatch.setattr(lookers, "_MANY_FILES", 0)
    monkeypatch.setattr(lookers, "_cores", lambda: 8)
    found = Lookers(SPEC, 6, **OPTIONS)
    yield found
    found.close()


def same(one: Any, other: Any) -> bool:
    if isinstance(one, str) or isinstance(other, str):
        return one == other
    names = ("width", "height", "exif", "thumbnail")
    alike = all(getattr(one, name) == getattr(other, name) for name in names)
    return alike and np.array_equal(one.pixels, other.pixels)


def in_this_process(files: list[bytes]) -> list[Any]:
    return look_at(files, SPEC, **OPTIONS)


def test_they_see_what_is_seen_here(looked: Lookers) -> None:
    found = looked(FILES)
    assert [type(one) for one in found] == [Seen] * 6 + [str, Seen, str]
    assert all(map(same, found, in_this_process(FILES)))
    assert looked._started == 1


def test_each_thread_has_one_of_its_own(looked: Lookers) -> None:
    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(looked, [FILES] * 24))
    expected = in_this_process(FILES)
    assert all(all(map(same, one, expected)) for one in found)
    assert 1 <= looked._started <= 6


def test_a_process_that_was_killed_is_not_missed(looked: Lookers) -> None:
    looked(FILES)
    os.kill(looked._idle[0]._process.pid, signal.SIGKILL)
    assert all(map(same, looked(FILES), in_this_process(FILES)))
    assert looked._idle == []


def test_an_interrupt_of_the_terminal_does_not_end_them(looked: Lookers) -> None:
    looked(FILES[:1])
    process = looked._idle[0]._process
    os.kill(process.pid, signal.SIGINT)
    looked(FILES[:1])
    assert process.poll() is None


def test_what_no_message_has_room_for_is_done_here(looked: Lookers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookers, "_SHARED_BYTES", 70_000)
    files = [picture(1, "PNG", (800, 600)), *FILES[:4]]
    assert len(files[0]) > 70_000
    assert all(map(same, looked(files), in_this_process(files)))


def test_after_closing_none_is_left_and_files_are_looked_at_here(looked: Lookers) -> None:
    looked(FILES)
    process = looked._idle[0]._process
    looked.close()
    assert process.poll() == 0
    assert all(map(same, looked(FILES), in_this_process(FILES)))


@pytest.mark.parametrize(("threads", "cores", "files"), [(5, 8, 10_000), (8, 5, 10_000), (6, 6, 1000)])
def test_few_threads_cores_or_files_start_none(
    threads: int, cores: int, files: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lookers, "_cores", lambda: cores)
    found = Lookers(SPEC, threads, **OPTIONS)
    for _ in range(files // 4):
        assert found._taken(4) is None
    assert found._started == 0


def test_a_build_with_processes_writes_the_bytes_of_one_without(
    folder: Any, target: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(folder, target, threads=1)
    monkeypatch.setattr(lookers, "_MANY_FILES", 0)
    monkeypatch.setattr(lookers, "_cores", lambda: 6)

    build(folder, tmp_path / "other.lookalike", threads=6)

    name = "items/part-000000.parquet"
    assert (tmp_path / "other.lookalike" / name).read_bytes() == (target / name).read_bytes()

"""Processes that read files and look at them answer as this one does, which does what they leave."""

from __future__ import annotations

import hashlib
import io
import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import build
from PIL import Image

from lookalike.builder import workers
from lookalike.builder.preparing import prepared
from lookalike.builder.worker_process import Work
from lookalike.builder.workers import Held, Prepared, Read, Workers
from lookalike.models.registry import load_model
from lookalike.sources.local_file import LocalFile
from lookalike.sources.sample import Sample
from lookalike.storage.parts import Failure

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="memory is shared on Linux alone"),
]
SPEC = load_model("colors").spec
WORK = Work(SPEC, max_megapixels=1.0, thumbnails=True)


def picture(number: int, kind: str = "JPEG", size: tuple[int, int] = (320, 240)) -> bytes:
    noise = np.random.default_rng(number).integers(0, 256, (size[1] // 8, size[0] // 8, 3), np.uint8)
    buffer = io.BytesIO()
    exif = Image.Exif()
    exif[0x0110] = f"camera {number}"
    Image.fromarray(noise).resize(size).save(buffer, kind, exif=exif)
    return buffer.getvalue()


FILES = [*(picture(number) for number in range(6)), b"not a picture", picture(7, "PNG"), picture(8)[:2000]]


@pytest.fixture
def many(monkeypatch: pytest.MonkeyPatch) -> Iterator[Workers]:
    monkeypatch.setattr(workers, "_MANY_FILES", 0)
    monkeypatch.setattr(workers, "_cores", lambda: 8)
    monkeypatch.setattr(workers._Worker, "is_ready", lambda self: self._connection.poll(20))
    found = Workers(WORK, 6, count=100)
    yield found
    found.close()


def files_in(folder: Path, files: list[bytes] = FILES) -> list[Sample]:
    """The files as samples of a folder, and one that is gone."""
    found = []
    for number, data in enumerate(files):
        path = folder / str(number)
        path.write_bytes(data)
        found.append(sample(number, LocalFile(os.fsencode(path), len(data))))
    return [*found, sample(len(files), LocalFile(os.fsencode(folder / "gone"), 10))]


def from_elsewhere(files: list[bytes] = FILES) -> list[Sample]:
    """The files as samples that only this process can read, and one that cannot be read."""
    found = [sample(number, partial(bytes, data)) for number, data in enumerate(files)]
    return [*found, sample(len(files), partial(open, "/nowhere"))]


def sample(number: int, read: Any) -> Sample:
    return Sample(str(number), f"file:///{number}", None, 0, read)


def told(found: list[Any]) -> list[Any]:
    """What can be compared of what was prepared."""
    return [
        one
        if isinstance(one, Failure)
        else (one.size_bytes, one.sha256, one.seen.exif, one.seen.thumbnail, one.seen.pixels.tolist())
        for one in found
    ]


def by(processes: Workers, samples: list[Sample]) -> list[Any]:
    return told(prepared(samples, work=WORK, workers=processes))


def here(samples: list[Sample]) -> list[Any]:
    return by(Workers(WORK, 1, 0), samples)


@pytest.mark.parametrize("given", [files_in, lambda _: from_elsewhere()], ids=["in a folder", "elsewhere"])
def test_they_see_what_is_seen_here(many: Workers, given: Any, tmp_path: Path) -> None:
    samples = given(tmp_path)
    found = by(many, samples)
    assert [type(one) for one in found] == [tuple] * 6 + [Failure, tuple, Failure, Failure]
    assert [one.stage for one in found if isinstance(one, Failure)] == ["decode", "decode", "read"]
    assert found == here(samples)
    assert len(many._idle) == 6


def test_the_processes_answer_for_files_here_and_for_bytes_from_elsewhere(
    many: Workers, tmp_path: Path
) -> None:
    reads = [files_in(tmp_path)[0].read, Held(FILES[1]), partial(bytes, FILES[2])]
    ((first, second, third),) = many.answers(reads)
    assert (type(first), type(second), third) == (Prepared, Prepared, None)


def test_what_is_read_from_elsewhere_is_read_once(many: Workers) -> None:
    times: list[int] = []

    def read() -> bytes:
        times.append(1)
        return b"not a picture"

    (found,) = prepared([sample(0, read)], work=WORK, workers=many)
    assert isinstance(found, Failure)
    assert times == [1]


def test_each_thread_has_one_of_its_own(many: Workers, tmp_path: Path) -> None:
    samples = files_in(tmp_path)
    expected = here(samples)
    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(lambda _: by(many, samples), range(24)))
    assert all(one == expected for one in found)
    assert len({one.pid for one in many._idle} - {0}) > 1


def test_a_process_that_was_killed_is_not_missed(many: Workers, tmp_path: Path) -> None:
    samples = files_in(tmp_path)
    by(many, samples)
    os.kill(many._idle[-1].pid, signal.SIGKILL)
    assert by(many, samples) == here(samples)
    assert len(many._idle) == 5


def test_an_interrupt_of_the_terminal_does_not_end_them(many: Workers, tmp_path: Path) -> None:
    samples = files_in(tmp_path)[:1]
    by(many, samples)
    used = many._idle[-1]
    os.kill(used.pid, signal.SIGINT)
    by(many, samples)
    assert many._idle[-1] is used


@pytest.mark.parametrize("given", [files_in, lambda _, files: from_elsewhere(files)])
def test_what_no_message_has_room_for_comes_with_the_next_or_is_done_here(
    many: Workers, given: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "_SHARED_BYTES", 200_000)
    files = [picture(1, "PNG", (800, 600)), *FILES]
    assert len(files[0]) > 200_000
    samples = given(tmp_path, files)
    assert by(many, samples) == here(samples)


def test_files_for_a_gpu_are_read_and_others_looked_at(many: Workers, tmp_path: Path) -> None:
    many._work = replace(WORK, leaves_jpegs=True)
    reads = [one.read for one in files_in(tmp_path)]
    ((*answers,),) = many.answers(reads)
    kinds = [Read] * 6 + [type(None), Prepared, type(None), type(None)]
    assert [type(one) for one in answers] == kinds
    for answer, data in zip(answers[:6], FILES[:6], strict=True):
        assert bytes(answer.file.data) == data
        assert answer.sha256 == hashlib.sha256(data).hexdigest()
        assert (answer.file.header.width, answer.file.header.height) == (320, 240)
        assert answer.file.header.exif.camera == f"camera {FILES.index(data)}"


def test_files_for_a_gpu_that_do_not_fit_into_the_memory_come_in_several_answers(
    many: Workers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    many._work = replace(WORK, leaves_jpegs=True)
    monkeypatch.setattr(workers, "_SHARED_BYTES", 3 * max(map(len, FILES[:6])))
    reads = [one.read for one in files_in(tmp_path)][:6]
    found = [bytes(one.file.data) for answers in many.answers(reads) for one in answers]
    assert found == FILES[:6]


def test_after_closing_none_is_left_and_files_are_looked_at_here(many: Workers, tmp_path: Path) -> None:
    samples = files_in(tmp_path)
    by(many, samples)
    pid = many._idle[-1].pid
    many.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert by(many, samples) == here(samples)


def test_a_process_that_cannot_be_started_is_not_missed(
    many: Workers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers.sys, "executable", "/nowhere/python")
    samples = files_in(tmp_path)
    assert by(many, samples) == here(samples)


@pytest.mark.parametrize(("threads", "cores", "count"), [(5, 8, 10_000), (8, 5, 10_000), (6, 6, 1999)])
def test_few_threads_cores_or_files_start_none(
    threads: int, cores: int, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "_cores", lambda: cores)
    found = Workers(WORK, threads, count)
    assert [found._taken() for _ in range(10)] == [None] * 10
    assert found._parent is None


def test_while_they_start_nobody_waits_for_them(many: Workers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers._Worker, "is_ready", lambda self: False)
    assert list(many.answers([Held(FILES[0])])) == [[None]]
    assert many._parent is not None


def test_a_build_with_processes_writes_the_bytes_of_one_without(
    folder: Any, target: Any, tmp_path: Any, many: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(folder, target, threads=1)
    answers: list[Any] = []
    ask = workers._Worker.ask
    monkeypatch.setattr(
        workers._Worker, "ask", lambda self, reads: answers.extend(ask(self, reads)) or answers[-len(reads) :]
    )

    build(folder, tmp_path / "other.lookalike", threads=6)

    name = "items/part-000000.parquet"
    assert (tmp_path / "other.lookalike" / name).read_bytes() == (target / name).read_bytes()
    assert Prepared in map(type, answers)

"""Processes that read files and look at them answer as this one does, which does what they leave."""

from __future__ import annotations

import hashlib
import io
import os
import signal
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import replace
from functools import partial
from multiprocessing import Pipe
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import build, write_pictures
from PIL import Image
from source_files import records_of, tar_of, written
from url_lists import LOCAL, listed, ok
from web_server import web

from lookalike.builder import workers
from lookalike.builder.preparing import prepared
from lookalike.builder.worker_process import Work, _read
from lookalike.builder.workers import Held, Prepared, Read, Workers
from lookalike.images.decoding import SharedBytes
from lookalike.images.memory import DECODING
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


def use(monkeypatch: pytest.MonkeyPatch, cores: int) -> None:
    """Let there be so many cores, let few files be enough for processes, and wait until they have started."""
    monkeypatch.setattr(workers, "_MANY_FILES", 0)
    monkeypatch.setattr(workers, "cores", lambda: cores)
    monkeypatch.setattr(workers._Worker, "is_ready", lambda self: self._connection.poll(20))


@pytest.fixture
def many(monkeypatch: pytest.MonkeyPatch) -> Iterator[Workers]:
    use(monkeypatch, cores=8)
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


def is_gone(pid: int) -> bool:
    """Whether a process ends within two seconds."""
    for _ in range(100):
        try:
            if "State:\tZ" in Path(f"/proc/{pid}/status").read_text():
                return True
        except OSError:
            return True
        time.sleep(0.02)
    return False


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


@pytest.mark.parametrize("answer", [b"\0\0\1\0half", b"\0\0\0\4none"], ids=["cut off", "no answer"])
def test_a_broken_answer_is_not_believed(many: Workers, answer: bytes, tmp_path: Path) -> None:
    samples = files_in(tmp_path)
    by(many, samples)
    worker = many._idle[-1]
    worker._connection, theirs = Pipe()
    with socket.socket(fileno=os.dup(theirs.fileno())) as end:
        end.sendall(answer)
        end.shutdown(socket.SHUT_WR)
    assert by(many, samples) == here(samples)
    assert not worker.is_alive
    assert len(many._idle) == 5


def test_answers_that_are_too_few_are_for_none(many: Workers, tmp_path: Path) -> None:
    samples = files_in(tmp_path)
    by(many, samples)
    many._idle[-1]._connection, theirs = Pipe()
    theirs.send([None])
    assert by(many, samples) == here(samples)
    assert len(many._idle) == 5


def test_a_process_that_cannot_be_told_to_end_is_ended(many: Workers, tmp_path: Path) -> None:
    by(many, files_in(tmp_path))
    worker = many._idle[-1]
    another = os.dup(worker._connection.fileno())  # as a fork of this process would hold
    many.close()
    os.close(another)
    assert is_gone(worker.pid)


def test_modules_of_the_current_folder_and_what_they_print_do_not_matter(
    many: Workers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "numpy.py").write_text("raise SystemExit")
    (tmp_path / "sitecustomize.py").write_text("print('hello')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    ((found,),) = many.answers([Held(FILES[0])])
    assert isinstance(found, Prepared)


def test_what_they_may_take_to_decode_is_taken_from_the_memory_for_all(many: Workers) -> None:
    with ThreadPoolExecutor(1) as pool:
        with DECODING.taking(DECODING.limit_bytes):
            asking = pool.submit(list, many.answers([Held(FILES[0])]))
            assert not wait([asking], 2).done
        ((found,),) = asking.result()
    assert isinstance(found, Prepared)


def test_a_file_that_memory_cannot_hold_is_a_failure_and_ends_no_process() -> None:
    def large() -> bytes:
        raise MemoryError

    failure = Failure("0", "file:///0", "read", "too large for this machine's memory")
    assert here([sample(0, large)]) == [failure]
    assert _read(large) == b""


def test_what_several_models_share_is_decoded_once_and_here(many: Workers) -> None:
    data = picture(1, size=(1000, 800))
    shared = SharedBytes(data, cover_px=600)
    (found,) = by(many, [sample(0, lambda: shared)])
    assert (found,) == tuple(here([sample(0, lambda: SharedBytes(data, cover_px=600))]))
    assert shared._picture is not None


def test_an_interrupt_of_the_terminal_does_not_reach_them(many: Workers, tmp_path: Path) -> None:
    by(many, files_in(tmp_path)[:1])
    assert os.getsid(many._idle[-1].pid) != os.getsid(0)


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
    found = [[bytes(one.file.data) for one in answers] for answers in many.answers(reads)]
    assert [data for some in found for data in some] == FILES[:6]
    assert len(found) == 2


def test_a_file_that_has_grown_too_large_for_the_memory_is_left_to_this_process(
    many: Workers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    many._work = replace(WORK, leaves_jpegs=True)
    monkeypatch.setattr(workers, "_SHARED_BYTES", len(FILES[0]) + len(FILES[1]))
    reads = [one.read for one in files_in(tmp_path)][:3]
    grown = replace(reads[1], size_bytes=1)
    Path(os.fsdecode(grown.path)).write_bytes(FILES[1] + b"\0")
    (found,) = many.answers([reads[0], grown])
    assert [type(one) for one in found] == [Read, type(None)]


def test_after_closing_none_is_left_and_files_are_looked_at_here(many: Workers, tmp_path: Path) -> None:
    samples = files_in(tmp_path)
    by(many, samples)
    pid = many._idle[-1].pid
    many.close()
    assert is_gone(pid)
    assert by(many, samples) == here(samples)


def test_processes_that_another_part_of_this_program_has_waited_for_are_not_missed(
    many: Workers, tmp_path: Path
) -> None:
    by(many, files_in(tmp_path))
    pid = many._parent.pid
    os.killpg(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    assert all(is_gone(one.pid) for one in many._idle if one.pid)
    many.close()
    assert many._idle == []


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
    monkeypatch.setattr(workers, "cores", lambda: cores)
    found = Workers(WORK, threads, count)
    assert [found._taken() for _ in range(10)] == [None] * 10
    assert found._parent is None


def test_while_they_start_nobody_waits_for_them(many: Workers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers._Worker, "is_ready", lambda self: False)
    assert list(many.answers([Held(FILES[0])])) == [[None]]
    assert many._parent is not None


def a_folder(folder: Path) -> Path:
    write_pictures(folder, 24)
    (folder / "bad.jpg").write_bytes(b"no picture")
    return folder


def a_tar(folder: Path) -> Path:
    return written(folder / "0.tar", tar_of({f"{n:02}.jpg": data for n, data in enumerate(pictures())}))


def records(folder: Path) -> Path:
    examples = [{"image": data, "filename": b"%d" % n} for n, data in enumerate(pictures())]
    return written(folder / "0.tfrecord", records_of(*examples))


def a_table(folder: Path) -> Path:
    folder.mkdir()
    pq.write_table(pa.table({"image": pictures(), "label": list("ab" * 12)}), folder / "0.parquet")
    return folder


def pictures() -> list[bytes]:
    return [*(picture(number) for number in range(22)), b"no picture", picture(23, "PNG")]


def contents(root: Path) -> dict[str, bytes]:
    """The files of a collection that are not derived."""
    files = (path for kind in ("items", "thumbnails", "failures") for path in (root / kind).iterdir())
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in files}


@pytest.mark.parametrize("source", [a_folder, a_tar, records, a_table])
@pytest.mark.parametrize("model", ["colors", "efficientnet-lite0"])
def test_a_build_writes_the_same_bytes_with_any_number_of_threads_with_and_without_processes(
    source: Any, model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = source(tmp_path / "source")
    options = {"model": model, "part_size": 7}
    found = []
    for number, (threads, cores) in enumerate([(1, 1), (6, 1), (6, 6)]):
        use(monkeypatch, cores)
        root = tmp_path / f"{number}.lookalike"
        build(given, root, threads=threads, **options)
        found.append(contents(root))
    assert len(found[0]) >= 4 + 4 + 1
    assert found[0] == found[1] == found[2]


def test_a_build_of_urls_writes_the_same_bytes_with_and_without_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with web() as site:
        given = listed(tmp_path, *ok(site, *range(20)), f"{site.url}/html.jpg", f"{site.url}/status/404")
        build(given, tmp_path / "0.lookalike", threads=1, part_size=6, fetch=LOCAL)
        use(monkeypatch, cores=6)
        build(given, tmp_path / "1.lookalike", threads=6, part_size=6, fetch=LOCAL)
    assert contents(tmp_path / "1.lookalike") == contents(tmp_path / "0.lookalike")

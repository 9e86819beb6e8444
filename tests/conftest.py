"""Pictures, a collection and the commands for every test. What is of the session is read, never changed."""

from __future__ import annotations

import gc
import io
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable
from contextlib import redirect_stderr, redirect_stdout
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from buckets import bucket, s3_server  # noqa: F401 (fixtures)
from filelock import FileLock
from hypothesis import settings
from indexes import COUNT, clouds, copy_of, write_collection
from pages import address, chromium, errors, page, window  # noqa: F401 (fixtures)
from PIL import Image

import lookalike
from lookalike.cli import main
from lookalike.collection import Collection
from lookalike.demo.flowers import draw_flower
from lookalike.index import KINDS, build_index
from lookalike.models.model import LoadedModel
from lookalike.models.registry import learner, load_model

# Mean colours, far enough apart that the model `colors` tells the classes from each other.
CLASSES = {"brick": (170, 80, 60), "meadow": (90, 160, 70), "sea": (60, 100, 180)}

# Two processes test, each on a core: threads of theirs would wait for each other, and burn the time.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# What is collected stays: there is no garbage to look for until then.
gc.disable()

# A busy machine takes its time. `pytest -m hypothesis --hypothesis-profile thorough` tries more examples.
settings.register_profile("quick", deadline=None, max_examples=40)
settings.register_profile("thorough", deadline=None, max_examples=200)
settings.load_profile("quick")

Run = Callable[..., tuple[int, str, str]]

# Tests that use one of these fixtures have the mark that `pyproject.toml` describes.
MARKS = {"chromium": pytest.mark.browser, "s3_server": pytest.mark.s3}

# A shell starts what is to run in the background with Ctrl-C ignored, and tests would hand that on.
signal.signal(signal.SIGINT, signal.default_int_handler)


def picture(seed: int, color: tuple[int, int, int] = (128, 128, 128), size: tuple[int, int] = (64, 48)):
    """A smooth pattern around a mean colour as a Pillow image; another seed gives another picture."""
    waves = np.random.default_rng(seed).normal(0, 40, (6, 8, 3))
    grid = np.clip(waves + np.array(color), 0, 255).astype(np.uint8)
    return Image.fromarray(grid).resize(size, Image.Resampling.BICUBIC)


def write_picture(
    path: Path, seed: int, color: tuple[int, int, int] = (128, 128, 128), size: tuple[int, int] = (64, 48)
) -> Path:
    """Write `picture` in the format of the name, with the folders it needs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    picture(seed, color, size).save(path)
    return path


def write_pictures(folder: Path, count: int, size: tuple[int, int] = (64, 48)) -> Path:
    """Write `count` pictures, class by class in turn: brick and meadow are JPEG, sea is PNG."""
    for number in range(count):
        label = list(CLASSES)[number % 3]
        suffix = "png" if label == "sea" else "jpg"
        write_picture(folder / label / f"{label}-{number:03d}.{suffix}", number, CLASSES[label], size)
    return folder


def build(source: Path, target: Path, **options: Any) -> tuple[lookalike.Collection, lookalike.Report]:
    """`lookalike.build` with the model `colors` unless another is asked for, and its report."""
    collection = lookalike.build(source, target, **{"model": "colors", **options})
    assert collection.report is not None
    return collection, collection.report


@cache
def taught(name: str) -> LoadedModel:
    """A model that can embed: one that learns has learned from drawn flowers."""
    learn = learner(name)
    if learn is None:
        return load_model(name)
    kinds = ("daisy", "rose", "sunflower", "tulip")
    return load_model(name, learned=learn([load_model(name).pixels(draw_flower(kind, 1)) for kind in kinds]))


def command(*words: object, input: str = "") -> subprocess.CompletedProcess[str]:
    """Run `lookalike WORDS` in this process, which is much faster than in one of its own."""
    stdin, *streams = (io.TextIOWrapper(io.BytesIO(data), "utf-8") for data in (input.encode(), b"", b""))
    with redirect_stdout(streams[0]), redirect_stderr(streams[1]), pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdin", stdin)
        code = exit_code(words)
    said = []
    for stream in streams:
        stream.flush()
        said.append(stream.buffer.getvalue().decode())
    return subprocess.CompletedProcess(words, code, *said)


def command_process(*words: object, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run `lookalike WORDS` in a process of its own."""
    words = (sys.executable, "-m", "lookalike", *map(str, words))
    return subprocess.run(words, capture_output=True, text=True, timeout=60, check=False, **options)


def exit_code(words: Iterable[object]) -> int:
    try:
        return main([str(word) for word in words])
    except SystemExit as stopped:  # argparse
        return int(stopped.code or 0)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_finish() -> None:
    """What was collected stays until the end: no collection of garbage has to go through it again."""
    gc.freeze()
    gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        for name in MARKS.keys() & getattr(item, "fixturenames", ()):
            item.add_marker(MARKS[name])


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command in this process; gives the exit code, stdout and stderr."""

    def call(*words: object) -> tuple[int, str, str]:
        return exit_code(words), *capsys.readouterr()

    return call


def strict_json(text: str) -> object:
    """Parse JSON as other languages do: NaN and Infinity are not in it."""

    def refuse(name: str) -> None:
        raise ValueError(f"{name} is not JSON")

    return json.loads(text, parse_constant=refuse)


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 42 small pictures, 14 in each of brick/, meadow/ and sea/."""
    return write_pictures(tmp_path_factory.mktemp("session") / "photos", 42)


@pytest.fixture(scope="session")
def collection(photos: Path) -> lookalike.Collection:
    """The collection of `photos`, labelled by folder, in parts of 16 rows."""
    return build(photos, photos.with_name("photos.lookalike"), label="folder", part_size=16)[0]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of 12 pictures that the test may change: brick-000.jpg, meadow-001.jpg, sea-002.png and on."""
    return write_pictures(tmp_path / "pictures", 12)


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """Where a test may build a collection."""
    return tmp_path / "target.lookalike"


@pytest.fixture
def copied(collection: lookalike.Collection, tmp_path: Path) -> lookalike.Collection:
    """A copy of `collection` that the test may damage."""
    shutil.copytree(collection.path, tmp_path / "copied.lookalike")
    return lookalike.open(tmp_path / "copied.lookalike")


@pytest.fixture
def damage() -> Callable[[Path], None]:
    """Flips the bits of the byte in the middle of a file, or of the one at `position`."""

    def flip(path: Path, position: int | None = None) -> None:
        data = bytearray(path.read_bytes())
        data[len(data) // 2 if position is None else position] ^= 0xFF
        path.write_bytes(data)

    return flip


@pytest.fixture(scope="session")
def vectors() -> np.ndarray:
    """Unit vectors (3000, 64) in clouds."""
    return clouds(COUNT)


@pytest.fixture(scope="session")
def plain(vectors, tmp_path_factory) -> Collection:
    """3,000 vectors in 6 parts, without an index."""
    return write_collection(tmp_path_factory.mktemp("index") / "plain.lookalike", vectors)


@pytest.fixture(scope="session")
def indexed(plain, tmp_path_factory, worker_id) -> dict[str, Collection]:
    """A copy of the collection for each kind, with its index; made once for all processes that test."""
    root = tmp_path_factory.getbasetemp()
    if worker_id != "master":
        root = root.parent
    with FileLock(root / "indexed.lock"):
        if not (root / "indexed").exists():
            for kind in KINDS:
                (root / "made" / kind).mkdir(parents=True)
                build_index(copy_of(plain, root / "made" / kind).path, kind)
            (root / "made").rename(root / "indexed")
    return {kind: lookalike.open(root / "indexed" / kind / "copy.lookalike") for kind in KINDS}


@pytest.fixture(scope="session")
def big(tmp_path_factory) -> tuple[Collection, np.ndarray]:
    """15,000 vectors in 3 parts, without an index, and the vectors."""
    many = clouds(15_000, seed=4)
    root = tmp_path_factory.mktemp("big") / "big.lookalike"
    return write_collection(root, many, part_size=5000), many

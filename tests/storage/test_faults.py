"""Kills, full disks and Ctrl-C: what was committed stays right, and the next build goes on from there."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import build, command_process, write_picture, write_pictures

import lookalike
from lookalike.storage.parts import list_parts

pytestmark = pytest.mark.process

# Runs builds one after the other; each child kills itself at the nth step that it takes in the collection,
# before the step is done. Python reports every opening, renaming, making and removing of a file as an audit
# event, so going through all n kills the build between any two changes of the disk.
KILLER = """
import json, os, signal, sys
import lookalike, lookalike.models.colors
from lookalike.builder.build import build

def die_at(step, root):
    taken = 0
    def hook(event, arguments):
        nonlocal taken
        writes = event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR)
        if not writes and event not in ("os.rename", "os.remove", "os.mkdir", "os.rmdir"):
            return
        path = arguments[0]  # rmtree gives a name below an open folder: no path that holds the root
        if event in ("os.remove", "os.rmdir") or (not isinstance(path, int) and root in os.fsdecode(path)):
            taken += 1
            if taken == step:
                os.kill(os.getpid(), signal.SIGKILL)
    sys.addaudithook(hook)

for line in sys.stdin:
    job = json.loads(line)
    child = os.fork()
    if not child:
        die_at(job["step"], job["target"])
        build(job["source"], job["target"], **job["options"])
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


class Killer:
    """A process that runs builds and kills them at a given step; `build` returns the exit code."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", KILLER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def build(self, source: Path, target: Path, step: int, **options: object) -> int:
        job = {"source": str(source), "target": str(target), "step": step, "options": options}
        self._process.stdin.write(json.dumps(job) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def close(self) -> None:
        self._process.communicate()


@pytest.fixture(scope="module")
def killer():
    process = Killer()
    yield process
    process.close()


def state(collection: lookalike.Collection) -> dict[str, tuple]:
    """Everything that a row says, by id: columns but the place in the tar, vector, thumbnail."""
    found = {}
    for part in list_parts(collection.path):
        rows = part.items()
        thumbnails = part.thumbnails(rows["id"].to_pylist())
        shown = rows.drop_columns(["thumb_offset", "thumb_size", "embedding"]).to_pylist()
        for row, vector, jpeg in zip(shown, part.embeddings(), thumbnails, strict=True):
            found[row["id"]] = (row, bytes(vector), jpeg)
    return found


def strange_files(target: Path) -> list[str]:
    """Files of a collection that nothing refers to."""
    collection = lookalike.open(target)
    known = {target / "collection.json", target / ".lock"}
    known |= {
        path for part in list_parts(collection.path) for path in (part.items_path, part.thumbnails_path())
    }
    known |= set((target / "failures").glob("part-??????.parquet"))
    known |= {target / "derived" / name for name in ("background.json", "rows.json", ".rows.lock")}
    known |= set(list((target / "derived").glob("rows-*.arrow"))[:1])
    known |= {target / f"model-{collection.manifest.model.sha256[:16]}.npz"}
    return [str(path) for path in target.rglob("*") if path.is_file() and path not in known]


def check_what_is_committed(target: Path, *wholes: dict[str, tuple]) -> int:
    """Every committed row is one of an uninterrupted build; returns how many there are."""
    collection = lookalike.open(target)
    assert list(collection.verify()) == []
    found = state(collection)
    for id_, row in found.items():
        assert row in [whole.get(id_) for whole in wholes]
    return len(found)


def change(folder: Path) -> None:
    """Remove, change, break, mend and add images, so that every part has to be rewritten."""
    pictures = sorted(path for path in folder.rglob("*") if path.is_file())
    for number, path in enumerate(pictures):
        if number % 5 == 0:
            path.unlink()
        elif number % 5 == 1:
            write_picture(path, 1000 + number, size=(32, 24))
        elif number % 15 == 2:
            path.write_text("broken")
        os.utime(folder)
    write_pictures(folder / "more", 4, size=(32, 24))


def test_a_build_that_is_killed_at_any_step_goes_on_from_there(killer, tmp_path):
    folder = write_pictures(tmp_path / "pictures", 9, size=(32, 24))
    (folder / "bad.jpg").touch()
    whole = state(build(folder, tmp_path / "whole", part_size=4, label="folder")[0])
    options = {"model": "colors", "part_size": 4, "label": "folder", "threads": 1}
    steps, code = 0, -signal.SIGKILL
    while code == -signal.SIGKILL:
        steps += 1
        target = tmp_path / f"killed-{steps}"
        code = killer.build(folder, target, steps, **options)
        if (target / "collection.json").exists():
            check_what_is_committed(target, whole)

        collection, _ = build(folder, target, part_size=4, label="folder")

        assert state(collection) == whole, f"killed at step {steps}"
        assert collection.failures()["id"].to_pylist() == ["bad.jpg"]
        assert strange_files(target) == []
    assert code == 0
    assert steps > 20


def test_a_part_that_a_kill_left_out_among_others_is_made_again(tmp_path):
    folder = write_pictures(tmp_path / "pictures", 20, size=(32, 24))
    collection, _ = build(folder, tmp_path / "target", part_size=4, label="folder")
    whole, parts = state(collection), list_parts(collection.path)
    for part in (parts[1], parts[3]):  # each was still to be renamed
        part.items_path.unlink()

    assert check_what_is_committed(collection.path, whole) == 12
    assert len(collection.search(lookalike.Id(collection.ids[0]), k=20)) == 11
    again, report = build(folder, collection.path, part_size=4)

    assert (report.embedded, report.unchanged) == (8, 12)
    assert state(again) == whole
    assert list(again.verify()) == []
    assert strange_files(collection.path) == []


@pytest.mark.slow
@pytest.mark.parametrize("rebuild", [False, True])
def test_a_second_build_that_is_killed_at_any_step_goes_on_from_there(killer, tmp_path, rebuild):
    folder = write_pictures(tmp_path / "pictures", 8, size=(32, 24))
    (folder / "bad.jpg").touch()
    first = build(folder, tmp_path / "first", part_size=4, label="folder")[0]
    old = state(first)
    change(folder)
    whole = state(build(folder, tmp_path / "whole", part_size=4, label="folder")[0])
    options = {"model": "colors", "part_size": 4, "threads": 1, "rebuild": rebuild}
    steps, code = 0, -signal.SIGKILL
    while code == -signal.SIGKILL:
        steps += 1
        target = tmp_path / f"killed-{steps}"
        shutil.copytree(first.path, target)
        code = killer.build(folder, target, steps, **options)
        check_what_is_committed(target, old, whole)

        collection, _ = build(folder, target, part_size=4)

        assert state(collection) == whole, f"killed at step {steps}"
        assert list(collection.verify()) == []
        assert strange_files(target) == []
    assert code == 0
    assert steps > 20


@pytest.mark.parametrize("before", [None, "colors", "sift"])
def test_a_build_that_is_killed_while_its_model_learns_leaves_all_of_it_or_nothing(killer, tmp_path, before):
    pytest.importorskip("cv2")
    folder = write_pictures(tmp_path / "pictures", 3)
    first = build(folder, tmp_path / "first", model=before)[0].path if before else None
    write_picture(folder / "new.png", 9)
    whole, _ = build(folder, tmp_path / "whole", model="sift")
    options = {"model": "sift", "rebuild": bool(before), "threads": 1}
    steps, model = 0, None
    while model != whole.manifest.model:  # what comes after is the same for every model
        steps += 1
        target = tmp_path / f"killed-{steps}"
        if first:
            shutil.copytree(first, target)

        assert killer.build(folder, target, steps, **options) == -signal.SIGKILL

        if (target / "collection.json").exists():
            collection = lookalike.open(target)
            assert list(collection.verify()) == []
            model = collection.model.spec
        again, _ = build(folder, target, **options)
        assert again.manifest.model == whole.manifest.model, f"killed at step {steps}"
        assert state(again) == state(whole)
        assert strange_files(target) == []
    assert steps > 5


def killed(folder: Path, target: Path, parts: int, delay_s: float) -> bool:
    """Start `lookalike build` and `kill -9` it some time after it has committed so many parts more."""
    words = ["build", folder, "-c", target, "--model", "colors", "--part-size", "4", "--label", "folder"]
    process = subprocess.Popen(
        [sys.executable, "-m", "lookalike", *map(str, words)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    items = target / "items"
    names = set(os.listdir(items)) if items.is_dir() else set()
    while process.poll() is None and len(set(os.listdir(items)) - names if items.is_dir() else ()) < parts:
        time.sleep(0.0005)
    time.sleep(delay_s)
    process.kill()
    return process.wait() == -signal.SIGKILL


def kill_again_and_again(
    folder: Path, target: Path, times: int, seed: int, *wholes: dict[str, tuple]
) -> None:
    """Kill builds at random moments, and check after each kill that what is committed is right."""
    moments = random.Random(seed)
    landed = 0
    for _ in range(times):
        landed += killed(folder, target, moments.randint(0, 12), moments.uniform(0, 0.02))
        if (target / "collection.json").exists():
            check_what_is_committed(target, *wholes)
    assert landed >= times / 2, "the builds were over before they were killed"


@pytest.mark.parametrize(
    ("count", "times"), [(240, 4), pytest.param(1000, 12, marks=pytest.mark.slow)], ids=["few", "many"]
)
def test_builds_killed_at_random_moments_end_as_one_that_was_not(tmp_path, count, times):
    folder = write_pictures(tmp_path / "pictures", count, size=(32, 24))
    (folder / "bad.jpg").touch()
    target = tmp_path / "target"
    whole = state(build(folder, tmp_path / "whole", part_size=4, label="folder")[0])

    kill_again_and_again(folder, target, times, 1, whole)
    collection, _ = build(folder, target, part_size=4)

    assert state(collection) == whole
    assert collection.failures()["id"].to_pylist() == ["bad.jpg"]
    assert strange_files(target) == []

    change(folder)
    changed = state(build(folder, tmp_path / "whole", part_size=4)[0])
    kill_again_and_again(folder, target, times, 2, whole, changed)
    collection, _ = build(folder, target, part_size=4)

    assert state(collection) == changed != whole
    assert list(collection.verify()) == []
    assert strange_files(target) == []


@pytest.fixture
def small_disk(tmp_path):
    """A file system of its own, and a function that gives it another size."""
    place = tmp_path / "disk"
    place.mkdir()

    def mount(*options: str) -> subprocess.CompletedProcess[str]:
        words = ["mount", "-t", "tmpfs", *options, "tmpfs", str(place)]
        return subprocess.run(words, capture_output=True, text=True, check=False)

    if os.name != "posix" or not shutil.which("mount"):
        pytest.skip("there is no mount here")
    mounted = mount("-o", "size=256k")
    if mounted.returncode:
        pytest.skip(f"mounting is not permitted here: {mounted.stderr.strip()}")
    try:
        yield place, lambda size: mount("-o", f"remount,{size}")
    finally:
        subprocess.run(["umount", str(place)], check=True)


def test_a_full_disk_stops_a_build_and_space_lets_it_go_on(small_disk, tmp_path):
    place, remount = small_disk
    folder = write_pictures(tmp_path / "pictures", 120, size=(64, 48))
    whole = state(build(folder, tmp_path / "whole", part_size=8)[0])
    target = place / "target"

    ended = command_process("build", folder, "-c", target, "--model", "colors", "--part-size", 8)

    assert ended.returncode == 1
    assert ended.stderr.startswith(f"lookalike: no space left on the device while writing {target}/")
    assert "free some space and do the same again" in ended.stderr
    assert "Traceback" not in ended.stderr
    committed = check_what_is_committed(target, whole)
    assert 0 < committed < 120

    assert remount("size=8m").returncode == 0
    collection, report = build(folder, target, part_size=8)

    assert (report.unchanged, report.embedded) == (committed, 120 - committed)
    assert state(collection) == whole
    assert strange_files(target) == []


def test_a_full_disk_is_not_filled_with_files_that_nothing_refers_to(small_disk, tmp_path):
    place, _ = small_disk
    folder = write_pictures(tmp_path / "pictures", 120, size=(64, 48))

    with pytest.raises(lookalike.LookalikeError, match="no space left"):
        build(folder, place / "target", part_size=8)

    assert strange_files(place / "target") == []


def test_a_disk_that_is_read_only_is_an_error_and_still_searched(small_disk, tmp_path):
    place, remount = small_disk
    folder = write_pictures(tmp_path / "pictures", 12, size=(32, 24))
    collection, _ = build(folder, place / "target")
    assert remount("ro").returncode == 0

    with pytest.raises(lookalike.LookalikeError, match=r"cannot write .*: Read-only file system"):
        build(folder, place / "target")

    assert list(collection.verify()) == []
    assert len(collection.search(lookalike.Id("sea/sea-002.png"), k=3, include_query=True)) == 3


def test_ctrl_c_stops_a_build_soon_and_keeps_what_is_committed(tmp_path):
    folder = write_pictures(tmp_path / "pictures", 400, size=(32, 24))
    target = tmp_path / "target"
    words = ["build", folder, "-c", target, "--model", "colors", "--part-size", "2"]
    process = subprocess.Popen(
        [sys.executable, "-m", "lookalike", *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    while not (target / "items" / "part-000003.parquet").exists():
        assert process.poll() is None
        time.sleep(0.001)
    started_s = time.monotonic()
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=20)

    assert process.returncode == 130
    assert time.monotonic() - started_s < 3
    assert (stdout, stderr) == ("", "\nlookalike: stopped; what was committed is kept\n")
    collection = lookalike.open(target)
    assert list(collection.verify()) == []
    assert 8 <= len(collection) < 400
    committed = len(collection)
    report = build(folder, target)[1]
    assert (report.unchanged, report.embedded) == (committed, 400 - committed)


def test_readers_see_whole_parts_while_a_build_rewrites_them(tmp_path):
    folder = write_pictures(tmp_path / "pictures", 60, size=(32, 24))
    target = tmp_path / "target"
    reader = build(folder, target, part_size=4)[0]
    old = state(reader)
    change(folder)
    new = state(build(folder, tmp_path / "whole")[0])
    words = ["build", str(folder), "-c", str(target), "--part-size", "4"]
    process = subprocess.Popen([sys.executable, "-m", "lookalike", *words], stderr=subprocess.DEVNULL)
    searches = 0
    while process.poll() is None:
        for hit in reader.search(lookalike.Id("meadow/meadow-010.jpg"), k=100, include_query=True):
            searches += 1
            assert hit["sha256"] in {whole[hit.id][0]["sha256"] for whole in (old, new) if hit.id in whole}

    assert process.returncode == 0
    assert searches > 0
    assert state(reader) == new

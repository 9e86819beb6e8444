"""Real mounts: a file that is seen twice never leaves for itself, and a move to another device loses none.

Only root may mount; elsewhere these are skipped.
"""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import write_picture

import lookalike
from lookalike.analysis.moving import apply_plan, undo_moves
from lookalike.analysis.plan import Plan, make_plan, write_plan
from lookalike.errors import LookalikeError

pytestmark = pytest.mark.process
Mount = Callable[..., Path]


@pytest.fixture
def mount() -> Iterator[Mount]:
    """Mounts something at a folder, which is made, until the test ends."""
    mounted: list[Path] = []

    def mount(at: Path, *what: object) -> Path:
        at.mkdir()
        words = ["mount", *map(str, what), str(at)]
        if not shutil.which("mount") or subprocess.run(words, capture_output=True, check=False).returncode:
            pytest.skip("nothing can be mounted here")
        mounted.append(at)
        return at

    yield mount
    for at in mounted:
        subprocess.run(["umount", str(at)], check=True)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """a.png, a copy of it and b.png, in a folder of the pile."""
    folder = tmp_path / "pile" / "photos"
    data = write_picture(folder / "a.png", 1).read_bytes()
    (folder / "copy.png").write_bytes(data)
    write_picture(folder / "b.png", 2)
    return folder


def planned(folder: Path) -> Plan:
    collection = lookalike.build(folder, folder.with_name("c.lookalike"), model="colors")
    return make_plan(collection.duplicates(tiers=["bytes"]), str(collection.path))


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_of_a_folder_that_is_mounted_twice_not_all_copies_leave(photos, mount, tmp_path):
    pile = photos.parent
    mount(pile / "again", "--bind", photos)
    plan = planned(pile)

    assert apply_plan(plan, tmp_path / "trash") == 1  # of two files with four names
    assert sorted(tree(photos)) in (["a.png", "b.png"], ["b.png", "copy.png"])
    undo_moves(tmp_path / "trash")
    assert sorted(tree(photos)) == ["a.png", "b.png", "copy.png"]


def test_a_plan_that_moves_what_it_keeps_by_another_mount_is_refused(photos, mount, tmp_path):
    again = mount(photos.parent / "again", "--bind", photos)
    plan = planned(photos)
    (group,) = plan.groups
    file = replace(group.keep, path=str(again / Path(group.keep.path).name))
    changed = replace(plan, groups=(replace(group, move=(replace(group.move[0], file=file),)),))

    with pytest.raises(LookalikeError, match="are one file, nothing was moved"):
        apply_plan(changed, tmp_path / "trash")

    assert sorted(tree(photos)) == ["a.png", "b.png", "copy.png"]


KILLED = """
import os, signal
from pathlib import Path
from lookalike.analysis.moving import apply_plan
from lookalike.analysis.plan import read_plan
unlink = Path.unlink
def killed(path, *more, **options):
    if path.suffix == ".png":
        os.kill(os.getpid(), signal.SIGKILL)
    unlink(path, *more, **options)
Path.unlink = killed
apply_plan(read_plan({plan!r}), {trash!r})
"""


def test_a_kill_between_the_copy_to_another_device_and_the_removal_is_undone(photos, mount, tmp_path):
    device = mount(tmp_path / "device", "-t", "tmpfs", "-o", "size=1m", "tmpfs")
    assert device.stat().st_dev != photos.stat().st_dev
    before, trash = tree(photos), device / "trash"
    write_plan(planned(photos), tmp_path / "plan.json")

    script = KILLED.format(plan=str(tmp_path / "plan.json"), trash=str(trash))
    killed = subprocess.run([sys.executable, "-c", script], check=False)

    assert killed.returncode == -signal.SIGKILL
    assert tree(photos) == before
    assert [name for name in tree(trash) if name.endswith(".png")]  # in both places
    assert undo_moves(trash) == 1
    assert (tree(photos), tree(trash)) == (before, {})


def test_a_move_to_another_device_and_back_keeps_every_file(photos, mount, tmp_path):
    device = mount(tmp_path / "device", "-t", "tmpfs", "-o", "size=1m", "tmpfs")
    before = tree(photos)

    assert apply_plan(planned(photos), device / "trash") == 1
    assert len(tree(photos)) == 2
    assert undo_moves(device / "trash") == 1
    assert tree(photos) == before


def test_a_device_that_is_full_loses_nothing(photos, mount, tmp_path):
    device = mount(tmp_path / "device", "-t", "tmpfs", "-o", "size=64k", "tmpfs")
    before, plan = tree(photos), planned(photos)
    full = device / "full"
    with pytest.raises(OSError, match="No space"), full.open("wb", buffering=0) as file:
        while True:
            file.write(b"x" * 4096)
    full.write_bytes(b"x" * (full.stat().st_size - 8_192))  # for the journal and half a picture

    with pytest.raises(LookalikeError, match="no space left on the device while writing"):
        apply_plan(plan, device / "trash")

    assert tree(photos) == before

"""A plan moves what it says, all or nothing, and everything can come back."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import command, write_picture

import lookalike
from lookalike.analysis.moving import JOURNAL, apply_plan, undo_moves
from lookalike.analysis.plan import Plan, make_plan, read_plan, write_plan
from lookalike.demo.flowers import draw_flower
from lookalike.errors import LookalikeError


@pytest.fixture
def images(tmp_path) -> Path:
    """a.png, three files with its bytes in three folders, and b.png."""
    folder = tmp_path / "images"
    data = write_picture(folder / "a.png", 1).read_bytes()
    for copy in ("x/a.png", "y/a.png", "y/ä \n.png"):
        (folder / copy).parent.mkdir(exist_ok=True)
        (folder / copy).write_bytes(data)
    write_picture(folder / "b.png", 2, (200, 30, 60))
    return folder


@pytest.fixture
def plan(images) -> Plan:
    collection = lookalike.build(images, images.with_name("c.lookalike"), model="colors")
    return make_plan(collection.duplicates(), str(collection.path))


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_applied_and_undone_leaves_every_file_as_it_was(images, plan, tmp_path):
    before, trash = tree(images), tmp_path / "trash"

    assert apply_plan(plan, trash) == 3

    assert sorted(tree(images)) == ["a.png", "b.png"]
    assert {name: data for name, data in tree(trash).items() if name != JOURNAL} == {
        name: data for name, data in before.items() if "/" in name
    }
    assert undo_moves(trash) == 3
    assert tree(images) == before
    assert tree(trash) == {}


def test_a_written_plan_is_read_as_it_was(plan, tmp_path):
    write_plan(plan, tmp_path / "plan.json")

    assert read_plan(tmp_path / "plan.json") == plan


@pytest.mark.parametrize("name", ["a.png", "x/a.png", "y/a.png"])
@pytest.mark.parametrize("change", ["removed", "changed", "replaced by a link"])
def test_a_plan_that_no_longer_fits_moves_nothing(images, plan, tmp_path, name, change):
    path = images / name
    data = path.read_bytes()
    path.unlink()
    if change == "changed":
        path.write_bytes(data[:-1] + b"!")
    elif change == "replaced by a link":
        (tmp_path / "elsewhere.png").write_bytes(data)
        path.symlink_to(tmp_path / "elsewhere.png")
    before = tree(images)

    with pytest.raises(LookalikeError, match="nothing was moved"):
        apply_plan(plan, tmp_path / "trash")

    assert tree(images) == before
    assert not (tmp_path / "trash").exists()


def test_a_name_that_is_taken_in_the_target_moves_nothing(images, plan, tmp_path):
    before = tree(images)
    (tmp_path / "trash" / "y").mkdir(parents=True)
    (tmp_path / "trash" / "y" / "a.png").write_text("mine")

    with pytest.raises(LookalikeError, match=r"a.png already exists, nothing was moved; use another folder"):
        apply_plan(plan, tmp_path / "trash")

    assert tree(images) == before
    assert tree(tmp_path / "trash") == {"y/a.png": b"mine"}


def test_two_plans_do_not_share_a_target(plan, images, tmp_path):
    apply_plan(plan, tmp_path / "trash")

    with pytest.raises(LookalikeError, match="has the files of another plan"):
        apply_plan(plan, tmp_path / "trash")


def test_undo_never_replaces_a_file(images, plan, tmp_path):
    apply_plan(plan, tmp_path / "trash")
    (images / "x" / "a.png").write_text("new")
    moved = tree(tmp_path / "trash")

    with pytest.raises(LookalikeError, match="exists again, nothing was moved"):
        undo_moves(tmp_path / "trash")

    assert (images / "x" / "a.png").read_text() == "new"
    assert tree(tmp_path / "trash") == moved


def test_undo_of_a_folder_without_moves_is_an_error(tmp_path):
    with pytest.raises(LookalikeError, match="has no files of a plan"):
        undo_moves(tmp_path)


@pytest.mark.parametrize("id_", ["../../escaped.png", "/tmp/escaped.png", "a/../../b.png", "", JOURNAL])
def test_a_plan_cannot_write_outside_its_target(images, plan, tmp_path, id_):
    group = plan.groups[0]
    first = replace(group.move[0], file=replace(group.move[0].file, id=id_))
    forged = replace(plan, groups=(replace(group, move=(first, *group.move[1:])),))
    before = tree(tmp_path)

    with pytest.raises(LookalikeError, match="cannot name a file in"):
        apply_plan(forged, tmp_path / "trash")
    assert tree(tmp_path) == before


def test_a_journal_cannot_move_files_from_elsewhere(tmp_path):
    (tmp_path / "trash").mkdir()
    (tmp_path / "secret").write_text("mine")
    journal = [[str(tmp_path / "taken"), str(tmp_path / "trash" / ".." / "secret")]]
    (tmp_path / "trash" / JOURNAL).write_text(json.dumps(journal))

    with pytest.raises(LookalikeError, match="which is not in the folder"):
        undo_moves(tmp_path / "trash")
    assert (tmp_path / "secret").exists()


def test_a_file_that_would_be_kept_and_moved_is_refused(images, plan, tmp_path):
    group = plan.groups[0]
    twisted = replace(plan, groups=(replace(group, keep=group.move[0].file),))

    with pytest.raises(LookalikeError, match="would both keep and move"):
        apply_plan(twisted, tmp_path / "trash")


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"format": "lookalike-duplicates", "version": 2}'])
def test_what_is_no_plan_is_refused(tmp_path, text):
    (tmp_path / "plan.json").write_text(text)

    with pytest.raises(LookalikeError, match=r"plan\.json"):
        read_plan(tmp_path / "plan.json")


def test_a_plan_that_is_not_there_names_the_command_that_makes_one(tmp_path):
    with pytest.raises(LookalikeError, match=r"No such file or directory; make the plan again"):
        read_plan(tmp_path / "bad.json")


def test_a_plan_with_a_strange_field_is_refused(plan, tmp_path):
    write_plan(plan, tmp_path / "plan.json")
    fields = json.loads((tmp_path / "plan.json").read_text())
    fields["groups"][0]["move"][0]["file"]["path"] = 7
    (tmp_path / "plan.json").write_text(json.dumps(fields))

    with pytest.raises(LookalikeError, match="has a missing or invalid field"):
        read_plan(tmp_path / "plan.json")


@pytest.mark.process
@pytest.mark.parametrize("moved_before", [0, 1, 2])
def test_what_a_kill_leaves_half_done_can_be_undone(images, plan, tmp_path, moved_before):
    before = tree(images)
    write_plan(plan, tmp_path / "plan.json")
    script = f"""
import os, signal
from pathlib import Path
from lookalike.analysis import moving
from lookalike.analysis.plan import read_plan
real, count = moving._move, 0
def move(source, to):
    global count
    if count == {moved_before}:
        os.kill(os.getpid(), signal.SIGKILL)
    count += 1
    real(source, to)
moving._move = move
moving.apply_plan(read_plan({str(tmp_path / "plan.json")!r}), {str(tmp_path / "trash")!r})
"""
    killed = subprocess.run([sys.executable, "-c", script], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert len(tree(images)) == len(before) - moved_before

    assert undo_moves(tmp_path / "trash") == moved_before
    assert tree(images) == before


def test_the_command_says_that_no_image_could_go(tmp_path):
    draw_flower("rose", 1).save(tmp_path / "a.png")
    draw_flower("tulip", 2).save(tmp_path / "b.png")
    lookalike.build(tmp_path, tmp_path / "c.lookalike", model="colors")

    planned = command("duplicates", tmp_path / "c.lookalike")

    assert planned.stderr.splitlines()[-1] == "none of 2 images could go"


def test_the_command_plans_applies_and_undoes(images, tmp_path):
    lookalike.build(images, tmp_path / "c.lookalike", model="colors")
    before = tree(images)

    planned = command("duplicates", tmp_path / "c.lookalike", "--plan", tmp_path / "plan.json")
    assert planned.returncode == 0, planned.stderr
    assert "a.png  (the largest of them: 64 x 48" in planned.stdout
    assert "identical bytes: the files have the same SHA-256" in planned.stdout
    assert "3 of 5 images could go" in planned.stderr
    assert tree(images) == before

    applied = command("duplicates", "--apply", tmp_path / "plan.json", "--to", tmp_path / "trash")
    assert applied.returncode == 0, applied.stderr
    assert len(tree(images)) == 2
    undone = command("duplicates", "--undo", tmp_path / "trash", "--json")
    assert json.loads(undone.stdout)["moved"] == 3
    assert tree(images) == before


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "give a collection, or --apply FILE"),
        (("--apply", "p.json"), "--apply needs the folder to move to"),
        # Before anything is opened, and compared for minutes.
        (("nowhere.lookalike", "--tiers", "bytes,foo"), "unknown tier 'foo'"),
    ],
)
def test_the_command_says_what_is_missing(words, message):
    refused = command("duplicates", *words)

    assert (refused.returncode, message in refused.stderr) == (1, True)


def test_moving_across_devices_copies_before_it_removes(images, plan, tmp_path, monkeypatch):
    rename = Path.rename

    def refuse(self: Path, target: Path) -> Path:
        if self.suffix == ".png":
            raise OSError(18, os.strerror(18))  # EXDEV
        return rename(self, target)

    before = tree(images)
    monkeypatch.setattr(Path, "rename", refuse)
    assert apply_plan(plan, tmp_path / "trash") == 3
    assert len(tree(images)) == 2
    undo_moves(tmp_path / "trash")
    assert tree(images) == before


def linked(images: Path, how: str) -> Path:
    """A pile that holds the pictures and leads to them under a second name; its root."""
    pile = images.parent / "pile"
    pile.mkdir()
    images.rename(pile / "photos")
    if how == "a link to the folder":
        (pile / "alias").symlink_to(pile / "photos")
    else:
        (pile / "alias").mkdir()
        (pile / "alias" / "a.png").hardlink_to(pile / "photos" / "a.png")
    return pile


@pytest.mark.parametrize("how", ["a link to the folder", "a hard link"])
def test_a_file_that_has_two_names_never_leaves_for_itself(images, tmp_path, how):
    data = (images / "a.png").read_bytes()
    pile = linked(images, how)
    collection = lookalike.build(pile, tmp_path / "linked.lookalike", model="colors")
    assert {"photos/a.png", "alias/a.png"} <= set(collection.ids)

    plan = make_plan(collection.duplicates(tiers=["bytes"]), "c")

    # Four files with these bytes, whatever their names: one stays.
    assert apply_plan(plan, tmp_path / "trash") == 3
    assert {path.stat().st_ino for path in pile.rglob("*.png") if path.read_bytes() == data} == {
        Path(plan.groups[0].keep.path).stat().st_ino
    }


@pytest.mark.parametrize("how", ["a link to the folder", "a hard link"])
def test_a_plan_that_keeps_a_file_and_moves_it_by_another_name_is_refused(images, plan, tmp_path, how):
    pile = linked(images, how)
    before = tree(pile)
    group = plan.groups[0]
    keep, file = (replace(group.keep, path=str(pile / folder / "a.png")) for folder in ("photos", "alias"))
    changed = replace(plan, groups=(replace(group, keep=keep, move=(replace(group.move[0], file=file),)),))

    with pytest.raises(LookalikeError, match="are one file, nothing was moved"):
        apply_plan(changed, tmp_path / "trash")

    assert tree(pile) == before


@pytest.mark.slow
@pytest.mark.parametrize("moved_before", [0, 1, 2])
@pytest.mark.parametrize("call", ["Path.unlink", "shutil.copy2"])
def test_a_move_to_another_device_that_a_kill_cut_short_can_be_undone(
    images, plan, tmp_path, call, moved_before
):
    before = tree(images)
    write_plan(plan, tmp_path / "plan.json")
    script = f"""
import os, shutil, signal
from pathlib import Path
from lookalike.analysis.moving import apply_plan
from lookalike.analysis.plan import read_plan
rename, real, count = Path.rename, {call}, 0
def refuse(self, target):
    if self.suffix == ".png":
        raise OSError(18, "another device")
    return rename(self, target)
def killed(first, *more, **options):
    global count
    if Path(first).suffix == ".png":
        if count == {moved_before}:
            if more:
                Path(more[0]).write_bytes(b"half")
            os.kill(os.getpid(), signal.SIGKILL)
        count += 1
    return real(first, *more, **options)
Path.rename, {call} = refuse, killed
apply_plan(read_plan({str(tmp_path / "plan.json")!r}), {str(tmp_path / "trash")!r})
"""
    killed = subprocess.run([sys.executable, "-c", script], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert len(tree(images)) == len(before) - moved_before

    undo_moves(tmp_path / "trash")

    assert tree(images) == before
    assert tree(tmp_path / "trash") == {}


def test_a_source_goes_only_when_the_copy_and_its_name_are_on_the_disk(images, plan, tmp_path, monkeypatch):
    done = []
    rename, unlink, fsync = Path.rename, Path.unlink, os.fsync

    def refuse(self: Path, target: Path) -> Path:
        if self.suffix == ".png":
            raise OSError(18, os.strerror(18))  # EXDEV
        done.append("name")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", refuse)
    monkeypatch.setattr(Path, "unlink", lambda self, **how: (done.append("gone"), unlink(self, **how))[1])
    monkeypatch.setattr(os, "fsync", lambda file: (done.append("sync"), fsync(file))[1])
    one = replace(plan.groups[0], move=plan.groups[0].move[:1])
    apply_plan(replace(plan, groups=(one,)), tmp_path / "trash")

    moved = done[len(done) - done[::-1].index("name") - 2 :]
    assert (moved[:2], set(moved[2:-1]), moved[-1]) == (["sync", "name"], {"sync"}, "gone")

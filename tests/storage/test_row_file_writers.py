"""Writers of the file of rows that are killed, or meet each other, and readers that look on."""

from __future__ import annotations

import multiprocessing
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import filelock
import pyarrow as pa
import pytest
from building import as_nobody
from row_files import arrow, inode, made, mapped, put, renew, slow, spoken

from lookalike.storage.parts import Part
from lookalike.storage.row_file import RowFile, write_row_file
from lookalike.storage.snapshot import Snapshot
from lookalike.storage.state import State

# Writes the file of rows of a collection, and kills itself at the nth step that changes the disk: before an
# opening, renaming, making or removing, or in the midst of the bytes of the file.
KILLER = """
import os, signal, sys
from pathlib import Path
import lookalike.storage.row_file as row_file
from lookalike.storage.state import State

root, step, taken = Path(sys.argv[1]), int(sys.argv[2]), 0
states = State.read(root).parts

def count():
    global taken
    taken += 1
    if taken == step:
        os.kill(os.getpid(), signal.SIGKILL)

def hook(event, arguments):
    writes = event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR)
    if writes or event in ("os.rename", "os.remove", "os.mkdir"):
        count()

append = row_file._append

def half(file, data):
    file.write(bytes(data)[: len(data) // 2])
    file.flush()
    count()
    file.seek(-(len(data) // 2), 1)
    file.truncate()
    return append(file, data)

if len(sys.argv) > 3:
    row_file._append = half
sys.addaudithook(hook)
row_file.write_row_file(root, states)
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Three parts of two, three and one items."""
    return made(tmp_path / "rows.lookalike", ["a", "b"], ["c", "d", "é"], ["f"])


def killed(root: Path, step: int, *more: str) -> bool:
    """Write the file of rows in a process that is killed at a step; whether it came to that."""
    done = subprocess.run([sys.executable, "-c", KILLER, str(root), str(step), *more], check=False)
    assert done.returncode in (0, -9)
    return done.returncode != 0


@pytest.mark.process
@pytest.mark.parametrize("change", ["add", "rewrite"])
@pytest.mark.parametrize("within", [(), ("half",)], ids=["between", "within"])
def test_a_writer_that_is_killed_at_any_step_leaves_a_file_that_is_right(root, tmp_path, change, within):
    put(root, 3, ["g", "h"])
    if change == "rewrite":  # more than half of the file is dead, so it is written anew
        put(root, 0, ["new"])
        put(root, 1, ["other"])
    expected, rows = spoken(root), slow(root)
    for step in range(1, 20):
        work = tmp_path / f"{step}" / "copy.lookalike"
        shutil.copytree(root, work)
        came = killed(work, step, *within)
        assert all(one is None or one == rows[number] for number, one in mapped(work).items())
        assert spoken(work) == expected
        renew(work)
        assert mapped(work) == slow(work)
        assert len(list((work / "derived").glob("rows-*"))) == 1
        if not came:
            break
    assert step > 3


def test_a_file_that_a_killed_writer_left_is_removed_by_the_next(root):
    left = root / "derived" / "rows-0123456789ab.arrow"
    left.write_bytes(b"half a file")
    put(root, 3, ["g"])
    renew(root)
    assert not left.exists()
    assert mapped(root) == slow(root)


def test_what_a_killed_writer_left_at_the_end_is_passed_over(root):
    with arrow(root).open("ab") as file:
        file.write(b"half a segment")
    put(root, 3, ["g"])
    renew(root)
    assert mapped(root) == slow(root)
    assert b"half a segment" in arrow(root).read_bytes()


@pytest.mark.process
def test_while_another_process_writes_nothing_is_written(root):
    put(root, 3, ["g"])
    before = inode(root / "derived" / "rows.json")
    with filelock.FileLock(root / "derived" / ".rows.lock"):
        run_in_a_process(renew, root)
    assert inode(root / "derived" / "rows.json") == before
    run_in_a_process(renew, root)
    assert mapped(root) == slow(root)


def run_in_a_process(work, *arguments: object) -> None:
    process = multiprocessing.get_context("spawn").Process(target=work, args=arguments)
    process.start()
    process.join(60)
    assert process.exitcode == 0


def _write_often(root: Path, seed: int) -> None:
    """Write the file of rows again and again, each time with other parts left out, and read it."""
    states = State.read(root).parts
    rows = {one.part.number: one.described() for one in states}
    for turn in range(40):
        write_row_file(root, [one for one in states if (one.part.number + turn + seed) % 3])
        file = RowFile.open(root)
        for state in states:
            found = file.rows(state) if file else None
            assert found is None or rows[state.part.number].equals(_table(found))


def _table(batch: pa.RecordBatch) -> pa.Table:
    return pa.Table.from_batches([batch])


@pytest.mark.process
def test_two_processes_that_write_at_once_leave_a_file_that_is_right(root):
    put(root, 3, ["g", "h"])
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_write_often, args=(root, seed)) for seed in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [0, 0]
    renew(root)
    assert mapped(root) == slow(root)


def test_a_reader_keeps_the_file_that_it_has_mapped_while_it_is_replaced(root):
    file, states = RowFile.open(root), State.read(root).parts
    snapshot = Snapshot.open(root)
    rows = {one.part.number: one.described() for one in states}
    before = arrow(root)
    put(root, 0, ["new"])
    put(root, 1, ["other"])
    renew(root)
    assert not before.exists()

    assert all(_table(file.rows(one)).equals(rows[one.part.number]) for one in states)
    assert snapshot.ids(range(6)) == ["a", "b", "c", "d", "é", "f"]
    assert snapshot.rows_of(["é", "a"]).tolist() == [4, 0]
    assert Snapshot.open(root).ids(range(3)) == ["new", "other", "f"]


def test_a_file_that_is_gone_between_its_json_and_its_bytes_is_none(root):
    expected = spoken(root)
    arrow(root).unlink()
    assert RowFile.open(root) is None
    assert spoken(root) == expected
    renew(root)
    assert mapped(root) == slow(root)


def test_a_part_that_is_gone_costs_the_file_nothing(root):
    states = State.read(root).parts
    before = mapped(root)
    put(root, 3, ["g"])
    more = State.read(root).parts
    Part(root, 3).items_path.unlink()
    write_row_file(root, more)
    assert mapped(root) == before
    write_row_file(root, states)
    assert mapped(root) == before


def test_threads_may_read_one_snapshot_at_once(root):
    expected = spoken(root)
    snapshot, errors = Snapshot.open(root), []

    def read() -> None:
        for _ in range(50):
            if snapshot.ids(range(6)) != ["a", "b", "c", "d", "é", "f"] or snapshot.find("é") != 4:
                errors.append("another id")

    threads = [threading.Thread(target=read) for _ in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert errors == []
    assert spoken(root) == expected


def test_a_folder_that_may_only_be_read_is_read(root, tmp_path, tmp_path_factory):
    expected = spoken(root)
    put(root, 3, ["g"])
    more = spoken(root)
    tmp_path.chmod(0o755)
    for above in tmp_path.parents:
        if above.is_relative_to(tmp_path_factory.getbasetemp().parent.parent) and above.name.startswith(
            ("pytest-", "popen-")
        ):
            above.chmod(0o755)
    with as_nobody(root):
        for path in (root, root / "derived"):
            path.chmod(0o555)
        renew(root)
        assert len(spoken(root)) == len(expected) + 1
        assert spoken(root) == more
    assert mapped(root)[3] is None

"""Which folder a site may replace, and what a change or a kill leaves of it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import lookalike
from lookalike.errors import CollectionError, StorageError
from lookalike.export import export_site
from lookalike.storage.parts import list_parts, set_column


@pytest.fixture(scope="module")
def site(collection: lookalike.Collection, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_site(collection.snapshot, tmp_path_factory.mktemp("exported") / "site")


def read(path: Path) -> Any:
    return json.loads(path.read_bytes())


def files(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", ["notes.txt", "collections.json"])
def test_a_folder_with_other_files_is_refused_and_left_alone(collection, tmp_path, name):
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / name).write_text("mine")

    with pytest.raises(StorageError, match="has other files"):
        export_site(collection.snapshot, tmp_path / "site")

    assert files(tmp_path) == {f"site/{name}": b"mine"}


def test_a_site_to_which_something_was_added_is_not_replaced(collection, tmp_path):
    site = export_site(collection.snapshot, tmp_path / "site", max_items=3)
    (site / "CNAME").write_text("pictures.example.org")

    with pytest.raises(StorageError, match="has other files"):
        export_site(collection.snapshot, site)
    assert (site / "CNAME").read_text() == "pictures.example.org"


def test_a_file_in_the_place_is_refused(collection, tmp_path):
    (tmp_path / "site").write_text("mine")

    with pytest.raises(StorageError, match="is a file"):
        export_site(collection.snapshot, tmp_path / "site")


def test_an_earlier_site_is_replaced(collection, site, tmp_path):
    export_site(collection.snapshot, tmp_path / "site", max_items=3)
    export_site(collection.snapshot, tmp_path / "site")

    assert files(tmp_path / "site") == files(site)
    assert [path.name for path in tmp_path.iterdir()] == ["site"]


def test_a_collection_that_changes_before_all_is_read_is_no_site(copied, tmp_path, monkeypatch):
    def change(done: int, total: int) -> None:
        part = list_parts(copied.path)[-1]
        part.write(part.items().slice(1))

    monkeypatch.setattr("lookalike.export.site.CHUNK_ROWS", 16)
    with pytest.raises(CollectionError, match="was changed while it was read; run it again"):
        export_site(copied.snapshot, tmp_path / "site", on_progress=change)
    assert not list(tmp_path.glob("*site*"))


def test_what_changes_after_it_was_read_is_as_it_was(copied, tmp_path):
    def change(done: int, total: int) -> None:
        part = list_parts(copied.path)[0]
        part.write(part.items().slice(1))

    before = export_site(copied.snapshot, tmp_path / "before")
    meanwhile = export_site(copied.snapshot, tmp_path / "meanwhile", on_progress=change)
    assert len(copied) == 41
    assert files(meanwhile) == files(before)


def test_no_file_is_written_outside_of_the_site(copied, tmp_path):
    part = list_parts(copied.path)[0]
    rows = part.items()
    paths = pa.array(["/../../../../escaped"] * len(rows))
    part.write(set_column(rows, "sha256", paths, nullable=False))

    with pytest.raises(CollectionError, match="instead of its sha256"):
        export_site(copied.snapshot, tmp_path / "site")
    assert not list(tmp_path.parent.rglob("escaped*"))


def test_damaged_thumbnails_leave_no_site(copied, tmp_path):
    list_parts(copied.path)[1].thumbnails_path().unlink()

    with pytest.raises(CollectionError, match="is damaged"):
        export_site(copied.snapshot, tmp_path / "site")
    assert not list(tmp_path.glob("*site*"))


# Exports again and again; each child kills itself at one of its steps: a file opened for writing, renamed or
# removed, a folder made or removed. The first, without a step, only says how many there are.
KILLED = """
import json, os, signal, sys
import lookalike
from lookalike.export import export_site

taken, last = 0, -1
def hook(event, arguments):
    global taken
    writes = event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR)
    if writes or event in ("os.rename", "os.remove", "os.mkdir", "os.rmdir"):
        taken += 1
        if taken == last:
            os.kill(os.getpid(), signal.SIGKILL)

source, target = sys.argv[1:]
collection = lookalike.open(source)
sys.addaudithook(hook)
for line in sys.stdin:
    last, taken = int(line), 0
    child = os.fork()
    if not child:
        export_site(collection.snapshot, target, max_items=4)
        if last < 0:
            print(taken, flush=True)
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if last >= 0:
        there = os.path.exists(target)
        count = json.load(open(target + "/collections.json"))["collections"][0]["count"] if there else None
        names = [name for _, _, names in os.walk(target) for name in names]
        print(json.dumps([code, count, len(names)]), flush=True)
"""


@pytest.mark.process
def test_a_kill_at_any_step_leaves_the_old_site_the_new_one_or_none(collection, tmp_path):
    export_site(collection.snapshot, tmp_path / "new", max_items=4)
    export_site(collection.snapshot, tmp_path / "site", max_items=2)
    old, new = len(files(tmp_path / "site")), len(files(tmp_path / "new"))
    words = [sys.executable, "-c", KILLED, str(collection.path), str(tmp_path / "site")]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:

        def killed_at(step: int) -> Any:
            print(step, file=process.stdin, flush=True)
            return json.loads(process.stdout.readline())

        total = killed_at(-1)  # with the removal of the old site
        export_site(collection.snapshot, tmp_path / "site", max_items=2)
        early, late = (1, 2, 3, total // 3, total // 2), range(total - 70, total + 2, 6)
        outcomes = [killed_at(step) for step in (*early, *late, 10**6)]
        process.stdin.close()

    assert outcomes[0] == [-9, 2, old]
    assert outcomes[-1] == [0, 4, new]
    assert {tuple(one) for one in outcomes} <= {(-9, 2, old), (-9, 4, new), (-9, None, 0), (0, 4, new)}
    export_site(collection.snapshot, tmp_path / "site", max_items=4)
    assert files(tmp_path / "site") == files(tmp_path / "new")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new", "site"]

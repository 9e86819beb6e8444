"""A collection that is followed: what another process commits is seen by the next call."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from conftest import build, command, write_picture, write_pictures
from row_files import made, put, renew

import lookalike
from lookalike.errors import ChangedError, CollectionError
from lookalike.search import live
from lookalike.search.live import LiveCollection
from lookalike.storage import parquet
from lookalike.storage.parts import Part


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two parts of two items each."""
    return made(tmp_path / "live.lookalike", ["a", "b"], ["c", "d"])


def ids(followed: LiveCollection) -> list[str]:
    return followed.ask(lambda engine: engine.snapshot.ids(range(len(engine))))


def settle(root: Path) -> None:
    """Make all changes so old that a new one is sure to leave another time."""
    for path in (root / "collection.json", root / "items", root / "derived"):
        os.utime(path, (time.time() - 60,) * 2)


def read_files(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that are opened or whose footers are read from now on."""
    seen: list[str] = []

    def note(owner: object, name: str) -> None:
        before = getattr(owner, name)

        def noted(path: Path, *arguments: object, **options: object) -> object:
            seen.append(path.name)
            return before(path, *arguments, **options)

        monkeypatch.setattr(owner, name, noted)

    note(Path, "read_bytes")
    note(Path, "open")
    note(parquet, "read_footer")
    note(parquet, "_local_footer")
    monkeypatch.setattr("lookalike.storage.part_state.read_footer", parquet.read_footer)
    return seen


def test_a_build_in_another_process_is_seen_by_the_next_call(folder, target):
    collection, _ = build(folder, target)
    assert len(collection) == 12
    followed = LiveCollection(target)
    assert len(followed.engine()) == 12
    write_picture(folder / "new.png", 99)

    done = command("build", folder, "-c", target, "--model", "colors")

    assert done.returncode == 0, done.stderr
    assert len(followed.engine()) == 13
    assert "new.png" in collection
    assert len(collection) == 13


def test_a_removal_is_seen_by_the_next_call(root):
    followed = LiveCollection(root)
    assert ids(followed) == ["a", "b", "c", "d"]
    Part(root, 0).items_path.unlink()
    time.sleep(0.03)
    assert ids(followed) == ["c", "d"]


def test_while_nothing_changes_nothing_is_read(root, monkeypatch):
    settle(root)
    followed = LiveCollection(root)
    settle(root)
    ids(followed)
    engine = followed.engine()
    seen = read_files(monkeypatch)

    assert [followed.engine() is engine for _ in range(100)] == [True] * 100

    assert seen == []


def test_a_change_opens_the_part_that_is_new_and_no_other(root, monkeypatch):
    followed = LiveCollection(root)
    settle(root)
    ids(followed)
    put(root, 2, ["e"])
    renew(root)
    seen = read_files(monkeypatch)

    assert ids(followed) == ["a", "b", "c", "d", "e"]

    assert {name for name in seen if name.startswith("part-")} <= {"part-000002.parquet"}
    assert "rows.json" in seen


def test_the_engine_is_the_same_while_the_state_is(root):
    followed = LiveCollection(root)
    before = followed.engine()
    (root / "items" / "note.txt").write_text("nothing of the collection")
    time.sleep(0.03)
    assert followed.engine() is before
    put(root, 2, ["e"])
    time.sleep(0.03)
    assert followed.engine() is not before


def test_two_changes_within_one_tick_of_the_clock_are_both_seen(root):
    """The folder has the time and number of before the second change, as a slow clock would leave it."""
    followed = LiveCollection(root)
    put(root, 2, ["e"])
    for _ in range(3):  # the file of rows that the first call writes is a change too
        time.sleep(0.03)
        assert ids(followed) == ["a", "b", "c", "d", "e"]
    status = os.stat(root / "items")

    put(root, 3, ["f"])
    os.utime(root / "items", ns=(status.st_atime_ns, status.st_mtime_ns))
    time.sleep(0.03)

    assert ids(followed) == ["a", "b", "c", "d", "e", "f"]


def test_a_collection_that_is_removed_is_an_error_until_it_is_put_back(root, tmp_path):
    followed = LiveCollection(root)
    away = tmp_path / "away.lookalike"
    root.rename(away)

    for _ in range(2):
        with pytest.raises(CollectionError, match="the collection live is no longer at its place") as caught:
            followed.engine()
        assert caught.value.hint == f"put it back at {root}"
    assert followed.engine_at_hand() is None

    away.rename(root)
    assert ids(followed) == ["a", "b", "c", "d"]
    assert followed.engine_at_hand() is None  # each call looks for a change


def test_another_collection_in_its_place_answers(root):
    followed = LiveCollection(root)
    shutil.rmtree(root)
    with pytest.raises(CollectionError):
        followed.engine()
    made(root, ["x"])
    assert ids(followed) == ["x"]


def test_there_has_to_be_a_collection_to_begin_with(tmp_path):
    with pytest.raises(CollectionError, match="there is no collection"):
        LiveCollection(tmp_path / "nothing.lookalike")


def test_while_a_collection_is_damaged_what_is_in_memory_answers(root):
    followed = LiveCollection(root)
    whole = (root / "collection.json").read_bytes()
    (root / "collection.json").write_text("{")
    assert ids(followed) == ["a", "b", "c", "d"]
    (root / "collection.json").write_bytes(whole)
    put(root, 2, ["e"])
    time.sleep(0.03)
    assert ids(followed) == ["a", "b", "c", "d", "e"]


def test_what_is_asked_while_a_part_is_replaced_is_asked_again_of_the_new_state(root):
    followed, seen = LiveCollection(root), []

    def work(engine):
        if not seen:
            put(root, 0, ["new", "b"])
        seen.append(engine)
        return engine.snapshot.vectors([0]), engine.snapshot.ids([0])

    _, names = followed.ask(work)

    assert names == ["new"]
    assert len(seen) == 2
    assert seen[0] is not seen[1]


def test_what_is_asked_again_does_not_trust_the_times_of_the_folders(root):
    followed, seen = LiveCollection(root), []
    settle(root)
    ids(followed)
    before = os.stat(root / "items")

    def work(engine):
        if not seen:
            put(root, 0, ["new", "b"])
            os.utime(root / "items", ns=(before.st_atime_ns, before.st_mtime_ns))
        seen.append(engine)
        return engine.snapshot.vectors([0]), engine.snapshot.ids([0])

    assert followed.ask(work)[1] == ["new"]
    assert len(seen) == 2


def test_what_changes_at_every_attempt_is_an_error_in_the_end(root, monkeypatch):
    monkeypatch.setattr(live, "_PATIENCE_S", 0.2)
    followed, times = LiveCollection(root), []

    def work(engine):
        times.append(engine)
        raise ChangedError("always", "")

    with pytest.raises(ChangedError, match="always"):
        followed.ask(work)
    assert len(times) > 1


def test_other_errors_are_handed_on_at_once(root):
    times = []

    def work(engine):
        times.append(engine)
        raise CollectionError("damaged")

    with pytest.raises(CollectionError, match="damaged"):
        LiveCollection(root).ask(work)
    assert len(times) == 1


def test_a_change_is_looked_for_as_often_as_was_asked(root):
    followed = LiveCollection(root, check_every_s=0.3)
    before = followed.engine()
    assert followed.engine_at_hand() is before
    put(root, 2, ["e"])
    assert followed.engine() is before
    time.sleep(0.35)
    assert followed.engine_at_hand() is None
    assert len(followed.engine()) == 5
    assert followed.engine_at_hand() is followed.engine()


def test_an_index_that_was_built_is_used_by_the_next_call(plain, tmp_path):
    copy = tmp_path / "copy.lookalike"
    shutil.copytree(plain.path, copy)
    followed = LiveCollection(copy)
    assert followed.engine().index is None
    lookalike.open(copy).index("flat")
    assert followed.engine().index is not None


def test_what_was_derived_in_another_process_is_seen(copied):
    followed = LiveCollection(copied.path)
    assert "cluster_name" not in followed.engine().snapshot.all_columns.names
    lookalike.open(copied.path).cluster(3, write=True)
    time.sleep(0.03)
    assert "cluster_name" in followed.engine().snapshot.all_columns.names


def test_a_collection_without_a_file_of_rows_gets_one_when_it_is_opened(root):
    shutil.rmtree(root / "derived")
    followed = LiveCollection(root)
    assert followed.engine().snapshot.is_mapped
    assert ids(followed) == ["a", "b", "c", "d"]


def test_a_stamp_is_old_two_seconds_after_the_last_change():
    now = time.time_ns()
    assert live._is_old(((now - 3_000_000_000, 1), (0, 0)))
    assert not live._is_old(((now - 1_000_000_000, 1), (now - 9_000_000_000, 2)))
    assert not live._is_old(((now + 9_000_000_000, 1),))


# Builds a folder again and again, each time with other pictures of a pool under the same names.
BUILDER = """
import shutil, sys
from pathlib import Path
import lookalike
folder, target, rounds = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
pool = sorted((folder.parent / "pool").iterdir())
(folder / "changing").mkdir()
for turn in range(rounds):
    for number in range(9):
        place = folder / "changing" / f"{number}.png"
        if (number + turn) % 3:
            shutil.copy(pool[(number + turn) % 9], place)
        else:
            place.unlink(missing_ok=True)
    print(lookalike.build(folder, target, model="colors", part_size=4).report.embedded, flush=True)
"""


@pytest.mark.process
def test_threads_that_ask_while_builds_go_on_never_see_rows_that_do_not_belong_together(tmp_path):
    """A picture always has the same vector, so one sha256 with two vectors would be a row of two states."""
    folder, target = write_pictures(tmp_path / "pictures", 9), tmp_path / "target.lookalike"
    for number in range(9):
        write_picture(
            tmp_path / "pool" / f"{number}.png", 100 + number, (25 * number, 128, 250 - 25 * number)
        )
    build(folder, target, part_size=4)
    collection, known, problems, done = lookalike.open(target), {}, [], threading.Event()
    lock = threading.Lock()

    def ask() -> None:
        answers = 0
        while not done.is_set() or not answers:
            try:
                table = collection.items(["id", "sha256", "embedding"])
                rows = zip(table["sha256"].to_pylist(), table["embedding"].to_pylist(), strict=True)
                with lock:
                    problems.extend(one for one, vector in rows if known.setdefault(one, vector) != vector)
                hits = collection.search(collection.embeddings()[:2], k=5)
                problems.extend("order" for one in hits if list(one.scores) != sorted(one.scores)[::-1])
                problems.extend("itself" for one in hits if one.scores[0] < 0.999)
                answers += 1
            except ChangedError:  # faster than it can be read
                continue
            except Exception as error:
                problems.append(repr(error))
                return

    builder = subprocess.Popen(
        [sys.executable, "-c", BUILDER, str(folder), str(target), "6"], stdout=subprocess.PIPE, text=True
    )
    threads = [threading.Thread(target=ask) for _ in range(3)]
    for one in threads:
        one.start()
    output, _ = builder.communicate(timeout=120)
    done.set()
    for one in threads:
        one.join(60)
    assert builder.returncode == 0
    assert len(output.split()) == 6
    assert problems == []
    assert len(known) == 15  # the 9 of the folder, and 6 of the pool
    assert np.isfinite(collection.embeddings()).all()

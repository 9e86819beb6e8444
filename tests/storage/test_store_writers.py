"""One writer of a collection in a store at a time, and what a killed one leaves."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time

import pytest
from buckets import objects, upload
from building import counts, vectors
from conftest import build, write_pictures

from lookalike.collection import open_collection
from lookalike.errors import LockedError
from lookalike.storage import leases
from lookalike.storage.parts import list_parts
from lookalike.storage.stores import StorePath, place
from lookalike.storage.writing import writing


def lock(address: str, **fields: object) -> StorePath:
    path = place(address) / ".lock"
    path.put(json.dumps({"name": "other", "host": "elsewhere", "pid": 7, **fields}).encode())
    return path


def test_a_second_writer_is_refused(bucket, folder):
    address = f"s3://{bucket}/c"
    with writing(place(address)), pytest.raises(LockedError, match=rf"process {os.getpid()} on") as error:
        build(folder, address)
    assert f"once {address}/.lock is removed" in str(error.value)
    assert counts(build(folder, address)[1]) == {"embedded": 12}


@pytest.mark.parametrize("kind", ["s3", "memory"])
def test_of_many_writers_at_once_one_writes(s3_server, bucket, kind):
    path = place(f"{kind}://{bucket}/c")
    start, outcomes = threading.Barrier(8), []

    def write():
        start.wait()
        try:
            with writing(path):
                outcomes.append("written")
                time.sleep(0.5)
        except LockedError:
            outcomes.append("refused")

    threads = [threading.Thread(target=write) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["refused"] * 7 + ["written"]


def test_a_writer_elsewhere_is_dead_after_a_time_of_silence(bucket, monkeypatch):
    path = lock(f"s3://{bucket}/c")
    monkeypatch.setattr(leases, "_SETTLING_S", 0)
    with pytest.raises(LockedError, match="process 7 on elsewhere"), writing(path.parent):
        pass
    monkeypatch.setattr(leases, "LEASE_S", -5.0)
    with writing(path.parent):
        assert json.loads(path.read_bytes())["pid"] == os.getpid()
    assert not path.exists()


def test_a_lock_that_says_nothing_is_a_lock(bucket):
    path = place(f"s3://{bucket}/c") / ".lock"
    path.put(b"")
    with pytest.raises(LockedError, match="another process"), writing(path.parent):
        pass


def test_a_writer_renews_its_lock_and_stops_when_another_has_it(bucket, folder, monkeypatch):
    monkeypatch.setattr(leases, "RENEWAL_S", 0.05)
    path = place(f"s3://{bucket}/c") / ".lock"
    with pytest.raises(LockedError, match="another process has taken"), writing(path.parent) as check:
        first = json.loads(path.read_bytes())["time"]
        time.sleep(0.3)
        assert json.loads(path.read_bytes())["time"] > first
        check()
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:  # again, as a renewal under way may put its own over it
            lock(f"s3://{bucket}/c")
            time.sleep(0.05)
            check()
    assert json.loads(path.read_bytes())["name"] == "other"


def test_a_store_without_conditions_is_checked_by_reading_again(bucket, monkeypatch):
    path = place(f"s3://{bucket}/c")
    pipe_file = path._system.pipe_file

    def unconditional(key, data, mode="overwrite"):
        if mode == "create":
            raise NotImplementedError
        pipe_file(key, data)

    monkeypatch.setattr(path._system, "pipe_file", unconditional)
    with writing(path), pytest.raises(LockedError), writing(path):
        pass


def killed(source: str, address: str, parts: int) -> bool:
    """Start `lookalike build` and `kill -9` it after it has committed so many parts."""
    words = ["build", source, "-c", address, "--model", "colors", "--part-size", "2", "--threads", "1"]
    process = subprocess.Popen(
        [sys.executable, "-m", "lookalike", *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    items = place(address) / "items"
    while process.poll() is None and len(list(items.glob("*.parquet"))) < parts:
        time.sleep(0.02)
    process.kill()
    return process.wait() == -signal.SIGKILL


@pytest.mark.process
@pytest.mark.parametrize("kills", [[2], pytest.param([1, 4, 7], marks=pytest.mark.slow)])
def test_a_killed_build_goes_on_from_what_is_committed(bucket, tmp_path, kills):
    folder = write_pictures(tmp_path / "pictures", 8 * len(kills) + 16)
    source, address = upload(folder, f"s3://{bucket}/photos"), f"s3://{bucket}/c"
    for parts in kills:
        assert killed(source, address, parts)
        stored = open_collection(address)
        assert list(stored.verify()) == []
        assert len(stored) >= 2 * parts
        assert (place(address) / ".lock").exists()
    committed = len(open_collection(address))
    (place(address) / "thumbnails" / "part-000099-0123456789abcdef.tar").put(b"left by a killed writer")

    stored, report = build(source, address, part_size=8)

    assert counts(report) == {"embedded": 8 * len(kills) + 16 - committed, "unchanged": committed}
    assert vectors(stored) == vectors(build(folder, tmp_path / "whole")[0])
    assert list(stored.verify()) == []
    tars = [name for name in objects(address) if name.startswith("thumbnails/")]
    assert len(tars) == len(list_parts(stored.path))

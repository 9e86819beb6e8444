"""Files of this machine are read whole, also if they are not as they were listed."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import pytest

from lookalike.sources import local_file
from lookalike.sources.local_file import LocalFile


def file(folder: Path, data: bytes, size_bytes: int) -> LocalFile:
    """A file with this data that was listed with another size."""
    (folder / "a.jpg").write_bytes(data)
    return LocalFile(os.fsencode(folder / "a.jpg"), size_bytes)


@pytest.mark.parametrize("most", [0, 3, 4, 100])
@pytest.mark.parametrize("size_bytes", [0, 3, 4, 5, 1 << 40])
@pytest.mark.parametrize("data", [b"four", b""])
def test_a_file_of_any_size_is_read_whole(tmp_path, monkeypatch, data, size_bytes, most):
    monkeypatch.setattr(local_file, "_MOST_BYTES", most)
    assert file(tmp_path, data, size_bytes)() == data


def test_a_file_as_it_was_listed_is_opened_once(tmp_path, monkeypatch):
    found = file(tmp_path, b"four", 4)
    monkeypatch.setattr("builtins.open", None)
    assert found() == b"four"


def test_a_file_that_is_gone_and_a_folder_are_errors(tmp_path):
    with pytest.raises(FileNotFoundError):
        LocalFile(os.fsencode(tmp_path / "gone"), 4)()
    with pytest.raises(OSError, match=r"directory|Permission"):
        LocalFile(os.fsencode(tmp_path), 4)()


def test_another_process_can_read_it(tmp_path):
    found = file(tmp_path, b"four", 4)
    assert pickle.loads(pickle.dumps(found)) == found

"""Arrays that are kept with a heading: read if they are whole and follow from the same, else made again."""

from __future__ import annotations

import numpy as np
import pytest

from lookalike.storage.derived_arrays import read_arrays, write_arrays

HEADING = {"format": "test", "version": 1}


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "arrays.npz"
    write_arrays(path, {**HEADING, "words": ["sea"]}, shares=np.arange(6, dtype=np.uint8).reshape(2, 3))
    return path


def test_what_was_written_is_read(path):
    heading, arrays = read_arrays(path, HEADING)

    assert heading == {"format": "test", "version": 1, "words": ["sea"]}
    assert {name: array.tolist() for name, array in arrays.items()} == {"shares": [[0, 1, 2], [3, 4, 5]]}


@pytest.mark.parametrize("other", [{"version": 2}, {"format": "x"}, {"fingerprint": "f"}])
def test_a_file_with_another_heading_is_not_read(path, other):
    assert read_arrays(path, {**HEADING, **other}) is None


def test_a_missing_file_is_not_read(tmp_path):
    assert read_arrays(tmp_path / "nowhere.npz", HEADING) is None


def test_a_heading_that_is_no_object_is_not_read(path):
    np.savez(path, heading=np.frombuffer(b"[1]", np.uint8))

    assert read_arrays(path, HEADING) is None


def test_a_damaged_file_is_not_read(path):
    path.write_bytes(path.read_bytes()[:-30])

    assert read_arrays(path, HEADING) is None


def test_a_file_without_a_heading_is_not_read(path):
    np.savez(path, shares=np.zeros(1))

    assert read_arrays(path, HEADING) is None


def test_a_folder_that_cannot_be_written_is_no_error(tmp_path):
    (tmp_path / "file").write_bytes(b"")

    write_arrays(tmp_path / "file" / "arrays.npz", HEADING, shares=np.zeros(1))

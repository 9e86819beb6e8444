"""Files of arrays: read as they were written, and refused in one way however they are damaged."""

from __future__ import annotations

import io

import numpy as np
import pytest

from lookalike.models.npz import read_npz


def test_arrays_are_read_by_name():
    buffer = io.BytesIO()
    np.savez(buffer, one=np.arange(3), other=np.zeros((2, 1)))

    found = read_npz(buffer.getvalue())

    assert {name: array.tolist() for name, array in found.items()} == {"one": [0, 1, 2], "other": [[0], [0]]}


@pytest.mark.parametrize("data", [b"", b"PK", b"{}", b"PK\x03\x04 damaged"])
def test_another_file_is_a_value_error(data):
    with pytest.raises(ValueError, match=r"not a \.npz file"):
        read_npz(data)


def test_a_file_of_one_array_is_a_value_error():
    buffer = io.BytesIO()
    np.save(buffer, np.arange(3))

    with pytest.raises(ValueError, match=r"not a \.npz file"):
        read_npz(buffer.getvalue())


def test_an_array_of_objects_is_a_value_error():
    buffer = io.BytesIO()
    np.savez(buffer, one=np.array([{}], object))

    with pytest.raises(ValueError, match=r"not a \.npz file"):
        read_npz(buffer.getvalue())


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.filterwarnings("ignore")
def test_a_damaged_file_is_a_value_error_wherever_the_damage_is(save):
    buffer = io.BytesIO()
    save(buffer, one=np.arange(100), other=np.random.default_rng(0).random(30))
    whole = buffer.getvalue()

    refused = 0
    for place in range(len(whole)):
        try:
            read_npz(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        except ValueError:
            refused += 1

    assert refused > 0.8 * len(whole)

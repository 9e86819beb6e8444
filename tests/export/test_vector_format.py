"""The vectors of a static site: the bytes of their files, in 8 bits and as they are."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from lookalike.errors import SourceError
from lookalike.export.vector_format import float32_file, int8_file, quantised, read_vectors

FINITE = st.floats(-1e3, 1e3, width=32).filter(lambda value: value == 0 or abs(value) > 1e-3)
SHAPES = st.tuples(st.integers(1, 5), st.integers(1, 40))


@given(arrays(np.float32, SHAPES, elements=FINITE), st.integers(0, 2**40))
def test_vectors_in_8_bits_keep_their_length_and_nearly_their_numbers(vectors, first):
    vectors = vectors[np.abs(vectors).max(axis=1) > 0]

    found_first, found = read_vectors(int8_file(vectors, first))

    assert found_first == first
    assert found.shape == vectors.shape
    lengths = np.linalg.norm(vectors, axis=1)
    assert np.linalg.norm(found, axis=1) == pytest.approx(lengths, rel=1e-5)
    # Half a step of rounding, twice for the scale that restores the length, in each number.
    largest = np.abs(vectors).max(axis=1, initial=0, keepdims=True)
    steps = 1 + np.sqrt(vectors.shape[1])
    assert (np.abs(found - vectors) <= largest / 127 * steps / 2 + 1e-6).all()


@given(arrays(np.float32, SHAPES, elements=FINITE))
def test_float32_vectors_come_back_as_they_were(vectors):
    assert (read_vectors(float32_file(vectors))[1] == vectors).all()


@given(st.binary(max_size=80))
def test_other_bytes_are_refused(noise):
    for damaged in (noise, b"LKLV" + noise, int8_file(np.eye(2, dtype=np.float32)) + noise + b"x"):
        with pytest.raises(SourceError):
            read_vectors(damaged)


def test_the_largest_number_of_a_vector_is_127():
    scales, rows = quantised(np.array([[0.5, -1, 0]], np.float32))

    assert rows.tolist() == [[64, -127, 0]]
    assert np.linalg.norm(rows[0] * scales[0]) == pytest.approx(np.linalg.norm([0.5, 1]))

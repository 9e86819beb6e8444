"""Candidates: pairs near in hash are all found, up to a number that grows with the pictures alone."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from lookalike.analysis import candidates
from lookalike.analysis.candidates import _near


def hashes(seed: int, count: int, bits: int) -> np.ndarray:
    """bool (count, 64): one hash in which each has so many other bits."""
    random = np.random.default_rng(seed)
    found = np.tile(random.random(64) < 0.5, (count, 1))
    for one in found:
        one[random.choice(64, bits, replace=False)] ^= True
    return found


@pytest.mark.parametrize("held", [1, 100, 1 << 22])
def test_all_pairs_of_up_to_eight_other_bits_are_found(held, monkeypatch):
    monkeypatch.setattr(candidates, "_MOST_HELD", held)
    bits = np.concatenate([hashes(seed, 8, 5) for seed in range(5)])
    rows = [3 * number for number in range(len(bits))]

    found = _near({row: one[None] for row, one in zip(rows, bits, strict=True)}, turned=False)

    assert sorted(found) == [
        (3 * one, 3 * other)
        for one, other in itertools.combinations(range(len(bits)), 2)
        if (bits[one] != bits[other]).sum() <= 8
    ]


def test_of_many_alike_each_has_the_nearest_64_before_it():
    bits = hashes(0, 300, 3)
    bits[299] = bits[7]

    found = _near({row: one[None] for row, one in enumerate(bits)}, turned=False)

    assert (7, 299) in found
    assert np.bincount([other for _, other in found], minlength=300).tolist() == [
        min(row, 64) for row in range(300)
    ]

"""The words of a trained model: a cosine with the mean of a class says what it said of held-out pictures."""

from __future__ import annotations

import numpy as np
import pytest

from lookalike.learning.prototypes import calibrated_words
from lookalike.models.model import unit


@pytest.mark.parametrize("shared", [0.0, 0.7, 1.0, 2.0])
@pytest.mark.parametrize("noise", [0.02, 0.1, 0.2])
def test_held_out_pictures_have_their_class_and_no_other_however_much_all_pictures_share(shared, noise):
    random = np.random.default_rng(0)
    classes = np.repeat(np.arange(5), 40)
    vectors = noise * random.normal(size=(200, 16))
    vectors[np.arange(200), classes] += 0.7
    vectors[:, 15] += shared
    made = unit(vectors.astype(np.float32))

    words = calibrated_words(
        tuple("abcde"),
        classes,
        vectors=made,
        otherwise=np.zeros((5, 16), np.float32),
        judged=made,
        unseen=np.arange(200) % 4 == 0,
    )

    likely = words.probabilities(made)
    own = np.arange(5) == classes[:, None]
    assert (likely[own] > 0.5).mean() > 0.85
    assert (likely[~own] < 0.5).mean() > 0.95

"""What a text tower of PyTorch does to its tokens."""

from __future__ import annotations

import numpy as np
import pytest

from lookalike.models.torch_text import without_padding


@pytest.mark.parametrize(
    ("tokens", "short"),
    [
        ([[8, 1, 9, 0, 0, 0], [8, 1, 2, 9, 0, 0]], [[8, 1, 9, 0, 0], [8, 1, 2, 9, 0]]),
        ([[8, 1, 0, 2, 9, 0]], [[8, 1, 0, 2, 9, 0]]),  # the same number within a text is no padding
        ([[8, 1, 2, 3, 4, 9]], [[8, 1, 2, 3, 4, 9]]),
    ],
)
def test_tokens_are_cut_behind_the_first_padding_of_the_longest_text(tokens, short):
    assert without_padding(np.array(tokens), 0).tolist() == short

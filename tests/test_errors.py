"""What errors and messages are made of."""

from __future__ import annotations

import pytest

from lookalike.errors import counted


@pytest.mark.parametrize(
    ("count", "noun", "said"),
    [
        (0, "image", "0 images"),
        (1, "image", "1 image"),
        (2_000, "image", "2,000 images"),
        (2, "class", "2 classes"),
        (2, "box", "2 boxes"),
        (2, "batch", "2 batches"),
        (3, "query", "3 queries"),
        (1, "query", "1 query"),
    ],
)
def test_a_number_of_things_is_singular_or_plural(count, noun, said):
    assert counted(count, noun) == said

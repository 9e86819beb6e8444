"""What of the library's hints a client is told: words and fields, and no Python."""

from __future__ import annotations

import pytest

from lookalike.errors import CollectionError, ExtraError, QueryError
from lookalike.server.problems import hint_of


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (
            QueryError("nothing is liked", "name at least one item as `liked`"),
            "name at least one item as liked",
        ),
        (QueryError("k is 0", "give one of at least 1"), "give one of at least 1"),
        (
            ExtraError("a map by UMAP needs umap-learn", "umap"),
            "install its extra umap where the server runs",
        ),
    ],
)
def test_fields_have_the_names_of_arguments(error, told):
    assert hint_of(error) == {"hint": told}


@pytest.mark.parametrize("hint", ["see: `lookalike.open('c').verify()`", "start with `rebuild=True`", ""])
def test_a_hint_that_takes_python_is_left_out(hint):
    assert hint_of(CollectionError("c is damaged", hint)) == {}

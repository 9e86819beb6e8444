"""A pile is one state of a collection: rows and vectors by number, and an error once it is another state."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import lookalike
from lookalike.errors import CollectionError
from lookalike.storage.pile import Pile


@pytest.fixture(params=["read", "held"])
def pile(collection: lookalike.Collection, request: pytest.FixtureRequest) -> Pile:
    """All items, their vectors on the disk or in memory."""
    pile = Pile.of(collection)
    return replace(pile, held=collection.embeddings()) if request.param == "held" else pile


def test_vectors_are_taken_by_the_numbers_of_their_rows(pile, collection):
    rows = np.array([0, 7, 8, 41])

    assert np.array_equal(pile.take(rows), collection.embeddings()[rows])
    assert pile.take(np.array([], np.int64)).shape == (0, pile.dim)


def test_blocks_are_all_vectors_in_the_order_of_rows(pile, collection):
    assert np.array_equal(np.concatenate(list(pile.blocks())), collection.embeddings())


def test_some_rows_are_a_pile_of_their_own(collection):
    rows = np.array([3, 4, 20, 40])

    some = Pile.of(collection).only(rows).only(np.array([0, 2, 3]))

    assert some.ids == [collection.items(["id"])["id"][row].as_py() for row in (3, 20, 40)]
    assert np.array_equal(np.concatenate(list(some.blocks())), collection.embeddings()[[3, 20, 40]])


def test_a_row_of_cosines_is_of_one_item_with_each(pile, collection):
    vectors = collection.embeddings()

    found = pile.cosines(np.array([5, 30]))

    np.testing.assert_allclose(
        found, [[vectors[row] @ other for other in vectors] for row in (5, 30)], atol=1e-6
    )


def test_a_part_that_was_replaced_is_not_taken_for_the_one_of_before(copied):
    pile, part = Pile.of(copied), copied.parts()[0]
    rows = part.items()
    part.write(rows.take(np.arange(len(rows))[::-1]))

    with pytest.raises(CollectionError, match="was changed while it was read; run it again"):
        list(pile.blocks())


def test_a_build_while_the_columns_are_read_is_an_error(copied, monkeypatch):
    items = lookalike.Collection.items

    def removed_meanwhile(self, columns=None):
        part = self.parts()[0]
        part.write(part.items().slice(1))
        return items(self, columns)

    monkeypatch.setattr(lookalike.Collection, "items", removed_meanwhile)

    with pytest.raises(CollectionError, match="was changed while it was read; run it again"):
        Pile.of(copied)

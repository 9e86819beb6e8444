"""A selection is some rows of one state: vectors by number, and an error once it is another state."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import lookalike
from lookalike.errors import CollectionError, LookalikeError
from lookalike.storage.parts import list_parts
from lookalike.storage.selection import Selection


@pytest.fixture(params=["read", "held"])
def selection(collection: lookalike.Collection, request: pytest.FixtureRequest) -> Selection:
    """All items, their vectors on the disk or in memory."""
    selection = Selection.of(collection.snapshot)
    return replace(selection, held=collection.embeddings()) if request.param == "held" else selection


def test_vectors_are_taken_by_the_numbers_of_their_rows(selection, collection):
    rows = np.array([0, 7, 8, 41])

    assert np.array_equal(selection.take(rows), collection.embeddings()[rows])
    assert selection.take(np.array([], np.int64)).shape == (0, selection.dim)


def test_blocks_are_all_vectors_in_the_order_of_rows(selection, collection):
    assert np.array_equal(np.concatenate(list(selection.blocks())), collection.embeddings())


def test_some_rows_are_a_pile_of_their_own(collection):
    rows = np.array([3, 4, 20, 40])

    some = Selection.of(collection.snapshot).only(rows).only(np.array([0, 2, 3]))

    assert some.ids == [collection.items(["id"])["id"][row].as_py() for row in (3, 20, 40)]
    assert np.array_equal(np.concatenate(list(some.blocks())), collection.embeddings()[[3, 20, 40]])


def test_a_row_of_cosines_is_of_one_item_with_each(selection, collection):
    vectors = collection.embeddings()

    found = selection.cosines(np.array([5, 30]))

    np.testing.assert_allclose(
        found, [[vectors[row] @ other for other in vectors] for row in (5, 30)], atol=1e-6
    )


def test_a_part_that_was_replaced_is_not_taken_for_the_one_of_before(copied):
    selection, part = Selection.of(copied.snapshot), list_parts(copied.path)[0]
    rows = part.items()
    part.write(rows.take(np.arange(len(rows))[::-1]))

    with pytest.raises(CollectionError, match="was changed while it was read; run it again"):
        list(selection.blocks())


def test_numbers_of_rows_select_them_alone(collection):
    rows = np.array([1, 15, 41])

    some = Selection.of(collection.snapshot, ("id", "label"), rows=rows)

    assert some.rows.tolist() == [1, 15, 41]
    assert some.ids == [collection.ids[row] for row in rows]
    assert some.column("label") == [collection[int(row)].label for row in rows]
    assert (some.is_whole, Selection.of(collection.snapshot).is_whole) == (False, True)


def test_fewer_rows_than_are_needed_are_an_error(collection):
    with pytest.raises(LookalikeError, match="has 1 matching image, this needs at least 2"):
        Selection.of(collection.snapshot, rows=np.array([3]))

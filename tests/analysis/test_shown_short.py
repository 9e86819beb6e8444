"""What is found prints as a line, however many items it is of."""

from __future__ import annotations


def test_each_result_says_in_a_line_what_it_holds(collection):
    assert repr(collection.map()) == "Map(42 images by pca)"
    assert repr(collection.cluster(3)) == "Clusters(3 groups of 42 images by kmeans)"
    assert repr(collection.neighbors(2)) == "Neighbours(2 of each of 42 images, recall 1.00)"
    assert repr(collection.outliers(k=3)).startswith("Outliers(42 images judged by 3 neighbours, ")
    assert repr(collection.duplicates()).endswith(" pairs among 42 images)")
    assert repr(collection.evaluate(ks=[1])).startswith("Evaluation('photos', 42 queries: ")
    assert repr(collection.snapshot.state) == (
        f"State({str(collection.path)!r}: 42 images, {collection.fingerprint()[:12]})"
    )


def test_what_is_found_can_be_counted(collection):
    assert len(collection.cluster(3)) == 3
    assert len(collection.map()) == len(collection.neighbors(2)) == 42
    found = collection.duplicates()
    assert len(found) == len(found.pairs)

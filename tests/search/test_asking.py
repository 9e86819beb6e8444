"""What can be asked with, in Python: pictures, ids, vectors, lists of them and sums; and what comes back."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas
import pytest
from conftest import picture, write_picture
from PIL import Image as PillowImage

import lookalike
from lookalike import Id, Image, Query, Results, Text, Vector
from lookalike.errors import ImageError, LookalikeError, QueryError

SEA, BRICK = "sea/sea-002.png", "brick/brick-000.jpg"


def axes(tmp_path: Path) -> lookalike.Collection:
    """Three items along the axes, and one between the first two."""
    vectors = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [3, 4, 0]], np.float32)
    return lookalike.from_vectors(tmp_path / "axes.lookalike", vectors, ["x", "y", "z", "xy"])


# Vectors.


@pytest.mark.parametrize(
    "query",
    [
        np.array([0.6, 0.8, 0], np.float32), np.array([0.6, 0.8, 0]), np.array([3, 4, 0]), [0.6, 0.8, 0.0],
        (3, 4, 0), [np.float32(3), np.float32(4), np.float32(0)], Vector([3, 4, 0]),
    ],
    ids=["float32", "float64", "int", "list", "tuple", "list of numpy", "Vector"],
)  # fmt: skip
def test_a_vector_in_any_form_is_one_query(tmp_path, query):
    found = axes(tmp_path).search(query, k=2)
    assert isinstance(found, Results)
    assert found.ids == ["xy", "y"]
    assert found.scores.tolist() == pytest.approx([1, 0.8])


@pytest.mark.parametrize("count", [0, 1, 2])
def test_a_matrix_of_floats_is_a_query_a_row(tmp_path, count):
    vectors = np.array([[0, 0, 2.0], [1, 0, 0]])[:count]
    found = axes(tmp_path).search(vectors, k=1)
    assert [one.ids for one in found] == [["z"], ["x"]][:count]


def test_a_list_or_tuple_of_queries_is_a_result_each(tmp_path):
    made = axes(tmp_path)
    for some in ([Id("x"), Vector([0, 0, 1])], (Id("x"), np.array([0, 0, 1.0]))):
        assert [one.ids[0] for one in made.search(some, k=1)] == ["xy", "z"]
    assert [one.ids[0] for one in made.search([[0, 1, 0], [0, 0, 1]], k=1)] == ["y", "z"]
    assert made.search([]) == []


def test_a_list_of_paths_is_a_result_each(collection, photos):
    found = collection.search([photos / SEA, str(photos / BRICK)], k=1)
    assert [one.ids for one in found] == [[SEA], [BRICK]]


@pytest.mark.parametrize(
    ("query", "message"),
    [
        (np.zeros(3), "has no direction"),
        (np.array([1, np.nan, 0]), "has no direction"),
        (np.ones(4), r"has the shape \(3,\), not \(4,\)"),
        ([1.0, 2.0], r"has the shape \(3,\), not \(2,\)"),
    ],
)
def test_a_vector_without_a_direction_or_of_another_shape_is_refused(tmp_path, query, message):
    with pytest.raises(QueryError, match=message):
        axes(tmp_path).search(query)


@pytest.mark.parametrize("query", [None, 7, {"a": 1}, object(), np.array(["text", "other"]), [None]])
def test_what_is_no_query_is_an_error_of_ours(collection, query):
    with pytest.raises((LookalikeError, TypeError)) as caught:
        collection.search(query)
    assert str(caught.value)


# Sums.


def test_a_sum_is_the_direction_of_its_terms(tmp_path):
    made = axes(tmp_path)
    found = made.search(Id("x") * 3 + 4 * Id("y"), k=2)
    assert found.ids == ["xy", "z"]
    assert found[0].score == pytest.approx(1)
    # Less the direction of (1, -1) leaves (0.29, 0.71), which points between the two.
    found = made.search(Id("x") - Vector([1, -1, 0]), k=2)
    assert found.scores.tolist() == pytest.approx([0.9688, 0.9239], abs=1e-4)


def test_the_sum_of_a_list_is_the_sum_of_its_terms(tmp_path):
    made = axes(tmp_path)
    total = sum([Id("x"), Id("y")])
    assert isinstance(total, Query)
    assert total.terms == (Id("x") + Id("y")).terms == ((Id("x"), 1.0), (Id("y"), 1.0))
    assert sum([Id("x"), Id("y"), Vector([0, 0, 1])]).ids == {"x", "y"}
    assert made.search(total, k=1)[0].score == pytest.approx(7 / 5 / 2**0.5)


def test_weights_multiply_and_signs_turn():
    query = -(2 * Id("x")) / 4 + Id("y") * np.float32(0.5)
    assert query.terms == ((Id("x"), -0.5), (Id("y"), 0.5))
    assert (Id("x") - Id("y")).terms == ((Id("x"), 1.0), (Id("y"), -1.0))
    assert (3 * (Id("x") - Id("y"))).terms == ((Id("x"), 3.0), (Id("y"), -3.0))


def test_a_picture_may_be_added_to_a_query_from_either_side(collection, photos):
    path = photos / BRICK
    data, pixels = path.read_bytes(), np.asarray(picture(3))
    for other in (path, str(path), data, picture(3), pixels):
        left, right = Id(SEA) + other, other + Id(SEA)
        assert [type(term) for term, _ in left.terms] == [Id, Image]
        assert [type(term) for term, _ in right.terms] == [Image, Id]
        assert [weight for _, weight in (other - Id(SEA)).terms] == [1.0, -1.0]
        assert [weight for _, weight in (Id(SEA) - other).terms] == [1.0, -1.0]
    found = collection.search(Id(SEA) + path, k=40)
    assert SEA not in found.ids
    assert found[0].score == pytest.approx(max(found.scores))
    assert [type(term) for term, _ in (Id(SEA) + np.ones(192)).terms] == [Id, Vector]
    assert [type(term) for term, _ in (np.ones(192) + Id(SEA)).terms] == [Vector, Id]


@pytest.mark.parametrize("other", [1, 1.5, None, {"a": 1}, [Id("x"), Id("y")], np.zeros((2, 2))])
def test_what_cannot_be_added_is_a_type_error_that_says_what_can(other):
    with pytest.raises(TypeError, match=r"cannot be added to a query; a query is a picture .*Id\(.*Vector"):
        Id("x") + other
    with pytest.raises(TypeError, match="cannot be added to a query"):
        other + Id("x")


@pytest.mark.parametrize("factor", ["2", None, Id("y"), [2]])
def test_what_is_no_number_is_no_weight(factor):
    with pytest.raises(TypeError, match="a query is multiplied by a number, not by a value of the type"):
        Id("x") * factor
    with pytest.raises(TypeError, match="a query is divided by a number"):
        Id("x") / factor


def test_sums_that_say_nothing_are_refused(collection):
    with pytest.raises(QueryError, match="contradicts itself"):
        collection.search(Id(SEA) - Id(SEA))
    with pytest.raises(QueryError, match="the query is empty"):
        collection.search(Query(()))
    with pytest.raises(QueryError, match="a weight of the query is 0"):
        collection.search(Id(SEA) * 0)
    with pytest.raises(LookalikeError):
        collection.search(Text("a rose"))
    with pytest.raises(ImageError, match="cannot read nothing"):
        collection.search("nothing.jpg")


# Recommendation.


def test_a_string_is_an_id_where_something_is_recommended(collection):
    expected = collection.recommend([Id(SEA)]).ids
    assert collection.recommend(SEA).ids == expected
    assert collection.recommend([SEA]).ids == collection.recommend((SEA,)).ids == expected
    assert SEA not in expected
    assert len(expected) == 10


def test_what_is_disliked_counts_half(tmp_path):
    made = axes(tmp_path)
    found = made.recommend("x", ["y"], k=4)
    assert found.ids == ["xy", "z"]
    assert found.scores.tolist() == pytest.approx([(0.6 - 0.4) / 1.25**0.5, 0], abs=1e-6)
    assert made.recommend("x", "y", k=4).ids == found.ids


def test_vectors_and_pictures_may_be_liked_too(collection, photos):
    vectors = collection.embeddings([SEA, BRICK])
    assert collection.recommend(vectors, k=1).scores[0] > 0
    assert collection.recommend(photos / SEA, k=1).ids == [SEA]
    assert collection.recommend([vectors[0], SEA], k=1).ids == collection.recommend(SEA, k=1).ids


def test_recommendations_of_a_view_are_of_its_items(collection):
    view = collection.where("label = 'brick'")
    assert set(view.recommend(SEA, k=40).labels) == {"brick"}
    expected = {id_ for id_ in view.ids if id_.endswith("0.jpg")}
    assert set(view.recommend(SEA, k=40, where="id LIKE '%0.jpg'").ids) == expected


def test_nothing_that_is_liked_is_refused(collection):
    with pytest.raises(QueryError, match="nothing is liked"):
        collection.recommend([])
    with pytest.raises(TypeError, match="give a list of ids or queries"):
        collection.recommend({SEA: 1})
    with pytest.raises(LookupError):
        collection.recommend(["nothing"])


# Results.


@pytest.fixture
def found(collection) -> Results:
    return collection.search(Id(SEA), k=5)


def test_the_arrays_of_results_are_those_of_their_hits(collection, found):
    assert found.ids == [hit.id for hit in found]
    assert found.labels == [hit.label for hit in found]
    assert found.scores.tolist() == [hit.score for hit in found]
    assert found.confidences.tolist() == [hit.confidence for hit in found]
    assert [collection.ids[row] for row in found.rows] == found.ids


def test_a_slice_of_results_is_results(found):
    some = found[1:4]
    assert isinstance(some, Results)
    assert (some.ids, some.labels) == (found.ids[1:4], found.labels[1:4])
    assert some.scores.tolist() == found.scores[1:4].tolist()
    assert some.confidences.tolist() == found.confidences[1:4].tolist()
    assert found.take([3, 0]).ids == [found.ids[3], found.ids[0]]
    assert found.take([3, 0]).confidences.tolist() == found.confidences[[3, 0]].tolist()
    assert len(found[:0]) == 0
    assert not found[:0]


def test_results_are_a_table_of_arrow_or_pandas(found):
    frame = found.to_pandas()
    assert isinstance(frame, pandas.DataFrame)
    assert frame.columns[:3].tolist() == ["id", "score", "confidence"]
    assert frame["id"].tolist() == found.ids
    assert frame["score"].tolist() == pytest.approx(found.scores.tolist())
    assert "thumb_offset" not in frame.columns
    assert found.to_arrow() == found.to_table()
    assert found[:0].to_pandas().shape[0] == 0
    assert [one["id"] for one in found.as_dicts()] == found.ids


def test_results_are_drawn_side_by_side(found):
    drawn = found.plot()
    assert isinstance(drawn, PillowImage.Image)
    assert drawn.width > 5 * 128
    assert found[:1].plot().width < drawn.width
    assert found[:0].plot().size[0] > 0
    data = io.BytesIO()
    drawn.save(data, "PNG")


def test_results_are_shown_with_the_first_three(found):
    expected = ", ".join(f"{hit.id} {hit.score:.3f}" for hit in list(found)[:3])
    assert repr(found) == f"Results(5 hits: {expected}, …)"
    assert repr(found[:3]) == f"Results(3 hits: {expected})"
    assert repr(found[:0]) == "Results(0 hits)"
    assert found._repr_html_().count("<img") == 5


def test_results_keep_their_state_while_the_collection_changes(copied):
    found = copied.search(Id(SEA), k=5)
    ids = copied.ids
    copied.remove([BRICK])
    assert found.ids == [ids[row] for row in found.rows]
    assert [hit["id"] for hit in found] == found.ids


def test_a_best_hit_that_chance_gives_too_is_said_to_be_by_chance(collection, found):
    assert found.by_chance == bool(found.confidences.max() < 1 / 3)
    assert not found[:0].by_chance
    assert not collection.search(Id(SEA), include_query=True).by_chance


def test_hits_are_not_by_chance_if_one_of_the_first_ten_is_sure(found):
    fade = np.full(12, 0.2)
    many = replace(found, rows=np.arange(12), scores=fade.astype(np.float32), confidences=fade)

    assert (many.by_chance, many.surest) == (True, 0.2)
    assert not replace(many, confidences=np.where(np.arange(12) == 9, 0.4, fade)).by_chance
    assert replace(many, confidences=np.where(np.arange(12) == 10, 0.4, fade)).by_chance


def test_a_collection_of_one_item_has_no_confidences(tmp_path):
    made = lookalike.from_vectors(tmp_path / "one.lookalike", np.eye(3, dtype=np.float32)[:1], ["x"])
    (hit,) = made.search(np.ones(3))
    assert hit.confidence is None
    assert made.search(np.ones(3)).confidences is None
    assert not made.search(np.ones(3)).by_chance
    assert made.search(np.ones(3)).to_pandas()["confidence"].isna().all()
    assert made.search(np.ones(3))[:1][0].confidence is None
    assert made.search(np.ones(3)).take([0])[0].id == "x"


def test_the_whole_of_a_box_is_the_picture(collection, tmp_path):
    path = write_picture(tmp_path / "query.png", 5)
    whole = collection.search(Image(path, (0, 0, 1, 1)), k=5)
    assert whole.ids == collection.search(path, k=5).ids

"""Queries are sums of pictures, items, words and vectors."""

from __future__ import annotations

import numpy as np
import PIL.Image
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lookalike.errors import ImageError, QueryError
from lookalike.search.query import Id, Image, Query, Text, Vector, parse_query

SEA, BRICK = "sea/sea-002.png", "brick/brick-000.jpg"


def vector_of(collection, id_):
    return collection.embeddings()[collection.items(["id"])["id"].to_pylist().index(id_)]


def test_terms_add_up_with_their_weights():
    query = Image("rose.jpg") * 2 + Id("img_7") - Text("thorn") / 4

    weights = [weight for _, weight in query.terms]
    kinds = [type(term) for term, _ in query.terms]
    assert weights == [2, 1, -0.25]
    assert kinds == [Image, Id, Text]


def test_a_sum_times_a_number_weighs_every_term():
    assert (3 * (Id("a") - Id("b") * 2)).terms == ((Id("a"), 3), (Id("b"), -6))
    assert (-Id("a")).terms == ((Id("a"), -1),)


@pytest.mark.parametrize(
    "word, term, weight",
    [
        ("id:img_7", Id("img_7"), 1),
        ("id:img_7^2", Id("img_7"), 2),
        ("id:2021/beach.jpg^0.5", Id("2021/beach.jpg"), 0.5),
        ("id:id:x", Id("id:x"), 1),
        ("text:golden retriever^3", Text("golden retriever"), 3),
    ],
)
def test_a_word_of_the_command_line_is_a_term_and_a_weight(word, term, weight):
    assert parse_query([word]) == Query(((term, weight),))


def test_any_other_word_is_the_path_of_a_picture():
    ((term, weight),) = parse_query(["sea/id:002.png^2"]).terms
    assert isinstance(term, Image)
    assert (term.image, weight) == ("sea/id:002.png", 2)


def test_a_file_whose_name_ends_like_a_weight_is_that_file(tmp_path):
    (tmp_path / "rose^2").touch()
    ((term, weight),) = parse_query([str(tmp_path / "rose^2")]).terms
    assert isinstance(term, Image)
    assert (term.image, weight) == (str(tmp_path / "rose^2"), 1)


def test_what_is_not_wanted_has_a_minus():
    assert parse_query(["id:a"], ["id:b^2"]) == Id("a") - Id("b") * 2


def test_the_terminal_and_python_make_the_same_query():
    assert parse_query(["id:a^2", "text:dog"], ["id:c"]) == Id("a") * 2 + Text("dog") - Id("c")


def test_a_sum_ranks_by_the_weighted_sum_of_the_vectors(collection):
    vectors, ids = collection.embeddings().astype(float), collection.items(["id"])["id"].to_pylist()
    total = 2 * vector_of(collection, SEA).astype(float) - 0.5 * vector_of(collection, BRICK)
    total /= np.sqrt((total**2).sum())
    expected = sorted(
        (float(sum(a * b for a, b in zip(vector, total, strict=True))), id_)
        for vector, id_ in zip(vectors, ids, strict=True)
        if id_ not in (SEA, BRICK)
    )[::-1][:5]

    results = collection.search(Id(SEA) * 2 - Id(BRICK) * 0.5, k=5)

    assert [hit.id for hit in results] == [id_ for _, id_ in expected]
    assert [hit.score for hit in results] == pytest.approx([score for score, _ in expected], abs=1e-6)


def test_items_of_the_query_are_left_out_and_k_results_are_there(collection):
    results = collection.search(Id(SEA) + Id(BRICK), k=40)

    assert len(results) == 40
    assert not {SEA, BRICK} & {hit.id for hit in results}


def test_items_of_the_query_are_shown_when_asked_for(collection):
    assert collection.search(Id(SEA), k=1, include_query=True)[0].id == SEA


def test_a_scaled_query_gives_the_same_results(collection):
    one, other = collection.search([Id(SEA), Id(SEA) * 7], k=5)
    assert [(hit.id, hit.score) for hit in one] == [(hit.id, hit.score) for hit in other]


def test_a_list_of_queries_gives_the_results_of_each(collection, photos):
    queries = [Id(SEA), Id(BRICK) - Id(SEA), photos / SEA]

    batch = collection.search(queries, k=7)

    for query, results in zip(queries, batch, strict=True):
        single = collection.search(query, k=7)
        assert [(hit.id, hit.score) for hit in results] == [(hit.id, hit.score) for hit in single]


def test_no_queries_have_no_results(collection):
    assert collection.search([], k=3) == []


def test_a_vector_is_a_query_of_any_length(collection):
    vector = vector_of(collection, SEA)
    for query in (vector, vector.astype(np.float64) * 9, Vector(vector.tolist())):
        assert collection.search(query, k=1)[0].id == SEA


@pytest.mark.parametrize(
    "query, message",
    [
        (Vector([1.0, 2.0]), r"has the shape \(192,\), not \(2,\)"),
        (Vector(np.full(192, np.nan)), "no direction"),
        (Vector(np.zeros(192)), "no direction"),
        (Vector(np.full(192, np.inf)), "no direction"),
        (Id(SEA) - Id(SEA), f"contradicts itself: '{SEA}' is wanted and not wanted"),
        (Text("dog") - Text("dog"), "contradicts itself"),
        (Id(SEA) * float("nan"), "a weight of the query is nan"),
        (Vector(np.full(192, 1e300)), "no direction"),
        (Id(SEA) * 1e-320, "a weight of the query is 1e-320"),
        (Id(SEA) * 1e300, "a weight of the query is 1e\\+300"),
        (Id(SEA) * 0, "a weight of the query is 0"),
        (Query(()), "the query is empty"),
        (Text("dog"), "the model colors does not know words"),
        (Id("sea/sea-02.png") + Id(SEA), "has no item 'sea/sea-02.png'"),
    ],
)
def test_a_query_that_cannot_be_is_an_error(collection, query, message):
    with pytest.raises(QueryError, match=message):
        collection.search(query)


def test_a_box_is_a_part_that_stands_for_itself(collection, photos):
    picture = PIL.Image.open(photos / "sea" / "sea-002.png").convert("RGB")
    part = picture.crop((16, 12, 48, 36))

    boxed = collection.search(Image(photos / SEA, box=(0.25, 0.25, 0.75, 0.75)), k=5)

    assert [hit.id for hit in boxed] == [hit.id for hit in collection.search(part, k=5)]


@pytest.mark.parametrize(
    ("box", "message"),
    [
        ((0, 0, 2, 1), "is not a part of a picture"),
        ((0.5, 0, 0.5, 1), "is not a part of a picture"),
        ((0, 0.5, 1, 0.5), "is not a part of a picture"),
        ((0.6, 0, 0.4, 1), "is not a part of a picture"),
        ((-0.1, 0, 1, 1), "is not a part of a picture"),
        ((0, 0, 0.001, 1), "is smaller than a pixel"),
    ],
)
def test_a_box_that_is_no_part_of_the_picture_is_an_error(collection, photos, box, message):
    with pytest.raises(ImageError, match=message):
        collection.search(Image(photos / SEA, box=box))


def test_terms_that_cancel_each_other_out_are_an_error(collection):
    with pytest.raises(QueryError, match="cancel each other out"):
        collection.search(Id(SEA) - Vector(vector_of(collection, SEA)))


def test_a_term_that_is_no_picture_is_an_error_that_names_it(collection, tmp_path):
    (tmp_path / "page.jpg").write_text("<html>")
    with pytest.raises(ImageError, match=r"page\.jpg"):
        collection.search(Id(SEA) + Image(tmp_path / "page.jpg"))


@given(weights=st.lists(st.floats(0.01, 100), min_size=1, max_size=5))
def test_weights_survive_the_command_line(weights):
    words = [f"id:{number}^{weight:f}" for number, weight in enumerate(weights)]
    assert [weight for _, weight in parse_query(words).terms] == [float(f"{w:f}") for w in weights]

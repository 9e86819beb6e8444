"""Search: exact, the same for every split into parts, and a picture is its own nearest neighbour."""

from __future__ import annotations

import pickle
import re
from pathlib import Path

import numpy as np
import pytest
from conftest import build, picture
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import lookalike
from lookalike import Id
from lookalike.errors import ChangedError, ImageError, QueryError
from lookalike.search.exact import nearest


def slow_nearest(query: list[float], rows: list[tuple[str, list[float]]], k: int) -> list[tuple[str, float]]:
    """One product at a time; a sort that keeps the order of equal scores."""
    scored = [
        (id_, max(-1.0, min(1.0, sum(a * b for a, b in zip(query, row, strict=True))))) for id_, row in rows
    ]
    return sorted(scored, key=lambda pair: -pair[1])[:k]


def pairs(results) -> list[tuple[str, float]]:
    return [(hit.id, hit.score) for hit in results]


# Eighths and sums of few of them are exact in float32, so that ties are ties whatever the order of addition.
EIGHTHS = st.integers(-8, 8).map(lambda number: number / 8)


@given(data=st.data(), dim=st.integers(1, 5), count=st.integers(0, 30), k=st.integers(1, 12))
def test_nearest_equals_a_slow_loop_for_any_split_into_blocks(data, dim, count, k):
    vector = st.lists(EIGHTHS, min_size=dim, max_size=dim)
    query = data.draw(vector)
    rows = [(f"id-{number}", data.draw(vector)) for number in range(count)]
    cuts = sorted(data.draw(st.lists(st.integers(0, count), max_size=5)))
    matrix = np.array([row for _, row in rows], np.float32).reshape(count, dim)
    mask = data.draw(st.none() | st.lists(st.booleans(), min_size=count, max_size=count))
    bounds = zip([0, *cuts], [*cuts, count], strict=True)
    blocks = ((start, matrix[start:end]) for start, end in bounds)

    ((found, scores),) = nearest(
        [np.array(query, np.float32)], blocks, k, None if mask is None else np.array(mask, np.bool_)
    )

    # Clipping may make scores equal that were not: the order is that of the products.
    rows = [row for place, row in enumerate(rows) if mask is None or mask[place]]
    exact = sorted(rows, key=lambda row: -sum(a * b for a, b in zip(query, row[1], strict=True)))[:k]
    assert [f"id-{row}" for row in found.tolist()] == [id_ for id_, _ in exact]
    assert sorted(scores.tolist()) == sorted(score for _, score in slow_nearest(query, rows, k))


@pytest.mark.parametrize("k", [1, 5, 42])
def test_search_equals_a_slow_loop(collection, photos, k):
    query = collection.model.embed([photos / "sea" / "sea-002.png"])[0].tolist()
    ids = collection.items(["id"])["id"].to_pylist()
    expected = slow_nearest(query, list(zip(ids, collection.embeddings().tolist(), strict=True)), k)

    results = collection.search(photos / "sea" / "sea-002.png", k)

    assert [hit.id for hit in results] == [id_ for id_, _ in expected]
    assert [hit.score for hit in results] == pytest.approx([score for _, score in expected], abs=1e-6)


def test_every_image_is_its_own_nearest_neighbour_with_a_score_of_one(collection, photos):
    for id_ in collection.items(["id"])["id"].to_pylist():
        for query in (Id(id_), photos / id_):
            (best,) = collection.search(query, k=1, include_query=True)
            assert (best.id, best.score) == (id_, pytest.approx(1, abs=1e-6))


def test_every_image_is_its_own_nearest_neighbour_as_float16(folder, target):
    collection, _ = build(folder, target, dtype="float16")

    for id_ in collection.items(["id"])["id"].to_pylist():
        (best,) = collection.search(folder / id_, k=1)
        assert (best.id, best.score) == (id_, pytest.approx(1, abs=1e-3))


def test_pictures_of_the_same_class_come_first(collection):
    results = collection.search(picture(999, (60, 100, 180)), k=5)

    assert {hit.label for hit in results} == {"sea"}


def test_a_query_may_be_a_path_bytes_a_pillow_image_an_array_or_an_id(collection, photos):
    path = photos / "sea" / "sea-002.png"
    with Image.open(path) as image:
        queries = [path, str(path), path.read_bytes(), image, np.asarray(image), Id("sea/sea-002.png")]
        found = [collection.search(query, k=7, include_query=True) for query in queries]

    assert found[0][0].id == "sea/sea-002.png"
    for results in found[1:]:
        assert [hit.id for hit in results] == [hit.id for hit in found[0]]
        assert [hit.score for hit in results] == pytest.approx([hit.score for hit in found[0]], abs=1e-6)


@pytest.mark.parametrize("k", [0, -1, -10])
def test_a_k_below_one_is_refused(collection, k):
    with pytest.raises(QueryError, match=f"k is the number of results, at least 1, not {k}"):
        collection.search(Id("sea/sea-002.png"), k=k, include_query=True)


def test_a_k_above_the_number_of_items_gives_all_of_them(collection):
    results = collection.search(Id("sea/sea-002.png"), k=1000, include_query=True)

    assert len(results) == len({hit.id for hit in results}) == 42


def test_an_unknown_id_is_refused_with_the_nearest_that_there_are(collection):
    with pytest.raises(QueryError, match=r"has no item 'sea/sea-02\.png'") as caught:
        collection.search(Id("sea/sea-02.png"), include_query=True)
    assert re.fullmatch(r"did you mean sea/sea-\d+\.png or .*\?", caught.value.hint)


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("nowhere.jpg", r"cannot read nowhere\.jpg: No such file"),
        (Path(), "cannot read"),
        ("nul\0.jpg", "cannot read"),
        (b"", "the file is empty"),
        (b"no picture", "not a readable image"),
        (np.zeros((4, 4, 3), np.float32), "an image array must be uint8"),
        (np.zeros((0, 4), np.uint8), "an image array must be uint8"),
    ],
)
def test_a_query_that_is_no_picture_is_refused(collection, query, message):
    with pytest.raises(ImageError, match=message):
        collection.search(query)


@pytest.mark.parametrize("query", [None, 7, {"a": 1}, {"a"}, iter("ab")])
def test_what_is_no_query_is_a_type_error_that_says_what_is(collection, query):
    with pytest.raises(TypeError, match=r"is not a query; a query is a picture .*Id\(.*Vector"):
        collection.search(query)


def test_an_item_is_a_query_too(collection):
    item = collection["sea/sea-002.png"]

    assert collection.search(item, k=5).ids == collection.search(Id("sea/sea-002.png"), k=5).ids
    assert collection.recommend(collection[:2], k=3).ids == collection.recommend(collection.ids[:2], k=3).ids


def test_a_name_of_an_item_is_said_to_be_one(collection):
    with pytest.raises(
        ImageError, match=r"No such file.*; the item of that name is `Id\('sea/sea-002.png'\)`"
    ):
        collection.search("sea/sea-002.png")


@pytest.mark.parametrize("make", [lambda: Id(5), lambda: Id(None), lambda: lookalike.Text(5)])
def test_an_id_and_a_text_are_text(make):
    with pytest.raises(TypeError, match=r"is a str, not"):
        make()


@pytest.mark.parametrize("k", ["3", 2.5, None])
def test_k_is_a_whole_number(collection, k):
    with pytest.raises(lookalike.LookalikeError, match="k is a whole number, not"):
        collection.search(Id("sea/sea-002.png"), k)


def test_k_may_be_a_number_of_numpy_also_with_an_index(indexed):
    assert len(indexed.search(Id("sea/sea-002.png"), k=np.int64(5))) == 5
    assert len(indexed.recommend("sea/sea-002.png", k=np.int32(2))) == 2


def test_a_condition_cannot_leave_the_view_that_it_narrows(collection):
    view = collection.where("label = 'sea'")

    for escape in ("1=0) OR (1=1", "false] OR [true"):
        with pytest.raises(QueryError):
            view.where(escape)
        with pytest.raises(QueryError):
            view.search(Id("sea/sea-002.png"), where=escape)


def test_a_view_gives_vectors_and_thumbnails_of_its_own_items_alone(collection):
    view = collection.where("label = 'sea'")

    assert len(view.embeddings(["sea/sea-002.png"])) == 1
    for ask in (view.embeddings, view.thumbnails):
        with pytest.raises(KeyError, match="does not meet the condition"):
            ask(["sea/sea-002.png", "brick/brick-000.jpg"])


def test_collections_views_and_results_can_be_pickled(collection):
    view = collection.where("label = 'sea'")
    results = collection.search(Id("sea/sea-002.png"), k=3)

    assert pickle.loads(pickle.dumps(collection)).ids == collection.ids
    assert pickle.loads(pickle.dumps(view)).ids == view.ids
    assert results.ids == collection.search(Id("sea/sea-002.png"), k=3).ids


def test_the_best_is_the_first_and_scores_are_cosines(collection):
    scores = [hit.score for hit in collection.search(Id("sea/sea-002.png"), k=42, include_query=True)]

    assert scores == sorted(scores, reverse=True)
    assert all(-1 <= score <= 1 for score in scores)
    assert all(type(score) is float for score in scores)


def test_equal_pictures_keep_the_order_of_their_rows(folder, target):
    whole = (folder / "sea" / "sea-002.png").read_bytes()
    names = [f"copy-{number:02d}.png" for number in range(30)]
    for name in names:
        (folder / name).write_bytes(whole)
    for part_size in (1000, 7, 1):
        collection, _ = build(folder, target, part_size=part_size, rebuild=True)

        results = collection.search(Id("sea/sea-002.png"), k=31, include_query=True)

        assert {hit.score for hit in results} == {results[0].score}
        assert [hit.id for hit in results] == [*names, "sea/sea-002.png"]
        assert [hit.id for hit in collection.search(Id("copy-20.png"), k=5, include_query=True)] == names[:5]


def test_scores_do_not_depend_on_the_split_into_parts(photos, collection, tmp_path):
    whole, _ = build(photos, tmp_path / "whole", part_size=1000)
    split, _ = build(photos, tmp_path / "split", part_size=1)

    for query in (Id("sea/sea-002.png"), photos / "brick" / "brick-000.jpg"):
        assert pairs(whole.search(query, k=42)) == pairs(split.search(query, k=42))
        assert pairs(whole.search(query, k=42)) == pairs(collection.search(query, k=42))


def test_only_rows_for_which_the_condition_holds_are_found(collection, photos):
    results = collection.search(photos / "sea" / "sea-002.png", k=50, where="label = 'brick'")

    assert {hit.label for hit in results} == {"brick"}
    assert len(results) == collection.items(["label"])["label"].to_pylist().count("brick")


def test_a_filtered_search_has_k_results_whenever_k_rows_match(collection):
    results = collection.search(Id("sea/sea-002.png"), k=5, where="label = 'brick' OR label = 'meadow'")

    assert len(results) == 5
    scores = [hit.score for hit in collection.search(Id("sea/sea-002.png"), k=42) if hit.label != "sea"]
    assert [hit.score for hit in results] == scores[:5]


def test_a_condition_that_names_no_column_is_an_error_with_the_columns(collection):
    with pytest.raises(QueryError, match="colour") as error:
        collection.search(Id("sea/sea-002.png"), where="colour = 'red'")

    assert "label" in str(error.value)


def test_recommendations_can_be_filtered(collection):
    results = collection.recommend([Id("sea/sea-002.png")], k=4, where="label = 'meadow'", diverse=0.2)

    assert [hit.label for hit in results] == ["meadow"] * 4


@pytest.fixture
def indexed(folder, target):
    from lookalike.index import build_index

    collection, _ = build(folder, target, part_size=5)
    build_index(collection.path, "flat")
    return collection


def test_an_index_is_what_answers(indexed, folder, monkeypatch):
    monkeypatch.setattr("lookalike.search.engine.nearest", None)

    assert indexed.search(folder / "sea" / "sea-002.png", k=1)[0].id == "sea/sea-002.png"


def test_a_search_through_an_index_finds_what_an_exact_one_finds(indexed, folder):
    query, where = folder / "brick" / "brick-000.jpg", "label IS NULL"
    through = indexed.search([query, Id("sea/sea-002.png")], k=7, where=where)
    (indexed.path / "derived" / "index.json").unlink()

    for one, exact in zip(
        through, indexed.search([query, Id("sea/sea-002.png")], k=7, where=where), strict=True
    ):
        assert [hit.id for hit in one] == [hit.id for hit in exact]
        assert [hit.score for hit in one] == pytest.approx([hit.score for hit in exact], abs=1e-6)


def test_a_removed_image_never_comes_back_from_an_index_of_before(indexed, folder, target):
    (folder / "sea" / "sea-002.png").unlink()
    collection, _ = build(folder, target)

    assert "sea/sea-002.png" not in [hit.id for hit in collection.search(Id("sea/sea-005.png"), k=50)]


def test_a_state_of_before_a_build_gives_its_own_rows_or_an_error(indexed, folder, target):
    before = indexed.snapshot
    rows = before.rows_of(["sea/sea-002.png", "brick/brick-003.jpg"])
    (folder / "brick" / "brick-000.jpg").unlink()
    build(folder, target)

    assert before.ids(rows) == ["sea/sea-002.png", "brick/brick-003.jpg"]
    with pytest.raises(ChangedError, match="was changed while it was read"):
        before.vectors(rows)


def test_a_search_after_a_build_is_one_of_the_new_state(indexed, folder, target):
    indexed.search(folder / "sea" / "sea-002.png")
    (folder / "brick" / "brick-000.jpg").unlink()
    build(folder, target)

    results = indexed.search(folder / "sea" / "sea-002.png", k=50)

    assert (results[0].id, results[0].score) == ("sea/sea-002.png", pytest.approx(1, abs=1e-6))
    assert len(results) == 11
    assert "brick/brick-000.jpg" not in results.ids

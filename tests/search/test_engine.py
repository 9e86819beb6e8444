"""The engine: an index, vectors in memory and vectors read part by part give the same hits."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from indexes import clouds, write_collection, write_part

import lookalike
from lookalike.errors import QueryError, UnknownIdError
from lookalike.index import build_index
from lookalike.search import engine as engines
from lookalike.search.confidence import write_background
from lookalike.search.engine import Engine
from lookalike.search.query import Id, Vector, as_query
from lookalike.storage.part_state import PartState
from lookalike.storage.parts import Part
from lookalike.storage.snapshot import Snapshot


@pytest.fixture(scope="module")
def some() -> np.ndarray:
    """Unit vectors (300, 64) in clouds."""
    return clouds(300, seed=5)


@pytest.fixture(scope="module")
def made(some, tmp_path_factory) -> Path:
    """The vectors in parts of 100, and what a build makes of them."""
    root = tmp_path_factory.mktemp("engine") / "made.lookalike"
    write_collection(root, some, part_size=100)
    write_background(Snapshot.open(root))
    return root


@pytest.fixture(scope="module")
def flat(made, tmp_path_factory) -> Path:
    """The same with an index that compares every vector."""
    root = tmp_path_factory.mktemp("flat") / "flat.lookalike"
    shutil.copytree(made, root)
    build_index(root, "flat")
    return root


@pytest.fixture
def engine(made) -> Engine:
    return Engine(Snapshot.open(made))


@pytest.fixture
def read(monkeypatch) -> list[int]:
    """The numbers of the parts whose vectors are read from now on."""
    seen: list[int] = []
    embeddings = PartState.embeddings
    monkeypatch.setattr(PartState, "embeddings", lambda one: seen.append(one.part.number) or embeddings(one))
    return seen


def answers(found) -> list[tuple[list[int], list[float]]]:
    return [(one.rows.tolist(), [round(float(score), 5) for score in one.scores]) for one in found]


def slow(vectors: np.ndarray, query: np.ndarray, k: int, allowed: set[int] | None = None) -> list[int]:
    """The rows with the largest cosine, one product at a time."""
    cosines = [(-float(np.dot(vector.astype(np.float64), query)), row) for row, vector in enumerate(vectors)]
    return [row for _, row in sorted(cosines) if allowed is None or row in allowed][:k]


QUERIES = [as_query(one) for one in clouds(5, seed=6)]


def test_an_index_held_vectors_and_streamed_ones_give_the_same_hits(made, flat, some):
    streamed, held, indexed = (Engine(Snapshot.open(one)) for one in (made, made, flat))
    held.search(QUERIES)
    first = answers(streamed.search(QUERIES, 7))

    assert answers(held.search(QUERIES, 7)) == first
    assert answers(indexed.search(QUERIES, 7)) == first
    assert (streamed._held, held._held is not None, indexed._held) == (None, True, None)
    assert indexed.index is not None
    queries = [query.terms[0][0].values for query in QUERIES]
    assert [rows for rows, _ in first] == [slow(some, query, 7) for query in queries]


def test_the_first_exact_search_reads_every_part_and_the_second_holds_them(engine, read):
    engine.search(QUERIES[:1])
    assert read == [0, 1, 2]
    assert engine._held is None
    engine.search(QUERIES[:1])
    assert read == [0, 1, 2] * 2
    engine.search(QUERIES)
    engine.search([as_query(Id("0-5"))])
    assert read == [0, 1, 2] * 2


def test_held_vectors_are_those_of_the_parts_in_order(engine, some):
    engine.search(QUERIES[:1])
    engine.search(QUERIES[:1])
    assert np.array_equal(engine._held, some)
    assert np.array_equal(engine.vectors_at(np.array([250, 0])), some[[250, 0]])


def test_vectors_that_do_not_fit_are_never_held(engine, read, monkeypatch):
    monkeypatch.setattr(engines, "_HELD_SHARE", 0)
    for _ in range(3):
        engine.search(QUERIES[:1])
    assert engine._held is None
    assert read == [0, 1, 2] * 3


def test_what_fits_is_a_quarter_of_the_memory(monkeypatch):
    monkeypatch.setattr("os.sysconf", lambda name: {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": 1000}[name])
    assert engines._fits(1000, 256)  # 1,024,000 bytes of 4,096,000
    assert not engines._fits(1001, 256)


def test_after_a_build_the_vectors_of_unchanged_parts_are_taken_over(made, some, tmp_path, read):
    root = tmp_path / "copy.lookalike"
    shutil.copytree(made, root)
    before = Engine(Snapshot.open(root))
    before.search(QUERIES)
    before.search(QUERIES)
    more = clouds(100, seed=8)
    write_part(lookalike.open(root), 1, more)
    write_part(lookalike.open(root), 3, more[:50])
    read.clear()

    after = Engine(Snapshot.open(root), before)
    assert read == [1, 3]
    found = after.search(QUERIES, 7)

    vectors = np.concatenate([some[:100], more, some[200:], more[:50]])
    assert np.array_equal(after._held, vectors)
    queries = [query.terms[0][0].values for query in QUERIES]
    assert [one.rows.tolist() for one in found] == [slow(vectors, query, 7) for query in queries]
    assert np.array_equal(before._held, some)


def test_a_part_that_is_gone_leaves_the_others_at_their_new_rows(made, some, tmp_path, read):
    root = tmp_path / "copy.lookalike"
    shutil.copytree(made, root)
    before = Engine(Snapshot.open(root))
    before.search(QUERIES)
    before.search(QUERIES)
    Part(root, 0).items_path.unlink()
    read.clear()
    after = Engine(Snapshot.open(root), before)
    assert np.array_equal(after._held, some[100:])
    assert read == []


def test_with_an_index_nothing_is_held(flat, made, read):
    before = Engine(Snapshot.open(made))
    before.search(QUERIES)
    before.search(QUERIES)
    read.clear()
    after = Engine(Snapshot.open(flat), before)
    after.search(QUERIES)
    after.search(QUERIES)
    assert after._held is None
    assert read == []


@pytest.mark.parametrize("which", ["made", "flat"])
@pytest.mark.parametrize("k", [299, 300, 301, 10_000])
def test_a_k_above_the_number_of_items_gives_each_once(request, which, k):
    engine = Engine(Snapshot.open(request.getfixturevalue(which)))
    for _ in range(2):
        (found,) = engine.search(QUERIES[:1], k)
        assert len(found) == min(k, 300)
        assert len(set(found.rows.tolist())) == min(k, 300)
        assert np.all(np.diff(found.scores) <= 0)


@pytest.mark.parametrize("which", ["made", "flat"])
def test_only_rows_of_the_mask_are_found_and_all_k_of_them(request, which, some):
    engine = Engine(Snapshot.open(request.getfixturevalue(which)))
    allowed = {3, 50, 150, 151, 299}
    for _ in range(2):
        (found,) = engine.search(QUERIES[:1], 4, rows=np.array(sorted(allowed)))
        assert found.rows.tolist() == slow(some, QUERIES[0].terms[0][0].values, 4, allowed)
        (every,) = engine.search(QUERIES[:1], 40, rows=np.array(sorted(allowed)))
        assert set(every.rows.tolist()) == allowed
        (none,) = engine.search(QUERIES[:1], 4, rows=np.array([], np.int64))
        assert len(none) == 0


def test_a_masked_search_reads_only_the_parts_that_have_rows_that_match(engine, read):
    engine.search(QUERIES[:1], 4, where="id LIKE '1-%'")
    assert read == [1]


def test_a_condition_and_rows_both_have_to_hold(engine):
    mask = engine.allowed("id LIKE '1-%'", np.array([99, 100, 101, 200]))
    assert np.flatnonzero(mask).tolist() == [100, 101]
    assert engine.allowed(None, None) is None
    assert np.flatnonzero(engine.allowed(None, np.array([5]))).tolist() == [5]
    assert engine.allowed("id LIKE '1-%'", None).sum() == 100
    assert engine.matching(None).tolist() == list(range(300))
    assert engine.matching("id LIKE '1-%'").tolist() == list(range(100, 200))


@pytest.mark.parametrize("which", ["made", "flat"])
def test_items_that_stand_in_a_query_are_left_out_and_k_others_are_found(request, which, some):
    engine = Engine(Snapshot.open(request.getfixturevalue(which)))
    query = as_query(Id("0-5")) + Id("1-7")
    hidden, shown = engine.search([query, as_query(Id("0-5"))], 10)
    every = engine.search([query], 12, include_query=True)[0].rows.tolist()
    assert hidden.rows.tolist() == [row for row in every if row not in (5, 107)][:10]
    assert len(hidden) == len(shown) == 10
    assert 5 not in shown.rows.tolist()
    assert {5, 107} <= set(every)


def test_hidden_rows_of_one_direction_are_found_for_another(engine, some):
    directions = [engine.direction(as_query(some[5]))] * 2
    first, second = engine.find(directions, 3, hidden=[[5], [6, 7]])
    best = slow(some, some[5], 6)
    assert first.rows.tolist() == [row for row in best if row != 5][:3]
    assert second.rows.tolist() == [row for row in best if row not in (6, 7)][:3]


def test_hits_below_the_least_confidence_are_left_out(engine):
    (every,) = engine.search(QUERIES[:1], 300)
    kept = int((every.confidences >= 0.9).sum())
    assert 0 < kept < 300
    (found,) = engine.search(QUERIES[:1], 300, min_confidence=0.9)
    assert found.rows.tolist() == every.rows[:kept].tolist()
    assert found.confidences.min() >= 0.9
    assert np.all(np.diff(every.confidences) <= 0)
    limit = float(every.confidences[kept - 1])
    assert len(engine.search(QUERIES[:1], 300, min_confidence=limit)[0]) >= kept


@pytest.mark.parametrize(
    ("k", "least", "message"),
    [
        (0, 0.0, "k is the number of results, at least 1, not 0"),
        (1, -0.1, "the minimum confidence is -0.1"),
        (1, 1.1, "the minimum confidence is 1.1"),
    ],
)
def test_numbers_that_cannot_be_are_refused(engine, k, least, message):
    with pytest.raises(QueryError, match=message):
        engine.search(QUERIES[:1], k, min_confidence=least)


def test_nothing_is_as_sure_as_a_minimum_confidence_of_one(engine):
    assert engine.search(QUERIES[:1], 1, min_confidence=1.0)[0].ids == []


def test_no_query_has_no_results_and_an_unknown_id_is_an_error(engine):
    assert engine.search([]) == []
    with pytest.raises(UnknownIdError, match="0-999"):
        engine.search([as_query(Id("0-999"))])


def test_sixteen_answers_are_kept_and_the_one_unused_longest_is_forgotten(engine):
    computed = []
    for key in [*map(str, range(16)), "0", "16", "0", "1"]:
        engine.kept("kind", key, lambda key=key: computed.append(key) or key)
    assert computed == [*map(str, range(17)), "1"]
    assert engine.kept("other kind", "0", lambda: "new") == "new"


def test_vectors_of_items_come_by_id(engine, some):
    found = engine.vectors_of(["2-99", "0-0"])
    assert list(found) == ["2-99", "0-0"]
    assert np.array_equal(found["2-99"], some[299])


def test_a_vector_of_any_length_asks_for_the_same(engine, some):
    one, other = engine.search([as_query(Vector(some[5] * 9)), as_query(some[5])], 5)
    assert one.rows.tolist() == other.rows.tolist()
    assert one.scores[0] == pytest.approx(1)

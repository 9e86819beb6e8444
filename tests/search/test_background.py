"""Confidence: what a cosine is worth, held against the cosines of random pairs of the same collection."""

from __future__ import annotations

import json

import numpy as np
import pytest
from conftest import build, picture, write_pictures
from hypothesis import given
from hypothesis import strategies as st

import lookalike
from lookalike.collection import open_collection
from lookalike.errors import QueryError
from lookalike.search.confidence import Background, Distribution, background_of
from lookalike.storage.parts import Part

UNIFORM = Distribution.of(np.linspace(0, 1, 100_001, dtype=np.float32))


def stored(collection: lookalike.Collection) -> dict:
    return json.loads((collection.path / "derived" / "background.json").read_bytes())


def noise(count: int, dim: int = 64, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, dim))


def test_the_fraction_below_is_the_share_of_pairs_that_are_less_similar():
    assert UNIFORM.fraction_below(np.float32([-1, 0, 0.25, 0.5, 0.99])) == pytest.approx(
        [0, 0, 0.25, 0.5, 0.99], abs=1e-4
    )


def test_percentiles_lie_between_the_cosines_in_proportion():
    pairs = Distribution.of(np.float32([0.5, 0, 1, 0.25]))
    assert (pairs.percentiles[0], pairs.percentiles[10], pairs.percentiles[50]) == (0, 0.075, 0.375)
    assert pairs.tail == pytest.approx(0.03 * 0.5, abs=1e-5)  # 1, and the last percentile below it


def test_beyond_the_last_percentile_the_fraction_still_rises():
    beyond = UNIFORM.fraction_below(np.float32([0.991, 0.995, 1.0]))

    assert 0.99 < beyond[0] < beyond[1] < beyond[2] < 1


def test_where_all_pairs_are_equally_similar_none_is_less_similar():
    same = Distribution.of(np.full(100, 0.5, np.float32))

    assert same.fraction_below(np.float32([0.4, 0.5, 0.6])) == pytest.approx([0, 0, 1])


@given(
    st.lists(st.floats(-1, 1, width=32), min_size=1, max_size=50),
    st.lists(st.floats(-1, 1, width=32), min_size=2, max_size=20),
    st.integers(2, 10**8),
)
def test_confidence_is_from_0_to_1_and_falls_with_the_score(pairs, scores, count):
    background = Background(count, Distribution.of(np.array(pairs, np.float32)))
    falling = background.confidence(np.sort(np.array(scores, np.float32))[::-1])

    assert ((falling >= 0) & (falling <= 1)).all()
    assert (np.diff(falling) <= 1e-12).all()


def test_the_same_score_is_worth_less_among_more_candidates():
    few, more, most = (
        Background(count, UNIFORM).confidence(np.float32([0.9]))[0] for count in (1, 100, 10_000)
    )

    assert few > more + 0.2 > most + 0.4


def test_cosines_of_the_built_in_network_are_worth_the_same_among_any_number():
    few, many = (
        Background(count, UNIFORM, by_cosine=True).confidence(np.float32([0.4, 0.7])) for count in (2, 10**6)
    )

    assert few.tolist() == many.tolist()
    assert few == pytest.approx([0.16, 0.79], abs=0.01)


def test_a_single_picture_and_the_same_picture_twice_are_one_query():
    background, scores = Background(1, UNIFORM), np.float32([0.2, 0.5, 0.9])

    twice = background.confidence(scores, length=2, weight=2)

    assert twice == pytest.approx(background.confidence(scores), abs=1e-6)


@pytest.mark.parametrize("weights", [[1, 1], [1] * 5, [1, -1], [1, -0.5], [3, 1, -1]])
def test_of_random_items_half_are_below_the_median_for_a_sum_too(weights):
    vectors = noise(3000, 64) + 1.0  # any two have a cosine of about 1/2
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    pairs = Distribution.of((vectors[:500] @ vectors[500:1000].T).ravel())
    confidences = []
    for start in range(1000, 1500, 10):
        total = np.array(weights) @ vectors[start : start + len(weights)]
        length = float(np.linalg.norm(total))
        cosines = vectors[1500:] @ total / length
        confidences.append(Background(1, pairs).confidence(cosines, length=length, weight=sum(weights)))

    median, high = Background(1, pairs).confidence(np.float32([pairs.percentiles[50], pairs.percentiles[90]]))
    assert np.mean(np.less(confidences, median)) == pytest.approx(0.5, abs=0.1)
    assert np.mean(np.less(confidences, high)) == pytest.approx(0.9, abs=0.05)


def test_words_have_a_background_of_their_own():
    words = Distribution.of(np.linspace(-0.1, 0.1, 1001, dtype=np.float32))
    background = Background(100, UNIFORM, words)

    assert background.odds(np.float32([0.2]), of_words=True)[0] > 4
    assert background.odds(np.float32([0.2]))[0] < -1


def test_a_build_keeps_the_background_of_its_state(collection):
    fields = stored(collection)

    assert (fields["format"], fields["version"], fields["count"]) == ("lookalike-background", 1, 42)
    assert fields["fingerprint"] == collection.fingerprint()
    assert len(fields["items"]["percentiles"]) == 100


def test_the_percentiles_are_those_of_all_pairs_of_a_small_collection(collection):
    vectors = collection.embeddings()
    pairs = [vectors[a] @ vectors[b] for a in range(42) for b in range(a)]

    background = background_of(collection.snapshot)

    assert background.items.percentiles == pytest.approx(np.percentile(pairs, range(100)), abs=1e-4)


def test_an_unchanged_background_is_not_written_again(folder, target):
    path = build(folder, target)[0].path / "derived" / "background.json"
    before = path.stat().st_ino, path.stat().st_mtime_ns

    build(folder, target)

    assert (path.stat().st_ino, path.stat().st_mtime_ns) == before


def test_a_changed_collection_gets_another_background(folder, target):
    first = stored(build(folder, target)[0])
    write_pictures(folder, 15)

    second = stored(build(folder, target)[0])

    assert (first["count"], second["count"]) == (12, 15)
    assert first["fingerprint"] != second["fingerprint"]


@pytest.mark.parametrize("text", [None, "", "[]", "{}", "null", '{"format": "lookalike-background"}'])
def test_a_background_that_is_missing_or_damaged_is_sampled_again(copied, text):
    path = copied.path / "derived" / "background.json"
    expected = background_of(copied.snapshot)
    path.unlink() if text is None else path.write_text(text)

    assert background_of(copied.snapshot) == expected


def test_a_stale_background_is_not_used(copied):
    before = background_of(copied.snapshot)
    Part(copied.path, 0).items_path.unlink()

    assert background_of(copied.snapshot).count == 42 - 16
    assert background_of(copied.snapshot) != before


def test_vectors_from_elsewhere_have_a_background_too(target):
    collection = lookalike.from_vectors(target, noise(50), map(str, range(50)))

    assert stored(collection)["count"] == 50
    assert stored(collection)["words"] is None


def test_a_large_collection_is_sampled_from_many_places(target, monkeypatch):
    monkeypatch.setattr("lookalike.builder.vectors._PART_ROWS", (100, 100))
    rows = np.repeat(np.eye(40), 100, axis=0) + noise(4000, 40) * 1e-3  # each part is all of one kind
    background = background_of(lookalike.from_vectors(target, rows, map(str, range(4000))).snapshot)

    assert background.items.percentiles[90] < 0.1  # 1 pair in 40 is of one kind
    assert background.items.percentiles[99] > 0.9


def test_the_only_item_has_no_confidence(target):
    collection = lookalike.from_vectors(target, noise(1), ["one"])

    (hit,) = collection.search(lookalike.Id("one"), include_query=True)

    assert hit.confidence is None
    assert not collection.search(lookalike.Id("one"), include_query=True).by_chance


def test_a_picture_of_the_collection_is_found_with_confidence(collection, photos):
    results = collection.search(photos / "sea" / "sea-002.png", k=3)

    assert results[0].confidence > 0.99
    assert not results.by_chance


def test_a_vector_like_nothing_there_is_found_by_chance(target):
    collection = lookalike.from_vectors(target, np.abs(noise(200)), map(str, range(200)))  # all in one corner

    results = collection.search(noise(1, seed=5)[0], k=5)

    assert results[0].confidence < 0.1
    assert results.by_chance


def test_hits_below_the_least_confidence_are_left_out(collection, photos):
    query = photos / "sea" / "sea-002.png"
    everything = collection.search(query, k=42)
    wanted = [hit.id for hit in everything if hit.confidence >= 0.2]

    assert 0 < len(wanted) < 42
    assert [hit.id for hit in collection.search(query, k=42, min_confidence=0.2)] == wanted


@pytest.mark.parametrize("least", [-0.1, 1.1, float("nan")])
def test_a_least_confidence_that_cannot_be_is_refused(collection, least):
    with pytest.raises(QueryError, match="it has to be from 0 to 1"):
        collection.search(picture(1), min_confidence=least)


def test_words_that_nothing_shows_are_found_by_chance(tmp_path, target):
    write_pictures(tmp_path / "photos", 12)
    build(tmp_path / "photos", target, model="efficientnet-lite0")

    words = stored(open_collection(target))["words"]

    assert words["percentiles"][50] < 0.2
    assert open_collection(target).search(lookalike.Text("dog"), k=1)[0].confidence < 0.9

"""Evaluation with queries from one part of a collection and answers from another, seen classes and unseen."""

from __future__ import annotations

import json

import numpy as np
import pytest
from conftest import command
from test_evaluation import KS, clouds, make, slow

import lookalike
from lookalike.analysis.report import report_html
from lookalike.errors import LookalikeError, MemoryLimitError, ModelError

COUNT = 90


@pytest.fixture(scope="module")
def split(tmp_path_factory):
    """A collection of four classes, one only in its test half; its vectors, classes and halves."""
    vectors, labels = clouds(COUNT, 6)  # squares modulo 6: four classes
    rarest = int(np.bincount(labels)[labels].argmin())
    halves = np.where(np.arange(COUNT) % 3 == 0, "test", "train")
    halves[labels == labels[rarest]] = "test"
    columns = {"half": halves.tolist(), "fold": [str(number // 2) for number in range(COUNT)]}
    collection = make(tmp_path_factory.mktemp("split"), vectors, [f"c{one}" for one in labels], **columns)
    return collection, vectors, labels, halves


def expected(vectors, labels, queries, gallery) -> dict[str, float]:
    """The mean of every measure by a slow loop: each query with the gallery, and nothing else, to find."""
    found = []
    for query in queries:
        others = [row for row in gallery if row != query]
        if any(labels[row] == labels[query] for row in others):
            rows = [query, *others]
            found.append(slow(vectors[rows], labels[rows], range(len(rows)), 0))
    return {name: float(np.mean([one[name] for one in found])) for name in found[0]}


def measured(measures) -> dict[str, float]:
    return {name: one.value for name, one in measures.items()}


@pytest.mark.parametrize("asked, ranked", [("test", "train"), ("train", "test"), ("test", "test")])
def test_queries_and_gallery_are_chosen_by_conditions(asked, ranked, split):
    collection, vectors, labels, halves = split

    found = collection.evaluate(query_where=f"half = '{asked}'", gallery_where=f"half = '{ranked}'", ks=KS)

    queries, gallery = np.flatnonzero(halves == asked), np.flatnonzero(halves == ranked)
    assert measured(found.overall) == pytest.approx(expected(vectors, labels, queries, gallery), abs=1e-5)
    unanswerable = sum(not (labels[gallery[gallery != one]] == labels[one]).any() for one in queries)
    assert (found.queries, found.singles) == (len(queries) - unanswerable, unanswerable)
    assert found.gallery == len(gallery)
    shown = {answer.id for one in found.worst for answer in one.answers}
    assert shown <= {collection.ids[row] for row in gallery}


def test_no_query_is_its_own_neighbour_when_it_is_in_the_gallery_too(split):
    found = split[0].evaluate(gallery_where="half = 'test'", worst=COUNT)

    assert all(one.id not in {answer.id for answer in one.answers} for one in found.worst)


def test_a_split_column_asks_each_part_among_all_others(split):
    collection, vectors, labels, halves = split

    found = collection.evaluate(split_column="half", ks=KS)

    assert [one.value for one in found.splits] == ["test", "train"]
    for one in found.splits:
        queries, gallery = np.flatnonzero(halves == one.value), np.flatnonzero(halves != one.value)
        assert measured(one.evaluation.overall) == pytest.approx(
            expected(vectors, labels, queries, gallery), abs=1e-5
        )


def test_classes_that_a_model_has_learned_are_measured_apart_from_those_it_has_not(split):
    collection, vectors, labels, halves = split

    found = collection.evaluate(gallery_where="half = 'test'", seen_where="half = 'train'", ks=KS)

    gallery = np.flatnonzero(halves == "test")
    is_seen = np.isin(labels[gallery], labels[halves == "train"])
    for part, queries, classes in ((found.seen, gallery[is_seen], 3), (found.unseen, gallery[~is_seen], 1)):
        assert measured(part.measures) == pytest.approx(expected(vectors, labels, queries, gallery), abs=1e-5)
        assert (part.queries, part.classes) == (len(queries), classes)
    assert found.queries == len(gallery)  # none that was learned from


@pytest.mark.parametrize(
    ("wishes", "message"),
    [
        ({"query_where": "half = 'none'"}, "no labelled item can be in the queries"),
        ({"gallery_where": "half = 'none'"}, "no labelled item can be in the gallery"),
        ({"seen_where": "half <> 'none'"}, "no labelled item can be in the queries"),
        ({"query_where": "label = 'c0'", "gallery_where": "label <> 'c0'"}, "no query has a right answer"),
        ({"gallery_where": "half = 'test'", "ks": (90,)}, r"k is 90, but a query has only \d+ other"),
        ({"query_where": "halves = 'test'"}, "the condition names 'halves'"),
        ({"query_where": 3}, "query_where is text or None, not 3"),
        ({"split_column": "halves"}, "has no column halves; it has: id, .*label, half, fold"),
        ({"split_column": "fold"}, "the column fold has 45 values, splits have 2 to 20"),
    ],
)
def test_what_cannot_be_asked_is_a_clear_error(wishes, message, split):
    with pytest.raises(LookalikeError, match=message):
        split[0].evaluate(**wishes)


@pytest.fixture(scope="module")
def two(split, tmp_path_factory):
    """The halves of the collection as two of their own, in which other items have the same ids."""
    _, vectors, labels, halves = split
    root = tmp_path_factory.mktemp("two")
    return {
        half: make(root / half, vectors[halves == half], [f"c{one}" for one in labels[halves == half]])
        for half in ("test", "train")
    }


def test_a_second_collection_may_be_the_gallery(split, two):
    conditions = {"query_where": "half = 'test'", "gallery_where": "half = 'train'"}

    found = two["test"].evaluate(gallery=two["train"], ks=KS)

    alike = split[0].evaluate(**conditions, ks=KS)
    assert measured(found.overall) == pytest.approx(measured(alike.overall), abs=1e-5)
    assert (found.queries, found.gallery, found.singles) == (alike.queries, alike.gallery, alike.singles)
    assert found.confusions == alike.confusions


def test_conditions_choose_from_both_collections(two):
    found = two["test"].evaluate(gallery=two["train"], query_where="label = 'c1'", gallery_where="id < '020'")

    assert [one.label for one in found.classes] == ["c1"]
    assert found.gallery == 20


def test_a_picture_in_both_collections_is_not_its_own_neighbour(photos, tmp_path):
    one = lookalike.build(photos, tmp_path / "one.lookalike", model="colors", label="folder")
    other = lookalike.build(photos, tmp_path / "other.lookalike", model="colors", label="folder")

    assert measured(one.evaluate(gallery=other).overall) == measured(one.evaluate().overall)


def test_a_gallery_of_another_model_is_refused(two, photos, tmp_path):
    other = lookalike.build(photos, tmp_path / "c.lookalike", model="colors", label="folder")

    with pytest.raises(ModelError, match="have vectors of different models, vectors and colors"):
        two["test"].evaluate(gallery=other)


def test_two_collections_have_to_fit_into_the_memory_limit(two):
    with pytest.raises(MemoryLimitError, match="an evaluation of two collections needs at least"):
        two["test"].evaluate(gallery=two["train"], max_memory_bytes=1000)


def test_the_command_takes_a_gallery_and_reports_its_pictures(photos, tmp_path):
    for name in ("one", "other"):
        lookalike.build(photos, tmp_path / f"{name}.lookalike", model="colors", label="folder")

    shown = command(
        *("evaluate", tmp_path / "one.lookalike", "--gallery", tmp_path / "other.lookalike"),
        *("--report", tmp_path / "r.html"),
    )

    assert "42 queries among 42 items, of 3 classes" in shown.stderr
    assert (tmp_path / "r.html").read_text().count("data:image/jpeg") == 20 * 11


def test_the_command_says_both_ways_and_reports_them(split, tmp_path):
    path = split[0].path

    shown = command("evaluate", path, "--split-column", "half", "--report", tmp_path / "r.html", "-k", 1)

    assert [line for line in shown.stdout.splitlines() if line.endswith("others:")] == [
        "test among the others:",
        "train among the others:",
    ]
    assert "<h1>train among the others</h1>" in (tmp_path / "r.html").read_text()
    as_json = command("evaluate", path, "--split-column", "half", "--json", "-k", 1)
    assert [one["value"] for one in json.loads(as_json.stdout)["splits"]] == ["test", "train"]


def test_the_command_says_what_seen_and_unseen_classes_are_like(split):
    wishes = ("--gallery-where", "half = 'test'", "--seen-where", "half = 'train'")

    shown = command("evaluate", split[0].path, *wishes)

    assert "\nseen classes, " in shown.stdout and "\nunseen classes, " in shown.stdout


def test_a_split_with_a_condition_is_refused(split):
    refused = command("evaluate", split[0].path, "--split-column", "half", "--query-where", "half = 'test'")

    assert (refused.returncode, refused.stderr) == (
        1,
        "lookalike: half says what asks and what answers\n  leave the others out\n",
    )


def test_the_report_has_seen_and_unseen_classes(split):
    judged = split[0].evaluate(gallery_where="half = 'test'", seen_where="half = 'train'")

    page = report_html(judged, split[0].snapshot)

    assert "3 seen classes" in page and "1 unseen classes" in page

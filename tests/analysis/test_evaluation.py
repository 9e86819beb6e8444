"""Evaluation: every measure is that of a slow loop, and says clearly when it would mean nothing."""

from __future__ import annotations

import base64
import io
import json
import re
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from conftest import command
from PIL import Image
from sklearn.metrics import confusion_matrix
from sklearn.neighbors import KNeighborsClassifier, NearestNeighbors

import lookalike
from lookalike.analysis.bootstrap import estimates
from lookalike.analysis.report import report_html
from lookalike.analysis.retrieval import judge, others_alike, vote
from lookalike.errors import LookalikeError
from lookalike.storage.selection import Selection

KS = (1, 3, 10)


def clouds(count: int, classes: int, seed: int = 0, noise: float = 0.35) -> tuple[np.ndarray, np.ndarray]:
    """Unit vectors (count, 16) around a centre for each class, and the class of each, unevenly many."""
    rng = np.random.default_rng(seed)
    labels = np.sort(rng.integers(0, classes, count) ** 2 % classes)
    vectors = rng.normal(size=(classes, 16))[labels] * noise + rng.normal(size=(count, 16))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32), labels


def slow(vectors, labels, groups, query: int, ks=KS, voters: int = 5) -> dict[str, float]:
    """Every measure of one query by its definition, an item at a time."""
    others = [i for i in range(len(labels)) if groups[i] != groups[query]]
    ranked = sorted(others, key=lambda i: -float(vectors[i].astype(float) @ vectors[query].astype(float)))
    right = sum(labels[i] == labels[query] for i in others)
    found = {}
    for k in ks:
        hits = sum(labels[i] == labels[query] for i in ranked[:k])
        found |= {f"precision@{k}": hits / k, f"recall@{k}": hits / right}
    found["r_precision"] = sum(labels[i] == labels[query] for i in ranked[:right]) / right
    total = 0.0
    for place in range(1, right + 1):
        if labels[ranked[place - 1]] == labels[query]:
            total += sum(labels[i] == labels[query] for i in ranked[:place]) / place
    found["map@r"] = total / right
    found["map"] = 0.0
    for place in range(1, len(ranked) + 1):
        if labels[ranked[place - 1]] == labels[query]:
            found["map"] += sum(labels[i] == labels[query] for i in ranked[:place]) / place / right
    votes = [labels[i] for i in ranked[:voters]]
    found["knn_accuracy"] = float(
        max(votes, key=lambda one: (votes.count(one), -votes.index(one))) == labels[query]
    )
    return found


def make(root: Path, vectors, labels, **columns) -> lookalike.Collection:
    ids = [f"{i:03d}" for i in range(len(vectors))]
    return lookalike.from_vectors(root / "c.lookalike", vectors, ids, columns={"label": labels, **columns})


def piled(root: Path, vectors) -> Selection:
    return Selection.of(make(root, vectors, ["any"] * len(vectors)).snapshot)


@pytest.mark.parametrize("copies", [False, True])
@pytest.mark.parametrize("scores_bytes", [2**27, 3000])
def test_every_measure_is_that_of_a_slow_loop(copies, scores_bytes, tmp_path, monkeypatch):
    monkeypatch.setattr("lookalike.storage.selection._SCORES_BYTES", scores_bytes)
    vectors, labels = clouds(120, 6)
    groups = np.arange(120) // 2 * 2 if copies else np.arange(120)
    queries = np.flatnonzero(others_alike(labels, groups) > 0)

    judged = judge(piled(tmp_path, vectors), labels, groups, queries, ks=KS, voters=5)

    for at, query in enumerate(queries):
        expected = slow(vectors, labels, groups, query)
        assert dict(zip(judged.names, judged.values[at], strict=True)) == pytest.approx(
            {name: expected[name] for name in judged.names}
        )


def test_neighbours_precision_and_votes_are_those_of_scikit_learn(tmp_path):
    vectors, labels = clouds(300, 7)
    judged = judge(piled(tmp_path, vectors), labels, np.arange(300), np.arange(300), ks=(4,), voters=1)

    nearest = NearestNeighbors(n_neighbors=4, metric="cosine", algorithm="brute").fit(vectors)
    distances, rows = nearest.kneighbors()  # without an argument: none is its own neighbour
    assert judged.neighbours.tolist() == rows.tolist()
    assert judged.scores == pytest.approx(1 - distances, abs=1e-6)
    assert judged.values[:, 0] == pytest.approx((labels[rows] == labels[:, None]).mean(axis=1))
    leave_one_out = [
        KNeighborsClassifier(1, metric="cosine", algorithm="brute")
        .fit(np.delete(vectors, i, axis=0), np.delete(labels, i))
        .predict(vectors[i : i + 1])[0]
        for i in range(0, 300, 10)
    ]
    assert judged.predicted[::10].tolist() == leave_one_out


def test_a_tie_of_votes_goes_to_the_nearer_class():
    assert vote(np.array([[7, 3, 3, 7, 5], [1, 2, 3, 4, 4], [9, 8, 7, 6, 5]])).tolist() == [7, 4, 9]


def test_of_equal_cosines_the_wrong_answer_is_taken_to_come_first(tmp_path):
    same = np.tile(np.float32([[1, 0]]), (6, 1))
    labels = np.array([0, 0, 0, 1, 1, 1])

    judged = judge(piled(tmp_path, same), labels, np.arange(6), np.arange(6), ks=(3,), voters=3)

    # Two right answers and three wrong ones, all equal: the right ones are fourth and fifth.
    assert dict(zip(judged.names, judged.values[0], strict=True)) == pytest.approx(
        {
            "precision@3": 0,
            "recall@3": 0,
            "r_precision": 0,
            "map@r": 0,
            "map": (1 / 4 + 2 / 5) / 2,
            "knn_accuracy": 0,
        }
    )


def test_a_perfect_ranking_has_a_map_at_r_of_1_though_precision_at_10_cannot_be_1(tmp_path):
    vectors, labels = np.repeat(np.eye(5, dtype=np.float32), 4, axis=0), np.repeat(np.arange(5), 4)

    judged = judge(piled(tmp_path, vectors), labels, np.arange(20), np.arange(20), ks=(10,), voters=3)

    assert dict(zip(judged.names, judged.values.mean(axis=0), strict=True)) == pytest.approx(
        {"precision@10": 0.3, "recall@10": 1, "r_precision": 1, "map@r": 1, "map": 1, "knn_accuracy": 1}
    )


def test_the_interval_of_a_mean_is_about_that_of_the_normal_distribution():
    values = np.random.default_rng(3).normal(0.5, 0.1, (400, 2))

    for one, column in zip(estimates(values), values.T, strict=True):
        assert one.value == pytest.approx(column.mean())
        half = 1.96 * column.std() / 20
        assert (one.low, one.high) == pytest.approx((column.mean() - half, column.mean() + half), abs=0.0015)
    assert estimates(values, seed=1) == estimates(values, seed=1) != estimates(values, seed=2)


def test_an_evaluation_has_all_classes_the_confusions_and_the_worst(tmp_path):
    vectors, labels = clouds(100, 5)
    collection = make(tmp_path, vectors, [f"class {one}" for one in labels])

    found = collection.evaluate(ks=KS, worst=3)

    by_query = [slow(vectors, labels, range(100), query) for query in range(100)]
    mean = {name: np.mean([one[name] for one in by_query]) for name in found.overall}
    # Cosines closer than float32 tells apart may change places.
    assert {name: one.value for name, one in found.overall.items()} == pytest.approx(mean, abs=1e-5)
    assert all(one.low <= one.value <= one.high for one in found.overall.values())
    assert [(one.label, one.items) for one in found.classes] == [
        (f"class {one}", int((labels == one).sum())) for one in np.unique(labels)
    ]
    assert sum(one.queries for one in found.classes) == found.queries == 100
    predicted = judge(
        Selection.of(collection.snapshot), labels, np.arange(100), np.arange(100), ks=(1,), voters=5
    ).predicted
    table = confusion_matrix(labels, predicted, labels=range(5))
    assert {(one.label, one.predicted): one.count for one in found.confusions} == {
        (f"class {i}", f"class {j}"): table[i, j] for i in range(5) for j in range(5) if table[i, j]
    }
    lowest = sorted(one["map@r"] for one in by_query)[:3]
    assert [one.map_at_r for one in found.worst] == pytest.approx(lowest)
    assert all(len(one.answers) == 10 and one.id not in {a.id for a in one.answers} for one in found.worst)


def test_items_without_a_label_are_left_out_and_those_alone_are_not_asked(tmp_path):
    vectors, labels = clouds(40, 3)
    names = [None, "", "alone", *(f"c{one}" for one in labels[3:])]

    found = make(tmp_path, vectors, names).evaluate()

    assert (found.items, found.unlabelled, found.singles, found.queries) == (38, 2, 1, 37)
    assert "alone" not in {one.label for one in found.classes}


def test_copies_of_a_query_are_left_out_when_asked(photos, tmp_path):
    folder = tmp_path / "photos"
    for label in ("brick", "sea"):
        (folder / label).mkdir(parents=True)
        for path in sorted((photos / label).iterdir())[:6]:
            for copy in ("a-", "b-"):
                (folder / label / (copy + path.name)).write_bytes(path.read_bytes())
    collection = lookalike.build(folder, tmp_path / "c.lookalike", label="folder", model="colors")

    with_copies, without = collection.evaluate(), collection.evaluate(without_duplicates=True)

    assert all(one.answers[0].score > 0.9999 for one in with_copies.worst)
    for one in without.worst:
        assert one.id[2:] not in [answer.id[2:] for answer in one.answers]
        assert one.id.split("/")[1][2:] not in [answer.id.split("/")[1][2:] for answer in one.answers]


def test_a_sample_of_queries_is_the_same_for_a_seed_and_ranks_all_items(tmp_path):
    collection = make(tmp_path, *clouds(200, 5))

    found = collection.evaluate(max_queries=50, seed=4)

    assert (found.queries, found.items) == (50, 200)
    assert asdict(found) == asdict(collection.evaluate(max_queries=50, seed=4))
    assert found.overall != collection.evaluate(max_queries=50, seed=5).overall


def test_labels_may_be_any_column(tmp_path):
    vectors, labels = clouds(60, 4)
    collection = make(tmp_path, vectors, ["x"] * 60, year=[int(1990 + one) for one in labels])

    assert {one.label for one in collection.evaluate("year").classes} <= {"1990", "1991", "1992", "1993"}


@pytest.mark.parametrize(
    ("labels", "wishes", "message"),
    [
        (
            [None] * 12,
            {},
            "no item of .* has a value in the column label; name another column, such as .label='folder'",
        ),
        (["a"] * 12, {}, "all 12 items have the label 'a', so every answer would be right"),
        ([f"{i}" for i in range(12)], {}, "no query has a right answer: its class in the column label"),
        (["a", "b"] * 6, {"ks": (12,)}, "k is 12, but a query has only 11 other labelled items to find"),
        (["a", "b"] * 6, {"ks": (0,)}, "k is 0"),
        (["a", "b"] * 6, {"voters": 40}, "k is 40"),
        (["a", "b"] * 6, {"max_queries": 0}, "the number of queries is 0"),
        (
            ["a", "b"] * 6,
            {"label": "kind"},
            "has no column 'kind'; it has: id, uri, size_bytes, mtime_ns, sha256, width, height, label$",
        ),
    ],
)
def test_what_cannot_be_evaluated_is_a_clear_error(labels, wishes, message, tmp_path):
    collection = make(tmp_path, clouds(12, 2)[0], labels)

    with pytest.raises(LookalikeError, match=message):
        collection.evaluate(**wishes)


def test_a_vector_with_nan_is_named(tmp_path, monkeypatch):
    vectors, labels = clouds(12, 2)
    vectors[7, 3] = np.nan
    # What would find it on the way in.
    monkeypatch.setattr("lookalike.builder.vectors._unit", lambda vectors, *rest: vectors)
    monkeypatch.setattr("lookalike.builder.vectors.write_background", lambda snapshot: None)
    collection = make(tmp_path, vectors, [str(one) for one in labels])

    with pytest.raises(LookalikeError, match="the vector of 007 has a value that is not finite"):
        collection.evaluate(ks=(1,))


def test_the_bars_of_the_report_start_at_the_left_of_their_column(collection, window):
    tab = window.new_page()
    tab.set_content(report_html(collection.evaluate(), collection.snapshot))

    bars = tab.locator("td > i > b")
    assert bars.count() > 10
    for bar in bars.all():
        inner, outer = bar.bounding_box(), bar.locator("..").bounding_box()
        assert inner["x"] == pytest.approx(outer["x"], abs=0.5)
        assert inner["width"] <= outer["width"] + 0.5
    tab.close()


def test_the_report_has_everything_in_it_and_no_label_is_taken_for_html(photos, tmp_path):
    names = {"brick": "<b>brick", "sea": "<script>alert(1)</script>", "meadow": "me&dow"}
    folder = tmp_path / "photos"
    for label in names:
        (folder / label).mkdir(parents=True)
        for path in (photos / label).iterdir():
            (folder / label / path.name).write_bytes(path.read_bytes())
    table = tmp_path / "labels.csv"
    rows = [f'{p.relative_to(folder)},"{names[p.parent.name]}"' for p in folder.rglob("*.*")]
    table.write_text("path,label\n" + "\n".join(rows))
    collection = lookalike.build(folder, tmp_path / "c.lookalike", metadata=table, model="colors")

    page = report_html(collection.evaluate(worst=2), collection.snapshot)

    assert "<script>" not in page and "&lt;script&gt;alert(1)&lt;/script&gt;" in page and "me&amp;dow" in page
    pictures = [base64.b64decode(one) for one in re.findall('data:image/jpeg;base64,([^"]+)', page)]
    assert [Image.open(io.BytesIO(one)).size for one in pictures] == [(112, 112)] * 22
    assert not re.search(r'(src|href)="(?!data:)', page)
    assert "<h2>Confusions</h2>" in page


def test_the_report_of_many_classes_lists_what_is_mistaken(tmp_path):
    collection = make(tmp_path, clouds(120, 2)[0], [f"c{row % 40}" for row in range(120)])

    page = report_html(collection.evaluate(), collection.snapshot)

    assert "<th>is</th><th>taken for</th><th>items</th>" in page


def test_the_command_prints_measures_and_json(collection, tmp_path):
    shown = command("evaluate", collection.path, "-k", 1, 5)
    assert shown.returncode == 0
    assert re.match(r"precision@1 +\d\.\d{3}   \d\.\d{3} to \d\.\d{3}\n", shown.stdout)
    assert "42 queries among 42 items, of 3 classes; 0 without a label left out" in shown.stderr

    asked = command("evaluate", collection.path, "--json", "-k", 2, "--report", tmp_path / "r.html")
    found = json.loads(asked.stdout)
    assert list(found["overall"]) == [
        "precision@2",
        "recall@2",
        "r_precision",
        "map@r",
        "map",
        "knn_accuracy",
    ]
    assert (tmp_path / "r.html").read_text().startswith("<!doctype html>")

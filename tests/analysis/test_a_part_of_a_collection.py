"""Analysis of some rows, or of a view, says what that of a collection of these items alone would say."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from conftest import CLASSES, build, write_picture
from indexes import clouds
from PIL import Image

import lookalike
from lookalike.analysis import neighbours as neighbours_module
from lookalike.analysis.clusters import cluster, write_clusters
from lookalike.analysis.duplicates import find_duplicates
from lookalike.analysis.evaluation import evaluate
from lookalike.analysis.map import make_map
from lookalike.analysis.neighbours import nearest_others
from lookalike.analysis.outliers import find_outliers
from lookalike.collection import Collection
from lookalike.errors import ChangedError, LookalikeError, counted
from lookalike.index import KINDS, open_index
from lookalike.storage.derived import derived_state
from lookalike.storage.selection import Selection

# Leaves rows of every part and of every label.
CONDITION = "id NOT LIKE '%1%'"

FUNCTIONS: dict[str, Callable[..., Any]] = {
    "cluster": cluster,
    "duplicates": find_duplicates,
    "evaluate": evaluate,
    "map": make_map,
    "neighbors": lambda snapshot, k, rows: nearest_others(Selection.of(snapshot, rows=rows), k),
    "outliers": find_outliers,
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Collection:
    """42 pictures of three colours and of two widths at random, and four copies, in parts of 16 rows."""
    folder = tmp_path_factory.mktemp("part") / "photos"
    for number, width in enumerate(np.random.default_rng(0).choice([64, 80], 42).tolist()):
        label = list(CLASSES)[number % 3]
        write_picture(folder / label / f"{label}-{number:03d}.png", number, CLASSES[label], (width, 48))
    for original, copy in (("brick-000", "brick-again"), ("sea-011", "sea-again"), ("sea-014", "sea-1")):
        path = folder / original.split("-")[0] / f"{original}.png"
        shutil.copy(path, path.with_name(f"{copy}.png"))
    with Image.open(folder / "meadow" / "meadow-004.png") as image:
        image.save(folder / "meadow" / "meadow-004.bmp")
    return build(folder, folder.with_name("whole.lookalike"), label="folder", part_size=16)[0]


@pytest.fixture(scope="module")
def alone(whole) -> Collection:
    """A collection of nothing but the items for which the condition holds."""
    shutil.copytree(whole.path, whole.path.with_name("alone.lookalike"))
    made = lookalike.open(whole.path.with_name("alone.lookalike"))
    made.remove([id_ for id_ in made.ids if "1" in id_])
    assert (len(whole), len(made), len(whole.snapshot.parts)) == (46, 31, 3)
    return made


@pytest.fixture(params=["view", "rows"])
def ask(request, whole) -> Callable[..., Any]:
    """Asks for an analysis of the items for which the condition holds."""
    if request.param == "view":
        return lambda name, *wishes, **more: getattr(whole.where(CONDITION), name)(*wishes, **more)
    rows = np.array([row for row, id_ in enumerate(whole.ids) if "1" not in id_])
    return lambda name, *wishes, **more: FUNCTIONS[name](whole.snapshot, *wishes, rows=rows, **more)


@pytest.mark.parametrize(("k", "wishes"), [(5, {}), ("auto", {}), ("auto", {"method": "hdbscan"})])
def test_clusters_are_those_of_the_items_alone(ask, alone, k, wishes):
    found, expected = ask("cluster", k, **wishes), alone.cluster(k, **wishes)

    assert list(found.ids) == list(expected.ids) == alone.ids
    assert found.labels.tolist() == expected.labels.tolist()
    assert found.scores == pytest.approx(expected.scores, abs=1e-6)
    assert (found.method, found.reason, found.noise) == (expected.method, expected.reason, expected.noise)
    assert [replace(one, cohesion=0) for one in found.clusters] == [
        replace(one, cohesion=0) for one in expected.clusters
    ]
    assert [one.cohesion for one in found.clusters] == pytest.approx(
        [one.cohesion for one in expected.clusters], abs=1e-6
    )


def test_outliers_are_those_of_the_items_alone(ask, alone):
    found, expected = ask("outliers", "width", k=4), alone.outliers("width", k=4)

    assert (found.labelled, found.k, found.label, found.recall) == (31, 4, "width", 1.0)
    assert [one.id for one in found.farthest] == [one.id for one in expected.farthest]
    assert [one.distance for one in found.farthest] == pytest.approx(
        [one.distance for one in expected.farthest], abs=1e-6
    )
    assert found.mislabelled == expected.mislabelled
    assert len(found.mislabelled) > 0
    for name in ("id", "suggested_label", "suggested_share", "own_share"):
        assert found.table[name].equals(expected.table[name])


def test_a_map_is_that_of_the_items_alone(ask, alone, whole):
    found, expected = ask("map"), alone.map()

    assert found.ids == expected.ids == whole.snapshot.ids(found.rows)
    assert found.places == pytest.approx(expected.places, abs=1e-5)
    # It shows their own pictures in their own colours.
    drawn, wanted = (np.asarray(one.plot("label", size_px=400), int) for one in (found, expected))
    assert (np.abs(drawn - wanted).max(axis=2) > 8).mean() < 0.001


def test_duplicates_are_those_of_the_items_alone(ask, alone):
    found, expected = ask("duplicates"), alone.duplicates()

    def told(items):
        return [{name: value for name, value in one.items() if name != "thumb_offset"} for one in items]

    assert told(found.items) == told(expected.items)
    assert [replace(one, score=0) for one in found.pairs] == [replace(one, score=0) for one in expected.pairs]
    ids = [item["id"] for item in found.items]
    # The other copies are of pictures for which the condition does not hold.
    assert [(*(ids[row] for row in one.rows), one.tier) for one in found.pairs] == [
        ("brick/brick-000.png", "brick/brick-again.png", "bytes"),
        ("meadow/meadow-004.bmp", "meadow/meadow-004.png", "pixels"),
    ]


def test_an_evaluation_is_that_of_the_items_alone(ask, alone):
    wishes = {"ks": (1, 3), "voters": 3, "without_duplicates": True, "worst": 5}
    found, expected = ask("evaluate", "width", **wishes), alone.evaluate("width", **wishes)

    assert replace(found, name="", worst=()) == replace(expected, name="", worst=())
    assert [one.id for one in found.worst] == [one.id for one in expected.worst]
    assert [[answer.id for answer in one.answers] for one in found.worst] == [
        [answer.id for answer in one.answers] for one in expected.worst
    ]
    assert (found.items, found.queries) == (31, 31)
    assert 0.1 < found.overall["map@r"].value < 0.5  # or it would be the same of any items


def test_neighbours_are_those_of_the_items_alone(ask, alone):
    found, expected = ask("neighbors", 4), alone.neighbors(4)

    assert found.rows.tolist() == expected.rows.tolist()
    assert found.scores == pytest.approx(expected.scores, abs=1e-6)
    assert found.recall == 1.0


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_neighbours_through_an_index_are_sought_among_the_rows_of_the_view(indexed, kind, monkeypatch):
    monkeypatch.setattr(neighbours_module, "_MOST_EXACT", 100)
    view = indexed[kind].where("id LIKE '%7'")
    assert len(view) == 300

    found = view.neighbors(5)

    vectors = clouds(3000).reshape(6, 500, -1)[:, 7::10].reshape(300, -1)
    assert view.embeddings() == pytest.approx(vectors)
    cosines = vectors @ vectors.T
    np.fill_diagonal(cosines, -1)
    true = np.argsort(-cosines, axis=1)[:, :5]
    assert found.rows.shape == found.scores.shape == (300, 5)
    assert found.rows.min() >= 0 and found.rows.max() < 300
    assert not (found.rows == np.arange(300)[:, None]).any()
    assert all(len(set(row)) == 5 for row in found.rows.tolist())
    assert (np.diff(found.scores, axis=1) <= 0).all()
    assert found.scores == pytest.approx(np.take_along_axis(cosines, found.rows, axis=1), abs=0.05)
    assert np.mean([np.isin(mine, its).mean() for mine, its in zip(found.rows, true, strict=True)]) > 0.95
    assert found.recall == open_index(indexed[kind].snapshot.state).info.recall


def files(collection: Collection) -> dict[str, tuple[int, int]]:
    """What tells whether a file of the collection was written."""
    stats = {path: path.stat() for path in collection.path.rglob("*")}
    return {str(path): (one.st_ino, one.st_mtime_ns) for path, one in stats.items()}


ANALYSES: dict[str, Callable[..., Any]] = {
    "clusters": lambda view, **more: view.cluster(3, **more),
    "outliers": lambda view, **more: view.outliers(k=3, **more),
    "map": lambda view, **more: view.map(**more),
}


def test_nothing_is_written_unless_it_is_asked_for(whole, tmp_path):
    shutil.copytree(whole.path, tmp_path / "c.lookalike")
    collection = lookalike.open(tmp_path / "c.lookalike")
    assert len(collection) == 46  # the file of rows is written when it is first opened
    before = files(collection)

    for view in (collection, collection.where(CONDITION)):
        for analysis in ANALYSES.values():
            analysis(view)
        view.duplicates()
        view.evaluate()
        view.neighbors(3)
        view.map().plot("label")

    assert files(collection) == before
    for name, analysis in ANALYSES.items():
        analysis(collection, write=True)
        assert derived_state(collection.snapshot.state, name) == "fresh"


@pytest.mark.parametrize("name", ANALYSES)
def test_what_is_found_of_a_part_is_not_kept(whole, name):
    with pytest.raises(LookalikeError, match="an analysis of a part of a collection cannot be stored"):
        ANALYSES[name](whole.where(CONDITION), write=True)

    assert derived_state(whole.snapshot.state, name) == "none"


def test_what_was_found_of_an_older_state_is_not_kept(copied):
    snapshot = copied.snapshot
    found = cluster(snapshot, 3)
    copied.remove(copied.ids[:1])

    with pytest.raises(ChangedError, match=r"was changed while it was read; run it again"):
        write_clusters(snapshot.state, found)

    assert derived_state(copied.snapshot.state, "clusters") == "none"


@pytest.mark.parametrize("condition", ["label = 'brick' AND id LIKE '%-000%'", "label = 'rose'"])
def test_a_part_of_too_few_items_is_a_clear_error(collection, condition):
    view = collection.where(condition)

    for analysis, least in ((view.cluster, 2), (view.outliers, 2), (view.map, 3), (view.neighbors, 2)):
        message = f"has {counted(len(view), 'matching image')}, this needs at least {least}"
        with pytest.raises(LookalikeError, match=message):
            analysis()

"""Outliers and maps: what is far and what is near, by the definition, and drawn where it lies."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from conftest import command
from sklearn.decomposition import PCA

import lookalike
from lookalike.analysis.projection import project
from lookalike.errors import CollectionError, LookalikeError
from lookalike.storage.derived import read_derived
from lookalike.storage.selection import Selection


def unit(vectors: np.ndarray) -> np.ndarray:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def two_groups(count: int = 60) -> np.ndarray:
    """Unit vectors (count, 16) around two directions, in turn."""
    rng = np.random.default_rng(1)
    centres = rng.normal(size=(2, 16)) * 3
    return unit(centres[np.arange(count) % 2] + rng.normal(0, 0.5, (count, 16)))


def stored(path, vectors: np.ndarray, **columns) -> lookalike.Collection:
    return lookalike.from_vectors(path / "c.lookalike", vectors, [f"{i:03d}" for i in range(len(vectors))],
                                  columns=columns or None)  # fmt: skip


def test_the_distance_is_the_mean_of_that_to_the_k_nearest(tmp_path):
    vectors = two_groups()
    collection = stored(tmp_path, vectors)

    found = collection.outliers(k=5, most=60, write=True)

    for one in found.farthest:
        own = vectors[int(one.id)]
        others = sorted((1 - float(own @ other) for i, other in enumerate(vectors) if i != int(one.id)))
        assert one.distance == pytest.approx(np.mean(others[:5]), abs=1e-5)
    distances = [one.distance for one in found.farthest]
    assert distances == sorted(distances, reverse=True)
    rows = read_derived(collection.snapshot.state, "outliers").rows
    assert dict(
        zip(rows["id"].to_pylist(), rows["outlier_distance"].to_pylist(), strict=True)
    ) == pytest.approx({one.id: one.distance for one in found.farthest})


def test_what_is_unlike_all_others_comes_first(tmp_path):
    stray = unit(np.random.default_rng(7).normal(size=(1, 16)))

    found = stored(tmp_path, np.concatenate([two_groups(), stray])).outliers(k=5)

    assert found.farthest[0].id == "060"


def test_a_wrong_label_is_found_with_the_right_one(tmp_path):
    labels = ["even", "odd"] * 30
    labels[10], labels[33], labels[20] = "odd", "even", None

    found = stored(tmp_path, two_groups(), kind=labels).outliers("kind", write=True)

    assert [(one.id, one.label, one.suggested) for one in found.mislabelled] == [
        ("010", "odd", "even"),
        ("033", "even", "odd"),
    ]
    assert all(one.share >= 0.9 and one.own <= 0.1 for one in found.mislabelled)
    assert found.labelled == 59


def test_without_labels_only_distances_are_judged(tmp_path):
    found = stored(tmp_path, two_groups()).outliers(write=True)

    assert (found.labelled, found.mislabelled, len(found.farthest)) == (0, (), 50)


def test_the_command_says_what_a_picture_is_labelled_and_what_its_neighbours_are(tmp_path):
    labels = ["even", "odd"] * 30
    labels[10] = "odd"
    shown = command("outliers", stored(tmp_path, two_groups(), label=labels).path, "--most", 1)

    title, wrong = shown.stdout.splitlines()[-2:]
    assert title == "likely mislabelled (with the label of most of the 10 nearest)"
    assert wrong == "  labelled odd, but 100% are even  010"


@pytest.mark.parametrize("k", [0, 60])
def test_a_k_that_cannot_be_is_a_clear_error(tmp_path, k):
    with pytest.raises(LookalikeError, match=f"k is {k}, but each of 60 images has 59 others"):
        stored(tmp_path, two_groups()).outliers(k=k, write=True)


def test_few_images_are_judged_by_all_others(tmp_path):
    vectors = np.float32([[1, 0], [1, 0], [1, 0], [0, 1]])

    found = stored(tmp_path, vectors).outliers()

    assert found.k == 3
    assert [(one.id, round(one.distance, 3)) for one in found.farthest[:2]] == [("003", 1.0), ("000", 0.333)]


def test_a_single_image_has_no_others_to_be_unlike(tmp_path):
    with pytest.raises(LookalikeError, match="has 1 image, this needs at least 2"):
        stored(tmp_path, np.float32([[1, 0]])).outliers()


def test_images_that_are_all_equal_have_distance_0_and_no_map(tmp_path):
    collection = stored(tmp_path, np.tile(np.float32([[0.6, 0.8]]), (20, 1)))

    farthest = collection.outliers(write=True).farthest[0].distance
    assert 0 <= farthest == pytest.approx(0, abs=1e-6)
    with pytest.raises(LookalikeError, match="all images have the same vector"):
        collection.map(write=True)


def test_the_plain_map_is_that_of_scikit_learns_pca(tmp_path):
    vectors = two_groups()

    placed = stored(tmp_path, vectors).map(write=True)

    theirs = PCA(2).fit_transform(vectors)
    theirs -= (theirs.max(axis=0) + theirs.min(axis=0)) / 2
    theirs /= np.abs(theirs).max()
    signs = np.sign((theirs * placed.places).sum(axis=0))
    assert placed.places == pytest.approx(theirs * signs, abs=1e-3)
    assert np.abs(placed.places).max() == 1


@pytest.mark.parametrize("count", [3, 40, 63, 64, 65, 200])
def test_the_map_of_fewer_items_than_dimensions_is_that_of_the_covariance(tmp_path, count):
    vectors = np.random.default_rng(7).normal(size=(count, 64)) * np.linspace(3, 1, 64)
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)

    found = project(Selection.of(stored(tmp_path, vectors).snapshot), 4)

    centred = vectors - vectors.mean(axis=0)
    directions = np.linalg.eigh(centred.T @ centred)[1][:, ::-1][:, : min(4, count - 1)]
    directions *= np.sign(directions[np.abs(directions).argmax(axis=0), np.arange(directions.shape[1])])
    expected = np.zeros((count, 4))
    expected[:, : directions.shape[1]] = centred @ directions
    assert found == pytest.approx(expected, abs=1e-4)


def test_a_map_is_kept_and_the_same_again(tmp_path):
    collection = stored(tmp_path, two_groups())

    first, again = collection.map(write=True), collection.map(write=True)

    assert (first.places == again.places).all()
    kept = read_derived(collection.snapshot.state, "map")
    assert kept.rows["id"].to_pylist() == first.ids
    assert np.column_stack([kept.rows["x"], kept.rows["y"]]) == pytest.approx(first.places)
    assert (kept.facts["method"], kept.facts["command"].split()[:2]) == ("pca", ["lookalike", "map"])


@pytest.mark.slow
def test_umap_keeps_groups_apart_and_is_the_same_for_a_seed(tmp_path):
    pytest.importorskip("umap")
    collection = stored(tmp_path, two_groups(120))

    placed = collection.map("umap", seed=3, write=True)

    even, odd = placed.places[::2], placed.places[1::2]
    between = np.linalg.norm(even.mean(axis=0) - odd.mean(axis=0))
    assert between > 2 * max(even.std(), odd.std())
    assert (collection.map("umap", seed=3, write=True).places == placed.places).all()


def test_the_picture_has_a_dot_where_each_item_lies_in_the_colour_of_its_value(tmp_path):
    collection = stored(tmp_path, two_groups(), kind=["even", "odd"] * 30)
    placed = collection.map(write=True)

    drawn = placed.plot("kind", size_px=600)

    assert (drawn.mode, drawn.size) == ("RGB", (600, 600))
    pixels = np.asarray(drawn).astype(int)

    seen = {"even": set(), "odd": set()}
    for row, (x, y) in enumerate(placed.places):
        colour = pixels[round(-y * 240 + 300), round(x * 240 + 300)]
        seen["even" if row % 2 == 0 else "odd"].add(tuple(colour.tolist()))
    assert seen == {"even": {(201, 29, 29)}, "odd": {(29, 201, 201)}}


def test_thumbnails_are_drawn_where_there_is_room(copied):
    placed = copied.map(write=True)

    dots = placed.plot(size_px=800, thumbnails=False)
    pictures = placed.plot(size_px=800)

    inked = [np.asarray(one.convert("L")) < 250 for one in (dots, pictures)]
    assert inked[1].sum() > 20 * inked[0].sum()


def test_the_map_is_coloured_by_clusters_too_but_not_by_stale_ones(tmp_path):
    collection = stored(tmp_path, two_groups())
    placed = collection.map(write=True)
    assert "cluster_name" not in placed.snapshot.all_columns.names
    collection.cluster(2, write=True)

    grey, coloured = (np.asarray(placed.plot(color).convert("HSV")) for color in (None, "cluster_name"))
    assert (grey[..., 1].max(), coloured[..., 1].max() > 100) == (0, True)

    path = collection.path / "derived" / "clusters.json"
    path.write_text(path.read_text().replace(collection.fingerprint(), "0" * 64))
    with pytest.raises(
        CollectionError, match=r"older than the collection; make it again with: .*cluster\(write=True\)"
    ):
        placed.plot("cluster")


def test_an_unknown_column_is_a_clear_error(copied):
    with pytest.raises(LookalikeError, match="has no column kind; it has: id, uri"):
        copied.map(write=True).plot("kind")


def test_the_commands_print_and_draw(copied, tmp_path):
    shown = command("outliers", copied.path, "-k", 3, "--most", 2)
    assert shown.returncode == 0, shown.stderr
    title, *farthest = shown.stdout.splitlines()[:3]
    assert title == "unlike all others (mean distance to the 3 nearest, 0 to 2)"
    assert all(re.fullmatch(r"  0\.\d{3}  \S+", line) for line in farthest)

    mapped = command("map", copied.path, "--color", "label", "--out", tmp_path / "map.png", "--json")
    assert mapped.returncode == 0, mapped.stderr
    assert len(json.loads(mapped.stdout)) == 42
    assert (tmp_path / "map.png").read_bytes().startswith(b"\x89PNG")

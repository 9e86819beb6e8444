"""Outliers and maps: what is far and what is near, by the definition, and drawn where it lies."""

from __future__ import annotations

import io
import json
import re

import numpy as np
import pytest
from conftest import command
from PIL import Image
from sklearn.decomposition import PCA

import lookalike
from lookalike.analysis.clusters import cluster
from lookalike.analysis.map import make_map
from lookalike.analysis.map_picture import draw_map
from lookalike.analysis.outliers import find_outliers
from lookalike.errors import CollectionError, LookalikeError
from lookalike.storage.derived import read_derived


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

    found = find_outliers(collection, k=5, most=60)

    for one in found.farthest:
        own = vectors[int(one.id)]
        others = sorted((1 - float(own @ other) for i, other in enumerate(vectors) if i != int(one.id)))
        assert one.distance == pytest.approx(np.mean(others[:5]), abs=1e-5)
    distances = [one.distance for one in found.farthest]
    assert distances == sorted(distances, reverse=True)
    rows = read_derived(collection, "outliers").rows
    assert dict(
        zip(rows["id"].to_pylist(), rows["outlier_distance"].to_pylist(), strict=True)
    ) == pytest.approx({one.id: one.distance for one in found.farthest})


def test_what_is_unlike_all_others_comes_first(tmp_path):
    stray = unit(np.random.default_rng(7).normal(size=(1, 16)))

    assert find_outliers(stored(tmp_path, np.concatenate([two_groups(), stray])), k=5).farthest[0].id == "060"


def test_a_wrong_label_is_found_with_the_right_one(tmp_path):
    labels = ["even", "odd"] * 30
    labels[10], labels[33], labels[20] = "odd", "even", None

    found = find_outliers(stored(tmp_path, two_groups(), kind=labels), "kind")

    assert [(one.id, one.label, one.suggested) for one in found.mislabelled] == [
        ("010", "odd", "even"),
        ("033", "even", "odd"),
    ]
    assert all(one.share >= 0.9 and one.own <= 0.1 for one in found.mislabelled)
    assert found.labelled == 59


def test_without_labels_only_distances_are_judged(tmp_path):
    found = find_outliers(stored(tmp_path, two_groups()))

    assert (found.labelled, found.mislabelled, len(found.farthest)) == (0, (), 50)


def test_the_command_says_what_a_picture_is_labelled_and_what_its_neighbours_are(tmp_path):
    labels = ["even", "odd"] * 30
    labels[10] = "odd"
    shown = command("outliers", stored(tmp_path, two_groups(), label=labels).path, "--most", 1)

    title, wrong = shown.stdout.splitlines()[-2:]
    assert title == "likely mislabelled (what most of the 10 nearest are called)"
    assert wrong == "  labelled odd, but 100% are even  010"


@pytest.mark.parametrize("k", [0, 60])
def test_a_k_that_cannot_be_is_a_clear_error(tmp_path, k):
    with pytest.raises(LookalikeError, match=f"k is {k}, but each of 60 images has 59 others"):
        find_outliers(stored(tmp_path, two_groups()), k=k)


def test_images_that_are_all_equal_have_distance_0_and_no_map(tmp_path):
    collection = stored(tmp_path, np.tile(np.float32([[0.6, 0.8]]), (20, 1)))

    farthest = find_outliers(collection).farthest[0].distance
    assert 0 <= farthest == pytest.approx(0, abs=1e-6)
    with pytest.raises(LookalikeError, match="all images have the same vector"):
        make_map(collection)


def test_the_plain_map_is_that_of_scikit_learns_pca(tmp_path):
    vectors = two_groups()

    placed = make_map(stored(tmp_path, vectors))

    theirs = PCA(2).fit_transform(vectors)
    theirs -= (theirs.max(axis=0) + theirs.min(axis=0)) / 2
    theirs /= np.abs(theirs).max()
    signs = np.sign((theirs * placed.places).sum(axis=0))
    assert placed.places == pytest.approx(theirs * signs, abs=1e-3)
    assert np.abs(placed.places).max() == 1


def test_a_map_is_kept_and_the_same_again(tmp_path):
    collection = stored(tmp_path, two_groups())

    first, again = make_map(collection), make_map(collection)

    assert (first.places == again.places).all()
    kept = read_derived(collection, "map")
    assert kept.rows["id"].to_pylist() == first.ids
    assert np.column_stack([kept.rows["x"], kept.rows["y"]]) == pytest.approx(first.places)
    assert (kept.facts["method"], kept.facts["command"].split()[:2]) == ("pca", ["lookalike", "map"])


@pytest.mark.slow
def test_umap_keeps_groups_apart_and_is_the_same_for_a_seed(tmp_path):
    pytest.importorskip("umap")
    collection = stored(tmp_path, two_groups(120))

    placed = make_map(collection, "umap", seed=3)

    even, odd = placed.places[::2], placed.places[1::2]
    between = np.linalg.norm(even.mean(axis=0) - odd.mean(axis=0))
    assert between > 2 * max(even.std(), odd.std())
    assert (make_map(collection, "umap", seed=3).places == placed.places).all()


def test_the_picture_has_a_dot_where_each_item_lies_in_the_colour_of_its_value(tmp_path):
    collection = stored(tmp_path, two_groups(), kind=["even", "odd"] * 30)
    placed = make_map(collection)

    with Image.open(io.BytesIO(draw_map(placed, collection, color="kind", size_px=600))) as image:
        pixels = np.asarray(image.convert("RGB")).astype(int)

    seen = {"even": set(), "odd": set()}
    for row, (x, y) in enumerate(placed.places):
        colour = pixels[round(-y * 240 + 300), round(x * 240 + 300)]
        seen["even" if row % 2 == 0 else "odd"].add(tuple(colour.tolist()))
    assert seen == {"even": {(201, 29, 29)}, "odd": {(29, 201, 201)}}


def test_thumbnails_are_drawn_where_there_is_room(copied):
    placed = make_map(copied)

    dots = draw_map(placed, copied, size_px=800, thumbnails=False)
    pictures = draw_map(placed, copied, size_px=800)

    inked = [np.asarray(Image.open(io.BytesIO(one)).convert("L")) < 250 for one in (dots, pictures)]
    assert inked[1].sum() > 20 * inked[0].sum()


def test_the_map_is_coloured_by_clusters_too_but_not_by_stale_ones(tmp_path):
    collection = stored(tmp_path, two_groups())
    placed = make_map(collection)
    cluster(collection, 2)

    grey, coloured = (
        np.asarray(Image.open(io.BytesIO(draw_map(placed, collection, color=color))).convert("HSV"))
        for color in (None, "cluster_name")
    )
    assert (grey[..., 1].max(), coloured[..., 1].max() > 100) == (0, True)

    path = collection.path / "derived" / "clusters.json"
    path.write_text(path.read_text().replace(collection.fingerprint(), "0" * 64))
    with pytest.raises(
        CollectionError, match="older than the collection; make it again with: lookalike cluster"
    ):
        draw_map(placed, collection, color="cluster")


def test_an_unknown_column_is_a_clear_error(copied):
    with pytest.raises(LookalikeError, match="has no column kind; it has: id, uri"):
        draw_map(make_map(copied), copied, color="kind")


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

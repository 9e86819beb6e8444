"""Clusters: the groups that are there, the same for a seed, named by what tells them apart."""

from __future__ import annotations

import json
import sys

import numpy as np
import pyarrow as pa
import pytest
from conftest import build, command
from PIL import Image
from sklearn.cluster import KMeans as SklearnKMeans
from sklearn.metrics import normalized_mutual_info_score, silhouette_score

import lookalike
from lookalike.analysis.kmeans import silhouette, spherical_kmeans
from lookalike.analysis.naming import telling_tags
from lookalike.analysis.projection import project
from lookalike.analysis.sheets import draw_sheets
from lookalike.errors import ChangedError, CollectionError, LookalikeError
from lookalike.storage.derived import Derived, derived_state, read_derived, write_derived
from lookalike.storage.selection import Selection


def blobs(count: int = 400, groups: int = 7, noise: float = 0.6) -> tuple[np.ndarray, np.ndarray]:
    """Unit vectors (count, 32) around `groups` directions, and the number of the direction of each."""
    rng = np.random.default_rng(5)
    labels = rng.integers(0, groups, count)
    vectors = rng.normal(size=(groups, 32))[labels] + rng.normal(0, noise, (count, 32))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32), labels


def stored(path, vectors: np.ndarray) -> lookalike.Collection:
    return lookalike.from_vectors(path, vectors, [f"{i:04d}" for i in range(len(vectors))])


@pytest.fixture
def piled(tmp_path):
    return stored(tmp_path / "c.lookalike", blobs()[0])


def found_labels(collection) -> list[int]:
    return read_derived(collection.snapshot.state, "clusters").rows["cluster"].to_pylist()


def test_auto_finds_as_many_groups_as_were_made_and_their_items(piled):
    found = piled.cluster("auto", write=True)

    assert len(found.clusters) == 7
    assert "7 has the highest silhouette" in found.reason
    assert normalized_mutual_info_score(blobs()[1], found_labels(piled)) > 0.99


@pytest.mark.parametrize("groups", [2, 7, 60])
def test_the_silhouette_is_that_of_scikit_learn(groups):
    vectors, _ = blobs(300, 7, noise=1.0)
    labels = np.random.default_rng(groups).integers(0, groups, len(vectors))
    labels[:2] = 98, 99  # alone in their groups

    ours = silhouette(vectors, labels)

    assert ours == pytest.approx(silhouette_score(vectors, labels, metric="cosine"), abs=1e-6)


@pytest.mark.parametrize("labels", [[0, 0, 0, 0], [3, 1, 2, 0]])
def test_one_group_or_none_of_two_has_the_worst_silhouette(labels):
    assert silhouette(blobs(4)[0], np.array(labels)) == -1.0


def test_a_number_of_groups_is_chosen_without_scikit_learn(piled, monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)

    assert len(piled.cluster("auto").clusters) == 7


def test_the_same_seed_gives_the_same_groups(piled):
    first = piled.cluster(9, seed=3, write=True), found_labels(piled)

    assert (piled.cluster(9, seed=3, write=True), found_labels(piled)) == first
    assert (piled.cluster(9, seed=4, write=True), found_labels(piled)) != first


@pytest.mark.slow
def test_the_inertia_is_within_2_percent_of_scikit_learns():
    vectors, _ = blobs(3000, 40, noise=1.2)

    ours = spherical_kmeans(lambda: iter(np.array_split(vectors, 7)), vectors, 20, seed=0)

    def inertia(labels: np.ndarray) -> float:
        groups = [vectors[labels == one] for one in np.unique(labels)]
        return sum(float(((group - group.mean(axis=0)) ** 2).sum()) for group in groups)

    theirs = SklearnKMeans(20, n_init=3, random_state=0).fit(vectors)
    assert inertia(ours.labels) < 1.02 * theirs.inertia_


def test_passes_over_blocks_improve_what_a_sample_gave():
    vectors, _ = blobs(2000, 12, noise=1.0)

    from_little = spherical_kmeans(lambda: iter(np.array_split(vectors, 5)), vectors[:40], 12, seed=0)
    only_little = vectors @ spherical_kmeans(lambda: iter([vectors[:40]]), vectors[:40], 12, seed=0).centres.T

    assert from_little.scores.mean() > only_little.max(axis=1).mean() + 0.01
    assert np.linalg.norm(from_little.centres, axis=1) == pytest.approx(1, abs=1e-5)
    nearest = vectors @ from_little.centres.T
    assert (nearest.argmax(axis=1) == from_little.labels).all()


def test_a_cluster_has_its_size_the_medoid_and_the_mean_cosine(piled):
    vectors = blobs()[0]

    found = piled.cluster(7, write=True)

    labels = np.array(found_labels(piled))
    assert [one.size for one in found.clusters] == sorted(np.bincount(labels).tolist(), reverse=True)
    for one in found.clusters:
        members = np.flatnonzero(labels == one.cluster)
        centre = vectors[members].mean(axis=0)
        cosines = vectors[members] @ (centre / np.linalg.norm(centre))
        assert one.cohesion == pytest.approx(cosines.mean(), abs=1e-3)
        assert one.medoid == f"{members[cosines.argmax()]:04d}"


def test_hdbscan_finds_the_groups_and_leaves_out_what_lies_between(tmp_path):
    vectors, labels = blobs(noise=0.3)
    stray = np.random.default_rng(8).normal(size=(30, 32))
    stray = (stray / np.linalg.norm(stray, axis=1, keepdims=True)).astype(np.float32)
    collection = stored(tmp_path / "c.lookalike", np.concatenate([vectors, stray]))

    found = collection.cluster(method="hdbscan", write=True)

    assert len(found.clusters) == 7
    assert found.noise >= 25
    assigned = np.array(found_labels(collection))
    assert (assigned[400:] == -1).sum() >= 25
    inside = assigned[:400] >= 0
    assert normalized_mutual_info_score(labels[inside], assigned[:400][inside]) == 1
    assert (
        read_derived(collection.snapshot.state, "clusters").rows["cluster_name"].to_pylist().count(None)
        == found.noise
    )


def test_tags_that_tell_a_group_from_the_others_name_it():
    tags = [["animal", "dog"]] * 20 + [["animal", "cat"]] * 20 + [["animal"], None] * 10
    labels = np.repeat([0, 1, 2], 20).astype(np.int32)

    assert telling_tags(tags, labels, 3) == [["dog", "animal"], ["cat", "animal"], []]


def test_a_tag_that_is_rare_in_a_group_does_not_name_it():
    tags = [["dog"]] * 30 + [["wolf"]] * 2 + [["cat"]] * 32

    assert telling_tags(tags, np.repeat([0, 1], 32).astype(np.int32), 2)[0] == ["dog"]


def test_the_components_are_those_of_a_singular_value_decomposition(piled):
    vectors = blobs()[0]
    centred = vectors - vectors.mean(axis=0)
    _, _, directions = np.linalg.svd(centred, full_matrices=False)

    found = project(Selection.of(piled.snapshot), 3)

    assert np.abs(found) == pytest.approx(np.abs(centred @ directions[:3].T), abs=1e-3)


def test_a_contact_sheet_is_drawn_for_each_cluster(copied, tmp_path):
    found = copied.cluster(3, write=True)

    sheets = draw_sheets(copied.snapshot, tmp_path / "sheets")

    assert [path.name for path in sheets] == ["000-sea.png", "001-meadow.png", "002-brick.png"]
    with Image.open(sheets[0]) as image:
        assert image.format == "PNG"
        assert image.size == (8 * 134 + 6, 34 + -(-found.clusters[0].size // 8) * 134 + 6)


def test_sheets_of_what_was_not_clustered_are_an_error(copied, tmp_path):
    with pytest.raises(LookalikeError, match=r"has no clusters; make them with: .*cluster\(write=True\)"):
        draw_sheets(copied.snapshot, tmp_path)


def test_stale_clusters_are_refused_with_the_command_that_makes_them_again(folder, target):
    collection, _ = build(folder, target)
    assert derived_state(collection.snapshot.state, "clusters") == "none"
    collection.cluster(3, write=True)
    assert derived_state(collection.snapshot.state, "clusters") == "fresh"

    (folder / "sea" / "sea-002.png").unlink()
    collection, _ = build(folder, target)

    assert derived_state(collection.snapshot.state, "clusters") == "stale"
    with pytest.raises(
        CollectionError, match=r"older than the collection; make it again with: .*cluster\(write=True\)"
    ):
        read_derived(collection.snapshot.state, "clusters")


def test_a_command_in_one_string_is_refused(piled):
    made = Derived(piled.items(["id"]), {})
    with pytest.raises(TypeError, match="a list of words, not the string 'lookalike cluster'"):
        write_derived(piled.snapshot.state, "clusters", made, command="lookalike cluster")
    assert derived_state(piled.snapshot.state, "clusters") == "none"


def test_a_table_of_a_state_that_is_gone_is_not_written(folder, target):
    before = build(folder, target)[0].snapshot.state
    made = Derived(pa.table({"id": [f"{row}" for row in range(12)]}), {})
    (folder / "sea" / "sea-002.png").unlink()
    build(folder, target)

    message = "was changed while it was read; run it again"
    with pytest.raises(ChangedError, match=message):
        write_derived(before, "clusters", made, command=["lookalike", "cluster"])
    assert not (target / "derived" / "clusters.parquet").exists()


def test_a_damaged_table_is_refused(piled, damage):
    piled.cluster(3, write=True)
    damage(piled.path / "derived" / "clusters.parquet")

    with pytest.raises(CollectionError, match=r"clusters.parquet is damaged.*cluster\(write=True\)"):
        read_derived(piled.snapshot.state, "clusters")


@pytest.mark.parametrize("text", ["", "[]", '{"format": "other"}', '{"format": "lookalike-derived"}'])
def test_facts_that_are_none_are_refused(piled, text):
    (piled.path / "derived").mkdir(exist_ok=True)
    (piled.path / "derived" / "clusters.json").write_text(text)

    with pytest.raises(CollectionError, match=r"clusters\.json"):
        read_derived(piled.snapshot.state, "clusters")


@pytest.mark.parametrize(
    ("wishes", "message"),
    [
        ({"k": 401}, "k is 401, but .* has 400 images; use 1 to 400, or auto"),
        ({"k": 0}, "k is 0, but .* has 400 images; use 1 to 400, or auto"),
        ({"k": 2.5}, "k is a whole number or 'auto', not 2.5"),
        ({"k": "many"}, "k is a whole number or auto, not 'many'"),
        ({"k": 3, "method": "hdbscan"}, "hdbscan finds the number of groups itself, so k cannot be 3"),
        ({"min_size": 5}, "kmeans has no minimum group size"),
        ({"method": "hdbscan", "min_size": 300}, "cannot form groups of at least 300"),
    ],
)
def test_wishes_that_cannot_be_are_a_clear_error(piled, wishes, message):
    with pytest.raises(LookalikeError, match=message):
        piled.cluster(**wishes, write=True)
    assert derived_state(piled.snapshot.state, "clusters") == "none"


def test_images_that_are_all_equal_have_no_groups_but_one_can_be_asked_for(tmp_path):
    collection = stored(tmp_path / "c.lookalike", np.tile(np.float32([[0.6, 0.8]]), (30, 1)))

    for method in ("kmeans", "hdbscan"):
        with pytest.raises(LookalikeError, match="all images have the same vector"):
            collection.cluster(method=method, write=True)
    assert [one.size for one in collection.cluster(1, write=True).clusters] == [30]


def test_a_collection_of_one_image_is_too_small(tmp_path):
    with pytest.raises(LookalikeError, match="has 1 image, this needs at least 2"):
        stored(tmp_path / "c.lookalike", np.float32([[1, 0]])).cluster(write=True)


def test_nan_is_found_and_named(tmp_path, monkeypatch):
    # What would find it on the way in.
    monkeypatch.setattr("lookalike.builder.vectors._unit", lambda vectors, *rest: vectors)
    monkeypatch.setattr("lookalike.builder.vectors.write_background", lambda snapshot: None)
    vectors = blobs(50)[0].copy()
    vectors[31, 2] = np.nan
    collection = stored(tmp_path / "c.lookalike", vectors)

    with pytest.raises(CollectionError, match="the vector of 0031 has a value that is not finite"):
        collection.cluster(3, write=True)


def test_the_command_prints_groups_and_json(copied, tmp_path):
    shown = command("cluster", copied.path, "--k", 3, "--sheets", tmp_path / "sheets")
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.count("(such as ") == 3
    assert len(list((tmp_path / "sheets").glob("*.png"))) == 3

    asked = command("cluster", copied.path, "--k", 3, "--json")
    assert [one["cluster"] for one in json.loads(asked.stdout)["clusters"]] == [0, 1, 2]


def test_a_number_of_groups_that_is_none_is_a_usage_error(copied):
    refused = command("cluster", copied.path, "--k", "many")

    assert refused.returncode == 2
    assert "argument --k: 'many' is neither a number nor auto" in refused.stderr

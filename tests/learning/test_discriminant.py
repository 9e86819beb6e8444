"""The closed forms, held against scikit-learn and against plain formulas."""

from __future__ import annotations

from functools import reduce
from operator import add

import numpy as np
import pytest
from labelled import collection_of
from sklearn.covariance import shrunk_covariance
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import Ridge

from lookalike.learning.discriminant import Basis, Projected, Recipe, branches
from lookalike.learning.labels import Labelled, folds_of_classes, folds_of_items, read_labelled
from lookalike.learning.sums import Sums, sums_of_folds
from lookalike.models.head_model import apply, powered, softmax
from lookalike.models.model import unit


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Labelled:
    made = collection_of(tmp_path_factory.mktemp("labelled") / "c.lookalike", classes=5, each=9)
    return read_labelled(made.snapshot, "label")


@pytest.fixture(scope="module")
def vectors(labelled: Labelled) -> np.ndarray:
    return labelled.selection.take(np.arange(45))


@pytest.fixture(scope="module")
def folds(labelled: Labelled) -> np.ndarray:
    return folds_of_items(labelled.classes, 3, 0)


def sums(labelled: Labelled, folds: np.ndarray, power: float = 1.0) -> Sums:
    return reduce(add, sums_of_folds(labelled.selection, labelled.classes, folds, [power])[power])


def test_sums_of_folds_add_up_to_the_covariance_within_classes(labelled, vectors, folds):
    total = sums(labelled, folds)
    means = np.stack([vectors[labelled.classes == one].mean(axis=0) for one in range(5)])
    rest = vectors - means[labelled.classes]

    assert total.counts.tolist() == [9.0] * 5
    np.testing.assert_allclose(total.means, means, atol=1e-6)
    np.testing.assert_allclose(total.mean, vectors.mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(total.within, rest.T @ rest / 45, atol=1e-6)


def test_sums_of_one_fold_are_of_its_items(labelled, vectors, folds):
    (_, second, _) = sums_of_folds(labelled.selection, labelled.classes, folds, [0.5])[0.5]
    mine = powered(vectors[folds == 1], 0.5)

    np.testing.assert_allclose(second.outer, mine.T @ mine, atol=1e-5)
    assert second.counts.sum() == 15


def test_scores_are_the_log_odds_of_scikit_learn_with_equal_priors(labelled, vectors, folds):
    recipe = Recipe((("scores", 1.0),), 1.0, shrinkage=0.3, sharpness=1.0)
    (branch,) = branches(recipe, Basis.of(sums(labelled, folds)))
    (layer,) = branch.layers
    known = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.3, priors=[0.2] * 5)
    known.fit(vectors.astype(np.float64), labelled.classes)

    assert branch.end == "softmax"
    np.testing.assert_allclose(
        softmax(vectors @ layer.matrix + layer.offset), known.predict_proba(vectors), atol=2e-4
    )


def test_discriminant_directions_keep_the_distances_of_whitened_means(labelled, vectors, folds):
    recipe = Recipe((("discriminant", 1.0),), 1.0, shrinkage=0.3)
    (branch,) = branches(recipe, Basis.of(sums(labelled, folds)))
    (layer,) = branch.layers
    total = sums(labelled, folds)
    spread = shrunk_covariance(total.within, 0.3)
    apart = total.means[:, None] - total.means[None]
    mahalanobis = np.einsum("ijd,de,ije->ij", apart, np.linalg.inv(spread), apart)
    projected = total.means @ layer.matrix

    assert layer.matrix.shape == (12, 4)
    distances = ((projected[:, None] - projected[None]) ** 2).sum(axis=2)
    np.testing.assert_allclose(distances, mahalanobis, rtol=1e-3)


def test_whitening_makes_the_shrunk_spread_within_classes_round(labelled, folds):
    total = sums(labelled, folds)
    (branch,) = branches(Recipe((("whitening", 1.0),), 1.0, shrinkage=0.3), Basis.of(total))
    (layer,) = branch.layers

    spread = layer.matrix.T @ shrunk_covariance(total.within, 0.3) @ layer.matrix
    np.testing.assert_allclose(spread, np.eye(12), atol=1e-3)
    np.testing.assert_allclose(total.mean @ layer.matrix + layer.offset, np.zeros(12), atol=1e-4)


def test_ridge_scores_point_where_those_of_scikit_learn_do(labelled, vectors, folds):
    total = sums(labelled, folds)
    (branch,) = branches(Recipe((("ridge", 1.0),), 1.0, shrinkage=0.5), Basis.of(total))
    (layer,) = branch.layers
    found = vectors @ layer.matrix + layer.offset
    # The covariance within is halved, and the means' is whole: so the same regression, of other vectors.
    means = total.means[labelled.classes]
    shrunk = np.concatenate([means, (vectors - means) * np.sqrt(0.5)])
    targets = np.eye(5)[np.concatenate([labelled.classes] * 2)] - 0.2
    targets[45:] = 0
    known = Ridge(alpha=45 * 0.5 * np.trace(total.within) / 12, fit_intercept=False)
    known.fit(shrunk - np.concatenate([np.tile(total.mean, (45, 1)), np.zeros((45, 12))]), targets)
    wanted = (vectors - total.mean) @ known.coef_.T

    for one, other in zip(found.T, wanted.T, strict=True):
        assert one @ other / np.linalg.norm(one) / np.linalg.norm(other) > 0.999


@pytest.mark.parametrize("power", [1.0, 0.5])
def test_a_head_gives_what_was_tried(labelled, vectors, folds, power):
    parts = (("scores", 1.0), ("discriminant", 0.6), ("whitening", 0.3), ("vector", 0.5), ("centered", 0.2))
    recipe = Recipe((*parts, ("ridge", 0.4)), power, 0.3, 0.5)
    basis = Basis.of(sums(labelled, folds, power))
    made, tried = apply(branches(recipe, basis), vectors), Projected.of(basis, vectors, power).by(recipe)

    assert made.shape == tried.shape == (45, 5 + 4 + 12 * 3 + 5)
    np.testing.assert_allclose(made @ made.T, tried @ tried.T, atol=1e-5)


def test_a_power_keeps_signs_and_length():
    np.testing.assert_allclose(
        powered(np.array([[0.8, -0.6]], np.float32), 0.5), unit(np.array([[0.8944, -0.7746]])), atol=1e-4
    )


def test_runs_of_neighbours_are_held_out_together_and_every_class_in_turn():
    classes = np.repeat([0, 1, 2], [8, 2, 1])
    folds = folds_of_items(classes, 4, seed=3)

    assert np.flatnonzero(np.diff(folds[:8])).tolist() == [1, 3, 5]
    assert sorted(set(folds[:8].tolist())) == [0, 1, 2, 3]
    assert folds[8] != folds[9]
    assert folds_of_items(classes, 4, seed=3).tolist() == folds.tolist()


def test_whole_classes_are_held_out_in_groups_of_about_as_many_items():
    classes = np.repeat(np.arange(9), [30, 1, 1, 10, 10, 10, 10, 9, 9])
    folds = folds_of_classes(classes, 3, seed=0)

    assert all(len(set(folds[classes == one].tolist())) == 1 for one in range(9))
    assert np.bincount(folds).tolist() == [30, 30, 30]

"""Heads trained with a loss: the slopes are those of the losses, and equals come nearer."""

from __future__ import annotations

import numpy as np
import pytest
from labelled import collection_of

from lookalike.errors import LookalikeError
from lookalike.learning import metric_losses
from lookalike.learning.metric import Examples, trained
from lookalike.models.model import unit

CLASSES = np.array([0, 0, 1, 1, 2, 3])
TRIPLETS = np.array([[0, 1, 2], [2, 3, 4], [0, 1, 5]])


def units(count: int = 6, dim: int = 4, seed: int = 0) -> np.ndarray:
    return unit(np.random.default_rng(seed).normal(size=(count, dim)).astype(np.float32)).astype(float)


def by_differences(loss, at: np.ndarray) -> np.ndarray:
    """The slopes of a loss by moving each number a little, both ways."""
    found = np.zeros_like(at)
    for place in np.ndindex(at.shape):
        step = np.zeros_like(at)
        step[place] = 1e-5
        found[place] = (loss(at + step) - loss(at - step)) / 2e-5
    return found


@pytest.mark.parametrize(
    "loss",
    [
        lambda given: metric_losses.contrastive(given, CLASSES),
        lambda given: metric_losses.batch_hard_triplet(given, CLASSES),
        lambda given: metric_losses.triplets_in_order(given, TRIPLETS),
        lambda given: metric_losses.proxy_anchor(given, CLASSES, units(4, seed=1))[:2],
    ],
    ids=["contrastive", "triplet", "given triplets", "proxy"],
)
def test_the_slopes_by_the_vectors_are_those_of_small_differences(loss):
    given = units()

    np.testing.assert_allclose(
        loss(given)[1], by_differences(lambda one: loss(one)[0], given), rtol=1e-3, atol=1e-4
    )


def test_the_slopes_by_the_proxies_are_those_of_small_differences():
    given, proxies = units(), units(4, seed=1)

    found = by_differences(lambda one: metric_losses.proxy_anchor(given, CLASSES, one)[0], proxies)

    np.testing.assert_allclose(
        metric_losses.proxy_anchor(given, CLASSES, proxies)[2], found, rtol=1e-3, atol=1e-4
    )


@pytest.mark.reference
def test_the_losses_are_those_of_fine_tuning():
    torch = pytest.importorskip("torch")
    from lookalike.learning.finetune.losses import BatchHardTriplet, ProxyAnchor, SupervisedContrastive

    given, classes = torch.from_numpy(units()), torch.from_numpy(CLASSES)
    proxy = ProxyAnchor(4, 4)
    proxy.proxies.data = torch.from_numpy(units(4, seed=1))

    for theirs, ours in (
        (SupervisedContrastive(), metric_losses.contrastive(units(), CLASSES)),
        (BatchHardTriplet(), metric_losses.batch_hard_triplet(units(), CLASSES)),
        (proxy, metric_losses.proxy_anchor(units(), CLASSES, units(4, seed=1))),
    ):
        assert theirs(given, classes).item() == pytest.approx(ours[0], rel=1e-5)


def test_a_batch_without_pairs_teaches_nothing():
    alone = np.arange(6)

    for loss in (metric_losses.contrastive, metric_losses.batch_hard_triplet):
        value, slope = loss(units(), alone)
        assert value == 0
        assert not slope.any()


def noisy(classes: np.ndarray) -> np.ndarray:
    """Unit vectors that tell their class in two quiet numbers; the third is loud and says nothing."""
    random = np.random.default_rng(3)
    angles = 2 * np.pi * classes / (classes.max() + 1)
    quiet = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    return unit(np.concatenate([quiet, random.normal(0, 2, (len(classes), 1))], axis=1).astype(np.float32))


def spread(matrix: np.ndarray) -> float:
    """How much the loud direction still counts beside the quiet ones."""
    return float(np.linalg.norm(matrix[2]) / np.linalg.norm(matrix[:2]) * np.sqrt(2))


@pytest.mark.parametrize("loss", ["contrastive", "triplet", "proxy"])
def test_what_differs_among_equals_counts_less_after_training(loss):
    classes = np.repeat(np.arange(8), 12)

    matrix = trained(Examples(noisy(classes), classes), loss, epochs=20)

    assert spread(matrix) < 0.95
    assert (trained(Examples(noisy(classes), classes), loss, epochs=20) == matrix).all()


def test_given_triplets_alone_are_trained_on():
    classes = np.repeat(np.arange(8), 12)
    random = np.random.default_rng(0)
    anchors = random.integers(96, size=200)
    triplets = np.stack([anchors, anchors // 12 * 12 + random.integers(12, size=200), (anchors + 48) % 96], 1)

    matrix = trained(Examples(noisy(classes), np.zeros(96, int), triplets=triplets), "triplet", epochs=20)

    assert spread(matrix) < 0.95


def test_vectors_that_are_said_to_differ_come_apart():
    vectors = unit(np.float32([[1, 0, 0], [1, 0.1, 0], [1, 0, 0.4], [-1, 0, 0], [-1, 0.1, 0]]))
    classes = np.array([0, 0, 1, 2, 2])
    apart = np.array([[0, 2]])

    def cosine(matrix):
        moved = unit(vectors @ matrix)
        return float(moved[0] @ moved[2])

    before = cosine(np.eye(3, dtype=np.float32))
    assert cosine(trained(Examples(vectors, classes, apart), "contrastive", epochs=30)) < before - 0.01


@pytest.mark.slow
@pytest.mark.parametrize("method", ["contrastive", "triplet", "proxy"])
@pytest.mark.parametrize(("for_", "classes", "each"), [("same", 6, 20), ("new", 24, 8)])
def test_a_head_that_is_trained_with_a_loss_finds_held_out_pictures_better(
    tmp_path, method, for_, classes, each
):
    made = collection_of(tmp_path / "c.lookalike", classes, each)

    report = made.train("label", method=method, for_=for_).report

    assert method in report.method
    assert report.average_precision.gain > 0.2


def test_for_new_classes_auto_tries_a_loss_too(tmp_path):
    tried = collection_of(tmp_path / "c.lookalike", 24, 8).train("label", for_="new").report.tried

    assert any("contrastive" in name for name, _ in tried)


def test_a_proxy_for_each_of_too_many_classes_is_refused(tmp_path):
    made = collection_of(tmp_path / "c.lookalike", 600, 2)

    with pytest.raises(LookalikeError, match="proxy has numbers for each of 600 classes, the limit is 512"):
        made.train("label", for_="new", method="proxy")

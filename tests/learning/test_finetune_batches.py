"""Batches in which every class counts the same, and what is held out. No PyTorch is needed."""

from __future__ import annotations

import numpy as np
import pytest

from lookalike.learning.finetune.batches import batches
from lookalike.learning.finetune.examples import Examples
from lookalike.learning.finetune.judging import average_precisions, gain_of, halves
from lookalike.learning.finetune.schedule import one_cycle


def test_a_batch_has_four_pictures_of_each_of_its_classes():
    classes = np.repeat(np.arange(20), 10)

    drawn = next(batches(classes, 32, seed=0, epoch=0))

    assert np.unique(classes[drawn], return_counts=True)[1].tolist() == [4] * 8


def test_few_classes_share_a_batch_evenly():
    classes = np.repeat([0, 1, 2], [50, 10, 10])

    drawn = next(batches(classes, 16, seed=0, epoch=0))

    assert sorted(np.bincount(classes[drawn]).tolist()) == [5, 5, 6]


def test_an_epoch_shows_every_picture_of_classes_of_equal_size_once():
    classes = np.repeat(np.arange(4), 8)

    drawn = np.concatenate([*batches(classes, 16, seed=1, epoch=3)])

    assert sorted(drawn.tolist()) == list(range(32))


def test_an_epoch_has_as_many_batches_as_the_pictures_fill():
    assert len([*batches(np.repeat([0, 1], 33), 32, seed=0, epoch=0)]) == 3


def test_a_class_with_one_picture_repeats_it():
    classes = np.array([0, 1, 1, 1, 1])

    drawn = next(batches(classes, 8, seed=0, epoch=0))

    assert np.bincount(drawn).tolist() == [4, 1, 1, 1, 1]


def test_the_seed_and_the_epoch_decide_the_batches():
    classes = np.repeat(np.arange(10), 10)

    def drawn(seed, epoch):
        return np.concatenate([*batches(classes, 20, seed, epoch)]).tolist()

    assert drawn(0, 0) == drawn(0, 0)
    assert drawn(0, 0) != drawn(0, 1)
    assert drawn(0, 0) != drawn(1, 0)


def test_the_average_precision_is_that_of_a_slow_loop():
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(40, 5)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    classes = rng.integers(0, 4, 40)

    slow = []
    for query in range(40):
        others = sorted(
            (one for one in range(40) if one != query), key=lambda one: -vectors[query] @ vectors[one]
        )
        right = [classes[one] == classes[query] for one in others]
        wanted = sum(right)
        slow.append(sum(sum(right[: at + 1]) / (at + 1) for at in range(wanted) if right[at]) / wanted)

    np.testing.assert_allclose(average_precisions(vectors, classes), slow)


def test_a_picture_that_is_alone_in_its_class_has_no_average_precision():
    found = average_precisions(np.eye(3, dtype=np.float32), np.array([0, 0, 1]))

    assert np.isnan(found).tolist() == [False, False, True]


def test_the_halves_share_each_class():
    choosing, judging = halves(np.array([0, 0, 1, 0, 0, 1, 1]))

    assert judging.tolist() == [True, False, True, True, False, False, True]
    assert (choosing == ~judging).all()


def test_the_gain_is_the_mean_difference_with_its_standard_error():
    before = np.array([0.0, 0.5, 1.0, np.nan])
    after = np.array([0.5, 0.5, 2.0, 1.0])

    gain, error = gain_of(before, after)

    assert gain == pytest.approx(0.5)
    assert error == pytest.approx(0.5 / np.sqrt(3))


def test_the_rate_rises_in_the_first_quarter_and_then_falls_to_nearly_nothing():
    rates = [one_cycle(step, 100) for step in range(100)]

    assert rates[0] == pytest.approx(0.04)
    assert max(rates) == rates[25] == 1
    assert rates[-1] == pytest.approx(1e-4)
    assert rates[:26] == sorted(rates[:26])
    assert rates[25:] == sorted(rates[25:], reverse=True)


class Labels:
    """A snapshot as `Examples` needs one: a column of labels, and checksums."""

    root = "c.lookalike"

    def __init__(self, labels, sha256s=None):
        import pyarrow as pa

        self._labels = pa.chunked_array([pa.array(labels, pa.string())])
        self._sha256s = sha256s or [str(row) for row in range(len(labels))]
        self.schema = self.all_columns = pa.schema([("label", pa.string())])

    def column(self, name):
        return self._labels

    def values(self, name, rows):
        return [self._sha256s[row] for row in rows]


def test_a_fifth_of_each_class_is_held_out():
    examples = Examples.of(Labels(["rose"] * 20 + ["tulip"] * 50), "label")

    held = np.bincount(examples.classes[examples.held_out])
    assert examples.names == ["rose", "tulip"]
    assert held.tolist() == [4, 10]


def test_a_class_of_fewer_than_six_pictures_has_none_to_spare():
    examples = Examples.of(Labels(["rose"] * 5 + ["tulip"] * 6), "label")

    assert np.bincount(examples.classes[examples.held_out], minlength=2).tolist() == [0, 2]


def test_rows_without_a_label_and_classes_of_one_are_left_out_and_counted():
    examples = Examples.of(Labels(["rose"] * 9 + [None, "", "moss"] + ["tulip"] * 9), "label")

    assert (examples.unlabelled, examples.singles) == (2, 1)
    assert examples.names == ["rose", "tulip"]
    assert examples.rows.tolist() == [*range(9), *range(12, 21)]
    assert examples.classes.tolist() == [0] * 9 + [1] * 9


def test_a_copy_of_what_is_learnt_from_is_not_held_out():
    labels = ["rose"] * 10 + ["tulip"] * 10
    examples = Examples.of(Labels(labels, ["copy"] * 10 + [str(row) for row in range(10)]), "label")

    assert np.bincount(examples.classes[examples.held_out], minlength=2).tolist() == [0, 2]


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (["rose"] * 20, "needs two classes of two images; the column label of c.lookalike has 1"),
        (["rose"] * 20 + ["tulip"], "needs two classes of two images; the column label of c.lookalike has 1"),
        ([None] * 20, "needs two classes of two images; the column label of c.lookalike has 0"),
        (["rose"] * 5 + ["tulip"] * 5, "no label of the column label has 6 images"),
    ],
)
def test_too_few_labels_are_refused(labels, message):
    from lookalike.errors import LookalikeError

    with pytest.raises(LookalikeError, match=message):
        Examples.of(Labels(labels), "label")


def test_an_unknown_column_is_refused_with_those_that_there_are():
    from lookalike.errors import LookalikeError

    with pytest.raises(LookalikeError, match="has no column kind; it has: label"):
        Examples.of(Labels(["rose"] * 20), "kind")

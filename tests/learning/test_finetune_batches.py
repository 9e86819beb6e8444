"""Batches in which every class counts the same, and what is held out. No PyTorch is needed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from building import rows_of

from lookalike.errors import LookalikeError
from lookalike.learning.batches import batches, per_class
from lookalike.learning.finetune.examples import Examples
from lookalike.learning.finetune.judging import average_precisions, gain_of, halves
from lookalike.learning.finetune.schedule import one_cycle
from lookalike.learning.finetune.work import Work
from lookalike.models.registry import load_model
from lookalike.storage.manifest import Manifest, write_manifest
from lookalike.storage.parts import Part
from lookalike.storage.snapshot import Snapshot


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


def test_of_two_pictures_each_whole_classes_judge():
    choosing, judging = halves(np.array([0, 0, 1, 1, 2, 2]), whole=True)

    assert judging.tolist() == [True, True, False, False, True, True]
    assert (choosing == ~judging).all()


def test_pairs_are_classes_of_which_a_fifth_is_held_out_whole(snapshot):
    made = snapshot([None] * 40)
    pairs = [(f"{row:03}", f"{row + 1:03}", 1) for row in range(0, 40, 2)] + [("000", "039", 0)]

    examples = Examples.of_pairs(made, pairs)

    assert examples.held_out.sum() == 8
    assert (examples.held_out[::2] == examples.held_out[1::2]).all()
    assert examples.classes[examples.held_out].min() == 16
    assert (examples.question, examples.told) == ("new", "21 pairs")


def test_classes_of_two_are_held_out_whole_unless_another_question_is_asked(snapshot):
    examples = Examples.of(snapshot([f"thing {row // 2:02}" for row in range(40)]), "label", question=None)

    assert (examples.question, int(examples.held_out.sum())) == ("new", 8)


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


@pytest.fixture
def snapshot(tmp_path):
    """Makes a snapshot of items with these labels, and checksums of their own unless given."""

    def made(labels, sha256s=None):
        ids = [f"{row:03}" for row in range(len(labels))]
        rows = rows_of(ids, labels)
        own = pa.array(sha256s or ids, pa.string())
        rows = rows.set_column(rows.schema.get_field_index("sha256"), rows.schema.field("sha256"), own)
        manifest = Manifest(load_model("pixels").spec, "float32", {}, "")
        write_manifest(tmp_path / "c", replace(manifest, model=replace(manifest.model, dim=4)))
        Part(tmp_path / "c", 0).write(rows, [b"x"] * len(ids))
        return Snapshot.open(tmp_path / "c")

    return made


def test_a_fifth_of_each_class_is_held_out(snapshot):
    examples = Examples.of(snapshot(["rose"] * 20 + ["tulip"] * 50), "label")

    held = np.bincount(examples.classes[examples.held_out])
    assert examples.names == ("rose", "tulip")
    assert held.tolist() == [4, 10]


def test_those_held_out_are_neighbours(snapshot):
    examples = Examples.of(snapshot(["rose"] * 20 + ["tulip"] * 50), "label")

    assert np.diff(examples.rows[examples.held_out & (examples.classes == 1)]).tolist() == [1] * 9


def test_another_seed_holds_out_others(snapshot):
    labelled = snapshot(["rose"] * 20 + ["tulip"] * 50)

    held = {tuple(Examples.of(labelled, "label", seed).held_out.tolist()) for seed in range(9)}

    assert len(held) > 1


def test_a_class_of_fewer_than_six_pictures_has_none_to_spare(snapshot):
    examples = Examples.of(snapshot(["rose"] * 5 + ["tulip"] * 6), "label")

    assert np.bincount(examples.classes[examples.held_out], minlength=2).tolist() == [0, 2]


def test_rows_without_a_label_and_classes_of_one_are_left_out_and_counted(snapshot):
    examples = Examples.of(snapshot(["rose"] * 9 + [None, "", "moss"] + ["tulip"] * 9), "label")

    assert (examples.unlabelled, examples.singles) == (2, 1)
    assert examples.names == ("rose", "tulip")
    assert examples.rows.tolist() == [*range(9), *range(12, 21)]
    assert examples.classes.tolist() == [0] * 9 + [1] * 9


def test_a_copy_of_what_is_learnt_from_is_not_held_out(snapshot):
    labels = ["rose"] * 10 + ["tulip"] * 10
    examples = Examples.of(snapshot(labels, ["copy"] * 10 + [str(row) for row in range(10)]), "label")

    assert np.bincount(examples.classes[examples.held_out], minlength=2).tolist() == [0, 2]


def test_for_new_classes_a_fifth_of_them_is_held_out_whole_and_comes_last(snapshot):
    labels = [f"kind {number:02}" for number in range(11) for _ in range(3)]
    examples = Examples.of(snapshot([*labels, None, "single"]), "label", 0, "new")

    held = set(examples.classes[examples.held_out].tolist())
    assert (examples.question, examples.learnt_classes, held) == ("new", 8, {8, 9, 10})
    assert np.bincount(examples.classes).tolist() == [3] * 11
    assert sorted(examples.names) == sorted(set(labels))
    assert [examples.names[one] for one in examples.classes] == labels


def test_nine_classes_are_too_few_to_hold_out_whole_ones(snapshot):
    labels = [f"kind {number}" for number in range(9)] * 2
    with pytest.raises(
        LookalikeError, match="9 classes have two items or more; holding out whole ones needs 10"
    ):
        Examples.of(snapshot(labels), "label", 0, "new")


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (["rose"] * 20, "learning needs at least two such classes"),
        (["rose"] * 20 + ["tulip"], "learning needs at least two such classes"),
        ([None] * 20, "learning needs at least two such classes"),
        (["rose"] * 5 + ["tulip"] * 5, "no class of the column label has 6 items"),
    ],
)
def test_too_few_labels_are_refused(labels, message, snapshot):
    with pytest.raises(LookalikeError, match=message):
        Examples.of(snapshot(labels), "label")


def test_an_unknown_column_is_refused(snapshot):
    with pytest.raises(LookalikeError, match="has no column kind"):
        Examples.of(snapshot(["rose"] * 20), "kind")


def test_work_is_told_in_whole_pictures_and_never_beyond_its_total():
    told = []
    work = Work(10.4, lambda done, total: told.append((done, total)))
    half, whole = work.counting(0.5), work.counting(1.0)

    half(3)
    whole(4)
    whole(9)
    work.finish()

    assert told == [(0, 10), (2, 10), (6, 10), (10, 10), (10, 10)]


def test_what_an_earlier_run_did_is_no_longer_to_do():
    told = []
    work = Work(40, lambda done, total: told.append((done, total)))

    work.counting(0.5)(4)
    work.skip(2.0, 8)
    work.counting(2.0)(3)

    assert told == [(0, 40), (2, 40), (8, 24)]


@pytest.mark.parametrize(
    ("sizes", "k"), [([9, 9], 4), ([4, 4, 9], 4), ([3, 3, 3], 3), ([2, 2, 2, 1], 2), ([1, 1], 2)]
)
def test_as_many_of_a_class_meet_as_most_classes_have_but_two_to_four(sizes, k):
    assert per_class(np.repeat(np.arange(len(sizes)), sizes)) == k


def test_classes_of_two_meet_in_pairs():
    drawn = next(batches(np.repeat(np.arange(20), 2), 16, seed=0, epoch=0, k=2))

    assert np.bincount(np.repeat(np.arange(20), 2)[drawn]).max() == 2
    assert len(np.unique(drawn)) == 16

"""What is drawn of triplets, and what held-out ones ask. No PyTorch is needed."""

from __future__ import annotations

import numpy as np

import lookalike
from lookalike.learning.finetune.examples import Examples
from lookalike.learning.finetune.judging import shares_in_order
from lookalike.learning.finetune.lessons import lesson_of_triplets

HELD = np.array([[0, 1, 2], [3, 4, 5], [6, 7, 8]])


def test_each_anchor_has_the_share_of_its_triplets_that_are_in_order():
    vectors = np.array([[1, 0], [0.8, 0.6], [0, 1], [0.8, 0.6]], np.float32)
    triplets = np.array([[0, 1, 2], [0, 2, 1], [0, 1, 2], [0, 1, 3], [2, 0, 1]])

    assert shares_in_order(vectors, triplets).tolist() == [2.5 / 4, 0]


def test_a_batch_has_all_anchors_then_what_is_like_them_then_what_is_less():
    learnt = np.arange(30).reshape(10, 3)
    lesson = lesson_of_triplets(np.zeros(30, int), learnt, HELD, size=13, seed=0)

    batches = [*lesson.batches(0)]

    assert (lesson.per_epoch, lesson.size) == (3, 12)
    assert [len(one) for one in batches] == [12, 12, 6]
    found = np.concatenate([one.reshape(3, -1).T for one in batches])
    assert found[found[:, 0].argsort()].tolist() == learnt.tolist()
    assert np.concatenate([*lesson.batches(1)]).tolist() != np.concatenate(batches).tolist()
    assert np.concatenate([*lesson.batches(0)]).tolist() == np.concatenate(batches).tolist()


def test_an_epoch_of_many_triplets_shows_each_picture_four_times_at_most_on_average():
    learnt = np.array([[at % 6, (at + 1) % 6, (at + 2) % 6] for at in range(60)])
    lesson = lesson_of_triplets(np.zeros(6, int), learnt, HELD, size=6, seed=0)

    assert lesson.per_epoch == 4
    assert sum(len(one) for one in lesson.batches(0)) == 24


def test_every_other_anchor_chooses_and_the_rest_judge():
    lesson = lesson_of_triplets(np.zeros(3, int), np.array([[0, 1, 2]]), HELD, size=3, seed=0)

    assert lesson.judging.tolist() == [True, False, True]
    assert lesson.choosing.tolist() == [False, True, False]
    assert lesson.judge(np.ones((9, 2), np.float32)).tolist() == [0.5, 0.5, 0.5]


def test_a_quarter_of_the_items_is_held_out_with_what_is_like_them(tmp_path):
    made = lookalike.from_vectors(
        tmp_path / "c", np.eye(80, dtype=np.float32), [f"{at:02}" for at in range(80)]
    )
    told = [(f"{at:02}", f"{at ^ 1:02}", f"{(at + by) % 80:02}") for at in range(80) for by in range(2, 40)]

    examples = Examples.of_triplets(made.snapshot, told)

    assert examples.held_out.sum() == 20
    assert (examples.held_out[::2] == examples.held_out[1::2]).all()
    assert examples.triplets.shape == (80 * 38, 3)
    assert (examples.question, examples.told) == ("new", "3,040 triplets")

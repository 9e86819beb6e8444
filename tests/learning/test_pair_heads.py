"""Learning from pairs and triplets: what is found better, what judges it, and what is refused."""

from __future__ import annotations

import json

import numpy as np
import pytest
from labelled import collection_of, vectors_of

import lookalike
from lookalike.cli import main
from lookalike.errors import LookalikeError, MemoryLimitError, NoGainError
from lookalike.learning.pair_folds import held_pairs, held_triplets
from lookalike.learning.pairs import read_pairs, read_triplets

THINGS = 80  # with two pictures each


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return collection_of(tmp_path_factory.mktemp("pairs") / "c.lookalike", classes=THINGS, each=2)


def id_of(row: int) -> str:
    return f"{row:05d}"


PAIRS = [(id_of(2 * thing), id_of(2 * thing + 1)) for thing in range(60)]


def triplets(count: int, seed: int = 0, mean_nothing: bool = False) -> list[tuple[str, str, str]]:
    random, found = np.random.default_rng(seed), []
    for _ in range(count):
        anchor, far = random.choice(THINGS, 2, replace=False) * 2
        near = random.integers(2 * THINGS) if mean_nothing else anchor + 1
        found.append((id_of(anchor), id_of(near), id_of(far + random.integers(2))))
    return found


def partner_first(vectors: np.ndarray) -> float:
    cosines = vectors @ vectors.T
    np.fill_diagonal(cosines, -2)
    return float((cosines.argmax(axis=1) == np.arange(len(vectors)) ^ 1).mean())


@pytest.mark.parametrize("method", ["auto", "whitening", "contrastive", "triplet"])
def test_partners_of_new_things_are_found_better(made, method):
    learned = lookalike.train(made, pairs=PAIRS, method=method)
    others = vectors_of(np.repeat(np.arange(THINGS), 2), seed=7)[2 * 60 :]

    report = learned.report
    assert (report.kept, report.learned, report.items, report.groups, report.others) == (
        True,
        60,
        120,
        60,
        40,
    )
    assert report.queries == 30
    assert report.average_precision.gain > 2 * report.average_precision.error
    assert partner_first(learned.from_base(others)) > partner_first(others) + 0.2


def test_triplets_of_new_things_come_into_order(made):
    learned = lookalike.train(made, triplets=triplets(3000))

    assert learned.report.in_order.gain > 0.1
    assert learned.report.queries > 100
    assert "triplets in the right order: " in str(learned.report)


def test_the_model_is_a_head_with_a_report_and_no_words(made, tmp_path, capsys):
    (tmp_path / "p.csv").write_text("".join(f"{one},{other}\n" for one, other in [*PAIRS, ("00000", "no")]))

    assert main(["train", str(made.path), "--pairs", str(tmp_path / "p.csv"), "-o", str(tmp_path / "m")]) == 0
    said = capsys.readouterr()
    assert "left out of 61 pairs: 1 of unknown items" in said.out
    assert f"use it: lookalike build {made.path} --model" in said.err
    assert sorted(one.name for one in (tmp_path / "m").iterdir()) == ["head.npz", "model.json", "report.json"]
    assert json.loads((tmp_path / "m" / "report.json").read_text())["what"] == "pairs"
    better = lookalike.build(made.path, tmp_path / "better", model=tmp_path / "m")
    assert partner_first(better.embeddings()) > partner_first(made.embeddings())


def test_pairs_that_mean_nothing_teach_nothing_and_nothing_is_written(made, tmp_path, capsys):
    order = np.random.default_rng(1).permutation(120).reshape(-1, 2)
    lines = "".join(f"{id_of(one)},{id_of(other)}\n" for one, other in order.tolist())
    (tmp_path / "p.csv").write_text("one,two\n" + lines)

    words = ["train", str(made.path), "--pairs", str(tmp_path / "p.csv"), "-o", str(tmp_path / "m"), "--json"]
    assert main(words) == 1
    said = capsys.readouterr()
    assert (json.loads(said.out)["path"], json.loads(said.out)["report"]["kept"]) == (None, False)
    assert "nothing was kept: of items held out, " in said.err
    assert not (tmp_path / "m").exists()


def test_triplets_that_mean_nothing_are_not_kept(made):
    with pytest.raises(NoGainError, match="the share of triplets in order"):
        made.train(triplets=triplets(3000, 1, mean_nothing=True))


def test_no_group_is_in_two_folds_and_what_is_said_to_differ_is_learned(made):
    lines = [*((*one, 1) for one in PAIRS), *((PAIRS[at][0], PAIRS[at + 1][1], 0) for at in range(0, 40, 2))]
    told = read_pairs(made.snapshot, lines)
    held = held_pairs(told, made.snapshot.vectors(np.arange(160)), seed=0)

    assert (held.folds[:120:2] == held.folds[1:120:2]).all()
    assert held.folds[120:].tolist() == [-1] * 40
    assert sorted(np.bincount(held.folds[:120]).tolist()) == [30] * 4
    examples = held.examples([0, 3])
    assert len(examples.classes) == 60
    assert set(held.gallery(0, [3], True)) == {*np.flatnonzero(held.folds == 0), *range(120, 160)}
    assert (examples.classes[examples.apart[:, 0]] != examples.classes[examples.apart[:, 1]]).all()


def test_triplets_are_judged_by_the_share_in_order_and_share_no_item_with_what_is_learned(made):
    told = read_triplets(made.snapshot, triplets(3000))
    vectors = made.snapshot.vectors(told.rows)
    held = held_triplets(told, vectors, seed=0)
    mine = [one for one in told.triplets.tolist() if {*held.folds[one].tolist()} == {2}]

    slow = [float(vectors[a] @ vectors[p] > vectors[a] @ vectors[n]) for a, p, n in mine]
    np.testing.assert_array_equal(held.judge(vectors, 2)[:, 0], slow)
    learned = held.examples([2])
    assert len(learned.vectors) == (held.folds != 2).sum()
    assert len(learned.triplets) == sum(2 not in held.folds[one] for one in told.triplets.tolist())


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"pairs": PAIRS[:1]}, "the pairs hang together in 1 group, the largest of 2 of 2 items"),
        ({"pairs": [(id_of(row), id_of(row + 1)) for row in range(99)]}, "in 1 group, the largest of 100"),
        ({"triplets": triplets(40)}, r"of 40 triplets, \d have no item together"),
        ({"pairs": PAIRS, "method": "scores"}, "unknown method 'scores' of pairs and triplets; known are: "),
        ({"triplets": triplets(9), "method": "contrastive"}, "unknown method 'contrastive'"),
        ({"pairs": PAIRS, "label": "label"}, "a model learns from one of `label` and `pairs`"),
    ],
)
def test_what_leaves_nothing_to_judge_by_is_refused(made, given, says):
    with pytest.raises(LookalikeError, match=says):
        lookalike.train(made, **given)


def test_a_small_limit_learns_from_some_groups_and_one_too_small_is_refused(tmp_path):
    many = collection_of(tmp_path / "c.lookalike", classes=400, each=2)
    pairs = [(id_of(2 * thing), id_of(2 * thing + 1)) for thing in range(400)]

    with pytest.raises(MemoryLimitError, match="learning of 800 items") as caught:
        many.train(pairs=pairs, max_memory_bytes=1000)
    report = many.train(pairs=pairs, max_memory_bytes=caught.value.need_bytes).report
    assert (report.lines, report.learned, report.items) == (400, 256, 512)

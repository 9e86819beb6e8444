"""Learning from labels on stored vectors: what is kept, what is said, and what is refused."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import asdict

import numpy as np
import pytest
from labelled import collection_of, vectors_of

import lookalike
from lookalike.cli import main
from lookalike.errors import ArgumentError, LookalikeError, MemoryLimitError, NoGainError

KINDS = [f"kind {number}" for number in range(6)]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> lookalike.Collection:
    return collection_of(tmp_path_factory.mktemp("made") / "c.lookalike")


@pytest.fixture(scope="module")
def learned(made):
    return lookalike.train(made, label="label")


def share_right(vectors: np.ndarray, classes: np.ndarray) -> float:
    """The share of vectors whose nearest other one has their class."""
    cosines = vectors @ vectors.T
    np.fill_diagonal(cosines, -2)
    return float((classes[cosines.argmax(axis=1)] == classes).mean())


def test_held_out_pictures_and_others_are_found_better(learned):
    report, classes = learned.report, np.repeat(np.arange(6), 20)
    others = vectors_of(classes, seed=7)

    assert (report.kept, report.items, report.classes, report.queries) == (True, 120, 6, 30)
    assert report.average_precision.before < 0.4
    assert report.average_precision.after > 0.8
    assert report.average_precision.gain > 10 * report.average_precision.error
    assert share_right(others, classes) < 0.5
    assert share_right(learned.from_base(others), classes) > 0.9


def test_new_classes_are_judged_by_classes_that_were_held_out(tmp_path):
    made = collection_of(tmp_path / "c.lookalike", classes=24, each=8)
    report = made.train("label", for_="new").report

    assert (report.question, report.queries) == ("new", 48)
    assert report.average_precision.after > report.average_precision.before + 0.2
    assert all("scores" not in tried and "ridge" not in tried for tried, _ in report.tried)


def test_the_same_labels_and_seed_give_the_same_bytes(made, learned, tmp_path):
    lookalike.train(made, label="label").save(tmp_path / "one" / "m")
    learned.save(tmp_path / "two" / "m")

    for name in ("model.json", "head.npz", "words.json", "words.npy"):
        assert (tmp_path / "one" / "m" / name).read_bytes() == (tmp_path / "two" / "m" / name).read_bytes()


def test_the_classes_become_words_whose_probability_says_which_pictures_show_them(learned, tmp_path):
    model, classes = learned.save(tmp_path / "m"), np.repeat(np.arange(6), 20)
    vectors = learned.from_base(vectors_of(classes, seed=7))
    chances = np.stack([model.presence(name, vectors) for name in KINDS], axis=1)

    assert (chances.argmax(axis=1) == classes).mean() > 0.9
    shown = chances >= 0.5
    assert (np.repeat(np.eye(6, dtype=bool), 20, axis=0)[shown]).mean() > 0.85
    np.testing.assert_allclose(np.linalg.norm(model.embed_text("kind 3")), 1, rtol=1e-6)


def test_labels_that_mean_nothing_teach_nothing_and_nothing_is_written(tmp_path, capsys):
    random = np.random.default_rng(4)
    made = collection_of(tmp_path / "c.lookalike", labels=[KINDS[one] for one in random.integers(0, 6, 120)])
    before = sorted(tmp_path.rglob("*"))

    with pytest.raises(NoGainError, match="nothing was kept: of pictures held out, ") as caught:
        made.train("label")
    assert not caught.value.report.kept
    assert main(["train", str(made.path), "--label", "label", "-o", str(tmp_path / "m"), "--json"]) == 1
    said = json.loads(capsys.readouterr().out)
    assert (said["path"], said["report"]["kept"]) == (None, False)
    assert sorted(tmp_path.rglob("*")) == before


def test_rows_without_a_label_are_left_out_and_said(tmp_path):
    labels = [f"kind {row // 20}" if row % 20 < 10 else None for row in range(120)]
    report = collection_of(tmp_path / "c.lookalike", labels=labels).train("label").report

    assert (report.items, report.unlabelled, report.classes) == (60, 60, 6)
    assert "; 60 without a label left out" in str(report)


def test_a_class_of_one_is_learned_as_a_class_and_is_no_query(tmp_path):
    labels = [f"kind {row // 20}" for row in range(119)] + ["alone"]
    learned = collection_of(tmp_path / "c.lookalike", labels=labels).train("label")

    assert (learned.report.classes, learned.report.singles) == (7, 1)
    assert "alone" in learned.words.names


@pytest.mark.parametrize(
    ("labels", "says"),
    [
        (["one"] * 120, "the column label has 1 class, 1 with two items or more"),
        ([f"{row}" for row in range(120)], "the column label has 120 classes, 0 with two items or more"),
        ([None] * 120, "the column label has 0 classes, 0 with two items or more"),
    ],
)
def test_fewer_than_two_classes_of_two_are_refused(tmp_path, labels, says):
    made = collection_of(tmp_path / "c.lookalike", labels=labels)

    with pytest.raises(LookalikeError, match=says):
        made.train("label")


def test_where_another_column_may_be_meant_it_is_named(tmp_path):
    numbers = np.repeat(np.arange(6), 20)
    columns = {"kind": [f"kind {number}" for number in numbers.tolist()]}
    ids = [f"{number:05d}" for number in range(120)]
    made = lookalike.from_vectors(tmp_path / "c", vectors_of(numbers, 0), ids, columns=columns)

    with pytest.raises(LookalikeError) as caught:
        made.train("label")
    assert caught.value.hint == "label more items, or name another column, such as `label='kind'`"


def test_too_few_labels_to_hold_some_out_are_refused(tmp_path):
    made = collection_of(tmp_path / "c.lookalike", classes=3, each=12)

    with pytest.raises(
        LookalikeError, match=r"9 of 36 labelled items would be held out .* fewer than 10 prove"
    ):
        made.train("label")
    assert collection_of(tmp_path / "more.lookalike", classes=2, each=20).train("label").report.queries == 10


@pytest.mark.slow
def test_of_40_collections_with_labels_that_mean_nothing_none_teaches_anything(tmp_path):
    random = np.random.default_rng(0)
    for number in range(40):
        labels = [KINDS[one] for one in random.integers(0, 2 + number % 5, 48)]
        made = collection_of(tmp_path / f"{number}.lookalike", classes=6, each=8, labels=labels)
        with pytest.raises(NoGainError):
            made.train("label")


def test_labels_that_a_person_gave_are_learned_from_too(tmp_path):
    right = [f"kind {number // 20}" for number in range(120)]
    made = collection_of(tmp_path / "c.lookalike", labels=[None] * 30 + right[30:])
    for kind, start, end in (("kind 0", 0, 20), ("kind 1", 20, 30)):
        made.give_label([f"{number:05d}" for number in range(start, end)], kind)

    assert made.train("label").report.items == 120


def test_a_view_is_not_trained_on_as_if_it_were_all(made):
    with pytest.raises(ArgumentError, match="collection is Collection, not View"):
        lookalike.train(made.where("label = 'kind 0'"), label="label")


@pytest.mark.parametrize("apart", [1, 0])
def test_vectors_that_leave_nothing_to_gain_or_to_learn_are_kept_as_they_are(tmp_path, apart):
    vectors = np.eye(4, dtype=np.float32)[[0, apart] * 20]
    names, ids = ["one", "other"] * 20, [str(number) for number in range(40)]
    made = lookalike.from_vectors(tmp_path / "c.lookalike", vectors, ids, columns={"label": names})

    with pytest.raises(NoGainError, match="none of 25 methods raises their mAP"):
        made.train("label")


def test_an_unknown_column_comes_with_those_of_a_similar_name(made):
    with pytest.raises(LookalikeError, match=r"has no column lable; did you mean label\?"):
        made.train("lable")


def test_too_few_classes_to_hold_out_whole_ones_are_refused(made):
    with pytest.raises(
        LookalikeError, match="6 classes have two items or more; holding out whole ones needs 8"
    ):
        made.train("label", for_="new")


def test_an_unknown_method_is_refused_with_those_that_are_known(made):
    with pytest.raises(
        LookalikeError, match="unknown method 'magic'; known are: auto, lda, whitening, scores,"
    ):
        made.train("label", method="magic")


def test_a_method_alone_is_tried_alone(made):
    tried = [said for said, _ in made.train("label", method="lda").report.tried]

    assert len(tried) == 8
    assert all(said.startswith("discriminant (shrinkage") for said in tried)


@pytest.mark.parametrize("method", ["auto", "lda", "triplet"])
def test_progress_rises_while_methods_are_tried_and_ends_where_it_said(made, method):
    told: list[tuple[int, int]] = []

    with suppress(NoGainError):
        made.train("label", method=method, on_progress=lambda *one: told.append(one))

    (total,) = {total for _, total in told}
    done = [done for done, _ in told]
    reading = done.index(len(made))
    assert done == sorted(done)
    assert done[-1] == total == 21 * len(made)
    assert len(done[reading:]) > 20


def test_a_limit_of_memory_changes_how_many_vectors_are_tried_and_one_too_low_is_refused(made):
    with pytest.raises(MemoryLimitError, match="learning of 120 items needs at least") as caught:
        made.train("label", max_memory_bytes=10_000)
    assert made.train("label", max_memory_bytes=caught.value.need_bytes).report.kept


def test_the_command_says_before_and_after_and_writes_the_folder(made, tmp_path, capsys):
    folder = tmp_path / "my-model"
    assert main(["train", str(made.path), "--label", "label", "-o", str(folder)]) == 0
    said = capsys.readouterr()

    report = json.loads((folder / "report.json").read_text())
    change = report["average_precision"]
    assert f"mAP among all others: {change['before']:.3f} -> {change['after']:.3f} (" in said.out
    assert "\n30 pictures asked that were held out, of 120 of 6 classes; then all were learned" in said.out
    assert f"use it: lookalike build {made.path} --model {folder} -c NEW.lookalike" in said.err
    assert sorted(path.name for path in folder.iterdir()) == [
        "head.npz", "model.json", "report.json", "words.json", "words.npy"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--label", "label", "--weight", "revenue"], "--weight is for --events"),
        (["--label", "label", "--loss", "triplet"], "--loss is for --method finetune"),
        (["--events", "clicks.csv", "--loss", "triplet"], "--loss is for --method finetune"),
        (["--pairs", "same.csv", "--for", "new"], "--for is for --label"),
        (["--pairs", "same.csv", "--loss", "triplet"], "--loss is for --method finetune"),
        (["--events", "clicks.csv", "--for", "new"], "--for is for --label"),
    ],
)
def test_what_belongs_to_another_way_of_learning_is_refused(made, tmp_path, capsys, words, says):
    assert main(["train", str(made.path), "-o", str(tmp_path / "m"), *words]) == 1
    assert says in capsys.readouterr().err


def test_evaluating_what_a_model_learned_from_is_warned_of(made, learned, tmp_path, capsys):
    learned.save(tmp_path / "m")
    lookalike.build(made.path, tmp_path / "better", model=tmp_path / "m")

    assert main(["evaluate", str(tmp_path / "better")]) == 0
    assert (
        "m was trained: for items that it learned from, these measures are too good"
        in capsys.readouterr().err
    )
    assert main(["evaluate", str(tmp_path / "better"), "--query-where", "id < '00050'"]) == 0
    assert "was trained" not in capsys.readouterr().err


def test_a_folder_that_exists_is_refused_before_anything_is_learned(made, tmp_path, capsys):
    (tmp_path / "m").mkdir()

    assert main(["train", str(made.path), "--label", "label", "-o", str(tmp_path / "m")]) == 1
    assert "exists already\n  give another folder as --out" in capsys.readouterr().err


def test_nothing_to_learn_from_is_said(made, capsys, tmp_path):
    assert main(["train", str(made.path), "-o", str(tmp_path / "m")]) == 1
    assert (
        "nothing to learn from\n  name a column of labels: --label, or a file of --pairs, --triplets"
        in capsys.readouterr().err
    )


def test_a_report_is_json(learned):
    assert json.loads(json.dumps(asdict(learned.report)))["method"] == learned.report.method


def test_classes_of_two_are_taken_for_new_ones_and_held_out_whole(tmp_path):
    made = collection_of(tmp_path / "c.lookalike", classes=60, each=2)

    report = made.train("label").report

    assert (report.question, report.queries) == ("new", 30)
    assert report.average_precision.gain > 0.1

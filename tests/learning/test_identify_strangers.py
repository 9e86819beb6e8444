"""Whether identification tells pictures of other things, where a model has learned labels."""

import numpy as np
import pytest
from test_identify import leaves, stored

import lookalike
from lookalike.learning.saving import REPORT, save_head
from lookalike.models.head_model import Branch, Layer


@pytest.fixture
def made_by(tmp_path):
    """A function that makes a collection of leaves by a head of some branches."""

    def make(*branches: Branch) -> lookalike.Collection:
        vectors, kinds = leaves(90)
        trees = stored(tmp_path, vectors, label=kinds)
        save_head(tmp_path / "m", "m", trees.snapshot.manifest.model, branches)
        (tmp_path / "m" / REPORT).write_text("{}")
        return lookalike.build(trees.path, tmp_path / "made.lookalike", model=f"{tmp_path}/m/")

    return make


DIRECTIONS = Branch((Layer(np.eye(16, 4, dtype=np.float32), np.zeros(4, np.float32)),))


def test_a_model_that_learned_labels_and_keeps_nothing_of_its_base_is_said_not_to_know_strangers(made_by):
    collection = made_by(DIRECTIONS)
    answer = collection.identify(lookalike.Vector(np.eye(4, dtype=np.float32)[0]))

    assert answer.knows_strangers is False
    assert answer.as_dict()["knows_strangers"] is False
    assert collection.identify_missing().knows_strangers is False


def test_a_model_that_keeps_its_base_knows_strangers(made_by):
    collection = made_by(DIRECTIONS, Branch((), weight=0.3))
    answer = collection.identify(lookalike.Vector(np.eye(20, dtype=np.float32)[0]))

    assert answer.knows_strangers is True
    assert collection.identify_missing().knows_strangers is True


def test_the_command_says_where_a_model_does_not_know_strangers(made_by, run):
    path = made_by(DIRECTIONS).path

    code, _, said = run("identify", path, "id:003")
    assert code == 0
    assert said.startswith(
        "the model has learned to tell labels apart, and takes many pictures of other things"
    )

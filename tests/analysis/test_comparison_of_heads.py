"""Models that sit on the vectors of another are compared without embedding the pictures again."""

from __future__ import annotations

import shutil
from itertools import count

import numpy as np
import pytest
from conftest import strict_json, write_pictures

import lookalike
from lookalike.analysis.comparison import compare
from lookalike.learning.saving import save_head
from lookalike.models.head_model import Layer
from lookalike.sources.originals import Originals

_NUMBERS = count()


class Counting:
    """A model of the mean colour, which counts the pictures that it embeds."""

    dim, size_px = 4, 8

    def __init__(self) -> None:
        self.name, self.embedded = f"counting-{next(_NUMBERS)}", 0

    def features(self, pixels):
        self.embedded += len(pixels)
        means = pixels.reshape(len(pixels), -1, 3).mean(axis=1)
        return np.concatenate([means, np.full((len(pixels), 1), 100)], axis=1).astype(np.float32)


@pytest.fixture
def base():
    model = Counting()
    lookalike.register(model)
    return model


def heads(base, folder, names):
    """The folders of heads that each leave out another number."""
    spec = lookalike.register(base).spec
    for number, name in enumerate(names):
        matrix = np.delete(np.eye(4, dtype=np.float32), number, axis=1)
        save_head(folder / name, name, spec, [Layer(matrix, np.zeros(3, np.float32))])
    return [str(folder / name) for name in names]


def is_embedded_once(base, compared):
    """Whether the 12 pictures were embedded once, besides what it takes to time each model and to try it."""
    timed = len(compared.contenders) * (4 + 12)
    return 12 + timed <= base.embedded < 24 + timed


def test_heads_of_one_model_share_its_vectors(base, tmp_path):
    pictures = write_pictures(tmp_path / "pictures", 12)
    models = heads(base, tmp_path, ["one", "two", "three"])

    compared = compare(pictures, models, "folder", tmp_path / "kept", ks=(1,))

    assert {one.model for one in compared.contenders} == {"one", "two", "three"}
    assert is_embedded_once(base, compared)
    alone = [compare(pictures, [one], "folder", tmp_path / "alone", ks=(1,)) for one in models]
    assert {one.model: one.evaluation for one in compared.contenders} == {
        one.contenders[0].model: one.contenders[0].evaluation for one in alone
    }


def test_a_head_takes_the_vectors_of_a_compared_model(base, tmp_path):
    pictures = write_pictures(tmp_path / "pictures", 12)
    (head,) = heads(base, tmp_path, ["one"])

    compared = compare(pictures, [base.name, head], "folder", tmp_path / "kept", ks=(1,))

    assert is_embedded_once(base, compared)


def test_a_collections_own_vectors_need_no_picture(base, tmp_path, run):
    pictures = write_pictures(tmp_path / "pictures", 12)
    made = lookalike.build(pictures, tmp_path / "c", model=base, label="folder")
    (head,) = heads(base, tmp_path, ["one"])
    shutil.rmtree(pictures)
    before = base.embedded

    code, stdout, _ = run("evaluate", made.path, "--models", f"{base.name},{head}", "-k", 1, "--json")

    contenders = {one["model"]: one for one in strict_json(stdout)["contenders"]}
    assert (code, contenders.keys(), base.embedded) == (0, {base.name, "one"}, before)
    assert contenders[base.name]["evaluation"]["overall"] == {
        name: {"value": one.value, "low": one.low, "high": one.high}
        for name, one in made.evaluate(ks=(1,)).overall.items()
    }


def test_a_kept_collection_of_a_head_is_made_anew_of_another_collection(base, tmp_path):
    (head,) = heads(base, tmp_path, ["one"])
    for name in ("a", "b"):
        made = lookalike.build(
            write_pictures(tmp_path / name, 12), tmp_path / f"{name}.lookalike", model=base
        )
        (one,) = compare(
            Originals(made.snapshot), [head], None, tmp_path / "kept", column="folder", ks=(1,)
        ).contenders
        assert one.evaluation.queries == 12

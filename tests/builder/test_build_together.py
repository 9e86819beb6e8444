"""Several models build their collections in one run: each picture is read and decoded once."""

from __future__ import annotations

import threading
import time
from collections import Counter

import numpy as np
import pytest
from conftest import write_picture

import lookalike
from lookalike.analysis.comparison import collection_of, compare
from lookalike.builder import together
from lookalike.builder.together import build_together
from lookalike.errors import LookalikeError
from lookalike.images import decoding
from lookalike.models.model import Model
from lookalike.sources.folder import Folder


class Slow:
    """A model that sees 8 pixels a side, and takes its time."""

    name, dim, size_px = "slow-for-tests", 4, 8

    def features(self, pixels):
        time.sleep(0.02)
        return pixels.reshape(len(pixels), -1)[:, :4].astype(np.float32) + 1


@pytest.fixture
def pile(tmp_path):
    for number in range(40):
        write_picture(tmp_path / "pile" / "ab"[number % 2] / f"{number:02}.jpg", number)
    (tmp_path / "pile" / "a" / "broken.jpg").write_bytes(b"no picture")
    return tmp_path / "pile"


@pytest.fixture
def decoded(monkeypatch):
    """How often each picture was decoded, by its bytes, and for how many pixels."""
    counts, covers, lock, decode = Counter(), set(), threading.Lock(), decoding.decode

    def counted(data, cover_px, *rest):
        with lock:
            counts[data] += 1
            covers.add(cover_px)
        return decode(data, cover_px, *rest)

    monkeypatch.setattr(decoding, "decode", counted)
    return counts, covers


def built(pile, tmp_path, *models: Model | str, cover_px: int = 224, **options):
    roots = {tmp_path / f"{number}.lookalike": model for number, model in enumerate(models)}
    reports = build_together(Folder(pile), roots, cover_px=cover_px, label="folder", **options)
    return [lookalike.open(root) for root in roots], list(reports.values())


def test_each_picture_is_decoded_once_for_the_model_that_needs_most_pixels(
    pile, tmp_path, decoded, monkeypatch
):
    monkeypatch.setattr(together, "_AHEAD", 4)
    counts, covers = decoded

    collections, reports = built(pile, tmp_path, "pixels", "colors", Slow())

    assert [(one.embedded, one.failed) for one in reports] == [(40, 1)] * 3
    assert {data: count for data, count in counts.items() if data != b"no picture"} == dict.fromkeys(
        [path.read_bytes() for path in pile.rglob("[0-9]*.jpg")], 1
    )
    assert covers == {224}
    assert [one.manifest.model.name for one in collections] == ["pixels", "colors", "slow-for-tests"]
    assert [one.items(["label"])["label"].to_pylist()[:2] for one in collections] == [["a", "a"]] * 3


def test_a_picture_too_large_to_be_held_is_decoded_for_each_model(pile, tmp_path, decoded, monkeypatch):
    monkeypatch.setattr(decoding, "_SHARED_BYTES", 1000)

    _, reports = built(pile, tmp_path, "pixels", "colors")

    assert [one.embedded for one in reports] == [40, 40]
    assert set(decoded[0].values()) == {2}


@pytest.mark.parametrize(
    ("model", "name"),
    [("efficientnet-lite0", "efficientnet-lite0"), ("hf:google/siglip2", "hf_google_siglip2"), ("..", "..")],
)
def test_a_collection_of_any_model_has_a_name_that_is_a_file(model, name, tmp_path):
    assert collection_of(tmp_path, model) == tmp_path / f"{name}.lookalike"


def test_the_vectors_of_the_model_that_needs_most_pixels_are_those_of_its_own_build(pile, tmp_path):
    collections, _ = built(pile, tmp_path, "colors", "pixels")
    alone = lookalike.build(pile, tmp_path / "alone.lookalike", model="pixels", label="folder")

    assert collections[1].ids == alone.ids
    assert (collections[1].embeddings() == alone.embeddings()).all()


def test_a_collection_that_is_there_takes_nothing_and_holds_up_no_other(pile, tmp_path, decoded, monkeypatch):
    monkeypatch.setattr(together, "_AHEAD", 2)
    lookalike.build(pile, tmp_path / "0.lookalike", model="colors", label="folder")
    write_picture(pile / "b" / "new.jpg", 99)

    _, reports = built(pile, tmp_path, "colors", "pixels")

    assert [one.embedded for one in reports] == [1, 41]
    assert decoded[0][(pile / "b" / "new.jpg").read_bytes()] == 1


def test_the_progress_is_that_of_all_builds(pile, tmp_path):
    said = []

    built(pile, tmp_path, "colors", "pixels", on_progress=lambda done, total: said.append((done, total)))

    assert said[-1] == (82, 82)
    assert [done for done, _ in said] == list(range(1, 83))


def test_if_one_build_fails_the_others_stop(pile, tmp_path, monkeypatch):
    monkeypatch.setattr(together, "_AHEAD", 4)

    class Failing(Slow):
        name = "failing-for-tests"

        def features(self, pixels):
            if len(pixels) != 2:  # as it is tried at first
                raise RuntimeError("no memory")
            return super().features(pixels)

    with pytest.raises((RuntimeError, LookalikeError), match="no memory"):
        built(pile, tmp_path, "pixels", Failing(), part_size=8)

    assert len(lookalike.open(tmp_path / "0.lookalike")) < 40
    assert lookalike.build(pile, tmp_path / "0.lookalike").report.failed == 1


def test_models_are_compared_with_one_decode_of_each_picture(pile, tmp_path, decoded, monkeypatch):
    monkeypatch.setattr("lookalike.analysis.comparison._speed", lambda source, model: 1.0)

    compared = compare(pile, ["pixels", "colors", Slow()], "folder", tmp_path / "kept", ks=(1,))

    assert {one.model for one in compared.contenders} == {"pixels", "colors", "slow-for-tests"}
    assert set(decoded[0].values()) == {1, 3}  # the damaged file three times

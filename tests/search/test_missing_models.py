"""A collection whose model needs a library that is not installed: all that its vectors allow still works."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest
from building import edit_manifest
from conftest import build, picture, write_pictures

import lookalike
from lookalike.errors import ExtraError, ModelError, UnknownWordError

SPEC = {"name": "hf:org/clip", "sha256": "0" * 64, "dim": 192, "size_px": 224, "crop": 1.0}


@pytest.fixture
def alone(tmp_path, monkeypatch):
    """42 pictures of bricks, meadows and seas in such folders, by a model of transformers with a tower."""
    monkeypatch.setitem(sys.modules, "transformers", None)
    made = build(write_pictures(tmp_path / "photos", 42), tmp_path / "photos.lookalike")[0]
    return edit_manifest(made, model={**SPEC, "text_sha256": "1" * 64})


def test_its_own_words_are_searched(alone):
    found = alone.search(lookalike.Text("meadow"), k=14)

    assert {id_.split("/")[0] for id_ in found.ids} == {"meadow"}


def test_beside_its_own_words_it_is_said_why_others_were_not_asked_of_the_model(alone):
    meant = alone.search(lookalike.Text("a red meadow at night"), k=1).meant[0]

    assert meant.lines[-1].startswith("unknown, and left out: night (this model needs transformers (")
    assert meant.as_dict()["missing"].startswith("this model needs transformers (")


@pytest.mark.parametrize("query", [lookalike.Text("motorcycle"), picture(1)], ids=["word", "picture"])
def test_what_only_the_model_knows_is_an_error_that_says_what_to_install(alone, query):
    with pytest.raises(ModelError, match="this model needs transformers") as caught:
        alone.search(query)

    assert isinstance(caught.value, ExtraError)
    assert re.search(r"-m pip install .*transformers", caught.value.hint)


def test_a_word_nearly_right_is_corrected(alone):
    with pytest.raises(UnknownWordError, match="'meadwo' is unknown: its model is not here") as caught:
        alone.search(lookalike.Text("meadwo"))

    assert caught.value.nearest == ["meadow"]


def test_it_is_exported_as_a_site_that_says_that_more_words_are_elsewhere(alone, tmp_path):
    site = Path(alone.export(tmp_path / "site", to="site"))

    entry = json.loads((site / "collections.json").read_text())["collections"][0]
    assert (entry["words"], entry["words_elsewhere"]) == (True, True)


def test_it_has_clusters(alone):
    assert len(alone.cluster(2)) == 2

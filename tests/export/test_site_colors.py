"""Colours as words of a site: the same answers as Python's, and what is said where there are none."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import build, write_picture
from site_browser import serving, tab
from test_site_networks import entry
from test_site_texts import SEARCH

import lookalike
from lookalike.export import export_site
from lookalike.search import colored

PAINTS = {
    "red": [(229, 0, 0), (132, 0, 0), (255, 71, 76)],
    "green": [(21, 176, 26), (3, 53, 0), (150, 249, 123)],
    "blue": [(3, 67, 223), (0, 3, 91), (149, 208, 252)],
}


@pytest.fixture(scope="module")
def collection(tmp_path_factory: pytest.TempPathFactory) -> lookalike.Collection:
    """Nine pictures, plain, dark and light, of two labels that say nothing of their colours."""
    root = tmp_path_factory.mktemp("painted")
    for name, colors in PAINTS.items():
        for at, color in enumerate(colors):
            write_picture(root / "in" / ("door" if at < 2 else "wall") / f"{name}{at}.png", at, color)
    return build(root / "in", root / "c.lookalike", model="pixels", label="folder")[0]


@pytest.fixture(scope="module")
def site(collection: lookalike.Collection, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_site(collection.snapshot, tmp_path_factory.mktemp("exported") / "site")


def test_each_picture_has_its_shares_of_the_named_colours(collection, site, tmp_path):
    (path,) = site.glob("data/*/colors.bin")
    names = entry(site)["colors"]
    assert isinstance(names, list)

    shares = np.frombuffer(path.read_bytes(), np.uint8).reshape(9, len(names))

    assert (shares == colored.shares_of(collection.snapshot)).all()
    few = export_site(collection.snapshot, tmp_path / "few", max_items=2)
    (path,) = few.glob("data/*/colors.bin")
    assert path.stat().st_size == 2 * len(names)


def test_a_site_of_too_many_pictures_knows_no_colours_and_that_is_said(
    collection, tmp_path, monkeypatch, caplog
):
    (collection.path / "derived" / "colors.npz").unlink(missing_ok=True)
    monkeypatch.setattr(colored, "MOST_ITEMS", 8)

    with caplog.at_level(logging.INFO, "lookalike.export"):
        site = export_site(collection.snapshot, tmp_path / "site")

    assert "colors" not in entry(site)
    assert "the site knows no colours: the colours of 9 pictures are not known, the limit is 8" in caplog.text
    assert not list(site.glob("data/*/colors.bin"))


def searched(window: Any, site: Path, *texts: str) -> list[Any]:
    with serving(site) as server, tab(window, server.url) as page:
        page.get_by_text("9 pictures").wait_for()
        return [page.evaluate(SEARCH, [text, 6]) for text in texts]


TEXTS = ("green", "dark gray", "light red", "a blue door", "red walls in the nowhere")


def test_colours_find_what_they_find_in_python(window, collection, site):
    for text, answer in zip(TEXTS, searched(window, site, *TEXTS), strict=True):
        wanted = collection.search(lookalike.Text(text), 6)
        found = [(hit["score"], hit["confidence"]) for hit in answer["hits"]]
        assert found == [pytest.approx((hit.score, hit.confidence), abs=0.03) for hit in wanted], text
        assert answer["words"][0] == wanted.meant[0].as_dict(), text


def test_a_colour_names_its_dark_and_light_kinds_too(window, site):
    (answer,) = searched(window, site, "green")

    assert {hit["id"].split("/")[-1] for hit in answer["hits"][:3]} == {
        "green0.png",
        "green1.png",
        "green2.png",
    }
    assert answer["hits"][2]["confidence"] > 0.8
    assert answer["hits"][3]["confidence"] < 0.3


def test_a_colour_cannot_be_unwanted(window, site):
    script = SEARCH.replace("weight: 1", "weight: -1")

    with serving(site) as server, tab(window, server.url) as page:
        refused = page.evaluate(script, ["green", 6])

    assert refused == ["bad-parameter", "A colour cannot be unwanted", "Leave out: green."]

"""What the tests of the views share: a collection with all that can be derived from it, and its page."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from conftest import build, write_pictures
from pages import Page, see, watch
from serving import running

import lookalike
from lookalike.analysis.plan import keep_plan, make_plan


def derive_all(made: lookalike.Collection) -> None:
    """Three clusters, a map, outliers by five neighbours, and duplicates of all kinds but edits."""
    made.cluster(3, write=True)
    made.map(write=True)
    made.outliers(k=5, write=True)
    tiers = ("bytes", "pixels", "copy")
    found = made.duplicates()
    keep_plan(found.state, found.items, make_plan(found, made.path, tiers=tiers), tiers=tiers)


@pytest.fixture(scope="module")
def analysed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where 25 pictures are served, one of them twice, with all views; and the same by another model."""
    folder = tmp_path_factory.mktemp("analysed")
    source = write_pictures(folder / "photos", 24)
    shutil.copy(source / "sea" / "sea-002.png", source / "sea" / "again.png")
    made, _ = build(source, folder / "photos.lookalike", label="folder")
    other, _ = build(source, folder / "pixels.lookalike", label="folder", model="pixels")
    derive_all(made)
    with running(made, other) as url:
        yield url


@pytest.fixture
def seen(window: Any, analysed: str, errors: list[str]) -> Iterator[Page]:
    page = window.new_page()
    watch(page, errors)
    page.goto(f"{analysed}#c=photos")
    see(page, "25 pictures")
    yield page
    page.close()
    assert errors == []


def view(page: Page, name: str) -> Any:
    page.get_by_role("group", name="Views").get_by_role("button", name=name).click()
    return page.locator("#view")

"""Words on the page: the collection's own are offered while one types, and it is said whose they are."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from conftest import build, write_pictures
from pages import Page, expect, ids, tile
from serving import running
from site_browser import tab
from towers import write_model_of_classes, write_numbered


def field(page: Page) -> Page:
    return page.get_by_role("combobox", name="Search by words")


def test_own_words_are_offered_while_one_types(page: Page) -> None:
    field(page).press_sequentially("a me")

    expect(page.locator("#known-words option")).to_have_attribute("value", "a meadow")
    assert page.locator("#known-words option").get_attribute("label") == "meadow: your label, 14 pictures"


def test_a_search_for_a_label_says_so_and_what_it_left_out(page: Page) -> None:
    field(page).fill("meadows at dawn")
    field(page).press("Enter")

    expect(page.locator("#meant")).to_have_text(
        "meadow: your label, 14 pictures · unknown, and left out: dawn"
    )
    assert [id_.split("/")[0] for id_ in ids(page)[:5]] == ["meadow"] * 5

    page.get_by_role("link", name="Lookalike, all pictures").click()
    expect(page.locator("#meant")).to_be_hidden()


def test_an_unknown_word_offers_the_own_word_that_may_be_meant(page: Page, errors: list[str]) -> None:
    field(page).fill("meadwo")
    field(page).press("Enter")
    page.locator("#words-error").get_by_role("button", name="meadow").click()

    expect(page.locator("#meant")).to_have_text("meadow: your label, 14 pictures")
    assert "400" in errors.pop()


def test_a_model_with_a_text_tower_takes_any_words_and_offers_no_list(
    window: Any, target: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    numbered = write_numbered(tmp_path / "numbered", 12)
    collection, _ = build(numbered, target, model=str(write_model_of_classes(tmp_path / "classes")))

    with running(collection) as url, tab(window, url) as page:
        field(page).press_sequentially("da")
        expect(page.locator("#known-words option")).to_have_count(0)  # the built-in network knows daisy
        field(page).fill("Sea")
        field(page).press("Enter")
        expect(page.locator(".tile .score").first).to_be_visible()
        assert set(ids(page)[:4]) == {"2.png", "5.png", "8.png", "11.png"}
        field(page).fill("a brick")
        field(page).press("Enter")
        expect(page.locator(".tile .score").first).to_be_visible()
        assert page.get_by_text("does not know").count() == 0


def test_where_the_model_is_missing_it_is_said_why_words_were_left_out(
    window: Any, target: Path, tmp_path: Path
) -> None:
    classes = write_model_of_classes(tmp_path / "classes")
    collection, _ = build(write_pictures(tmp_path / "photos", 6), target, model=str(classes))
    shutil.rmtree(classes)

    with running(collection) as url, tab(window, url) as page:
        field(page).fill("a meadow at dawn")
        field(page).press("Enter")

        expect(page.locator("#meant")).to_contain_text(
            "unknown, and left out: dawn (the model tiny-clip, which embedded"
        )


def test_thumbs_on_hits_refine_the_search_and_stay_in_the_address(page: Page) -> None:
    field(page).fill("sea")
    field(page).press("Enter")
    expect(page.locator("#meant")).to_have_text("sea: your label, 14 pictures")
    marks = (
        ("add", "sea/sea-002.png"),
        ("add", "sea/sea-005.png"),
        ("subtract", "meadow/meadow-001.jpg"),
        ("subtract", "meadow/meadow-004.jpg"),
    )
    for count, (action, id_) in enumerate(marks, start=2):
        tile(page, id_).hover()
        tile(page, id_).locator(f"[data-action={action}]").click()
        expect(page.locator(".chip")).to_have_count(count)

    expect(page.locator("#meant")).to_contain_text("Refined by")
    assert [id_.split("/")[0] for id_ in ids(page)[:5]] == ["sea"] * 5
    page.reload()
    expect(page.locator("#meant")).to_contain_text("Refined by")

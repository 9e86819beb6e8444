"""Words on the page: the collection's own are offered while one types, and it is said whose they are."""

from __future__ import annotations

from pages import Page, expect, ids


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

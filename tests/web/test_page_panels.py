"""The sides of the page: filters, details, parts of pictures, words, and other collections."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import build
from pages import PHOTO, Page, expect, focused, fragment, ids, open_item, see, see_hits, tile, watch
from serving import running

import lookalike
from lookalike.demo.flowers import write_flowers


@pytest.fixture(scope="module")
def two(collection: lookalike.Collection, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where two collections are served: one that knows words, and the one that does not."""
    folder = tmp_path_factory.mktemp("words")
    write_flowers(folder / "few", count=9)
    words, _ = build(folder / "few", folder / "few.lookalike", model="efficientnet-lite0")
    with running(words, collection) as url:
        yield url


@pytest.fixture
def worded(window: Any, two: str, errors: list[str]) -> Iterator[Page]:
    """The page with the collection of 9 pictures that knows words."""
    page = window.new_page()
    watch(page, errors)
    page.goto(two)
    see(page, "9 pictures")
    yield page
    page.close()
    assert errors == []


# Filters.


def test_values_are_chosen_with_counts_and_stay_in_the_address(page: Page) -> None:
    page.get_by_role("button", name="Filters", exact=True).click()
    brick = page.get_by_role("checkbox", name="brick 14")
    brick.check()
    see(page, "14 of 42 pictures")
    assert {id_.split("/")[0] for id_ in ids(page)} == {"brick"}
    page.get_by_role("checkbox", name="sea 14").check()
    see(page, "28 of 42 pictures")
    assert fragment(page) == "c=photos&f=is:label:tbrick&f=is:label:tsea"
    page.reload()
    see(page, "28 of 42 pictures")
    page.get_by_role("button", name="Remove the filter brick").click()
    see(page, "14 of 42 pictures")
    page.go_back()
    see(page, "28 of 42 pictures")


def test_a_search_stays_within_the_filters(page: Page) -> None:
    page.keyboard.press("f")
    page.get_by_role("checkbox", name="sea").check()
    see(page, "14 of 42 pictures")
    tile(page, ids(page)[3]).click()
    expect(page.locator("#status")).to_contain_text("of 14 pictures")
    assert {id_.split("/")[0] for id_ in ids(page)} == {"sea"}


def test_a_range_of_numbers_filters(page: Page) -> None:
    page.keyboard.press("f")
    low = page.get_by_role("slider", name="File size from")
    low.evaluate("slider => { slider.value = Number(slider.max) - 1; }")
    low.dispatch_event("input")
    low.dispatch_event("change")
    expect(page.locator("#chosen li")).to_have_count(1)
    assert 0 < len(ids(page)) < 42


def test_a_condition_filters_and_its_error_is_shown_at_the_field(page: Page, errors: list[str]) -> None:
    page.keyboard.press("f")
    page.get_by_text("Condition in SQL").click()
    field = page.get_by_label("Pictures where")
    field.fill("label = 'sea' AND")
    field.press("Enter")
    expect(page.locator("#where-error")).to_contain_text("something is missing")
    assert field.get_attribute("aria-invalid") == "true"
    assert len(ids(page)) == 42
    assert "400" in errors.pop()
    field.fill("label = 'sea' AND id LIKE '%2.png'")
    field.press("Enter")
    see(page, "2 of 42 pictures")
    assert page.locator("#where-error").text_content() == ""
    page.get_by_role("button", name="Remove the condition").click()
    see(page, "42 pictures")


def test_filters_that_leave_nothing_say_so_and_can_be_cleared(page: Page) -> None:
    page.goto(f"{page.url.partition('#')[0]}#c=photos&where=width<3")
    expect(page.get_by_role("heading", name="No pictures found")).to_be_visible()
    page.get_by_role("button", name="Clear the filters").click()
    see(page, "42 pictures")


# Details.


def test_details_show_the_original_what_is_known_and_what_is_alike(page: Page, photos: Path) -> None:
    tile(page, "sea/sea-002.png").hover()
    tile(page, "sea/sea-002.png").get_by_role("button", name="Details").click()
    details = page.get_by_role("complementary", name="sea")
    expect(details.locator(".stage img")).to_have_attribute("src", re.compile("/images/sea%2Fsea-002.png"))
    facts = details.locator(".facts").inner_text()
    assert "sea/sea-002.png" in facts
    assert "64 \N{MULTIPLICATION SIGN} 48" in facts
    expect(details.locator(".neighbours img")).to_have_count(12)
    assert fragment(page) == "c=photos&item=sea/sea-002.png"
    details.get_by_role("button", name="Close the details").click()
    expect(details).to_be_hidden()


def test_details_say_why_a_hit_was_found(page: Page) -> None:
    id_ = open_item(page)
    tile(page, ids(page)[2]).hover()
    tile(page, ids(page)[2]).get_by_role("button", name="Details").click()
    why = page.locator(".why")
    expect(why.locator("figure img")).to_have_count(2)
    assert (
        why.locator("figure img").first.get_attribute("src").split("?")[0].endswith(id_.replace("/", "%2F"))
    )
    assert (
        why.locator(".score-text").text_content() == tile(page, ids(page)[2]).locator(".score").text_content()
    )


def test_a_part_drawn_on_a_picture_is_searched_by(page: Page) -> None:
    page.goto(f"{page.url.partition('#')[0]}#c=photos&item=sea/sea-002.png")
    expect(page.locator(".neighbours img")).to_have_count(12)
    box = page.locator(".stage").bounding_box()
    page.mouse.move(box["x"] + 20, box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] + 160, box["y"] + 130, steps=3)
    page.mouse.up()
    see_hits(page, "Part of sea")
    assert page.locator(".frame").is_visible()
    hits = ids(page)
    page.reload()
    see_hits(page, "Part of sea")
    assert ids(page) == hits


def test_a_part_of_an_own_picture_is_chosen_with_keys(page: Page) -> None:
    page.locator("#file").set_input_files(PHOTO)
    see_hits(page, "holiday.png")
    page.locator(".chip-main").click()
    page.get_by_role("button", name="Show it, or choose a part").click()
    surface = page.get_by_role("button", name="Choose a part of the picture")
    for key in ("Enter", "ArrowRight", "Shift+ArrowDown", "Enter"):
        surface.press(key)
    see_hits(page, "Part of holiday.png")
    assert page.locator(".frame").is_visible()


# Words, and other collections.


def test_words_search_where_the_model_knows_them(worded: Page) -> None:
    worded.keyboard.press("/")
    worded.keyboard.type("daisy")
    worded.keyboard.press("Enter")
    expect(worded.locator(".chip-name")).to_have_text("daisy")
    worded.keyboard.type("-bee")
    worded.keyboard.press("Enter")
    expect(worded.locator(".chip.less .chip-name")).to_have_text("bee")
    assert fragment(worded) == "c=few&q=text:daisy&q=-1*text:bee"
    worded.keyboard.press("Backspace")
    worded.keyboard.press("Delete")
    expect(worded.locator(".chip")).to_have_count(1)
    worded.keyboard.press("/")
    worded.keyboard.press("ArrowDown")
    assert focused(worded) == ids(worded)[0]


def test_the_error_of_a_condition_is_in_sight_in_a_low_window(page: Page, errors: list[str]) -> None:
    page.set_viewport_size({"width": 1100, "height": 420})
    page.keyboard.press("f")
    page.get_by_text("Condition in SQL").click()
    page.get_by_label("Pictures where").fill("label = 'sea' AND")
    page.get_by_label("Pictures where").press("Enter")
    expect(page.locator("#where-error")).to_be_in_viewport(ratio=1)
    assert "400" in errors.pop()


def test_the_part_of_a_search_that_was_added_last_is_in_sight(worded: Page) -> None:
    worded.set_viewport_size({"width": 390, "height": 700})
    for count, word in enumerate(("daisy", "broccoli", "-butterfly"), start=1):
        worded.get_by_role("combobox", name="Search by words").fill(word)
        worded.keyboard.press("Enter")
        expect(worded.locator(".chip")).to_have_count(count)
    expect(worded.locator(".chip").last).to_be_in_viewport(ratio=0.9)


def test_an_unknown_word_is_explained_at_the_field(worded: Page, errors: list[str]) -> None:
    field = worded.get_by_role("combobox", name="Search by words")
    field.fill("daisi")
    field.press("Enter")
    expect(worded.locator("#words-error")).to_contain_text("daisy")
    assert field.input_value() == "daisi"
    see(worded, "9 pictures")
    assert "400" in errors.pop()


def test_a_word_that_is_spelled_alike_is_one_click_away(worded: Page, errors: list[str]) -> None:
    field = worded.get_by_role("combobox", name="Search by words")
    field.fill("-daisyy")
    field.press("Enter")
    worded.locator("#words-error").get_by_role("button", name="daisy").click()
    expect(worded.locator(".chip.less")).to_have_count(1)
    assert "400" in errors.pop()


def test_an_address_with_an_unknown_word_offers_the_nearest(worded: Page, errors: list[str]) -> None:
    worded.evaluate("location.hash += '&q=text:daisyy'")
    worded.reload()
    worded.get_by_role("link", name="daisy", exact=True).click()
    expect(worded.locator(".chip")).to_have_count(1)
    errors.clear()


def test_another_collection_is_chosen_and_has_its_own_abilities(worded: Page) -> None:
    worded.get_by_label("Collection").select_option("photos")
    see(worded, "42 pictures")
    assert fragment(worded) == "c=photos"
    assert worded.get_by_role("combobox", name="Search by words").is_visible()  # for the labels there
    worded.go_back()
    see(worded, "9 pictures")


def test_an_own_picture_goes_along_to_a_collection_of_another_model(worded: Page) -> None:
    worded.locator("#file").set_input_files(PHOTO)
    see(worded, re.compile("^The most similar of 9 pictures"))
    worded.get_by_label("Collection").select_option("photos")
    see_hits(worded, "holiday.png")
    assert ids(worded)[0].startswith("meadow/")
    worded.reload()
    see_hits(worded, "holiday.png")
    worded.get_by_label("Collection").select_option("few")  # the file is gone since the reload
    see(worded, "9 pictures")
    assert fragment(worded) == "c=few"


def test_a_collection_that_is_not_there_is_explained(worded: Page, two: str) -> None:
    worded.goto(f"{two}#c=gone")
    worded.get_by_role("link", name="Show the first collection").click()
    see(worded, "9 pictures")


def test_a_collection_that_is_back_is_found_without_a_reload(worded: Page, two: str) -> None:
    listed = worded.request.get(f"{two}api/collections").json()
    here = [one for one in listed if one["name"] == "few"]
    worded.route("**/api/collections", lambda route: route.fulfill(json=here))
    worded.evaluate("location.hash = 'c=photos'")
    worded.reload()
    expect(worded.get_by_role("heading", name="This collection is not here")).to_be_visible()
    worded.unroute("**/api/collections")
    worded.evaluate("location.hash = 'c=photos&f=is:label:tsea'")
    see(worded, "14 of 42 pictures")

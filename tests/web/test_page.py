"""Exploring and searching on the page: clicks, own pictures, Back and reload, and what can go wrong."""

from __future__ import annotations

from typing import Any

import pytest
from conftest import picture
from pages import (
    NOTES,
    PHOTO,
    Page,
    expect,
    focused,
    fragment,
    ids,
    open_item,
    scrolled,
    see,
    see_hits,
    send_file,
    tile,
)
from serving import encoded

import lookalike


def make_small(page: Page) -> None:
    """A window in which the pictures scroll; returns when they are laid out in it."""
    page.set_viewport_size({"width": 400, "height": 500})
    page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


# Exploring.


def test_the_page_opens_with_the_pictures(page: Page) -> None:
    assert len(ids(page)) == 42
    assert page.title() == "photos · Lookalike"
    assert page.locator(".tile img").first.get_attribute("alt") == "brick, brick-000.jpg"
    assert page.locator(".score").count() == 0


def test_the_shape_of_a_tile_is_known_without_its_picture(page: Page) -> None:
    dot = encoded(picture(0, size=(1, 1)))
    page.route("**/thumbnails/**", lambda route: route.fulfill(body=dot, content_type="image/png"))
    page.reload()
    see(page, "42 pictures")
    box = page.locator(".tile").first.bounding_box()
    assert box["width"] / box["height"] == pytest.approx(64 / 48, rel=0.02)


def test_rows_are_filled_to_the_edge(page: Page) -> None:
    boxes = page.locator(".tile").evaluate_all("tiles => tiles.map((tile) => tile.getBoundingClientRect())")
    first_row = [box for box in boxes if box["y"] == boxes[0]["y"]]
    grid = page.locator("#pictures").bounding_box()
    assert len({round(box["height"]) for box in first_row}) == 1
    assert first_row[-1]["x"] + first_row[-1]["width"] == pytest.approx(grid["x"] + grid["width"], abs=1)


# Searching by a picture of the collection.


def test_a_click_searches_and_the_address_has_the_id(page: Page, collection: lookalike.Collection) -> None:
    id_ = open_item(page)
    assert fragment(page) == f"c=photos&q=id:{id_}"
    assert ids(page) == collection.search(lookalike.Id(id_), 42).ids
    assert page.locator(".score").first.text_content() == "0.83"
    assert page.locator(".score").count() == 41
    expect(page.locator(".tile").first).to_have_attribute("aria-setsize", "41")
    assert page.locator(".chip-name").text_content() == "brick"
    assert page.title() == "brick · photos · Lookalike"


def test_back_returns_to_the_place_among_all_pictures(page: Page) -> None:
    make_small(page)
    page.locator("#scroller").evaluate("scroller => (scroller.scrollTop = 700)")
    tile(page, "meadow/meadow-031.jpg").scroll_into_view_if_needed()
    before = scrolled(page)
    assert before > 600
    tile(page, "meadow/meadow-031.jpg").click()
    see_hits(page, "meadow")
    assert scrolled(page) == 0
    page.go_back()
    see(page, "42 pictures")
    assert fragment(page) in ("", "c=photos")
    assert page.locator(".chip").count() == 0
    assert scrolled(page) == pytest.approx(before, abs=2)


def test_back_from_a_search_among_hits_returns_to_the_place_among_them(page: Page) -> None:
    make_small(page)
    open_item(page)
    page.locator("#scroller").evaluate("scroller => (scroller.scrollTop = 700)")
    page.wait_for_timeout(100)
    clicked = page.locator(".tile[data-id]").evaluate_all(
        "tiles => tiles.find((tile) => tile.getBoundingClientRect().top > 200).dataset.id"
    )
    tile(page, clicked).click()
    expect(tile(page, clicked)).to_have_count(0)
    assert scrolled(page) == 0
    page.go_back()
    expect(tile(page, clicked)).to_be_in_viewport()
    assert scrolled(page) == pytest.approx(700, abs=2)
    assert focused(page) == clicked


def test_a_reload_keeps_the_place(page: Page) -> None:
    make_small(page)
    page.locator("#scroller").evaluate("scroller => (scroller.scrollTop = 700)")
    page.wait_for_timeout(300)
    page.reload()
    see(page, "42 pictures")
    assert scrolled(page) == pytest.approx(700, abs=2)


def test_forward_returns_to_the_hits_and_a_reload_keeps_them(page: Page) -> None:
    open_item(page)
    hits = ids(page)
    page.go_back()
    see(page, "42 pictures")
    page.go_forward()
    see_hits(page)
    assert ids(page) == hits
    page.reload()
    see_hits(page, "brick")
    assert ids(page) == hits


def test_a_click_with_control_opens_a_new_tab(page: Page) -> None:
    with page.context.expect_page() as opened:
        page.locator(".picture").first.click(modifiers=["ControlOrMeta"])
    see_hits(opened.value, "brick")
    opened.value.close()
    see(page, "42 pictures")


def test_an_unknown_id_offers_the_nearest_ones(page: Page, errors: list[str]) -> None:
    page.goto(f"{page.url.partition('#')[0]}#c=photos&q=id:sea/sea-002.pg")
    page.get_by_role("link", name="sea/sea-002.png").click()
    see_hits(page, "sea")
    assert fragment(page) == "c=photos&q=id:sea/sea-002.png"
    assert ids(page)[0] == "sea/sea-038.png"
    assert "404" in errors.pop()


def test_where_nothing_is_left_but_what_was_asked_with_the_page_says_so(page: Page) -> None:
    page.goto(f"{page.url.partition('#')[0]}#c=photos&q=id:sea/sea-002.png&where=id='sea/sea-002.png'")
    expect(page.get_by_role("heading", name="No other picture")).to_be_visible()
    expect(page.get_by_text("No other picture meets all filters.")).to_be_visible()
    expect(page.locator(".chip-name")).to_have_text("sea")
    page.get_by_role("button", name="Clear the filters").click()
    see_hits(page, "sea")
    assert len(ids(page)) == 41


# The query as chips.


def test_pictures_are_added_and_subtracted(page: Page) -> None:
    open_item(page, 0)
    tile(page, "sea/sea-002.png").hover()
    tile(page, "sea/sea-002.png").get_by_role("button", name="More like this too").click()
    expect(page.locator(".chip")).to_have_count(2)
    tile(page, "meadow/meadow-001.jpg").hover()
    tile(page, "meadow/meadow-001.jpg").get_by_role("button", name="Less like this").click()
    expect(page.locator(".chip.less")).to_have_count(1)
    terms = "q=id:brick/brick-000.jpg&q=id:sea/sea-002.png&q=-1*id:meadow/meadow-001.jpg"
    assert fragment(page) == f"c=photos&{terms}"
    page.get_by_role("button", name="Remove sea").click()
    expect(page.locator(".chip")).to_have_count(2)
    page.go_back()
    expect(page.locator(".chip")).to_have_count(3)


def test_a_chip_has_more_or_less_and_a_weight(page: Page) -> None:
    open_item(page, 0)
    page.get_by_role("button", name="More like brick: change").click()
    slider = page.get_by_role("slider", name="How much")
    slider.fill("2")
    expect(page.locator(".weight")).to_have_text("\N{MULTIPLICATION SIGN}2")
    page.locator("#editor").get_by_role("button", name="Less like this").click()
    expect(page.locator(".chip.less")).to_have_count(1)
    assert fragment(page) == "c=photos&q=-2*id:brick/brick-000.jpg"
    assert page.get_by_role("button", name="Less like brick, 2 times: change").is_visible()


# Searching by a picture of one's own.


def test_a_chosen_picture_searches(page: Page) -> None:
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Choose a picture").click()
    chooser.value.set_files(PHOTO)
    see_hits(page, "holiday.png")
    assert ids(page)[0].startswith("meadow/")
    assert page.locator(".chip img").evaluate("image => image.naturalWidth") == 56


@pytest.mark.parametrize("event", ["drop", "paste"])
def test_a_dropped_or_pasted_picture_searches(page: Page, event: str) -> None:
    if event == "drop":
        send_file(page, "dragover", PHOTO)
        assert page.get_by_text("Drop the picture to search").is_visible()
    send_file(page, event, PHOTO)
    see_hits(page, "holiday.png")
    assert ids(page)[0].startswith("meadow/")
    assert page.get_by_text("Drop the picture to search").is_hidden()


def test_an_own_picture_survives_a_reload_the_way_back_and_another_browser(page: Page, chromium: Any) -> None:
    page.locator("#file").set_input_files(PHOTO)
    see_hits(page, "holiday.png")
    hits = ids(page)
    page.reload()
    see_hits(page, "holiday.png")
    assert ids(page) == hits
    open_item(page, 3)
    page.go_back()
    see_hits(page, "holiday.png")
    assert ids(page) == hits

    other = chromium.new_page(viewport={"width": 1100, "height": 1200})
    other.goto(page.url)
    see_hits(other, "holiday.png")
    assert ids(other) == hits
    assert other.locator(".chip img").evaluate("image => image.naturalWidth") == 56
    other.close()


@pytest.mark.parametrize("event", ["choose", "drop"])
def test_a_file_that_is_no_picture_is_said_to_be_none_and_the_hits_stay(
    page: Page, errors: list[str], event: str
) -> None:
    open_item(page)
    hits, url = ids(page), page.url
    if event == "drop":
        send_file(page, "drop", NOTES)
    else:
        page.locator("#file").set_input_files(NOTES)
    expect(page.get_by_role("alert").locator("span")).to_contain_text("Not a readable image")
    assert (ids(page), page.url) == (hits, url)
    page.get_by_role("button", name="Dismiss").click()
    assert page.locator("#notice").is_hidden()
    assert "422" in errors.pop()


# When the server is gone.


def test_a_server_that_is_gone_is_said_to_be_and_can_be_tried_again(page: Page, errors: list[str]) -> None:
    page.route("**/search", lambda route: route.abort("connectionrefused"))
    page.locator(".tile").nth(4).click()
    notice = page.locator("#notice")
    expect(notice.locator("span")).to_contain_text("The server does not answer")
    assert len(ids(page)) == 42
    page.unroute("**/search")
    notice.get_by_role("button", name="Try now").click()
    see_hits(page, "brick")
    assert notice.is_hidden()
    assert all("ERR_CONNECTION_REFUSED" in error for error in errors)
    errors.clear()


def test_a_server_that_is_gone_from_the_start_is_explained_and_comes_back_by_itself(
    page: Page, errors: list[str]
) -> None:
    page.route("**/api/**", lambda route: route.abort("connectionrefused"))
    page.reload()
    expect(page.get_by_role("heading", name="The server does not answer")).to_be_visible()
    page.unroute("**/api/**")
    see(page, "42 pictures")
    assert page.locator("#message").is_hidden()
    assert [error for error in errors if "ERR_CONNECTION_REFUSED" not in error] == []
    errors.clear()


# How sure it is.


@pytest.mark.parametrize("is_chance", [True, False])
def test_a_weak_answer_looks_weak(page: Page, is_chance: bool) -> None:
    def weaken(route: Any) -> None:
        answer = route.fetch().json()
        for number, hit in enumerate(answer["hits"]):
            hit["confidence"] = 0.01 if is_chance or number > 1 else 0.95
        route.fulfill(json={**answer, "chance": is_chance})

    page.route("**/search", weaken)
    open_item(page)
    assert page.get_by_text("Nothing else here really looks like that").is_visible() == is_chance
    assert page.locator(".tile.weak").count() == (41 if is_chance else 39)
    expect(page.locator(".tile.weak.ready img").last).to_have_css("opacity", "0.5")

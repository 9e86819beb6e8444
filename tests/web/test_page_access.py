"""The page for everyone: by keyboard, by screen reader, on small screens, in the dark, without jumps."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from pages import Page, expect, focused, fragment, ids, open_item, see, see_hits, tile, watch
from serving import running

import lookalike
from lookalike.server.security import Access

AXE = os.environ.get("AXE_CORE", "")
SHIFTS = """() => new Promise((resolve) => {
  let sum = 0;
  const observer = new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) if (!entry.hadRecentInput) sum += entry.value;
  });
  observer.observe({ type: "layout-shift", buffered: true });
  setTimeout(() => resolve(sum), 100);
})"""


def test_the_keyboard_is_enough(page: Page) -> None:
    names = ids(page)
    for _ in range(20):
        page.keyboard.press("Tab")
        if focused(page):
            break
    assert focused(page) == names[0]
    for key in ("ArrowRight", "ArrowRight", "ArrowLeft"):
        page.keyboard.press(key)
    assert focused(page) == names[1]
    page.keyboard.press("Enter")
    see_hits(page, "brick")
    assert names[1] not in ids(page)
    assert focused(page) == ids(page)[0]
    page.keyboard.press("Escape")
    see(page, "42 pictures")
    assert focused(page) == names[1]


def test_arrows_up_and_down_keep_the_column(page: Page) -> None:
    names = ids(page)
    page.locator(".picture").nth(2).focus()
    page.keyboard.press("ArrowDown")
    boxes = page.locator(".tile").evaluate_all("tiles => tiles.map((tile) => tile.getBoundingClientRect())")
    below = boxes[names.index(focused(page))]
    assert below["y"] > boxes[2]["y"]
    assert below["x"] == pytest.approx(boxes[2]["x"], abs=1)
    page.keyboard.press("ArrowUp")
    assert focused(page) == names[2]
    page.keyboard.press("End")
    assert focused(page) == "sea/sea-041.png"


def test_keys_add_subtract_and_open_details_which_follow_the_arrows(page: Page) -> None:
    page.locator(".picture").nth(2).focus()
    names = ids(page)
    page.keyboard.press("Space")
    expect(page.locator("#details")).to_be_visible()
    page.keyboard.press("ArrowRight")
    expect(page.locator(".facts")).to_contain_text(names[3])
    assert fragment(page) == f"c=photos&item={names[3]}"
    page.keyboard.press("Escape")
    expect(page.locator("#details")).to_be_hidden()
    assert focused(page) == names[3]
    page.keyboard.press("-")
    expect(page.locator(".chip.less")).to_have_count(1)


def test_the_focus_stays_where_a_filter_was_removed(page: Page) -> None:
    page.goto(f"{page.url.partition('#')[0]}#c=photos&f=is:label:tsea&f=is:label:tbrick")
    see(page, "28 of 42 pictures")
    page.get_by_role("button", name="Remove the filter sea").press("Enter")
    see(page, "14 of 42 pictures")
    expect(page.locator(":focus")).to_have_attribute("aria-label", "Remove the filter brick")
    page.keyboard.press("Enter")
    see(page, "42 pictures")
    expect(page.locator("#scroller")).to_be_focused()


def test_the_question_mark_helps_and_escape_ends_it(page: Page) -> None:
    page.keyboard.press("?")
    assert page.get_by_role("dialog").get_by_text("find similar pictures").is_visible()
    page.keyboard.press("Escape")
    assert page.get_by_role("dialog").is_hidden()
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "words"


def test_a_small_phone_shows_everything_without_scrolling_sideways(page: Page) -> None:
    page.set_viewport_size({"width": 320, "height": 640})
    for view in ("exploring", "hits", "details"):
        if view == "hits":
            open_item(page)
        if view == "details":
            tile(page, ids(page)[0]).hover()
            page.keyboard.press("Tab")
            page.goto(page.url + f"&item={ids(page)[0]}")
            expect(page.locator("#details")).to_be_visible()
        overflow = page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert overflow <= 0
        edges = page.locator(".tile").evaluate_all(
            "tiles => tiles.map((t) => t.getBoundingClientRect().right)"
        )
        assert max(edges) <= 320


def test_the_page_is_dark_where_the_system_is(page: Page) -> None:
    body = expect(page.locator("body"))
    body.to_have_css("background-color", "rgb(255, 255, 255)")
    page.emulate_media(color_scheme="dark")
    body.to_have_css("background-color", "rgb(17, 17, 20)")


def test_nothing_jumps_while_it_loads_is_searched_and_scrolled(page: Page) -> None:
    open_item(page)
    page.mouse.wheel(0, 900)
    page.wait_for_timeout(200)
    page.go_back()
    see(page, "42 pictures")
    assert page.evaluate(SHIFTS) < 0.01


def test_nothing_moves_where_that_is_not_wanted(page: Page) -> None:
    image = expect(page.locator(".tile img").first)
    image.to_have_css("transition-property", "none")
    page.emulate_media(reduced_motion="no-preference")
    image.to_have_css("transition-property", "opacity, transform, filter")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_login_looks_like_the_page_and_leads_to_what_the_address_named(
    chromium: Any, collection: lookalike.Collection, scheme: str
) -> None:
    context = chromium.new_context(color_scheme=scheme)
    with running(collection, access=Access(token="secret")) as url:
        page = context.new_page()
        page.goto(f"{url}#c=photos&q=id:sea/sea-002.png")
        page.get_by_label("Token").fill("wrong")
        page.keyboard.press("Enter")
        expect(page.get_by_role("alert")).to_have_text("That is not the token.")
        ground = {"light": "rgb(255, 255, 255)", "dark": "rgb(17, 17, 20)"}[scheme]
        expect(page.locator("body")).to_have_css("background-color", ground)
        if AXE:
            page.evaluate(Path(AXE).read_text(encoding="utf-8"))
            assert violations(page) == []
        page.get_by_label("Token").fill("secret")
        page.keyboard.press("Enter")
        see_hits(page, "sea")
        assert page.url == f"{url}#c=photos&q=id:sea/sea-002.png"
    context.close()


def test_chips_and_views_on_a_phone_fade_where_there_is_more(page: Page) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    terms = "&".join(f"q=id:brick/brick-00{number}.jpg" for number in (0, 3, 6, 9))
    page.goto(f"{page.url.partition('#')[0]}#c=photos&{terms}")
    expect(page.locator(".chip")).to_have_count(4)
    chips = page.locator("#chips")
    assert fades(chips) == ["36px", "0px"]  # what was added last is in sight
    chips.evaluate("chips => { chips.scrollLeft = 0; }")
    assert fades(chips) == ["0px", "36px"]
    page.goto(f"{page.url.partition('#')[0]}#c=photos&q=id:brick/brick-000.jpg")
    expect(page.locator(".chip")).to_have_count(1)
    assert fades(chips) == ["0px", "0px"]


@pytest.mark.skipif(not AXE, reason="AXE_CORE does not name axe.min.js (npm pack axe-core)")
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(chromium: Any, address: str, scheme: str) -> None:
    context = chromium.new_context(
        viewport={"width": 1200, "height": 800}, color_scheme=scheme, reduced_motion="reduce", bypass_csp=True
    )
    page = context.new_page()
    watch(page, [])
    page.goto(address)
    see(page, "42 pictures")
    page.add_script_tag(content=Path(AXE).read_text(encoding="utf-8"))
    found = {"exploring": violations(page)}
    page.keyboard.press("f")
    expect(page.get_by_role("checkbox", name="brick 14")).to_be_visible()
    found["filters"] = violations(page)
    page.keyboard.press("Escape")
    open_item(page, 0)
    page.locator(".chip-main").click()
    found["a chip"] = violations(page)
    page.keyboard.press("Escape")
    tile(page, ids(page)[2]).hover()
    tile(page, ids(page)[2]).get_by_role("button", name="Details").click()
    expect(page.locator(".neighbours img")).to_have_count(12)
    expect(page.locator(".why")).to_be_visible()
    found["details"] = violations(page)
    page.keyboard.press("?")
    found["help"] = violations(page)
    context.close()
    assert found == {"exploring": [], "filters": [], "a chip": [], "details": [], "help": []}


@pytest.mark.skipif(not AXE, reason="AXE_CORE does not name axe.min.js (npm pack axe-core)")
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_in_the_description_of_the_api(chromium: Any, address: str, scheme: str) -> None:
    context = chromium.new_context(color_scheme=scheme, bypass_csp=True)
    page = context.new_page()
    page.goto(f"{address}docs")
    page.add_script_tag(content=Path(AXE).read_text(encoding="utf-8"))
    assert violations(page) == []
    context.close()


def fades(row: Any) -> list[str]:
    """How wide the fading ends of a row are, before and after what is seen."""
    row.page.wait_for_timeout(50)
    style = "row => ['--before', '--after'].map((name) => getComputedStyle(row).getPropertyValue(name))"
    return [f"{round(float(width.removesuffix('px')))}px" for width in row.evaluate(style)]


def violations(page: Page) -> list[str]:
    """What axe has against the page as it is now: its rules, and the elements."""
    result = page.evaluate("axe.run(document, { resultTypes: ['violations'] })")
    return [f"{one['id']}: {one['nodes'][0]['html'][:120]}" for one in result["violations"]]

"""The page in a real browser, on a real server.

Every test also asserts, when it ends, that the page asked no other host for anything, broke no rule of
its Content-Security-Policy, and logged no error.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import build, picture, write_pictures
from serving import encoded, running

import lookalike

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
Page = Any

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
QUIET = """--no-sandbox --disable-gpu --disable-background-networking --disable-component-update
    --disable-sync --no-first-run""".split()
PHOTO = {"name": "holiday.png", "mimeType": "image/png", "buffer": encoded(picture(7, (90, 160, 70)))}
NOTES = {"name": "notes.txt", "mimeType": "text/plain", "buffer": b"no picture at all"}

# Sends an event that carries a file, as a drop or a paste does.
SEND_FILE = """([type, file]) => {
  const data = new DataTransfer();
  const bytes = Uint8Array.from(atob(file.base64), (letter) => letter.charCodeAt(0));
  data.items.add(new File([bytes], file.name, { type: file.type }));
  const Kind = type === "paste" ? ClipboardEvent : DragEvent;
  const carried = { clipboardData: data, dataTransfer: data };
  document.body.dispatchEvent(new Kind(type, { bubbles: true, cancelable: true, ...carried }));
}"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """One window, in which each test opens a tab."""
    if CHROMIUM is None:
        pytest.skip("no Chromium is installed")
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        context = chromium.new_context(
            viewport={"width": 1200, "height": 800}, reduced_motion="reduce", color_scheme="light"
        )
        context.set_default_timeout(8000)
        yield context
        context.close()
        chromium.close()


@pytest.fixture(scope="module")
def address(collection: lookalike.Collection) -> Iterator[str]:
    with running(collection) as url:
        yield url


@pytest.fixture
def errors() -> list[str]:
    """The errors that the page has logged; a test that provokes one takes it out."""
    return []


@pytest.fixture
def page(browser: Any, address: str, errors: list[str]) -> Iterator[Page]:
    """The page as it opens, with all pictures."""
    page = browser.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: message.type == "error" and errors.append(message.text))
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(address)
    see(page, "42 pictures in photos")
    yield page
    page.close()
    assert [url for url in asked if not url.startswith((address, "blob:"))] == []
    assert errors == []


def see(page: Page, text: str | re.Pattern[str]) -> None:
    """Wait until the line above the pictures says this."""
    sync_api.expect(page.locator("#status")).to_have_text(text)


def see_hits(page: Page) -> None:
    see(page, re.compile(r"The 42 most alike of 42, in [\d.]+ ms"))


def ids(page: Page) -> list[str]:
    return page.locator(".tile").evaluate_all("tiles => tiles.map((tile) => tile.dataset.id)")


def focused(page: Page) -> str | None:
    return page.evaluate("document.activeElement.dataset.id ?? null")


def send_file(page: Page, event: str, file: dict[str, Any]) -> None:
    text = page.evaluate("bytes => btoa(String.fromCharCode(...bytes))", list(file["buffer"]))
    page.evaluate(SEND_FILE, [event, {"name": file["name"], "type": file["mimeType"], "base64": text}])


def open_item(page: Page, number: int = 4) -> str:
    """Click on a picture and wait for its hits; its id."""
    id_ = ids(page)[number]
    page.locator(".tile").nth(number).click()
    page.wait_for_function("id => new URLSearchParams(location.search).get('id') === id", arg=id_)
    see_hits(page)
    return id_


# Browsing.


def test_the_page_opens_with_the_pictures(page: Page) -> None:
    assert len(ids(page)) == 42
    assert page.title() == "photos · Lookalike"
    assert page.locator(".tile img").first.get_attribute("alt") == "brick, brick-000.jpg"
    assert page.locator(".score").count() == 0


def test_the_shape_of_a_tile_is_known_without_its_picture(page: Page) -> None:
    dot = encoded(picture(0, size=(1, 1)))
    page.route("**/thumbnails/**", lambda route: route.fulfill(body=dot, content_type="image/png"))
    page.reload()
    see(page, "42 pictures in photos")
    box = page.locator(".tile").first.bounding_box()
    assert box["width"] / box["height"] == pytest.approx(64 / 48, rel=0.02)


def test_rows_are_of_one_height_and_filled_to_the_edge(page: Page) -> None:
    boxes = page.locator(".tile").evaluate_all("tiles => tiles.map((tile) => tile.getBoundingClientRect())")
    first_row = [box for box in boxes if box["y"] == boxes[0]["y"]]
    grid = page.locator("#pictures").bounding_box()
    assert len({round(box["height"]) for box in first_row}) == 1
    assert first_row[-1]["x"] + first_row[-1]["width"] == pytest.approx(grid["x"] + grid["width"], abs=1)


def test_scrolling_loads_more_and_nothing_is_loaded_before(
    page: Page, tmp_path: Path, errors: list[str]
) -> None:
    many, _ = build(write_pictures(tmp_path / "many", 250, (16, 12)), tmp_path / "many.lookalike")
    with running(many) as url:
        stretches: list[str] = []
        other = page.context.new_page()
        other.on("request", lambda request: "/items?" in request.url and stretches.append(request.url))
        other.goto(url)
        see(other, "250 pictures in many")
        other.wait_for_timeout(300)
        assert len(stretches) == 1
        for number in (200, 250):
            other.mouse.wheel(0, 20_000)
            sync_api.expect(other.locator(".tile")).to_have_count(number)
        other.mouse.wheel(0, 20_000)
        other.wait_for_timeout(200)
        assert len(stretches) == 3
        assert len(set(ids(other))) == 250
        other.close()


# Searching by a picture of the collection.


def test_a_click_searches_and_the_address_has_the_id(page: Page, address: str) -> None:
    id_ = open_item(page)
    assert page.url == f"{address}?id={id_.replace('/', '%2F')}"
    assert ids(page)[0] == id_
    assert page.locator(".score").first.text_content() == "1.00"
    assert page.locator(".score").count() == 42
    assert page.locator("#chip-name").text_content() == "brick"
    assert page.title() == "brick · photos · Lookalike"


def test_back_returns_to_the_place_among_all_pictures(page: Page, address: str) -> None:
    page.set_viewport_size({"width": 400, "height": 500})
    page.locator(".tile").nth(20).scroll_into_view_if_needed()
    before = page.evaluate("scrollY")
    assert before > 600
    page.locator(".tile").nth(20).click()
    see_hits(page)
    assert page.evaluate("scrollY") == 0
    page.go_back()
    see(page, "42 pictures in photos")
    assert page.url == address
    assert page.locator("#chip").is_hidden()
    assert page.evaluate("scrollY") == before


def test_forward_returns_to_the_hits(page: Page) -> None:
    open_item(page)
    hits = ids(page)
    page.go_back()
    see(page, "42 pictures in photos")
    page.go_forward()
    see_hits(page)
    assert ids(page) == hits


def test_a_reload_keeps_the_hits(page: Page) -> None:
    open_item(page)
    hits = ids(page)
    page.reload()
    see_hits(page)
    assert ids(page) == hits


def test_the_x_leads_back_to_all_pictures(page: Page, address: str) -> None:
    open_item(page)
    page.get_by_role("button", name="Clear the search").click()
    see(page, "42 pictures in photos")
    assert page.url == address


def test_a_click_with_control_opens_a_new_tab(page: Page) -> None:
    with page.context.expect_page() as opened:
        page.locator(".tile").first.click(modifiers=["ControlOrMeta"])
    see_hits(opened.value)
    opened.value.close()
    see(page, "42 pictures in photos")


def test_an_unknown_id_offers_the_nearest_ones(page: Page, address: str, errors: list[str]) -> None:
    page.goto(f"{address}?id=sea/sea-002.pg")
    page.get_by_role("link", name="sea/sea-002.png").click()
    see_hits(page)
    assert ids(page)[0] == "sea/sea-002.png"
    assert "404" in errors.pop()


# Searching by a picture of one's own.


def test_a_chosen_picture_searches(page: Page) -> None:
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Choose a picture").click()
    chooser.value.set_files(PHOTO)
    see_hits(page)
    assert re.search(r"\?image=[0-9a-f]{16}$", page.url)
    assert ids(page)[0].startswith("meadow/")
    assert page.locator("#chip-name").text_content() == "Your picture"
    assert page.locator("#chip-picture").evaluate("image => image.naturalWidth") == 64


@pytest.mark.parametrize("event", ["drop", "paste"])
def test_a_dropped_or_pasted_picture_searches(page: Page, event: str) -> None:
    if event == "drop":
        send_file(page, "dragover", PHOTO)
        assert page.get_by_text("Drop the picture to search").is_visible()
    send_file(page, event, PHOTO)
    see_hits(page)
    assert ids(page)[0].startswith("meadow/")
    assert page.get_by_text("Drop the picture to search").is_hidden()


def test_an_own_picture_survives_a_reload_and_the_way_back(page: Page) -> None:
    page.locator("#file").set_input_files(PHOTO)
    see_hits(page)
    hits = ids(page)
    page.reload()
    see_hits(page)
    assert ids(page) == hits
    open_item(page, 3)
    page.go_back()
    sync_api.expect(page.locator("#chip-name")).to_have_text("Your picture")
    assert ids(page) == hits


def test_a_picture_of_another_browser_is_explained(page: Page, address: str) -> None:
    page.goto(f"{address}?image=0123456789abcdef")
    sync_api.expect(page.get_by_role("heading")).to_have_text("That picture is not here")
    page.get_by_role("link", name="All pictures", exact=True).click()
    see(page, "42 pictures in photos")


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
    expected = "notes.txt: not a picture that can be read"
    sync_api.expect(page.get_by_role("alert").locator("span")).to_have_text(expected)
    assert (ids(page), page.url) == (hits, url)
    page.get_by_role("button", name="Dismiss").click()
    assert page.get_by_role("alert").is_hidden()
    assert "422" in errors.pop()


def test_a_server_that_is_gone_is_said_to_be_and_can_be_tried_again(page: Page, errors: list[str]) -> None:
    page.route("**/search?*", lambda route: route.abort("connectionrefused"))
    page.locator(".tile").nth(4).click()
    alert = page.get_by_role("alert")
    sync_api.expect(alert.locator("span")).to_have_text("The server does not answer")
    assert len(ids(page)) == 42
    page.unroute("**/search?*")
    alert.get_by_role("button", name="Try again").click()
    see_hits(page)
    assert alert.is_hidden()
    assert "ERR_CONNECTION_REFUSED" in errors.pop()


def test_a_server_that_is_gone_from_the_start_is_explained(page: Page, errors: list[str]) -> None:
    page.route("**/api/**", lambda route: route.abort("connectionrefused"))
    page.reload()
    sync_api.expect(page.get_by_role("heading")).to_have_text("The server does not answer")
    page.unroute("**/api/**")
    page.get_by_role("button", name="Try again").click()
    see(page, "42 pictures in photos")
    assert [error for error in errors if "ERR_CONNECTION_REFUSED" not in error] == []
    errors.clear()


# By keyboard, on other screens.


def test_the_keyboard_is_enough(page: Page) -> None:
    names = ids(page)
    for _ in range(20):
        page.keyboard.press("Tab")
        if focused(page):
            break
    assert focused(page) == names[0]
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowLeft")
    assert focused(page) == names[1]
    page.keyboard.press("Enter")
    see_hits(page)
    assert focused(page) == names[1] == ids(page)[0]
    page.keyboard.press("Escape")
    see(page, "42 pictures in photos")
    assert focused(page) == names[1]


def test_arrows_up_and_down_keep_the_column(page: Page) -> None:
    names = ids(page)
    page.locator(".tile").nth(2).focus()
    page.keyboard.press("ArrowDown")
    boxes = page.locator(".tile").evaluate_all("tiles => tiles.map((tile) => tile.getBoundingClientRect())")
    below = boxes[names.index(focused(page))]
    assert below["y"] > boxes[2]["y"]
    assert below["x"] == pytest.approx(boxes[2]["x"], abs=1)
    page.keyboard.press("ArrowUp")
    assert focused(page) == names[2]


def test_a_small_phone_shows_everything_without_scrolling_sideways(page: Page) -> None:
    page.set_viewport_size({"width": 320, "height": 640})
    for view in ("browsing", "hits"):
        if view == "hits":
            open_item(page)
        overflow = page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert overflow <= 0
        assert page.get_by_role("button", name="Choose a picture").is_visible()


def test_the_page_is_dark_where_the_system_is(page: Page) -> None:
    body = sync_api.expect(page.locator("body"))
    body.to_have_css("background-color", "rgb(255, 255, 255)")
    page.emulate_media(color_scheme="dark")
    body.to_have_css("background-color", "rgb(16, 16, 19)")

"""The grid with 100,000 items: only what is seen is in the document, and every one can be reached."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pages import Page, expect, focused, fragment, ids, scrolled, see, watch
from serving import running

import lookalike

COUNT = 100_000
MILLION = 1_000_000

# The longest time between two frames while the page is scrolled down by a view at each frame, in ms.
SCROLL = """(frames) => new Promise((resolve) => {
  const scroller = document.getElementById("scroller");
  let [last, slowest, most] = [performance.now(), 0, 0];
  const step = () => {
    const now = performance.now();
    [slowest, last] = [Math.max(slowest, now - last), now];
    most = Math.max(most, document.querySelectorAll(".tile").length);
    scroller.scrollTop += scroller.clientHeight;
    if (frames-- > 0) requestAnimationFrame(step);
    else resolve({ slowest, most, reached: scroller.scrollTop });
  };
  requestAnimationFrame(step);
})"""


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where a collection of 100,000 vectors of 8 dimensions is served."""
    with running(_collection(tmp_path_factory.mktemp("many") / "many.lookalike", COUNT)) as url:
        yield url


def _collection(path: Path, count: int) -> lookalike.Collection:
    vectors = np.random.default_rng(0).normal(size=(count, 8)).astype(np.float32)
    return lookalike.from_vectors(path, vectors, (f"item-{number:06d}" for number in range(count)))


@pytest.fixture
def long(window: Any, many: str, errors: list[str]) -> Iterator[Page]:
    page = window.new_page()
    page.asked = watch(page, errors)
    page.goto(many)
    see(page, "100,000 pictures")
    yield page
    page.close()
    assert errors == []


def test_only_what_is_seen_is_in_the_document(long: Page) -> None:
    found = long.evaluate(SCROLL, 40)
    assert found["reached"] > 30_000
    assert found["most"] < 400
    assert long.evaluate("document.querySelectorAll('*').length") < 4000


def test_pages_that_are_passed_quickly_are_not_asked_for(long: Page) -> None:
    before = len(long.asked)
    long.evaluate(SCROLL, 40)
    long.wait_for_timeout(500)
    assert len([url for url in long.asked[before:] if "/items?" in url]) < 12


def test_the_scroll_bar_reaches_any_place_and_the_end(long: Page) -> None:
    long.locator("#scroller").evaluate("scroller => (scroller.scrollTop = scroller.scrollHeight / 2)")
    expect(long.locator(".tile[data-id]").first).to_be_attached()
    long.wait_for_function(
        "() => Math.abs(document.querySelectorAll('.tile')[9]?.dataset.index - 50000) < 2000"
    )
    long.locator("#scroller").evaluate("scroller => (scroller.scrollTop = scroller.scrollHeight)")
    expect(long.locator('.tile[data-id="item-099999"]')).to_be_visible()


def test_rows_that_come_in_above_do_not_move_what_is_seen(long: Page) -> None:
    long.locator("#scroller").evaluate("scroller => (scroller.scrollTop = 200_000)")
    expect(long.locator(".tile[data-id]").first).to_be_attached()
    long.wait_for_timeout(300)
    for _ in range(5):
        seen = "tiles => tiles.find((tile) => tile.getBoundingClientRect().top > 300).dataset.id"
        middle = long.locator(".tile[data-id]").evaluate_all(seen)
        top = long.locator(f'.tile[data-id="{middle}"]').bounding_box()["y"]
        long.mouse.move(500, 600)
        long.mouse.wheel(0, -300)
        long.wait_for_timeout(250)
        now = long.locator(f'.tile[data-id="{middle}"]').bounding_box()["y"]
        assert now - top == pytest.approx(300, abs=2)


def test_the_keyboard_reaches_the_end_and_comes_back_from_a_search(long: Page) -> None:
    long.keyboard.press("ArrowRight")
    long.keyboard.press("End")
    long.wait_for_function("() => document.activeElement.closest('.tile')?.dataset.id === 'item-099999'")
    before = scrolled(long)
    long.keyboard.press("Enter")
    expect(long.locator(".chip-name")).to_have_text("item-099999")
    assert "item-099999" not in ids(long)
    assert ids(long)[0] == focused(long)
    assert fragment(long) == "c=many&q=id:item-099999"
    long.go_back()
    see(long, "100,000 pictures")
    expect(long.locator(".tile[data-id='item-099999']")).to_be_visible()
    assert scrolled(long) == pytest.approx(before, abs=300)  # a row or two, as the focus is brought into view
    assert focused(long) == "item-099999"


def test_keys_start_from_what_is_seen(long: Page) -> None:
    long.locator("#scroller").evaluate("scroller => (scroller.scrollTop = 200_000)")
    expect(long.locator(".tile[data-id]").first).to_be_attached()
    long.wait_for_timeout(300)
    before = scrolled(long)
    long.keyboard.press("ArrowRight")
    expect(long.locator(".tile[data-id] a:focus")).to_be_in_viewport()
    assert scrolled(long) == pytest.approx(before, abs=300)


@pytest.mark.slow
def test_a_million_pictures_are_scrolled_by_single_pixels_up_to_both_ends(
    window: Any, tmp_path: Path
) -> None:
    with running(_collection(tmp_path / "million.lookalike", MILLION)) as url:
        page = window.new_page()
        page.goto(url)
        see(page, "1,000,000 pictures")
        scroller = page.locator("#scroller")
        page.mouse.move(500, 600)
        scroller.evaluate("scroller => (scroller.scrollTop = 20_000)")
        for _ in range(25):  # a way up that a scaled scroll bar would cut short, without a rest on it
            page.mouse.wheel(0, -1000)
        expect(page.locator('.tile[data-id="item-000000"]')).to_be_in_viewport()
        scroller.evaluate("scroller => (scroller.scrollTop = scroller.scrollHeight / 2)")
        page.wait_for_function(
            "() => Math.abs(document.querySelectorAll('.tile')[9]?.dataset.index - 500_000) < 5000"
        )
        scroller.evaluate("scroller => (scroller.scrollTop = scroller.scrollHeight - 20_000)")
        expect(page.locator(".tile[data-id]").first).to_be_attached()
        for _ in range(40):  # the last rows are higher than was guessed
            page.mouse.wheel(0, 1000)
            page.wait_for_timeout(30)
        expect(page.locator('.tile[data-id="item-999999"]')).to_be_in_viewport()
        page.close()

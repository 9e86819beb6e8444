"""The page in a real browser: fixtures and helpers of the tests `test_page*.py`.

Every test also asserts, when it ends, that the page asked no other host for anything, broke no rule of its
Content-Security-Policy, and logged no error.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

import pytest
from PIL import Image
from serving import encoded, running

import lookalike

Page = Any

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
QUIET = """--no-sandbox --disable-gpu --disable-background-networking --disable-component-update
    --disable-sync --no-first-run""".split()
PHOTO = {
    "name": "holiday.png",
    "mimeType": "image/png",
    "buffer": encoded(Image.new("RGB", (64, 48), (90, 160, 70))),
}
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
def chromium() -> Iterator[Any]:
    """A browser for the tests of a module."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("no Chromium is installed")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def window(chromium: Any) -> Iterator[Any]:
    """A window of 1100 x 1200, high enough for all 42 pictures, in which each test opens a tab."""
    options = {
        "viewport": {"width": 1100, "height": 1200},
        "reduced_motion": "reduce",
        "color_scheme": "light",
    }
    context = chromium.new_context(**options)
    context.set_default_timeout(8000)
    yield context
    context.close()


@pytest.fixture(scope="module")
def address(collection: lookalike.Collection) -> Iterator[str]:
    """Where the collection of 42 pictures is served."""
    with running(collection) as url:
        yield url


@pytest.fixture
def errors() -> list[str]:
    """The errors that the page has logged; a test that provokes one takes it out."""
    return []


@pytest.fixture
def page(window: Any, address: str, errors: list[str]) -> Iterator[Page]:
    """The page as it opens, with all pictures."""
    page = window.new_page()
    asked = watch(page, errors)
    page.goto(address)
    see(page, "42 pictures")
    yield page
    page.close()
    assert [url for url in asked if not url.startswith((address, "blob:", "data:"))] == []
    assert errors == []


def watch(page: Page, errors: list[str]) -> list[str]:
    """Collect the errors that a page logs; gives the list of the addresses that it asks for."""
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: message.type == "error" and errors.append(message.text))
    page.on("pageerror", lambda error: errors.append(str(error)))
    return asked


def expect(locator: Any) -> Any:
    from playwright.sync_api import expect as playwright_expect

    return playwright_expect(locator)


def see(page: Page, text: str | re.Pattern[str]) -> None:
    """Wait until the line above the pictures says this."""
    expect(page.locator("#status")).to_have_text(text)


def see_hits(page: Page, name: str | None = None) -> None:
    """Wait for the hits of a search, where asked for, of one whose first chip has this name."""
    see(page, re.compile(r"of 42 pictures, in [\d.]+ ms"))
    if name:
        expect(page.locator(".chip-name").first).to_have_text(name)


def ids(page: Page) -> list[str]:
    """The ids of the tiles that are in the document, in their order."""
    return page.locator(".tile[data-id]").evaluate_all("tiles => tiles.map((tile) => tile.dataset.id)")


def focused(page: Page) -> str | None:
    return page.evaluate("document.activeElement.closest('.tile')?.dataset.id ?? null")


def tile(page: Page, id_: str) -> Any:
    return page.locator(f'.tile[data-id="{id_}"]')


def fragment(page: Page) -> str:
    """What the address says after the `#`, decoded."""
    return unquote(page.url.partition("#")[2].replace("+", " "))


def send_file(page: Page, event: str, file: dict[str, Any]) -> None:
    text = page.evaluate("bytes => btoa(String.fromCharCode(...bytes))", list(file["buffer"]))
    page.evaluate(SEND_FILE, [event, {"name": file["name"], "type": file["mimeType"], "base64": text}])


def open_item(page: Page, number: int = 4) -> str:
    """Click on a picture and wait for its hits; its id."""
    id_ = ids(page)[number]
    tile(page, id_).click()
    expect(tile(page, id_)).to_have_count(0)
    see_hits(page)
    return id_


def scrolled(page: Page) -> float:
    return page.locator("#scroller").evaluate("scroller => scroller.scrollTop")

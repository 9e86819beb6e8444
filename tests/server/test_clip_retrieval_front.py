"""clip-retrieval's front end, as its package has it, in a real browser and from another origin."""

from __future__ import annotations

import importlib.util
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from conftest import build, write_pictures
from pages import expect, watch
from serving import running

from lookalike.server import Access


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None: ...


@pytest.fixture(scope="module")
def front() -> Iterator[str]:
    """The origin at which the front end is served."""
    package = importlib.util.find_spec("clip_retrieval")
    if package is None or not package.submodule_search_locations:
        pytest.skip("needs: pip install --no-deps clip-retrieval")
    built = Path(package.submodule_search_locations[0]).parent / "front" / "build"
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(built))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pictures(tmp_path_factory.mktemp("front") / "pictures", 60)


@pytest.fixture(scope="module")
def back(front: str, pictures: Path) -> Iterator[str]:
    """A collection that knows words, served for pages of the front end's origin."""
    made, _ = build(
        pictures, pictures.with_name("pictures.lookalike"), label="folder", model="efficientnet-lite0"
    )
    with running(made, access=Access(origins=[front])) as url:
        yield url.rstrip("/")


@pytest.fixture
def opened(window: Any, front: str, back: str) -> Iterator[Any]:
    """Its page, with this server in the field for the back end, as it opens."""
    page = window.new_page()
    page.goto(f"{front}/?back={back}")
    expect(page.locator("#filter select option").first).to_have_text("pictures")
    yield page
    page.close()


def shown(page: Any) -> list[str]:
    """The captions below the pictures, once the first 40 of them are loaded."""
    page.wait_for_function("""() => {
      const images = [...document.querySelector("clip-front").shadowRoot.querySelectorAll("img.pic")];
      return images.length >= 40 && images.every((image) => image.complete && image.naturalWidth > 0);
    }""")
    return [caption.strip() for caption in page.locator("figcaption").all_inner_texts()]


def search_for_words(page: Any, words: str) -> None:
    page.locator("#searchBar").fill(words)
    page.locator("#searchBar").press("Enter")


def without_duplicates_hidden(page: Any) -> None:
    """All pictures, as those that were drawn for tests are much alike."""
    page.get_by_label("Hide (near) duplicate images").uncheck()


def test_words_find_pictures(opened: Any) -> None:
    without_duplicates_hidden(opened)
    search_for_words(opened, "seashore")
    assert set(shown(opened)) <= {"brick", "meadow", "sea"}


def test_a_picture_of_ones_own_finds_what_looks_like_it(opened: Any, pictures: Path) -> None:
    without_duplicates_hidden(opened)
    opened.locator("#filechooser").set_input_files(pictures / "sea" / "sea-002.png")
    assert shown(opened)[:5] == ["sea"] * 5


def test_a_click_on_a_result_searches_with_it_and_scrolling_brings_more(opened: Any) -> None:
    without_duplicates_hidden(opened)
    search_for_words(opened, "seashore")
    shown(opened)
    figure = opened.locator("figure").nth(5)
    clicked = figure.locator("img.pic").get_attribute("src")
    figure.hover()
    figure.locator(".subImageSearch").click()
    expect(opened.locator("img.pic").first).to_have_attribute("src", clicked)
    shown(opened)
    opened.mouse.wheel(0, 100_000)
    expect(opened.locator("figure")).to_have_count(60)


def test_a_word_that_is_unknown_leaves_the_page_to_go_on(opened: Any) -> None:
    without_duplicates_hidden(opened)
    with opened.expect_response("**/knn-service") as answer:
        search_for_words(opened, "xyzzy")
    assert answer.value.status == 400
    search_for_words(opened, "seashore")
    shown(opened)


def test_an_origin_that_was_not_allowed_gets_nothing(window: Any, front: str, back: str) -> None:
    with running(access=Access(origins=["http://127.0.0.1:1"])) as other:
        page, errors = window.new_page(), list[str]()
        watch(page, errors)
        with page.expect_event("requestfailed", lambda request: "indices-list" in request.url):
            page.goto(f"{front}/?back={other.rstrip('/')}")
        page.close()
    assert any("has been blocked by CORS policy" in error for error in errors)

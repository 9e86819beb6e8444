"""Take the README's pictures of the page: `pip install '.[test]'; python tools/screenshot.py docs`.

Writes page.jpg (a search by a picture), page-details.jpg (one of its hits, in dark mode), map.jpg, and
site.jpg (the static site).
Needs Chromium (Debian: apt-get install chromium).
"""

from __future__ import annotations

import io
import shutil
import sys
import tempfile
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import sync_playwright

import lookalike
from lookalike.cli.views import make_views
from lookalike.demo.flowers import write_flowers
from lookalike.server import serve

SEARCH = "#c=flowers&q=id:poppy/poppy-002.jpg"
LIMIT_BYTES = 200_000


def main(folder: Path) -> None:
    with tempfile.TemporaryDirectory() as work:
        images = Path(work) / "flowers"
        write_flowers(images, count=300)
        collection = lookalike.build(images, Path(work) / "flowers.lookalike", label="folder")
        make_views(collection)
        collection.export(Path(work) / "site")
        url, site = _serve(collection.path), _serve_files(Path(work) / "site")
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=shutil.which("chromium"),
                args=["--no-sandbox", "--disable-background-networking", "--disable-component-update"],
            )
            page = browser.new_page(viewport={"width": 1200, "height": 640})
            _shoot(page, url + SEARCH, folder / "page.jpg")
            page = browser.new_page(viewport={"width": 1200, "height": 860}, color_scheme="dark")
            page.goto(url + SEARCH)
            page.wait_for_selector(".tile.ready")
            hit = page.locator(".tile").nth(3).get_attribute("data-id")
            _shoot(page, f"{url}{SEARCH}&item={hit}", folder / "page-details.jpg")
            page = browser.new_page(viewport={"width": 1000, "height": 700})
            _shoot(page, f"{url}#c=flowers&view=map&color=label", folder / "map.jpg", ready="canvas")
            _shoot(page, f"{site}#q=text:daisy", folder / "site.jpg")
            browser.close()


def _serve(path: Path) -> str:
    """Serve the collection at `path` until the program ends; returns the address of the page."""
    ready = threading.Event()
    urls: list[str] = []

    def on_ready(url: str) -> None:
        urls.append(url)
        ready.set()

    options = {"open_browser": False, "on_ready": on_ready}
    threading.Thread(target=serve, args=([path],), kwargs=options, daemon=True).start()
    ready.wait(30)
    return urls[0]


def _serve_files(folder: Path) -> str:
    """Serve the files of a folder until the program ends; returns the address of its index."""
    handler = partial(SimpleHTTPRequestHandler, directory=folder)
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}/"


def _shoot(page: Any, url: str, target: Path, *, ready: str = ".tile.ready") -> None:
    """Save a screenshot of the page at an address as JPEG, in the best quality that fits."""
    page.goto(url, wait_until="networkidle")
    page.wait_for_selector(ready)
    page.wait_for_timeout(1000)
    image = Image.open(io.BytesIO(page.screenshot(type="png"))).convert("RGB")
    for quality in (88, 82, 76, 70, 60):
        image.save(target, quality=quality, optimize=True, progressive=True)
        if target.stat().st_size < LIMIT_BYTES:
            return


if __name__ == "__main__":
    main(Path(sys.argv[1]))

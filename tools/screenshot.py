"""Take the README's picture of the page: `pip install '.[test]'; python tools/screenshot.py docs/page.jpg`.

Needs Chromium (Debian: apt-get install chromium).
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import threading
from pathlib import Path

from playwright.sync_api import sync_playwright

import lookalike
from lookalike.drawing import write_flowers
from lookalike.server import serve


def main(target: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        images = Path(folder) / "flowers"
        write_flowers(images, count=300)
        collection = lookalike.build(images, Path(folder) / "flowers.lookalike", label="folder")
        ready = threading.Event()
        urls: list[str] = []

        def on_ready(url: str) -> None:
            urls.append(url)
            ready.set()

        threading.Thread(
            target=serve,
            args=(collection,),
            kwargs={"open_browser": False, "on_ready": on_ready},
            daemon=True,
        ).start()
        ready.wait(30)
        _shoot(f"{urls[0]}?id=poppy/poppy-002.jpg", target)


def _shoot(url: str, target: str) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"),
            args=["--no-sandbox", "--disable-background-networking", "--disable-component-update"],
        )
        page = browser.new_page(viewport={"width": 1200, "height": 640})
        page.goto(url, wait_until="networkidle")
        page.screenshot(path=target, type="jpeg", quality=80)
        browser.close()


if __name__ == "__main__":
    main(sys.argv[1])

"""How fast the page is in a real browser: `python benchmarks/page.py [--items N]`.

Serves N synthetic vectors of 1,280 dimensions, without pictures, and opens the page in Chromium several times
with nothing cached: measures when the first items appear, how long a search takes from the click to the hits
on the screen, how smoothly the page scrolls, and how smoothly the map of all items zooms.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import tempfile
import threading
from pathlib import Path

import numpy as np
from playwright.sync_api import Browser, Page, sync_playwright

import lookalike
from lookalike.page import WEB_FOLDER
from lookalike.server import serve

RUNS = 5

# The times between frames, in ms, while a step is taken at each of 120 frames. `step(n)` is the n-th, from 1.
FRAMES = """() => new Promise((resolve) => {
  PREPARE
  const times = [];
  let last = performance.now();
  const frame = () => {
    const now = performance.now();
    times.push(now - last);
    last = now;
    step(times.length);
    if (times.length < 120) requestAnimationFrame(frame);
    else resolve(times);
  };
  requestAnimationFrame(frame);
})"""

# Scrolls the page by 200 px.
SCROLL = FRAMES.replace(
    "PREPARE",
    """const scroller = document.getElementById("scroller");
  const step = () => (scroller.scrollTop += 200);""",
)

# Zooms the map in and then out again, by a step of the wheel.
ZOOM = FRAMES.replace(
    "PREPARE",
    """const canvas = document.querySelector(".map canvas");
  const { left, top, width, height } = canvas.getBoundingClientRect();
  const [clientX, clientY] = [left + width / 2, top + height / 2];
  const step = (n) => {
    const deltaY = n <= 60 ? -100 : 100;
    canvas.dispatchEvent(new WheelEvent("wheel", { deltaY, clientX, clientY, cancelable: true }));
  };""",
)

# The time from a click on the n-th tile to the frame that shows the hits, in ms.
CLICK = """(n) => new Promise((resolve) => {
  const started = performance.now();
  const look = () => {
    if (document.querySelector(".tile[data-id] .score")) resolve(performance.now() - started);
    else requestAnimationFrame(look);
  };
  document.querySelectorAll(".tile[data-id]")[n].querySelector("a").click();
  look();
})"""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--items", type=int, default=100_000, metavar="N", help="(default: %(default)s)")
    count = parser.parse_args().items
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        url = _serve(_collection(Path(folder) / "many.lookalike", count).path)
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"),
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        runs = [_run(browser, url, number) for number in range(RUNS)]
        browser.close()
    median = {name: round(statistics.median(run[name] for run in runs), 1) for name in runs[0]}
    scripts = sum(path.stat().st_size for path in WEB_FOLDER.glob("*.js"))
    print(json.dumps({"items": count, "script_bytes": scripts, **median}, indent=1))


def _run(browser: Browser, url: str, number: int) -> dict[str, float]:
    """The figures of one visit with an empty cache, in ms."""
    page: Page = browser.new_page(viewport={"width": 1200, "height": 800})
    page.goto(url)
    page.wait_for_selector(".tile[data-id]")
    first: float = page.evaluate("performance.now()")
    scrolled: list[float] = page.evaluate(SCROLL)
    tiles = page.locator(".tile").count()
    page.locator("#scroller").evaluate("scroller => (scroller.scrollTop = 0)")
    page.wait_for_selector(".tile[data-id]")
    search: float = page.evaluate(CLICK, number)
    page.goto(f"{url}#view=map&color=label")
    page.wait_for_selector(".legend li")
    zoomed: list[float] = page.evaluate(ZOOM)
    page.close()
    return {
        "first_items_ms": first,
        "click_to_hits_ms": search,
        "frame_median_ms": statistics.median(scrolled),
        "frame_p99_ms": float(np.percentile(scrolled, 99)),
        "tiles_in_document": tiles,
        "map_frame_median_ms": statistics.median(zoomed),
        "map_frame_p99_ms": float(np.percentile(zoomed, 99)),
    }


def _collection(path: Path, count: int) -> lookalike.Collection:
    """Vectors around 100 centres, as if from pictures of 100 kinds of things."""
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(100, 1280)).astype(np.float32)
    kinds = rng.integers(0, len(centres), count)
    vectors = centres[kinds] + rng.standard_normal((count, 1280), dtype=np.float32)
    names = (f"item-{number:07d}" for number in range(count))
    labels = {"label": [f"kind {kind}" for kind in kinds]}
    made = lookalike.from_vectors(path, vectors, names, columns=labels)
    made.map(write=True)
    return made


def _serve(path: Path) -> str:
    """Serve the collection at `path` until the program ends; returns the address of the page."""
    ready = threading.Event()
    urls: list[str] = []

    def on_ready(url: str) -> None:
        urls.append(url)
        ready.set()

    options = {"open_browser": False, "on_ready": on_ready, "port": 0}
    threading.Thread(target=serve, args=([path],), kwargs=options, daemon=True).start()
    ready.wait(60)
    return urls[0]


if __name__ == "__main__":
    main()

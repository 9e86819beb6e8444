"""What does the static site cost in a browser: bytes and seconds to open it, to search, and to run the model?

    python benchmarks/site.py [--images FOLDER] [--items 100000] [--onnxruntime-web DIR]

Headless Chromium with a plain file server on the same machine (so loading involves no network). The items
of the large site are made from the vectors of drawn flowers: mixed in pairs within a kind, with noise.
Pictures of FOLDER (drawn flowers by default) are embedded in the browser and in Python. Times are medians of
50 queries and 30 pictures.
"""

from __future__ import annotations

import argparse
import base64
import functools
import http.server
import shutil
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import Page, sync_playwright

import lookalike
from lookalike.demo.flowers import write_flowers
from lookalike.export import export_site

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
HOST = "window.host = (await import('./web/host.js')).default; const [c] = await host.collections();"
NO_FILTER = "filters: [], where: ''"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=Path, help="a folder of photographs (default: drawn flowers)")
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--onnxruntime-web", type=Path, metavar="DIR", help="(default: npm fetches it)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        root = Path(folder)
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        write_flowers(root / "drawn", count=1000)
        drawn = lookalike.build(root / "drawn", root / "drawn.lookalike", label="folder")
        site = export_site(
            drawn.snapshot, root / "site", with_model=True, onnxruntime_web=options.onnxruntime_web
        )
        images = sorted((options.images or root / "drawn").rglob("*.jp*g"))
        with served(site) as (url, sizes):
            report_opening(browser.new_page(), url, sizes, len(drawn) * 4 * drawn.manifest.model.dim)
            report_model(browser.new_page(), url, drawn, images[:: max(1, len(images) // 30)][:30])
        large = made_of(drawn, options.items, root / "large.lookalike")
        started = time.perf_counter()
        site = export_site(large.snapshot, root / "large")
        print(f"\n{options.items:,} x {large.manifest.model.dim}")
        print(f"  export                        {time.perf_counter() - started:8.1f} s")
        with served(site) as (url, _):
            report_search(browser.new_page(), url, large)
        browser.close()


def report_opening(page: Page, url: str, sizes: list[int], float32_bytes: int) -> None:
    """Print the time to the first pictures, and the bytes of all answers until the site can search."""
    started = time.perf_counter()
    page.goto(url)
    page.locator(".tile.ready").nth(9).wait_for()
    print(
        f"1,000 drawn pictures of 224 px\n"
        f"  first pictures                {time.perf_counter() - started:8.2f} s"
    )
    page.wait_for_load_state("networkidle")
    scripts = page.evaluate(
        "performance.getEntriesByType('resource').filter((one) => /[.]js$/.test(one.name))"
        ".reduce((sum, one) => sum + one.decodedBodySize, 0)"
    )
    print(f"  scripts of the page           {scripts / 1e3:8.0f} kB")
    print(f"  all until it can search       {sum(sizes) / 1e6:8.2f} MB")
    ratio = sum(sizes) / float32_bytes
    print(f"  their vectors as float32      {float32_bytes / 1e6:8.2f} MB (ratio {ratio:.2f})")
    page.close()


def report_model(page: Page, url: str, drawn: lookalike.Collection, images: Sequence[Path]) -> None:
    """Print the time to load the network and to embed a picture, and the cosine to Python's vector."""
    page.goto(url)
    times, cosines = [], []
    for path in images:
        encoded = base64.b64encode(path.read_bytes()).decode()
        took_ms, text = page.evaluate(
            f"""async (encoded) => {{ {HOST}
              const image = new Blob([Uint8Array.from(atob(encoded), (one) => one.charCodeAt(0))]);
              const started = performance.now();
              const {{vector_int8}} = await host.embed(c.name, {{image}});
              return [performance.now() - started, vector_int8]; }}""",
            encoded,
        )
        vector = np.frombuffer(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)), np.int8).astype(float)
        times.append(took_ms)
        cosines.append(float(vector @ drawn.model.embed([path])[0] / np.linalg.norm(vector)))
    print(f"the model, {len(images)} pictures")
    print(f"  load it and embed the first   {times[0]:8.0f} ms")
    print(f"  embed another                 {statistics.median(times[1:]):8.0f} ms")
    print(f"  cosine to Python's            {np.mean(cosines):8.4f} mean, {min(cosines):.4f} least")
    page.close()


def report_search(page: Page, url: str, large: lookalike.Collection) -> None:
    """Print the time to the first cards, to load everything, and for a query; and the recall."""
    page.goto(url)
    loaded_s = page.evaluate(
        f"""async () => {{ {HOST}
          const started = performance.now();
          await host.items(c.name, {{offset: 0, limit: 100, {NO_FILTER}}});
          const first = performance.now() - started;
          const id = (await host.items(c.name, {{offset: 0, limit: 1, {NO_FILTER}}})).items[0].id;
          await host.search(c.name, {{terms: [{{id, weight: 1}}], k: 50, {NO_FILTER}}});
          return [first / 1000, (performance.now() - started) / 1000]; }}"""
    )
    print(f"  first 100 cards               {loaded_s[0]:8.2f} s")
    print(f"  loaded and first query        {loaded_s[1]:8.2f} s")
    ids, vectors = large.items(["id"])["id"].to_pylist(), large.embeddings()
    rows = np.random.default_rng(2).choice(len(ids), 50, replace=False)
    answers = [
        page.evaluate(
            f"""async (id) => {{ {HOST}
              const started = performance.now();
              const wanted = {{terms: [{{id, weight: 1}}], k: 50, {NO_FILTER}}};
              const {{hits, took_ms}} = await host.search(c.name, wanted);
              return {{all: performance.now() - started, took_ms, ids: hits.map((hit) => hit.id)}}; }}""",
            ids[row],
        )
        for row in rows
    ]
    for name, times in (
        ("a query, search alone", [one["took_ms"] for one in answers]),
        ("a query, from page to page", [one["all"] for one in answers]),
    ):
        print(f"  {name:30}{statistics.median(times):8.1f} ms (p90 {np.quantile(times, 0.9):.1f})")
    recall = np.mean(
        [
            len({ids[one] for one in np.argsort(-(vectors @ vectors[row]))[:10]} & set(answer["ids"][:10]))
            / 10
            for row, answer in zip(rows, answers, strict=True)
        ]
    )
    print(f"  recall@10 against float32     {recall:8.3f}")
    page.close()


def made_of(drawn: lookalike.Collection, count: int, path: Path) -> lookalike.Collection:
    """A collection of `count` vectors like those of the drawn flowers."""
    vectors, labels = drawn.embeddings(), np.array(drawn.items(["label"])["label"].to_pylist())
    rng = np.random.default_rng(1)
    of_kind = {label: np.flatnonzero(labels == label) for label in set(labels.tolist())}

    def blocks() -> Iterator[np.ndarray[Any, Any]]:
        for start in range(0, count, 1000):
            one = rng.integers(len(vectors), size=min(1000, count - start))
            other = np.array([rng.choice(of_kind[labels[row]]) for row in one])
            share = rng.uniform(0.3, 1, (len(one), 1)).astype(np.float32)
            mixed = share * vectors[one] + (1 - share) * vectors[other]
            noise = rng.normal(0, 0.5, mixed.shape) * vectors.std(axis=0)
            yield np.maximum(mixed + noise, 0).astype(np.float32)

    ids = (
        [f"{row:06d}" for row in range(start, min(start + 1000, count))] for start in range(0, count, 1000)
    )
    return lookalike.from_vectors(path, blocks(), ids)


@contextmanager
def served(folder: Path) -> Iterator[tuple[str, list[int]]]:
    """Serve the folder from a plain file server in the block; yields its address and the answers' bytes."""
    sizes: list[int] = []

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

        def send_header(self, keyword: str, value: str) -> None:
            if keyword == "Content-Length":
                sizes.append(int(value))
            super().send_header(keyword, value)

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/", sizes
    finally:
        server.shutdown()
        server.server_close()


if __name__ == "__main__":
    main()

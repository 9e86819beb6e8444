"""A build of a list of URLs: no copy of the originals, and nothing fetched twice."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import pytest
from conftest import build
from url_lists import LOCAL, listed, ok
from web_server import web


@pytest.fixture
def site():
    with web() as running:
        yield running


def test_a_list_builds_a_collection_without_a_copy_of_the_originals(site, tmp_path):
    source = listed(
        tmp_path, *ok(site, *range(20)), f"{site.url}/html.jpg", f"{site.url}/status/404", "no url"
    )

    collection, report = build(source, tmp_path / "c", fetch=LOCAL)

    assert (report.embedded, report.failed) == (20, 3)
    rows = collection.items(["id", "uri", "caption", "size_bytes"]).to_pylist()
    assert [row["uri"] for row in rows] == [row["id"] for row in rows] == ok(site, *range(20))
    assert [row["caption"] for row in rows] == [f"c{number}" for number in range(20)]
    assert {row["stage"]: row["error"] for row in collection.failures().to_pylist()} == {
        "list": "not an http or https URL: 'no url'",
        "decode": "not a readable image (it is an HTML page)",
        "read": "HTTP 404 X",
    }


def test_urls_that_are_in_the_collection_are_not_fetched_again(site, tmp_path):
    build(listed(tmp_path, *ok(site, 1, 2, 3)), tmp_path / "c", fetch=LOCAL)

    collection, report = build(listed(tmp_path, *ok(site, 3, 4)), tmp_path / "c", fetch=LOCAL)

    assert (report.embedded, report.unchanged, report.removed) == (1, 1, 0)
    assert {row["id"]: row["caption"] for row in collection.items(["id", "caption"]).to_pylist()} == dict(
        zip(ok(site, 1, 2, 3, 4), ["c0", "c1", "c0", "c1"], strict=True)
    )
    assert {site.asked[f"/ok/{number}.jpg"] for number in (1, 2, 3, 4)} == {1}


def test_a_line_that_is_no_url_is_one_failure_however_often_one_builds(site, tmp_path):
    for _ in range(2):
        collection, report = build(listed(tmp_path, *ok(site, 1), "no url"), tmp_path / "c", fetch=LOCAL)

    assert report.failed == 1
    assert collection.failures()["id"].to_pylist() == ["no url"]


@pytest.mark.slow
def test_reading_runs_ahead_of_the_threads_that_embed(tmp_path):
    with web(delay_s=0.1) as site:
        build(listed(tmp_path, *ok(site, *range(40))), tmp_path / "c", fetch=LOCAL, threads=1)

        assert site.most_at_once == 8


@pytest.mark.process
def test_an_interrupted_build_of_urls_stops_at_once(tmp_path):
    with web() as site:
        source = listed(tmp_path, *(f"{site.url}/never/{number}" for number in range(9)))
        words = [
            "build",
            source,
            "-c",
            tmp_path / "c",
            "--model",
            "colors",
            "--allow-private",
            "--ignore-robots",
        ]
        process = subprocess.Popen(
            [sys.executable, "-m", "lookalike", *map(str, words)], stderr=subprocess.PIPE, text=True
        )
        while not site.asked:
            time.sleep(0.01)
        started_s = time.monotonic()
        process.send_signal(signal.SIGINT)

        _, said = process.communicate(timeout=20)
        assert process.returncode == 130
        assert "stopped" in said
        assert time.monotonic() - started_s < 5

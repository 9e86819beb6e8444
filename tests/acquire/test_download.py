"""Downloading lists into shards: every URL has a row, and nothing is fetched twice."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tarfile
import time
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from conftest import build, command
from url_lists import LOCAL, listed, ok
from web_server import jpeg, web

from lookalike.acquire.download import download
from lookalike.acquire.output import open_output
from lookalike.acquire.resize import Resize
from lookalike.acquire.seen import Seen
from lookalike.errors import LookalikeError, StorageError


@pytest.fixture
def site():
    with web() as running:
        yield running


def run(source: Path, out: Path, **options):
    return download(source, out, **{"fetch": LOCAL, "shard_size": 4, "threads": 2, **options})


def status(out: Path) -> list[dict]:
    return [row for path in sorted(out.glob("*.parquet")) for row in pq.read_table(path).to_pylist()]


def members(out: Path) -> dict[str, bytes]:
    found = {}
    for path in sorted(out.glob("*.tar")):
        with tarfile.open(path) as tar:
            found |= {member.name: tar.extractfile(member).read() for member in tar}
    return found


def test_every_url_has_a_row_with_what_became_of_it(site, tmp_path):
    urls = [*ok(site, 1), f"{site.url}/html.jpg", f"{site.url}/status/404", "no url", f"{site.url}/half.jpg"]

    report = run(listed(tmp_path, *urls, *ok(site, 1)), tmp_path / "out")

    rows = status(tmp_path / "out")
    assert [row["url"] for row in rows] == [*urls, *ok(site, 1)]
    assert [row["status"] for row in rows] == ["success", *["failed"] * 4, "duplicate"]
    assert [row["error"] for row in rows] == [None, "image", "http-404", "invalid-url", "image", None]
    assert [row["http_status"] for row in rows] == [200, 200, 404, None, 200, None]
    assert [row["caption"] for row in rows] == ["c0", "c1", "c2", "c3", "c4", "c5"]
    assert "it is an HTML page" in rows[1]["error_message"]
    assert (report.succeeded, report.failed, report.duplicates) == (1, 4, 1)
    assert report.errors == {"image": 2, "http-404": 1, "invalid-url": 1}
    assert json.loads((tmp_path / "out" / "report.json").read_text())["succeeded"] == 1


def test_an_image_lies_in_the_tar_as_it_came_with_what_is_known_of_it(site, tmp_path):
    run(listed(tmp_path, *ok(site, 1)), tmp_path / "out", resize=Resize(256))

    (row,) = status(tmp_path / "out")
    found = members(tmp_path / "out")
    assert found[f"{row['key']}.jpg"] == jpeg(1)
    beside = json.loads(found[f"{row['key']}.json"])
    assert (beside["caption"], beside["width"], beside["height"]) == ("c0", 64, 48)
    assert (row["bytes"], row["width"], row["original_width"]) == (len(jpeg(1)), 64, 64)


@pytest.mark.parametrize("format_", ["tar", "parquet", "tfrecord", "folder"])
def test_every_format_can_be_built_from(site, tmp_path, format_):
    run(listed(tmp_path, *ok(site, 1, 2, 3, 4, 5)), tmp_path / "out", format=format_)

    collection, report = build(tmp_path / "out", tmp_path / "c")

    assert (report.embedded, report.failed) == (5, 0)
    assert set(collection.items(["caption"])["caption"].to_pylist()) == {"c0", "c1", "c2", "c3", "c4"}


def test_a_finished_download_asks_for_nothing_again(site, tmp_path):
    source = listed(tmp_path, *ok(site, *range(10)))
    run(source, tmp_path / "out")
    before = dict(site.asked)

    report = run(source, tmp_path / "out")

    assert report.succeeded == 0
    assert dict(site.asked) == before


def test_rows_that_are_added_to_the_list_are_downloaded(site, tmp_path):
    run(listed(tmp_path, *ok(site, 0, 1, 2, 3, 4)), tmp_path / "out")
    run(listed(tmp_path, *ok(site, 0, 1, 2, 3, 4, 5, 3, 6)), tmp_path / "out")

    assert [row["url"] for row in status(tmp_path / "out")] == ok(site, 0, 1, 2, 3, 4, 5, 3, 6)
    assert {site.asked[f"/ok/{number}.jpg"] for number in range(7)} == {1}


def test_another_list_is_refused(site, tmp_path):
    run(listed(tmp_path, *ok(site, 0, 1)), tmp_path / "out")

    with pytest.raises(
        LookalikeError, match="was made from another list: the URLs differ from row 1 onwards"
    ):
        run(listed(tmp_path, *ok(site, 2, 3)), tmp_path / "out")


def test_other_options_and_other_files_are_refused(site, tmp_path):
    source = listed(tmp_path, *ok(site, 0, 1))
    run(source, tmp_path / "out")

    with pytest.raises(LookalikeError, match="made with size_px = None, not 256"):
        run(source, tmp_path / "out", resize=Resize(256))
    with pytest.raises(LookalikeError, match="has other files, not a download"):
        run(source, tmp_path)
    (tmp_path / "download.json").write_text("[1]")
    with pytest.raises(LookalikeError, match="has other files, not a download"):
        run(source, tmp_path)


def test_what_failed_is_tried_again_into_new_shards_and_nothing_else(site, tmp_path):
    source = listed(tmp_path, *ok(site, 0, 1), f"{site.url}/unavailable", f"{site.url}/status/404")
    run(source, tmp_path / "out")

    report = run(source, tmp_path / "out", retry_failed=True)

    assert (report.succeeded, report.failed) == (1, 1)
    assert [(row["status"], row["caption"]) for row in status(tmp_path / "out")[4:]] == [
        ("success", "c2"),
        ("failed", "c3"),
    ]
    assert site.asked["/ok/0.jpg"] == 1
    assert run(source, tmp_path / "out", retry_failed=True).failed == 1
    assert site.asked["/unavailable"] == 2
    assert run(source, tmp_path / "out").succeeded == 0


def test_a_count_takes_the_first_rows(site, tmp_path):
    run(listed(tmp_path, *ok(site, *range(10))), tmp_path / "out", count=3)

    assert len(status(tmp_path / "out")) == 3


def test_columns_that_have_a_name_of_the_status_get_another(site, tmp_path):
    source = tmp_path / "list.csv"
    source.write_text(f"url,width,key\n{site.url}/ok/1.jpg,999,k\n")
    run(source, tmp_path / "out")

    (row,) = status(tmp_path / "out")
    assert (row["width"], row["width_"], row["key_"]) == (64, "999", "k")


def test_a_store_is_no_place_for_a_download_and_what_is_one_is_said(site, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = listed(tmp_path, *ok(site, 1))

    with pytest.raises(
        LookalikeError, match=r"pack it: `lookalike\.acquire\.pack\.pack\(folder, 's3://bucket/shards'\)`"
    ):
        run(path, "s3://bucket/shards")

    assert [one.name for one in tmp_path.iterdir()] == ["urls.csv"]


def test_a_list_of_nothing_is_an_error(tmp_path):
    (tmp_path / "urls.txt").write_text("\n\n")

    with pytest.raises(LookalikeError, match=r"urls\.txt is an empty list"):
        run(tmp_path / "urls.txt", tmp_path / "out")


@pytest.mark.parametrize("words", [["--retry-failed"], ["--url-column", "url"]])
def test_a_data_set_is_not_downloaded_with_what_only_lists_of_urls_have(tmp_path, words):
    done = command("download", "hf:OWNER/NAME", tmp_path / "out", *words)

    assert (done.returncode, done.stderr.splitlines()[0]) == (
        1,
        f"lookalike: {words[0]} is only for lists of URLs, and hf:OWNER/NAME is not one",
    )


def test_private_addresses_are_tried_again_with_the_flag_that_allows_them(site, tmp_path):
    done = command("download", listed(tmp_path, *ok(site, 1)), tmp_path / "out")

    assert done.returncode == 1
    again = "(failed: 1 private-address; try them again with --retry-failed --allow-private)"
    assert done.stderr.endswith(f"{again}\n")


def test_a_finished_download_says_that_nothing_is_left(site, tmp_path):
    path = listed(tmp_path, *ok(site, 1))
    words = ("download", path, tmp_path / "out", "--allow-private")

    first, second = command(*words), command(*words)

    assert first.stderr.startswith("1 downloaded")
    assert second.stderr == "nothing is left to download\n"
    assert (first.returncode, second.returncode) == (0, 0)


@pytest.mark.parametrize("format_", ["tar", "folder", "parquet"])
def test_files_of_others_are_never_removed(site, tmp_path, format_):
    out, urls = tmp_path / "out", ok(site, *range(8))
    run(listed(tmp_path, *urls[:4]), out, format=format_)
    before = {}
    for name in ("20240101/mine.jpg", "00007.tar", "00001/mine.jpg", "00002.tar.tmp", "notes.tmp", ".begun"):
        (out / name).parent.mkdir(exist_ok=True)
        (out / name).write_bytes(name.encode())
        before[name] = name.encode()

    run(listed(tmp_path, *urls), out, format=format_)

    assert {name: (out / name).read_bytes() for name in before} == before


def test_finished_shards_whose_tables_were_moved_away_stay(site, tmp_path):
    source, out = listed(tmp_path, *ok(site, *range(8))), tmp_path / "out"
    run(source, out)
    before = {path: path.read_bytes() for path in out.glob("*.tar")}
    for table in out.glob("*.parquet"):
        table.rename(tmp_path / table.name)

    run(source, out)

    assert {path: path.read_bytes() for path in before} == before
    assert sorted(path.name for path in out.glob("0*")) == [
        *("00000.tar", "00001.tar", "00002.parquet", "00002.tar", "00003.parquet", "00003.tar")
    ]


@pytest.mark.parametrize("format_", ["tar", "folder", "parquet", "tfrecord"])
def test_what_a_kill_leaves_of_a_shard_is_removed_but_for_what_is_not_its_own(site, tmp_path, format_):
    source, out = listed(tmp_path, *ok(site, *range(4))), tmp_path / "out"
    run(source, out, count=1, format=format_)
    with open_output(out, format_, asdict(Resize())) as output:
        output.begin(1)
    output.begin(1)  # and then it was killed
    for name in ("00001.tar", "00001.tar.tmp", "00001/0000100000.jpg", "00001/0000100001.jpg.tmp"):
        (out / name).parent.mkdir(exist_ok=True)
        (out / name).touch()
    (out / "00001" / "mine.jpg").touch()

    run(source, out, format=format_)

    assert (out / "00001" / "mine.jpg").exists()
    assert not list(out.glob(".begun*"))
    gone = {"tar": ["00001.tar.tmp"], "folder": ["00001/0000100001.jpg.tmp"]}.get(format_, [])
    assert [name for name in gone if (out / name).exists()] == []


def test_a_host_that_wants_a_day_costs_its_rows_and_no_day(tmp_path):
    with web(retry_after="86400") as site:
        source = listed(tmp_path, *ok(site, 1), f"{site.url}/later")
        run(source, tmp_path / "out", fetch=replace(LOCAL, retries=2, per_host=1))
        assert [(row["status"], row["error"]) for row in status(tmp_path / "out")] == [
            ("success", None),
            ("failed", "busy"),
        ]
        site.retry_after = ""
        run(source, tmp_path / "out", retry_failed=True)
        assert [row["url"] for row in status(tmp_path / "out")][2:] == [f"{site.url}/later"]


def test_a_full_disk_is_a_clear_error_and_what_was_committed_stays(site, tmp_path, monkeypatch):
    source = listed(tmp_path, *ok(site, *range(8)))
    run(source, tmp_path / "out", count=4)
    real = os.fsync

    def full(descriptor):
        if "00001.tar" in os.readlink(f"/proc/self/fd/{descriptor}"):
            raise OSError(28, "No space left on device")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match="no space left on the device"):
        run(source, tmp_path / "out")
    monkeypatch.undo()

    assert sorted(path.name for path in (tmp_path / "out").glob("0*")) == ["00000.parquet", "00000.tar"]
    run(source, tmp_path / "out")
    assert len(status(tmp_path / "out")) == 8


@pytest.mark.process
@pytest.mark.parametrize("when_s", [0.3, 0.9])
def test_a_killed_download_goes_on_and_fetches_no_finished_shard_again(tmp_path, when_s):
    with web(delay_s=0.05) as site:
        source, out = listed(tmp_path, *ok(site, *range(60))), tmp_path / "out"
        words = [sys.executable, "-m", "lookalike", "download", source, out, "--allow-private", "--rate", "0"]
        process = subprocess.Popen([*map(str, words), "--shard-size", "6"], stderr=subprocess.DEVNULL)
        while len(list(out.glob("*.parquet"))) < 3 * when_s:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait()
        finished = {row["url"].removeprefix(site.url) for row in status(out)}
        assert 0 < len(finished) < 60
        members(out)  # every tar that has its name is whole

        run(source, out, shard_size=6)

        assert [site.asked[path] for path in finished] == [1] * len(finished)
        rows = status(out)
        assert sorted(row["url"] for row in rows) == sorted(ok(site, *range(60)))
        assert sum(name.endswith(".jpg") for name in members(out)) == 60
        assert not list(out.glob("*.tmp"))


@pytest.mark.process
def test_an_interrupted_download_leaves_finished_shards_and_its_report(tmp_path):
    with web(delay_s=0.05) as site:
        source, out = listed(tmp_path, *ok(site, *range(60)), f"{site.url}/never"), tmp_path / "out"
        words = [sys.executable, "-m", "lookalike", "download", source, out, "--allow-private", "--rate", "0"]
        process = subprocess.Popen([*map(str, words), "--shard-size", "6"], stderr=subprocess.DEVNULL)
        while len(list(out.glob("*.parquet"))) < 2:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)

        assert process.wait(20) == 130
        assert not list(out.glob("*.tmp"))
        assert {path.stem for path in out.glob("*.tar")} == {path.stem for path in out.glob("*.parquet")}
        assert json.loads((out / "report.json").read_text())["succeeded"] >= 12


def test_urls_come_from_the_standard_input_too(site, tmp_path):
    words = ("download", "-", tmp_path / "out", "--allow-private", "--rate", "0", "--json")

    done = command(*words, input="\n".join(ok(site, 1, 2)))

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["succeeded"] == 2
    assert "2 downloaded" in done.stderr


def test_private_addresses_are_refused_by_default(site, tmp_path):
    done = command("download", listed(tmp_path, *ok(site, 1)), tmp_path / "out")

    assert done.returncode == 1
    assert "1 private-address" in done.stderr
    assert site.asked == {}


def test_the_set_of_urls_agrees_with_pythons():
    random = np.random.default_rng(0)
    seen, expected = Seen(), set()

    for _ in range(50):
        texts = [str(number) for number in random.integers(0, 3000, 100)]
        known = []
        for text in texts:
            known.append(text in expected)
            expected.add(text)
        assert seen.add(texts).tolist() == known

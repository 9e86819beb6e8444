"""Lists of URLs: every format, compressed or not, read as they come."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import itertools
import json
import lzma
import re
import tracemalloc
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pictures import quick

from lookalike.errors import SourceError
from lookalike.sources.url_lists import is_url_list, open_url_list

ROWS = [("http://a.org/1.jpg", {"caption": "one"}), ("http://a.org/ü.jpg", {"caption": 'with "quotes", ü'})]


def as_csv(rows, delimiter=","):
    file = io.StringIO()
    writer = csv.writer(file, delimiter=delimiter)
    writer.writerow(["caption", "url"])
    writer.writerows([metadata["caption"], url] for url, metadata in rows)
    return file.getvalue().encode()


def records(rows):
    return [{"caption": metadata["caption"], "url": url} for url, metadata in rows]


def as_parquet(rows):
    file = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(records(rows)), file)
    return file.getvalue()


WRITERS = {
    "csv": as_csv,
    "tsv": lambda rows: as_csv(rows, "\t"),
    "json": lambda rows: json.dumps(records(rows), indent=1).encode(),
    "jsonl": lambda rows: b"".join(json.dumps(row).encode() + b"\n\n" for row in records(rows)),
    "parquet": as_parquet,
}
PACKERS = {
    "": bytes,
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": lambda data: pa.compress(data, codec="zstd", asbytes=True),
}
NAMES = [(kind, packing) for kind in WRITERS for packing in PACKERS if kind != "parquet" or not packing]


def write(folder: Path, name: str, data: bytes) -> Path:
    (folder / name).write_bytes(data)
    return folder / name


def rows(path: Path, *options) -> list:
    return list(open_url_list(path, *options).rows())


@pytest.mark.parametrize(("kind", "packing"), NAMES)
def test_every_format_gives_the_same_rows(tmp_path, kind, packing):
    path = write(tmp_path, f"list.{kind}{packing}", PACKERS[packing](WRITERS[kind](ROWS)))

    assert rows(path) == ROWS


@pytest.mark.parametrize("packing", PACKERS)
def test_a_text_is_a_url_a_line_and_empty_lines_are_passed_over(tmp_path, packing):
    text = b"\xef\xbb\xbfhttp://a/1\r\n\n  \n http://a/2 \nnot a url\nhttp://a/\xe9"

    path = write(tmp_path, f"list.txt{packing}", PACKERS[packing](text))

    assert [url for url, _ in rows(path)] == ["http://a/1", "http://a/2", "not a url", "http://a/\\xe9"]


@pytest.mark.parametrize("kind", WRITERS)
@given(
    st.lists(
        st.tuples(
            st.text("abc/:é,\"' 中", min_size=1).map(lambda text: "http://" + text.strip()),
            st.fixed_dictionaries({"caption": st.text(st.characters(exclude_categories=["Cs", "Cc"]))}),
        ),
        min_size=1,
    )
)
@quick
def test_what_was_written_is_read(tmp_path_factory, kind, written):
    path = write(tmp_path_factory.mktemp("lists"), f"list.{kind}", WRITERS[kind](written))

    assert rows(path) == written


@given(st.binary())
@pytest.mark.parametrize("name", ["a.txt", "a.csv", "a.json", "a.jsonl", "a.parquet", "a.csv.gz", "a.txt.xz"])
@quick
def test_any_bytes_are_rows_or_a_clear_error(tmp_path_factory, name, data):
    path = write(tmp_path_factory.mktemp("lists"), name, data)

    try:
        assert all(isinstance(url, str) for url, _ in rows(path, None, []))
    except SourceError as error:
        assert str(error)


def test_a_column_that_is_not_there_is_answered_with_those_that_are(tmp_path):
    path = write(tmp_path, "list.csv", as_csv(ROWS))

    with pytest.raises(SourceError, match=re.escape("has no column link, only: caption, url")):
        open_url_list(path, "link")
    with pytest.raises(SourceError, match=re.escape("has no column license, only: caption, url")):
        open_url_list(path, "url", ["license"])


def test_a_list_without_a_column_of_urls_says_how_to_name_it(tmp_path):
    with pytest.raises(SourceError, match=r"no column of URLs, only: a, b; name it as `url_column`"):
        open_url_list(write(tmp_path, "list.csv", b"a,b\n1,2\n"))


def test_a_csv_without_names_says_so(tmp_path):
    with pytest.raises(SourceError, match=r"the first line of the list is a URL"):
        open_url_list(write(tmp_path, "list.csv", b"http://a/1.jpg,x\n"))


def test_a_short_row_lacks_its_last_values(tmp_path):
    path = write(tmp_path, "list.csv", b"url,caption\nhttp://a/1\n\n,\nhttp://a/2,two\n,no url\n")

    assert rows(path) == [
        ("http://a/1", {"caption": None}),
        ("http://a/2", {"caption": "two"}),
        ("", {"caption": "no url"}),
    ]


def test_what_json_holds_becomes_text(tmp_path):
    path = write(tmp_path, "list.jsonl", b'{"url": "http://a/1", "n": 1, "tags": ["a"], "s": "\\ud800"}')

    assert rows(path) == [("http://a/1", {"n": "1", "tags": '["a"]', "s": "\\ud800"})]


def test_a_json_array_may_hold_urls_alone(tmp_path):
    assert rows(write(tmp_path, "list.json", b'["http://a/1","http://a/2"]')) == [
        ("http://a/1", {}),
        ("http://a/2", {}),
    ]


@pytest.mark.parametrize(
    "data", [b'["http://a/1", ', b'[{"url": "http://a/1"}, {"ur', b'{"url": "http://a"}']
)
def test_a_json_list_that_breaks_off_says_so(tmp_path, data):
    with pytest.raises(SourceError, match=r"cannot read the list .*list\.json"):
        rows(write(tmp_path, "list.json", data))


def test_a_parquet_file_is_a_list_where_it_has_urls_and_no_images(tmp_path):
    listed = write(tmp_path, "list.parquet", as_parquet(ROWS))
    pq.write_table(pa.table({"url": ["http://a"], "image": [b"\xff\xd8"]}), tmp_path / "images.parquet")

    assert is_url_list(listed)
    assert not is_url_list(tmp_path / "images.parquet")


def test_a_list_is_read_as_it_is_needed(tmp_path):
    path = tmp_path / "list.csv"
    with path.open("w") as file:
        file.write("url,caption\n")
        file.writelines(f"http://a.org/{number}.jpg,{'x' * 100}\n" for number in range(200_000))

    tracemalloc.start()
    found = list(itertools.islice(open_url_list(path).rows(), 3))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert [url for url, _ in found] == [f"http://a.org/{number}.jpg" for number in range(3)]
    assert peak < 1_000_000


def test_a_row_that_cannot_be_read_is_a_row_that_says_so(tmp_path):
    """It has no URL, so that it becomes a failure, and the rows around it are read."""
    large = b"x" * 200_000
    data = (
        b"url,caption\nhttp://a/1,a\nhttp://a/2," + large + b'\nhttp://a/3,c\n"http://a/4,d\nhttp://a/5,e\n'
    )

    found = rows(write(tmp_path, "list.csv", data))

    assert found == [
        ("http://a/1", {"caption": "a"}),
        ("line 3: field larger than field limit (131072)", {"caption": None}),
        ("http://a/3", {"caption": "c"}),
        ("line 5: a quote opened here is never closed", {"caption": None}),
    ]


def test_a_line_that_is_no_json_is_a_row_that_says_so(tmp_path):
    data = b'{"url": "http://a/1"}\n{"url": \n[1]\n\n{"url": "http://a/2"}\n'

    assert [url for url, _ in rows(write(tmp_path, "list.jsonl", data))] == [
        "http://a/1",
        "line 2: Expecting value",
        "line 3: a row is an object or a URL, not [1]",
        "http://a/2",
    ]


def test_a_first_row_that_cannot_be_read_is_an_error(tmp_path):
    with pytest.raises(SourceError, match=r"line 1: Expecting .:. delimiter"):
        rows(write(tmp_path, "list.jsonl", b'{"url"= 1}\n{"url": "http://a/2"}\n'))

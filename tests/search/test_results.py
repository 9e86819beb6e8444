"""Results are a sequence of hits, a table and a row of pictures in a notebook."""

from __future__ import annotations

import base64
import re
from pathlib import Path

import pytest
from conftest import build, picture, write_picture

import lookalike
from lookalike import Id


@pytest.fixture
def results(collection):
    return collection.search(Id("sea/sea-002.png"), k=5, include_query=True)


def test_results_are_a_sequence_of_hits(results):
    assert len(results) == 5
    assert [results[place] for place in range(5)] == list(results)
    assert list(reversed(results)) == list(results)[::-1]
    assert results[-1] == results[4]
    assert results[0] in results


def test_there_is_no_hit_beyond_the_last(results):
    with pytest.raises(IndexError):
        results[5]


def test_a_slice_of_results_has_the_hits_at_its_places(results):
    assert tuple(results[1:3]) == (results[1], results[2])
    assert not results[5:]


def test_a_hit_has_the_columns_of_its_row(collection, photos):
    hit = collection.search(Id("sea/sea-002.png"), k=1, include_query=True)[0]
    path = photos / "sea" / "sea-002.png"

    assert (hit.id, hit.label, hit.uri) == ("sea/sea-002.png", "sea", path.as_uri())
    assert repr(hit) == "Hit(id='sea/sea-002.png', score=1.000, label='sea')"
    shown = hit.as_dict()
    assert list(shown) == [
        "id",
        "score",
        "confidence",
        "uri",
        "size_bytes",
        "mtime_ns",
        "sha256",
        "width",
        "height",
        "label",
        "taken_at",
        "latitude",
        "longitude",
        "camera",
    ]
    assert shown["size_bytes"] == path.stat().st_size


def test_the_thumbnail_of_a_hit_is_that_of_its_item(collection):
    for hit in collection.search(Id("sea/sea-002.png"), k=42, include_query=True):
        (best,) = collection.search(hit.thumbnail, k=1)
        assert (best.id, best.score > 0.98) == (hit.id, True)


def test_the_thumbnail_of_a_hit_is_never_that_of_another_item(folder, target):
    collection, _ = build(folder, target)
    hit = collection.search(Id("sea/sea-002.png"), k=1, include_query=True)[0]
    before = hit.thumbnail
    (folder / "brick" / "brick-000.jpg").unlink()
    build(folder, target)

    try:
        after = hit.thumbnail
    except lookalike.LookalikeError:
        return
    assert after == before


def test_results_as_a_table_have_a_row_for_each_hit(collection):
    table = collection.search(Id("sea/sea-002.png"), k=3, include_query=True).to_table()

    assert table.num_rows == 3
    assert table.column_names[:3] == ["id", "score", "confidence"]
    assert table["id"][0].as_py() == "sea/sea-002.png"


def two_sources(folder: Path, target: Path) -> lookalike.Collection:
    """A collection whose second source brought a column that the first has not."""
    other = write_picture(folder.parent / "other" / "one.png", 100).parent
    (folder.parent / "notes.csv").write_text("id,price\none.png,3\n")
    build(folder, target)
    return build(other, target, metadata=folder.parent / "notes.csv")[0]


def test_results_as_a_table_have_the_columns_of_every_source(folder, target):
    collection = two_sources(folder, target)

    table = collection.search(Id("sea/sea-002.png"), k=13, include_query=True).to_table()

    assert dict(zip(table["id"].to_pylist(), table["price"].to_pylist(), strict=True))["one.png"] == 3


def test_no_results_are_a_table_with_columns(tmp_path, target):
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "bad.jpg").touch()
    results = build(tmp_path / "bad", target)[0].search(picture(1))

    assert len(results) == 0
    assert results.to_table().num_rows == 0
    assert results.to_table().column_names[:2] == ["id", "score"]


def test_results_in_a_notebook_are_pictures(collection):
    results = collection.search(Id("sea/sea-002.png"), k=3, include_query=True)

    shown = re.findall(r'<img src="data:image/jpeg;base64,([^"]*)"', results._repr_html_())

    assert [base64.b64decode(data) for data in shown] == [hit.thumbnail for hit in results]


def test_results_in_a_notebook_are_escaped(folder, target):
    evil = "\"><script>alert('&')<"
    write_picture(folder / evil / "one.png", 100)
    collection, _ = build(folder, target, label="folder")

    shown = collection.search(Id(f"{evil}/one.png"), k=1, include_query=True)._repr_html_()

    assert "<script" not in shown
    assert "&quot;&gt;&lt;script&gt;alert(&#x27;&amp;&#x27;)&lt;/one.png" in shown
    assert "1.000 &quot;&gt;&lt;script&gt;" in shown

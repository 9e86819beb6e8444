"""What was derived from a collection on its site: taught words and clusters are columns, with facets."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from conftest import build, write_pictures
from site_browser import serving, tab
from test_site_networks import entry

import lookalike
from lookalike.export import export_site

FACETS = """async () => {
  const { default: host } = await import("./web/host.js");
  const [{ name }] = await host.collections();
  return (await host.facets(name, { filters: [], where: "" })).columns;
}"""


@pytest.fixture
def collection(tmp_path: Path) -> lookalike.Collection:
    """Twelve pictures, with a taught word."""
    photos = write_pictures(tmp_path / "photos", 12)
    collection, _ = build(photos, tmp_path / "c.lookalike", model="pixels", label="folder")
    ids = [item.id for item in collection if item.label == "sea"]
    collection.teach(
        "holiday", like=ids[:3], unlike=[item.id for item in collection if item.label == "brick"]
    )
    return lookalike.open(collection.path)


def test_taught_words_are_a_column(collection, tmp_path):
    site = export_site(collection.snapshot, tmp_path / "site")

    assert {"name": "taught", "type": "list"} in entry(site)["columns"]  # type: ignore[operator]
    (columns,) = site.glob("data/*/columns/*.json")
    taught = json.loads(columns.read_bytes())["taught"]
    assert taught == collection.snapshot.column("taught").to_pylist()
    assert taught.count(["holiday"]) >= 3


def test_columns_go_on_in_the_next_file(collection, tmp_path, monkeypatch):
    monkeypatch.setattr("lookalike.export.site.CHUNK_ROWS", 5)

    site = export_site(collection.snapshot, tmp_path / "site", max_items=11)

    found = [json.loads(path.read_bytes())["taught"] for path in sorted(site.glob("data/*/columns/*.json"))]
    assert [len(one) for one in found] == [5, 5, 1]
    assert [value for one in found for value in one] == collection.snapshot.column("taught").to_pylist()[:11]


def test_another_grouping_has_other_addresses(collection, tmp_path):
    before = entry(export_site(collection.snapshot, tmp_path / "one"))["files"]
    collection.cluster(2, write=True)

    after = entry(export_site(lookalike.open(collection.path).snapshot, tmp_path / "two"))["files"]

    assert before != after


def test_taught_words_are_counted_in_a_facet(window, collection, tmp_path):
    site = export_site(collection.snapshot, tmp_path / "site")

    with serving(site) as server, tab(window, server.url) as page:
        page.get_by_text("12 pictures").wait_for()
        (facet,) = [one for one in page.evaluate(FACETS) if one["name"] == "taught"]

    wanted = [one for one in collection.snapshot.column("taught").to_pylist() if one]
    assert facet["values"] == [{"value": "holiday", "count": len(wanted)}]

"""Marks on the hits of a site refine the search as Python's do by an SVM."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from conftest import build, write_pictures
from site_browser import serving, tab

import lookalike
from lookalike.export import export_site
from lookalike.search import thumbs

SEARCH = """async (terms) => {
  const { default: host } = await import("./web/host.js");
  const [{ name }] = await host.collections();
  return await host.search(name, { terms, k: 8, filters: [], where: "" });
}"""


@pytest.fixture(scope="module")
def collection(tmp_path_factory: pytest.TempPathFactory) -> lookalike.Collection:
    root = tmp_path_factory.mktemp("thumbs")
    photos = write_pictures(root / "photos", 42)
    return build(photos, root / "c.lookalike", model="pixels")[0]


@pytest.fixture(scope="module")
def site(collection: lookalike.Collection, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_site(collection.snapshot, tmp_path_factory.mktemp("exported") / "site")


def searched(window: Any, site: Path, query: str, like: list[str], unlike: list[str]) -> Any:
    marks = [*((id_, 1) for id_ in like), *((id_, -1) for id_ in unlike)]
    terms = [{"id": id_, "weight": weight} for id_, weight in [(query, 1), *marks]]
    with serving(site) as server, tab(window, server.url) as page:
        page.get_by_text("42 pictures").wait_for()
        return page.evaluate(SEARCH, terms)


def test_marks_refine_as_in_python(window, collection, site, monkeypatch):
    for way in ("rocchio", "lda", "query"):
        monkeypatch.delitem(thumbs.WAYS, way)
    ids = sorted(collection.ids)
    seas, meadows = ([one for one in ids if one.startswith(name)] for name in ("sea", "meadow"))
    wanted = collection.refine(lookalike.Id(meadows[0]), seas[:3], meadows[1:4], 8)

    answer = searched(window, site, meadows[0], seas[:3], meadows[1:4])

    assert answer["refined"] == wanted.refined == "svm"
    found = {hit["id"]: (hit["score"], hit["confidence"]) for hit in answer["hits"]}
    assert found == {hit.id: pytest.approx((hit.score, hit.confidence), abs=0.02) for hit in wanted}
    assert {id_.split("/")[0] for id_ in found} == {"sea"}


def test_one_mark_of_a_kind_stays_a_term_of_the_sum(window, collection, site):
    ids = sorted(collection.ids)
    query = lookalike.Id(ids[0]) + lookalike.Id(ids[1]) + lookalike.Id(ids[2]) - lookalike.Id(ids[-1])

    answer = searched(window, site, ids[0], ids[1:3], ids[-1:])

    assert answer["refined"] == ""
    wanted = [hit.score for hit in collection.search(query, 8)]
    assert [hit["score"] for hit in answer["hits"]] == pytest.approx(wanted, abs=0.01)

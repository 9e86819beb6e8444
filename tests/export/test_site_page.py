"""The page of a static site in Chromium, on a plain file server.

Every test also asserts, when it ends, that the page asked no other host for anything and logged no error.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import build, write_pictures
from pages import NOTES, PHOTO, Page, expect, ids, send_file, tile
from site_browser import FileServer, serving, tab

import lookalike
from lookalike.errors import ModelError
from lookalike.export import export_site
from lookalike.export.npm import ONNXRUNTIME, package_files

# Asks the host behind the page; an error becomes its kind, title, detail and nearest.
ASK = """async ([method, options]) => {
  const { default: host } = await import("./web/host.js");
  const [{ name }] = await host.collections();
  try {
    return await host[method](name, options);
  } catch (error) {
    return [error.kind, error.title, error.detail, error.nearest];
  }
}"""
# The network takes a second to load on a free machine.
PATIENCE_MS = 40_000
ALL = {"filters": [], "where": ""}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> lookalike.Collection:
    """42 pictures in the vectors of the network, of three labels."""
    root = tmp_path_factory.mktemp("built")
    photos = write_pictures(root / "photos", 42)
    return build(photos, root / "photos.lookalike", label="folder", model="efficientnet-lite0")[0]


@pytest.fixture(scope="module")
def site(built: lookalike.Collection, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_site(built.snapshot, tmp_path_factory.mktemp("exported") / "site")


@pytest.fixture(scope="module")
def model_site(built: lookalike.Collection, tmp_path_factory: pytest.TempPathFactory) -> Path:
    try:
        package_files(ONNXRUNTIME)
    except ModelError as error:
        pytest.skip(str(error))
    return export_site(built.snapshot, tmp_path_factory.mktemp("exported") / "with-model", with_model=True)


@pytest.fixture
def server(site: Path) -> Iterator[FileServer]:
    with serving(site) as server:
        yield server


@pytest.fixture
def page(window: Any, server: FileServer) -> Iterator[Page]:
    with tab(window, server.url) as page:
        page.get_by_text("42 pictures").wait_for()
        yield page


def ask(page: Page, method: str, options: Any) -> Any:
    return page.evaluate(ASK, [method, options])


def search(page: Page, **term: Any) -> Any:
    return ask(page, "search", {"terms": [{"weight": 1, **term}], "k": 5, **ALL})


def click(page: Page, id_: str) -> None:
    tile(page, id_).locator("a.picture").click()


def see(page: Page, text: str) -> None:
    page.get_by_text(text).first.wait_for(timeout=PATIENCE_MS)


def see_hits(page: Page) -> None:
    hits = re.compile(r"of 42 pictures, in [\d.]+ ms")
    expect(page.locator("#status")).to_have_text(hits, timeout=PATIENCE_MS)


def photo(built: lookalike.Collection, id_: str) -> Path:
    return built.path.with_suffix("") / id_


def test_the_pictures_are_there_before_the_vectors(window, server):
    server.held.add("/vectors/")

    with tab(window, server.url) as page:
        page.locator(".tile.ready").nth(8).wait_for()
        click(page, "brick/brick-000.jpg")
        page.locator("#progress").wait_for()
        assert page.locator("#chips").is_hidden()
        server.held.clear()
        see_hits(page)


def test_a_click_finds_what_python_finds(page, built):
    click(page, "brick/brick-003.jpg")
    see_hits(page)

    expected = built.search(lookalike.Id("brick/brick-003.jpg"), 12)
    # Rounding swaps the next two, which are equally alike.
    assert ids(page)[:4] == [hit.id for hit in expected][:4]


def test_scores_and_confidence_are_pythons(page, built):
    answer = search(page, id="sea/sea-002.png")

    expected = built.search(lookalike.Id("sea/sea-002.png"), 5)
    for name, tolerance in (("score", 0.005), ("confidence", 0.05)):
        found = [hit[name] for hit in answer["hits"]]
        assert found == pytest.approx([getattr(hit, name) for hit in expected], abs=tolerance)
    assert (answer["total"], answer["chance"]) == (42, False)


def test_back_and_reload_show_what_was_there(page):
    click(page, "brick/brick-000.jpg")
    see_hits(page)
    found = ids(page)
    assert "brick/brick-000.jpg" not in found

    page.reload()
    see_hits(page)
    assert ids(page) == found
    chip = page.locator(".chip")
    assert chip.locator(".chip-name").inner_text() == "brick"
    chip.locator("img").evaluate("image => image.decode()")  # which fails for one that is broken

    page.go_back()
    see(page, "42 pictures")
    assert page.locator("#chips").is_hidden()


def test_an_address_with_details_shows_their_picture(page):
    page.goto(f"{page.url.partition('#')[0]}#c=photos&q=id:sea/sea-002.png&item=brick/brick-000.jpg")
    page.reload()
    page.get_by_text("This picture").wait_for()
    page.wait_for_load_state("networkidle")
    broken = "() => [...document.images].filter((one) => one.complete && !one.naturalWidth && one.src).length"
    assert page.evaluate(broken) == 0


def test_words_find_what_python_finds(page, built):
    page.locator("#words").fill("qqqq wwww")
    page.keyboard.press("Enter")
    complaint = page.locator("#words-error")
    complaint.get_by_text("qqqq").wait_for()

    page.locator("#words").fill("stone wall")
    page.keyboard.press("Enter")
    see_hits(page)
    # Rounding may swap two that are equally alike.
    expected = [hit.id for hit in built.search(lookalike.Text("stone wall"), 6)]
    assert len({*ids(page)[:5]} & {*expected}) >= 4


def test_facets_count_and_filter(page):
    page.locator("#filters").click()
    see(page, "Label")
    page.locator("#facet-list label", has_text="meadow").click()

    see(page, "14 of 42")
    assert {id_.split("/")[0] for id_ in ids(page)} == {"meadow"}
    assert page.locator("#sql").is_hidden()


def test_a_filtered_search_finds_only_what_is_left(page):
    meadow = {"filters": [{"column": "label", "op": "is", "value": "meadow"}], "where": ""}

    for id_, left_out in (("brick/brick-000.jpg", 0), ("meadow/meadow-001.jpg", 1)):
        answer = ask(page, "search", {"terms": [{"id": id_, "weight": 1}], "k": 50, **meadow})

        assert (answer["total"], answer["matching"], answer["left_out"]) == (42, 14, left_out)
        assert len(answer["hits"]) == 14 - left_out
        assert {hit["label"] for hit in answer["hits"]} == {"meadow"}
        assert id_ not in [hit["id"] for hit in answer["hits"]]


def test_facets_are_the_servers(page, built):
    from lookalike.search.engine import Engine
    from lookalike.server.facets import _facets

    expected = _facets(Engine(built.snapshot), "label = 'sea'")

    found = ask(page, "facets", {"filters": [{"column": "label", "op": "is", "value": "sea"}], "where": ""})

    assert found["total"] == expected["total"] == 14
    columns = {column["name"]: column for column in found["columns"]}
    assert columns.keys() == {column["name"] for column in expected["columns"]}
    for column in expected["columns"]:
        if "bins" in column:
            column["edges"] = pytest.approx(column["edges"])
        assert columns[column["name"]] == column


def test_an_item_has_all_its_columns_but_where_it_was(page, built):
    found = ask(page, "item", "sea/sea-002.png")

    (row,) = [row for row in built.items().to_pylist() if row["id"] == "sea/sea-002.png"]
    assert {name: found[name] for name in ("id", "label", "width", "sha256", "tags")} == {
        name: row[name] for name in ("id", "label", "width", "sha256", "tags")
    }
    assert "uri" not in found


def test_a_sum_is_pythons(page, built):
    terms = [{"id": "sea/sea-002.png", "weight": 2}, {"id": "brick/brick-000.jpg", "weight": -1}]
    query = lookalike.Id("sea/sea-002.png") * 2 - lookalike.Id("brick/brick-000.jpg")

    answer = ask(page, "search", {"terms": terms, "k": 5, **ALL})

    expected = built.search(query, 5)
    assert answer["left_out"] == 2
    assert [hit["score"] for hit in answer["hits"]] == pytest.approx(
        [hit.score for hit in expected], abs=0.01
    )


def test_what_cannot_be_answered_says_why(page):
    both = [{"id": "sea/sea-002.png", "weight": 1}, {"id": "sea/sea-002.png", "weight": -1}]

    assert search(page, id="sea/sea-003.png")[:2] == ["unknown-item", "There is no such item"]
    assert "sea/sea-002.png" in search(page, id="sea/sea-003.png")[3]
    assert search(page, text="dasiy")[3] == []  # of a daisy there is no picture
    assert search(page, vector_int8="AQID")[1:3] == [
        "That vector does not belong to this collection",
        "It has 3 numbers, those here have 1280.",
    ]
    assert ask(page, "search", {"terms": both, "k": 5, **ALL})[1] == "The terms cancel each other out"
    assert ask(page, "items", {"offset": 0, "limit": 5, "filters": [], "where": "1"})[0] == "bad-where"


def test_without_the_model_the_page_says_what_is_missing(page):
    expect(page.locator("#choose")).to_be_hidden()
    send_file(page, "drop", PHOTO)

    see(page, "You cannot search by your own pictures here. This site was published without the model")


def test_a_file_that_is_missing_is_named_and_asked_for_again(window, site, tmp_path):
    copy = shutil.copytree(site, tmp_path / "site")
    (vectors,) = copy.glob("data/*/vectors")
    vectors.rename(copy / "elsewhere")

    with serving(copy) as server, tab(window, server.url) as page:
        see(page, "42 pictures")
        click(page, "brick/brick-000.jpg")
        see(page, "Was the whole folder published?")
        (copy / "elsewhere").rename(vectors)
        page.get_by_role("button", name="Try again").click()
        see_hits(page)
        assert all("404" in error for error in page.errors)
        page.errors.clear()


def test_vectors_without_pictures_are_searched(window, tmp_path):
    rng = np.random.default_rng(0)
    ids = [f"item {number}" for number in range(30)]
    made = lookalike.from_vectors(tmp_path / "made.lookalike", rng.normal(size=(30, 16)), ids)
    site = export_site(made.snapshot, tmp_path / "site")

    with serving(site) as server, tab(window, server.url) as page:
        see(page, "30 pictures")
        answer = search(page, id="item 7")
        assert [hit["id"] for hit in answer["hits"]] == [
            hit.id for hit in made.search(lookalike.Id("item 7"), 5)
        ]
        assert not [path for path in server.asked if "thumbnails" in path]


def test_opened_as_a_file_it_says_why_it_is_empty(window, site):
    page = window.new_page()
    page.goto((site / "index.html").as_uri())
    see(page, "This page needs a web server")
    page.close()


# The model


@pytest.fixture
def model_page(window: Any, model_site: Path) -> Iterator[Page]:
    with serving(model_site) as server, tab(window, server.url) as page:
        page.get_by_text("42 pictures").wait_for()
        page.server = server
        yield page


def test_a_visitors_picture_finds_itself(model_page, built):
    assert not [path for path in model_page.server.asked if "/model/" in path]  # only when it is wanted
    model_page.set_input_files("#file", photo(built, "meadow/meadow-004.jpg"))

    see_hits(model_page)
    assert ids(model_page)[0] == "meadow/meadow-004.jpg"
    assert float(model_page.locator(".tile .score").first.inner_text()) > 0.98


def test_a_reload_needs_neither_the_picture_nor_the_model(model_page, built):
    model_page.set_input_files("#file", photo(built, "meadow/meadow-004.jpg"))
    see_hits(model_page)
    found = ids(model_page)
    model_page.server.asked.clear()

    model_page.reload()

    see_hits(model_page)
    assert ids(model_page) == found
    assert not [path for path in model_page.server.asked if "/model/" in path]


def test_what_is_no_picture_is_refused_and_the_page_stays(model_page):
    model_page.set_input_files("#file", NOTES)

    see(model_page, "It is not a picture, or has a format that this browser cannot read.")
    see(model_page, "42 pictures")


def test_another_model_file_is_not_used(window, model_site, built, tmp_path):
    copy = shutil.copytree(model_site, tmp_path / "site")
    model = copy / "model" / "efficientnet_lite0.onnx"
    data = bytearray(model.read_bytes())
    data[len(data) // 2] ^= 1
    model.write_bytes(data)

    with serving(copy) as server, tab(window, server.url) as page:
        see(page, "42 pictures")
        page.set_input_files("#file", photo(built, "meadow/meadow-004.jpg"))
        see(page, "The model is not the one that made this collection")


# Large


@pytest.mark.slow
def test_a_hundred_thousand_items_are_searched_while_the_page_stays_alive(window, tmp_path):
    rng = np.random.default_rng(0)
    kinds = rng.normal(size=(300, 1280))
    blocks = (kinds[rng.integers(300, size=1000)] + rng.normal(size=(1000, 1280)) for _ in range(100))
    ids = ([f"{block:03d}-{row:03d}" for row in range(1000)] for block in range(100))
    large = lookalike.from_vectors(tmp_path / "large.lookalike", blocks, ids)
    site = export_site(large.snapshot, tmp_path / "site")

    with serving(site) as server, tab(window, server.url) as page:
        see(page, "100,000 pictures")
        assert not [path for path in server.asked if "vectors/" in path]  # 128 MB wait until they are wanted
        page.set_default_timeout(120_000)
        for id_ in ("000-000", "050-500", "099-999"):
            answer = search(page, id=id_)
            found = {hit["id"] for hit in answer["hits"]}
            assert id_ not in found
            assert len(found & {hit.id for hit in large.search(lookalike.Id(id_), 5)}) >= 4
            assert answer["took_ms"] < 300  # 20 on a free machine


def test_own_words_are_searched_and_completed_without_a_server(page: Page) -> None:
    found = search(page, text="a meadow at dawn")

    assert [hit["label"] for hit in found["hits"]] == ["meadow"] * 5
    assert found["words"][0]["words"][0]["said"] == "meadow: your label, 14 pictures"
    assert found["words"][0]["unknown"] == ["dawn"]
    assert next(one["word"] for one in ask(page, "words", {"start": "mea"})) == "meadow"

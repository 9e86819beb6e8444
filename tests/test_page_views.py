"""The other views of the page in a browser: groups, duplicates, the map, and two collections side by side."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import build, write_picture, write_pictures
from pages import Page, expect, fragment, ids, see, watch
from serving import running

from lookalike.analysis.clusters import cluster
from lookalike.analysis.duplicates import find_duplicates
from lookalike.analysis.map import make_map
from lookalike.analysis.plan import keep_plan, make_plan

AXE = os.environ.get("AXE_CORE")
INK = """canvas => {
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  return new Set(new Uint32Array(data.buffer)).size;
}"""


@pytest.fixture(scope="module")
def analysed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where 25 pictures are served, one of them twice, with all views; and the same by another model."""
    folder = tmp_path_factory.mktemp("analysed")
    source = write_pictures(folder / "photos", 24)
    shutil.copy(source / "sea" / "sea-002.png", source / "sea" / "again.png")
    made, _ = build(source, folder / "photos.lookalike", label="folder")
    other, _ = build(source, folder / "pixels.lookalike", label="folder", model="pixels")
    cluster(made, 3)
    make_map(made)
    tiers = ("bytes", "pixels", "copy")
    found = find_duplicates(made, edits=False)
    keep_plan(made, found.items, make_plan(found, made.path, tiers=tiers), tiers=tiers)
    with running(made, other) as url:
        yield url


@pytest.fixture
def seen(window: Any, analysed: str, errors: list[str]) -> Iterator[Page]:
    page = window.new_page()
    watch(page, errors)
    page.goto(f"{analysed}#c=photos")
    see(page, "25 pictures")
    yield page
    page.close()
    assert errors == []


def view(page: Page, name: str) -> Any:
    page.get_by_role("group", name="Views").get_by_role("button", name=name).click()
    return page.locator("#view")


def test_a_group_shows_its_pictures_as_a_filter_and_back_leads_to_the_groups(seen: Page) -> None:
    cards = view(seen, "Clusters").get_by_role("link")
    expect(cards).to_have_count(3)
    see(seen, "3 groups of pictures that are alike")
    expect(cards.first).to_contain_text(re.compile(r"\d+ pictures · cohesion 0\.\d\d"))
    count = int(re.search(r"(\d+) pictures", cards.first.inner_text())[1])
    cards.first.focus()
    seen.keyboard.press("Enter")
    see(seen, f"{count} of 25 pictures")
    assert len(ids(seen)) == count
    assert re.fullmatch(r"c=photos&f=is:cluster_name:t.+", fragment(seen))
    seen.go_back()
    expect(cards).to_have_count(3)
    assert ids(seen) == []


def test_duplicates_stand_side_by_side_with_what_stays_and_the_command(seen: Page) -> None:
    place = view(seen, "Duplicates")
    see(seen, "1 group")
    pair = place.locator(".twins figure")
    expect(pair).to_have_count(2)
    expect(pair.first).to_contain_text("Stays")
    expect(pair.last).to_contain_text("the files have the same SHA-256")
    expect(place.locator("code")).to_contain_text("--plan plan.json\nlookalike duplicates --apply plan.json")
    place.get_by_role("button", name="Identical files 1").click()
    expect(pair).to_have_count(2)
    pair.last.get_by_role("link").click()
    expect(seen.get_by_role("complementary", name="sea")).to_be_visible()
    expect(pair).to_have_count(2)


def test_nothing_is_wider_than_a_phone(seen: Page) -> None:
    seen.set_viewport_size({"width": 390, "height": 800})
    for name in ("Clusters", "Duplicates", "Map", "Compare"):
        view(seen, name)
        expect(seen.get_by_role("button", name=name, exact=True)).to_have_attribute("aria-pressed", "true")
        assert seen.evaluate("document.getElementById('scroller').scrollWidth") <= 390


def test_a_line_drawn_on_the_map_shows_what_is_in_it(seen: Page) -> None:
    canvas = view(seen, "Map").locator("canvas")
    see(seen, "25 pictures, by PCA: what is alike lies together")
    seen.get_by_role("button", name="Select").click()
    box = canvas.bounding_box()
    middle, bottom = box["x"] + box["width"] / 2, box["y"] + box["height"] - 3
    seen.mouse.move(middle, box["y"] + 3)
    seen.mouse.down()
    for x, y in ((box["x"] + 3, box["y"] + 3), (box["x"] + 3, bottom), (middle, bottom)):
        seen.mouse.move(x, y, steps=8)
    seen.mouse.up()
    see(seen, re.compile(r"^\d+ of 25 pictures$"))
    inside = ids(seen)
    expect(seen.locator("#chosen")).to_contain_text("part of the map")
    left = seen.evaluate(
        "async () => (await (await fetch('api/photos/items?where=map_x<0')).json()).items.map((c) => c.id)"
    )
    assert 0 < len(inside) < 25
    assert sorted(inside) == sorted(left)
    seen.reload()
    see(seen, f"{len(inside)} of 25 pictures")


def test_the_map_has_pictures_and_colours_by_any_column(seen: Page) -> None:
    place = view(seen, "Map")
    expect(place.locator(".legend li")).to_have_count(3)
    place.get_by_label("Colour by").select_option("label")
    expect(place.locator(".legend")).to_have_text("seabrickmeadow")
    place.get_by_label("Colour by").select_option("size_bytes")
    expect(place.locator(".legend li")).to_have_text([re.compile(r"[\d,.]+ to [\d,.]+")])
    seen.wait_for_function(f"() => ({INK})(document.querySelector('canvas')) > 500")  # photographs


def test_the_map_is_moved_zoomed_and_selected_from_by_keys(seen: Page) -> None:
    canvas = view(seen, "Map").locator("canvas")
    canvas.focus()
    for key in "+++":
        seen.keyboard.press(key)
    seen.keyboard.press("ArrowLeft")
    seen.keyboard.press("Enter")
    see(seen, re.compile(r"^\d+ of 25 pictures$|^0 of"))
    assert len(ids(seen)) < 25


def test_a_picture_on_the_map_opens_its_details(seen: Page) -> None:
    canvas = view(seen, "Map").locator("canvas")
    place = seen.evaluate(
        """async () => {
          const { places } = await (await fetch("api/photos/map")).json();
          const bytes = Uint8Array.from(atob(places), (letter) => letter.charCodeAt(0));
          return [...new Float32Array(bytes.buffer)].slice(0, 2);
        }"""
    )
    box = canvas.bounding_box()
    scale = min(box["width"], box["height"]) / 2 * 0.92
    x, y = box["width"] / 2 + place[0] * scale, box["height"] / 2 - place[1] * scale
    canvas.click(position={"x": x, "y": y})
    first = seen.evaluate("async () => (await (await fetch('api/photos/items')).json()).items[0].id")
    seen.wait_for_function("() => location.hash.includes('item=')")
    assert fragment(seen) == f"c=photos&view=map&item={first}"


def test_the_same_search_stands_side_by_side_for_two_models(seen: Page) -> None:
    place = view(seen, "Compare")
    columns = place.locator(".column")
    expect(columns).to_have_count(2)
    link = columns.first.get_by_role("link").nth(3)
    name = link.get_attribute("title")
    link.click()
    see(seen, re.compile(r"^\d+ of 25 are found in both"))
    expect(seen.locator(".chip-name")).to_have_text(name)
    expect(columns.first).to_contain_text("colors")
    expect(columns.last).to_contain_text("pixels")
    expect(columns.last.locator(".hits li")).to_have_count(25)
    seen.reload()
    see(seen, re.compile(r"^\d+ of 25 are found in both"))


def test_a_search_leaves_the_view_for_the_pictures(seen: Page) -> None:
    view(seen, "Duplicates").locator(".twins a").first.click()
    seen.get_by_role("complementary", name="sea").locator(".neighbours a").nth(2).wait_for()
    seen.goto(seen.url.replace("view=duplicates", "view=explore"))
    expect(seen.locator("#view")).to_be_hidden()
    expect(seen.locator(".tile[data-id]")).to_have_count(25)


def test_a_stale_view_names_the_command(window: Any, tmp_path: Path, errors: list[str]) -> None:
    made, _ = build(write_pictures(tmp_path / "few", 6), tmp_path / "few.lookalike", label="folder")
    make_map(made)
    write_picture(tmp_path / "few" / "sea" / "new.png", 50)
    build(tmp_path / "few", made.path, label="folder")
    page = window.new_page()
    watch(page, errors)
    with running(made) as url:
        page.goto(url)
        see(page, "7 pictures")
        view(page, "Map")
        expect(page.locator("#notice")).to_contain_text(f"make it again with: lookalike map {made.path}")
        page.close()
    assert errors
    assert all("409" in one for one in errors)


@pytest.mark.skipif(not AXE, reason="AXE_CORE does not name axe.min.js (npm pack axe-core)")
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_in_the_views(chromium: Any, analysed: str, scheme: str) -> None:
    context = chromium.new_context(color_scheme=scheme, reduced_motion="reduce", bypass_csp=True)
    page = context.new_page()
    page.goto(f"{analysed}#c=photos")
    see(page, "25 pictures")
    page.add_script_tag(content=Path(AXE).read_text(encoding="utf-8"))
    found = {}
    for name in ("Clusters", "Duplicates", "Map", "Compare"):
        view(page, name)
        expect(page.get_by_role("button", name=name, exact=True)).to_have_attribute("aria-pressed", "true")
        page.wait_for_timeout(300)
        result = page.evaluate("axe.run(document, { resultTypes: ['violations'] })")
        found[name] = [f"{one['id']}: {one['nodes'][0]['html'][:120]}" for one in result["violations"]]
    context.close()
    assert found == {"Clusters": [], "Duplicates": [], "Map": [], "Compare": []}

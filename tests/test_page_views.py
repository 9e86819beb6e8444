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
from deriving import derive_all
from pages import PHOTO, Page, expect, focused, fragment, ids, see, watch
from serving import running

from lookalike.analysis.map import make_map
from lookalike.analysis.outliers import find_outliers

AXE = os.environ.get("AXE_CORE")
INK = """canvas => {
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  return new Set(new Uint32Array(data.buffer)).size;
}"""

# What is drawn, as one number.
PIXELS = """canvas => {
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  return new Uint32Array(data.buffer).reduce((sum, pixel) => (sum * 31 + pixel) >>> 0, 0);
}"""


@pytest.fixture(scope="module")
def analysed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where 25 pictures are served, one of them twice, with all views; and the same by another model."""
    folder = tmp_path_factory.mktemp("analysed")
    source = write_pictures(folder / "photos", 24)
    shutil.copy(source / "sea" / "sea-002.png", source / "sea" / "again.png")
    made, _ = build(source, folder / "photos.lookalike", label="folder")
    other, _ = build(source, folder / "pixels.lookalike", label="folder", model="pixels")
    derive_all(made)
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
    assert focused(seen) == ids(seen)[0]
    assert re.fullmatch(r"c=photos&f=is:cluster_name:t.+", fragment(seen))
    seen.go_back()
    expect(cards).to_have_count(3)
    assert ids(seen) == []


def test_the_button_of_a_view_keeps_the_focus(seen: Page) -> None:
    seen.get_by_role("group", name="Views").get_by_role("button", name="Clusters").press("Enter")
    see(seen, "3 groups of pictures that are alike")
    expect(seen.locator(":focus")).to_have_text("Clusters")


def test_duplicates_stand_side_by_side_with_what_stays_and_the_command(seen: Page) -> None:
    place = view(seen, "Duplicates")
    see(seen, "1 group of pictures that are there twice")
    pair = place.locator(".twins figure")
    expect(pair).to_have_count(2)
    expect(pair.first).to_contain_text("Stays")
    expect(pair.last).to_contain_text("the files have the same SHA-256")
    expect(place.locator("code")).to_contain_text("--plan plan.json\nlookalike duplicates --apply plan.json")
    place.get_by_role("button", name="Identical files 1").press("Enter")
    seen.wait_for_function("() => location.hash === '#c=photos&view=duplicates&tier=bytes'")
    expect(place.locator(":focus")).to_have_text("Identical files 1")
    expect(pair).to_have_count(2)
    seen.reload()
    chosen = place.get_by_role("group").get_by_role("button", pressed=True)
    expect(chosen).to_have_text("Identical files 1")
    seen.go_back()
    expect(chosen).to_have_text("All")
    pair.last.get_by_role("link").click()
    expect(seen.get_by_role("complementary", name="sea")).to_be_visible()
    expect(pair).to_have_count(2)


def test_outliers_are_pictures_unlike_all_others_and_labels_that_may_be_wrong(seen: Page) -> None:
    place = view(seen, "Outliers")
    see(seen, re.compile("^The 25 pictures that are the farthest from all others"))
    far = place.get_by_role("region", name="Unlike all others").get_by_role("listitem")
    expect(far).to_have_count(25)
    distances = [float(one) for one in far.locator("strong").all_inner_texts()]
    assert distances == sorted(distances, reverse=True)
    wrong = place.get_by_role("region", name="Likely mislabelled")
    expect(wrong).to_contain_text("No label in label is contradicted by most of the neighbours.")
    far.first.get_by_role("link").click()
    expect(seen.get_by_role("complementary")).to_contain_text("Similar pictures")
    assert re.fullmatch(r"c=photos&view=outliers&item=\w+/.+", fragment(seen))


def test_on_a_phone_the_focus_returns_from_the_details_to_the_picture(seen: Page) -> None:
    seen.set_viewport_size({"width": 390, "height": 800})
    view(seen, "Outliers").get_by_role("link").nth(1).press("Enter")
    expect(seen.get_by_role("button", name="Close the details")).to_be_focused()
    seen.keyboard.press("Escape")
    expect(seen.locator("#view").get_by_role("link").nth(1)).to_be_focused()


def test_on_a_phone_the_chosen_view_is_in_sight_in_its_row(seen: Page) -> None:
    seen.set_viewport_size({"width": 390, "height": 800})
    view(seen, "Map")
    chosen = seen.get_by_role("button", name="Map", pressed=True)
    expect(chosen).to_be_in_viewport(ratio=1)
    seen.reload()
    expect(chosen).to_be_in_viewport(ratio=1)


def test_a_label_that_may_be_wrong_stands_with_what_its_neighbours_are(
    window: Any, tmp_path: Path, errors: list[str]
) -> None:
    source = write_pictures(tmp_path / "odd", 18)
    (source / "sea" / "sea-002.png").rename(source / "brick" / "not-a-brick.png")
    made, _ = build(source, tmp_path / "odd.lookalike", label="folder")
    find_outliers(made, k=5)
    page = window.new_page()
    watch(page, errors)
    with running(made) as url:
        page.goto(f"{url}#view=outliers")
        wrong = page.get_by_role("region", name="Likely mislabelled").get_by_role("listitem")
        expect(wrong).to_have_count(1)
        expect(wrong).to_have_text("sea, not brick?100% of the neighbours are sea")
        see(page, re.compile("1 label that may be wrong$"))
        page.close()
    assert errors == []


def test_nothing_is_wider_than_a_phone(seen: Page) -> None:
    seen.set_viewport_size({"width": 390, "height": 800})
    for name in ("Clusters", "Duplicates", "Outliers", "Map", "Compare"):
        view(seen, name)
        expect(seen.get_by_role("button", name=name, exact=True)).to_have_attribute("aria-pressed", "true")
        assert seen.evaluate("document.getElementById('scroller').scrollWidth") <= 390


def draw_around_the_left(page: Page) -> None:
    """Draw a line around what lies left of the middle of the map."""
    box = page.locator("canvas").bounding_box()
    middle, bottom = box["x"] + box["width"] / 2, box["y"] + box["height"] - 3
    page.mouse.move(middle, box["y"] + 3)
    page.mouse.down()
    for x, y in ((box["x"] + 3, box["y"] + 3), (box["x"] + 3, bottom), (middle, bottom)):
        page.mouse.move(x, y, steps=8)
    page.mouse.up()


def left_of_the_map(page: Page) -> list[str]:
    return page.evaluate(
        "async () => (await (await fetch('api/photos/items?where=map_x<0')).json()).items.map((c) => c.id)"
    )


def test_a_line_drawn_on_the_map_shows_what_is_in_it(seen: Page) -> None:
    place = view(seen, "Map")
    see(seen, "25 pictures, by PCA: what is alike lies together")
    seen.get_by_role("button", name="Draw around").click()
    draw_around_the_left(seen)
    left = left_of_the_map(seen)
    assert 0 < len(left) < 25
    expect(place.locator(".picked")).to_contain_text(f"{len(left)} pictures")
    seen.keyboard.press("Enter")  # the focus is on the first thing to do
    see(seen, f"{len(left)} of 25 pictures")
    assert sorted(ids(seen)) == sorted(left)
    expect(seen.locator("#chosen")).to_contain_text("part of the map")
    seen.reload()
    see(seen, f"{len(left)} of 25 pictures")


def test_what_is_selected_on_the_map_is_searched_by(seen: Page) -> None:
    place = view(seen, "Map")
    see(seen, "25 pictures, by PCA: what is alike lies together")
    seen.keyboard.down("Shift")
    draw_around_the_left(seen)
    seen.keyboard.up("Shift")
    left = left_of_the_map(seen)
    place.get_by_role("button", name="Search by them").click()
    see(seen, re.compile("^The most alike of 25 pictures"))
    expect(seen.locator(".chip-name")).to_have_text(f"{len(left)} pictures of the map")
    assert len(set(ids(seen)[: len(left) // 2]) - set(left)) <= 1
    seen.reload()
    see(seen, re.compile("^The most alike of 25 pictures"))


def test_a_selection_is_dropped_by_escape_and_by_a_click(seen: Page) -> None:
    canvas = view(seen, "Map").locator("canvas")
    picked = seen.locator(".picked")
    for drop in (lambda: seen.keyboard.press("Escape"), lambda: canvas.click(position={"x": 5, "y": 5})):
        canvas.press("Enter")
        expect(picked).to_contain_text("25 pictures")
        drop()
        expect(picked).to_be_hidden()
    assert fragment(seen) == "c=photos&view=map"


def test_the_map_has_pictures_and_colours_by_any_column(seen: Page) -> None:
    place = view(seen, "Map")
    expect(place.locator(".legend li")).to_have_count(3)
    place.get_by_label("Colour by").select_option("label")
    expect(place.locator(".legend")).to_have_text("seabrickmeadow")
    place.get_by_label("Colour by").select_option("outlier_distance")
    expect(place.locator(".legend li")).to_have_text([re.compile(r"^0\.\d+0\.\d+$")])
    seen.wait_for_function(f"() => ({INK})(document.querySelector('canvas')) > 500")  # photographs


def test_a_value_in_the_legend_filters_the_map(seen: Page) -> None:
    place = view(seen, "Map")
    place.get_by_label("Colour by").select_option("label")
    legend = place.get_by_role("list", name="Colours by Label")  # the groups have the same names
    legend.get_by_role("button", name="brick").press("Enter")
    seen.wait_for_function("() => location.hash.includes('f=is:label:tbrick')")
    expect(seen.locator("#chosen")).to_contain_text("brick")
    expect(place.locator(":focus")).to_have_text("brick")
    expect(place.get_by_role("button", name="brick")).to_have_attribute("aria-pressed", "true")
    place.locator("canvas").press("Enter")
    expect(place.locator(".picked")).to_contain_text("8 pictures")


def test_a_map_that_is_out_of_sight_is_not_drawn(seen: Page) -> None:
    canvas = view(seen, "Map").locator("canvas")
    expect(canvas).to_be_visible()
    canvas.evaluate("async (canvas) => (canvas.style.display = 'none')")
    expect(canvas).to_be_hidden()
    canvas.evaluate("(canvas) => (canvas.style.display = '')")
    seen.wait_for_function(f"() => ({INK})(document.querySelector('canvas')) > 500")


def test_camera_and_colours_of_the_map_stay_through_back_and_reload(seen: Page) -> None:
    place = view(seen, "Map")
    choice = place.get_by_label("Colour by")
    expect(choice).to_have_value("cluster_name")
    place.locator("canvas").press("+")
    seen.wait_for_function("() => location.hash.endsWith('&look=0,0,1.5')")
    choice.select_option("label")
    expect(place.get_by_role("list", name="Colours by Label")).to_be_visible()
    place.locator("canvas").press("+")
    seen.wait_for_function("() => location.hash.endsWith('&color=label&look=0,0,2.25')")
    before = place.locator("canvas").evaluate(PIXELS)
    seen.reload()
    expect(choice).to_have_value("label")
    seen.wait_for_function(f"before => ({PIXELS})(document.querySelector('canvas')) === before", arg=before)
    seen.go_back()
    expect(choice).to_have_value("cluster_name")
    assert fragment(seen) == "c=photos&view=map&look=0,0,1.5"


def test_a_column_of_the_address_that_is_gone_leaves_the_map_its_first_one(seen: Page, analysed: str) -> None:
    seen.goto(f"{analysed}#view=map&color=gone&look=nonsense")
    expect(seen.get_by_label("Colour by")).to_have_value("cluster_name")
    expect(seen.locator(".legend li")).to_have_count(3)
    seen.locator("canvas").press("+")
    seen.wait_for_function("() => location.hash.endsWith('look=0,0,1.5')")


def test_the_map_is_where_it_was_left_after_a_visit_to_another_view(seen: Page) -> None:
    view(seen, "Map").locator("canvas").press("+")
    seen.wait_for_function("() => location.hash.endsWith('&look=0,0,1.5')")
    view(seen, "Duplicates")
    seen.wait_for_function("() => location.hash === '#c=photos&view=duplicates'")
    view(seen, "Map")
    seen.wait_for_function("() => location.hash.endsWith('&look=0,0,1.5')")


def test_the_map_is_moved_zoomed_and_selected_from_by_keys(seen: Page) -> None:
    canvas = view(seen, "Map").locator("canvas")
    canvas.focus()
    for key in ("+", *["ArrowLeft"] * 6, "Enter", "Enter"):
        seen.keyboard.press(key)
    see(seen, re.compile(r"^\d+ of 25 pictures$"))
    assert 0 < len(ids(seen)) < 25


def test_the_help_names_the_keys_of_the_map(seen: Page) -> None:
    view(seen, "Map").locator("canvas").press("?")
    expect(seen.get_by_role("table", name="Keys on the map")).to_contain_text("Enterselect all in view")


def place_of_the_first(page: Page) -> dict[str, float]:
    """Where the first picture lies on the canvas."""
    place = page.evaluate(
        """async () => {
          const { places } = await (await fetch("api/photos/map")).json();
          const bytes = Uint8Array.from(atob(places), (letter) => letter.charCodeAt(0));
          return [...new Float32Array(bytes.buffer)].slice(0, 2);
        }"""
    )
    box = page.locator("canvas").bounding_box()
    scale = min(box["width"], box["height"]) / 2 * 0.92
    return {"x": box["width"] / 2 + place[0] * scale, "y": box["height"] / 2 - place[1] * scale}


def test_a_picture_on_the_map_opens_its_details(seen: Page) -> None:
    canvas = view(seen, "Map").locator("canvas")
    canvas.click(position=place_of_the_first(seen))
    first = seen.evaluate("async () => (await (await fetch('api/photos/items')).json()).items[0].id")
    seen.wait_for_function("() => location.hash.includes('item=')")
    assert fragment(seen) == f"c=photos&view=map&item={first}"


def test_the_picture_under_the_pointer_is_shown_large(seen: Page) -> None:
    canvas = view(seen, "Map").locator("canvas")
    expect(canvas).to_be_visible()
    seen.wait_for_function(f"() => ({INK})(document.querySelector('canvas')) > 500")  # photographs
    seen.wait_for_load_state("networkidle")
    drawn = f"before => ({PIXELS})(document.querySelector('canvas')) === before"
    before = canvas.evaluate(PIXELS)
    canvas.hover(position=place_of_the_first(seen))
    seen.wait_for_function(drawn.replace("===", "!=="), arg=before)
    seen.mouse.move(0, 0)
    seen.wait_for_function(drawn, arg=before)


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


def test_an_own_picture_is_compared_as_each_model_sees_it(seen: Page) -> None:
    place = view(seen, "Compare")
    expect(place.locator(".column")).to_have_count(2)
    seen.locator("#file").set_input_files(PHOTO)
    see(seen, re.compile(r"^\d+ of 25 are found in both"))
    for column in place.locator(".column").all():
        expect(column.locator(".hits li")).to_have_count(25)
    seen.reload()
    expect(place.locator(".column").first.locator(".hits li")).to_have_count(25)
    expect(place.locator(".column").last).to_contain_text("choose the picture again")


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
    for name in ("Clusters", "Duplicates", "Outliers", "Map", "Compare"):
        view(page, name)
        expect(page.get_by_role("button", name=name, exact=True)).to_have_attribute("aria-pressed", "true")
        page.wait_for_timeout(300)
        result = page.evaluate("axe.run(document, { resultTypes: ['violations'] })")
        found[name] = [f"{one['id']}: {one['nodes'][0]['html'][:120]}" for one in result["violations"]]
    context.close()
    assert found == {"Clusters": [], "Duplicates": [], "Outliers": [], "Map": [], "Compare": []}

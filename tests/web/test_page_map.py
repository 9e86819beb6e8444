"""The map in a browser: moving about, colours, and what is drawn around."""

from __future__ import annotations

import re

from deriving import analysed, seen, view  # noqa: F401 (fixtures)
from pages import Page, expect, fragment, ids, see

INK = """canvas => {
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  return new Set(new Uint32Array(data.buffer)).size;
}"""

# What is drawn, as one number.
PIXELS = """canvas => {
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  return new Uint32Array(data.buffer).reduce((sum, pixel) => (sum * 31 + pixel) >>> 0, 0);
}"""


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
    see(seen, "25 pictures, by PCA: similar pictures are close together")
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
    see(seen, "25 pictures, by PCA: similar pictures are close together")
    seen.keyboard.down("Shift")
    draw_around_the_left(seen)
    seen.keyboard.up("Shift")
    left = left_of_the_map(seen)
    place.get_by_role("button", name="Search by them").click()
    see(seen, re.compile("^The most similar of 25 pictures"))
    expect(seen.locator(".chip-name")).to_have_text(f"{len(left)} pictures of the map")
    assert len(set(ids(seen)[: len(left) // 2]) - set(left)) <= 1
    seen.reload()
    see(seen, re.compile("^The most similar of 25 pictures"))


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

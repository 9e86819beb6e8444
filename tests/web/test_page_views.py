"""The other views of the page in a browser: groups, duplicates, outliers, two collections side by side."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest
from conftest import build, write_picture, write_pictures
from deriving import analysed, seen, view  # noqa: F401 (fixtures)
from pages import PHOTO, Page, expect, focused, fragment, ids, see, watch
from serving import running

AXE = os.environ.get("AXE_CORE")


def test_a_group_shows_its_pictures_as_a_filter_and_back_leads_to_the_groups(seen: Page) -> None:
    cards = view(seen, "Clusters").get_by_role("link")
    expect(cards).to_have_count(3)
    see(seen, "3 groups of similar pictures")
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
    see(seen, "3 groups of similar pictures")
    expect(seen.locator(":focus")).to_have_text("Clusters")


def test_duplicates_stand_side_by_side_with_what_stays_and_the_command(seen: Page) -> None:
    place = view(seen, "Duplicates")
    see(seen, "1 group of duplicates")
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


def test_people_say_that_a_pair_is_none_or_that_the_other_stays_and_it_is_there_after_a_reload(
    seen: Page,
) -> None:
    place = view(seen, "Duplicates")
    for name, words in (("Not a duplicate", "not a duplicate"), ("Keep this one", "this one stays")):
        said = place.get_by_role("button", name=name)
        expect(said).to_have_attribute("aria-pressed", "false")
        said.press("Enter")
        expect(said).to_have_attribute("aria-pressed", "true")
        expect(said).to_be_focused()
        expect(place.locator(".twins figure").last).to_contain_text(f"You said: {words}")
        seen.reload()
        expect(said).to_have_attribute("aria-pressed", "true")
        said.click()
        expect(said).to_have_attribute("aria-pressed", "false")
    expect(place.locator(".twins figure").first).to_contain_text("Stays")


def test_outliers_are_pictures_unlike_all_others_and_labels_that_may_be_wrong(seen: Page) -> None:
    place = view(seen, "Outliers")
    see(seen, re.compile("^The 25 pictures farthest from all others"))
    far = place.get_by_role("region", name="Unlike all others").get_by_role("listitem")
    expect(far).to_have_count(25)
    distances = [float(one) for one in far.locator("strong").all_inner_texts()]
    assert distances == sorted(distances, reverse=True)
    wrong = place.get_by_role("region", name="Likely mislabelled")
    expect(wrong).to_contain_text("No picture's label is contradicted by most of its neighbours.")
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
    made.outliers(k=5, write=True)
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


def test_a_phone_shows_two_duplicates_side_by_side(seen: Page) -> None:
    seen.set_viewport_size({"width": 390, "height": 800})
    pair = view(seen, "Duplicates").locator(".twins figure")
    expect(pair.first).to_be_in_viewport(ratio=0.99)
    expect(pair.last).to_be_in_viewport(ratio=0.99)


def test_nothing_is_wider_than_a_phone(seen: Page) -> None:
    seen.set_viewport_size({"width": 390, "height": 800})
    for name in ("Clusters", "Duplicates", "Outliers", "Map", "Compare"):
        view(seen, name)
        expect(seen.get_by_role("button", name=name, exact=True)).to_have_attribute("aria-pressed", "true")
        assert seen.evaluate("document.getElementById('scroller').scrollWidth") <= 390


def test_the_same_search_stands_side_by_side_for_two_models(seen: Page) -> None:
    place = view(seen, "Compare")
    columns = place.locator(".column")
    expect(columns).to_have_count(2)
    link = columns.first.get_by_role("link").nth(3)
    name = link.get_attribute("title")
    link.click()
    see(seen, re.compile(r"^\d+ of 24 were found in both"))
    expect(seen.locator(".chip-name")).to_have_text(name)
    expect(columns.first).to_contain_text("colors")
    expect(columns.last).to_contain_text("pixels")
    expect(columns.last.locator(".hits li")).to_have_count(24)
    seen.reload()
    see(seen, re.compile(r"^\d+ of 24 were found in both"))


def test_an_own_picture_is_compared_as_each_model_sees_it(seen: Page) -> None:
    place = view(seen, "Compare")
    expect(place.locator(".column")).to_have_count(2)
    seen.locator("#file").set_input_files(PHOTO)
    see(seen, re.compile(r"^\d+ of 25 were found in both"))
    for column in place.locator(".column").all():
        expect(column.locator(".hits li")).to_have_count(25)
    seen.reload()
    expect(place.locator(".column").first.locator(".hits li")).to_have_count(25)
    expect(place.locator(".column").last).to_contain_text("Choose the picture again")


def test_a_search_leaves_the_view_for_the_pictures(seen: Page) -> None:
    view(seen, "Duplicates").locator(".twins a").first.click()
    seen.get_by_role("complementary", name="sea").locator(".neighbours a").nth(2).wait_for()
    seen.goto(seen.url.replace("view=duplicates", "view=explore"))
    expect(seen.locator("#view")).to_be_hidden()
    expect(seen.locator(".tile[data-id]")).to_have_count(25)


def test_a_stale_view_names_the_command(window: Any, tmp_path: Path, errors: list[str]) -> None:
    made, _ = build(write_pictures(tmp_path / "few", 6), tmp_path / "few.lookalike", label="folder")
    made.map(write=True)
    write_picture(tmp_path / "few" / "sea" / "new.png", 50)
    build(tmp_path / "few", made.path, label="folder")
    page = window.new_page()
    watch(page, errors)
    with running(made) as url:
        page.goto(url)
        see(page, "7 pictures")
        view(page, "Map")
        expect(page.locator("#notice")).to_contain_text(f"make it with: lookalike map {made.path}")
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

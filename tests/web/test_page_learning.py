"""What the page learns and teaches: what a picture may be, labels, proposals, and words by examples."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import CLASSES, build, picture, write_picture, write_pictures
from pages import Page, expect, fragment, ids, see, tile, watch
from serving import encoded, running
from site_browser import serving, tab

import lookalike
from lookalike.learning.saving import REPORT, save_head
from lookalike.models.head_model import Branch, Layer
from lookalike.storage.writing import writing

AXE = os.environ.get("AXE_CORE")
SEA = {"name": "lake.png", "mimeType": "image/png", "buffer": encoded(picture(300, CLASSES["sea"]))}
STRANGE = {"name": "odd.png", "mimeType": "image/png", "buffer": encoded(picture(300, (250, 240, 30)))}


@pytest.fixture
def made(tmp_path: Path) -> lookalike.Collection:
    """36 labelled pictures, and three without a label."""
    source = write_pictures(tmp_path / "photos", 36)
    for number, name in enumerate(CLASSES):
        write_picture(source / f"new-{name}.png", 110 + number, CLASSES[name])
    return build(source, tmp_path / "photos.lookalike", label="folder")[0]


@pytest.fixture
def taught(window: Any, made: lookalike.Collection, errors: list[str]) -> Iterator[Page]:
    """The page of these pictures."""
    with running(made) as url:
        page = window.new_page()
        watch(page, errors)
        page.goto(url)
        see(page, "39 pictures")
        yield page
        page.close()
    assert errors == []


def label(page: Page) -> Any:
    """The section of the label in the details."""
    return page.locator(".labelled")


def details_of(page: Page, id_: str) -> Any:
    page.goto(f"{page.url.partition('#')[0]}#c=photos&item={id_}")
    expect(page.locator("#details-title")).not_to_be_empty()
    expect(label(page).locator("button").first).to_be_visible()
    return label(page)


def mark(page: Page, id_: str, action: str) -> None:
    tile(page, id_).hover()
    tile(page, id_).locator(f"[data-action={action}]").click()


def notice(page: Page) -> Any:
    return page.locator("#notice")


# What a picture may be.


def test_the_picture_of_a_visitor_gets_a_label_and_the_neighbours_that_say_so(taught: Page) -> None:
    taught.locator("#file").set_input_files(SEA)
    verdict = taught.get_by_role("region", name="What your picture may be")
    expect(verdict.locator("p")).to_have_text(re.compile(r"^Looks like sea, \d\d% sure$"))
    witnesses = verdict.get_by_role("group", name="5 pictures labelled sea that look most like it")
    expect(witnesses.get_by_role("link")).to_have_count(5)
    taught.reload()
    expect(verdict.locator("p")).to_contain_text("Looks like sea")
    id_ = ids(taught)[2]
    mark(taught, id_, "add")
    expect(taught.locator(".chip")).to_have_count(2)
    expect(verdict).to_be_hidden()
    taught.go_back()
    witnesses.get_by_role("link").first.click()
    expect(taught.locator("#details-title")).to_have_text("sea")


def test_a_stranger_is_unknown_in_plain_words(taught: Page) -> None:
    taught.locator("#file").set_input_files(STRANGE)
    verdict = taught.get_by_role("region", name="What your picture may be")
    expect(verdict.locator("p")).to_have_text(
        re.compile(r"^Unknown: unlike all that is labelled here\. The nearest is \w+$")
    )


def test_a_model_that_does_not_know_strangers_is_not_quoted_as_sure_of_them(
    window: Any, made: lookalike.Collection, tmp_path: Path
) -> None:
    base = made.snapshot.manifest.model
    directions = Layer(np.eye(base.dim, 3, dtype=np.float32), np.zeros(3, np.float32))
    save_head(tmp_path / "m", "m", base, [Branch((directions,))])
    (tmp_path / "m" / REPORT).write_text("{}")
    learned = lookalike.build(made.path, tmp_path / "learned.lookalike", model=f"{tmp_path}/m/")
    with running(learned) as url, closing(window.new_page()) as page:
        page.goto(f"{url}#c=learned&item=new-sea.png")
        expect(page.locator(".verdict p")).to_have_text(
            re.compile(r"^Of what is labelled here, most like sea, \d\d% sure$")
        )


def test_a_picture_that_is_already_here_is_said_to_be_and_is_no_witness(
    taught: Page, made: lookalike.Collection
) -> None:
    taught.locator("#file").set_input_files(Path(made["sea/sea-002.png"].uri.removeprefix("file://")))
    verdict = taught.get_by_role("region", name="What your picture may be")
    expect(verdict.locator("p")).to_have_text("The same picture is here, labelled sea")
    expect(verdict.get_by_role("link", name="sea, sea-002.png")).to_have_count(0)


def test_an_item_without_a_label_says_what_it_may_be_and_takes_that_label(taught: Page) -> None:
    place = details_of(taught, "new-sea.png")
    expect(place.locator(".verdict p")).to_have_text(re.compile(r"^Looks like sea, \d\d% sure$"))
    place.get_by_role("button", name="Label it sea").press("Enter")
    expect(place.locator(".label")).to_have_text("seagiven by hand")
    expect(taught.locator("#details-title")).to_have_text("sea")
    expect(tile(taught, "new-sea.png").locator("img")).to_have_attribute("alt", "sea, new-sea.png")
    expect(place.locator(":focus")).to_have_text("Change")
    notice(taught).get_by_role("button", name="Undo").click()
    expect(place.locator(".verdict p")).to_contain_text("Looks like sea")
    expect(tile(taught, "new-sea.png").locator("img")).to_have_attribute("alt", "new-sea.png")


# Labels.


def test_a_label_is_corrected_by_keyboard_stays_after_a_reload_and_is_taken_back(
    taught: Page, made: lookalike.Collection
) -> None:
    taught.keyboard.press("f")
    expect(taught.get_by_role("checkbox", name="sea 12")).to_be_visible()
    place = details_of(taught, "sea/sea-002.png")
    place.get_by_role("button", name="Change").press("Enter")
    field = place.get_by_role("combobox", name="Label")
    expect(field).to_be_focused()
    assert place.locator("option").evaluate_all("all => all.map(one => one.value)") == [*sorted(CLASSES)]
    field.fill(" lake ")
    field.press("Enter")
    expect(place.locator(".label")).to_have_text("lakegiven by hand")
    expect(notice(taught)).to_contain_text("Labelled lake")
    assert [(mark.ids, mark.value) for mark in made.marks.of("label")] == [(("sea/sea-002.png",), "lake")]
    expect(taught.get_by_role("checkbox", name="sea 11")).to_be_visible()
    taught.reload()
    expect(place.locator(".label")).to_have_text("lakegiven by hand")
    place.get_by_role("button", name="Take back").click()
    expect(place.locator(".label")).to_have_text("sea")
    notice(taught).get_by_role("button", name="Undo").click()
    expect(place.locator(".label")).to_have_text("lakegiven by hand")


def test_escape_leaves_the_field_and_not_the_details(taught: Page, made: lookalike.Collection) -> None:
    place = details_of(taught, "sea/sea-002.png")
    place.get_by_role("button", name="Change").click()
    place.get_by_role("combobox", name="Label").fill("lake")
    taught.keyboard.press("Escape")
    expect(place.locator(".label")).to_have_text("sea")
    expect(place.locator(":focus")).to_have_text("Change")
    assert len(made.marks) == 0


# Proposals.


@pytest.fixture
def proposed(taught: Page, made: lookalike.Collection) -> Page:
    """The page once a label is proposed for each picture without one."""
    assert len(made.identify_missing(write=True).proposed) == 3
    taught.goto(f"{taught.url.partition('#')[0]}#c=photos&view=proposals")
    taught.reload()
    see(taught, "3 labels to confirm")
    return taught


def test_proposals_are_confirmed_and_rejected_one_by_one(proposed: Page, made: lookalike.Collection) -> None:
    items = proposed.locator("#view").get_by_role("listitem")
    expect(items).to_have_count(3)
    sea = items.filter(has_text="sea")
    sea.get_by_role("button", name="Yes, label it sea").press("Enter")
    expect(sea.locator("figcaption")).to_have_text("sealabelled")
    expect(sea.locator(":focus")).to_have_count(1)
    brick = items.filter(has_text="brick")
    brick.get_by_role("button", name="No, it is not brick").click()
    expect(brick.locator("figcaption")).to_have_text("brickrejected")
    assert [(mark.ids, mark.value) for mark in made.marks.of("label")] == [(("new-sea.png",), "sea")]
    notice(proposed).get_by_role("button", name="Undo").click()
    expect(brick.get_by_role("button", name="Yes, label it brick")).to_be_visible()
    proposed.reload()
    see(proposed, "2 labels to confirm")


def test_all_that_are_shown_are_confirmed_at_once_and_taken_back(
    proposed: Page, made: lookalike.Collection
) -> None:
    every = proposed.get_by_role("button", name="Confirm all 3 shown")
    every.click()
    expect(proposed.locator("#view figcaption", has_text="labelled")).to_have_count(3)
    expect(every).to_have_count(0)
    assert len(made.marks.of("label")) == 3
    notice(proposed).get_by_role("button", name="Undo").click()
    expect(every).to_be_visible()
    assert len(made.marks.of("label")) == 0
    every.click()
    expect(proposed.get_by_role("button", name="To confirm")).to_have_count(0)


def test_a_proposal_is_shown_in_the_details_too(proposed: Page) -> None:
    place = details_of(proposed, "new-meadow.png")
    expect(place.locator(".label")).to_have_text(re.compile(r"^meadow\?proposed, \d\d% sure$"))
    place.get_by_role("button", name="No, it is not meadow").click()
    expect(place.locator(".verdict p")).to_contain_text("Looks like meadow")
    notice(proposed).get_by_role("button", name="Undo").click()
    place.get_by_role("button", name="Yes, label it meadow").click()
    expect(place.locator(".label")).to_have_text("meadowgiven by hand")


# Words.


def test_marked_pictures_teach_a_word_that_is_searched_completed_a_facet_and_forgotten(taught: Page) -> None:
    teach = taught.get_by_role("button", name="Teach as a word")
    expect(teach).to_be_hidden()
    tile(taught, "sea/sea-002.png").click()
    expect(taught.locator(".chip")).to_have_count(1)
    expect(teach).to_be_hidden()
    mark(taught, "sea/sea-005.png", "add")
    expect(taught.locator(".chip")).to_have_count(2)
    mark(taught, "brick/brick-003.jpg", "subtract")
    expect(taught.locator(".chip")).to_have_count(3)
    teach.press("Enter")
    form = taught.get_by_role("dialog", name="Teach as a word")
    expect(form).to_contain_text("2 pictures show it, 1 doesn\N{RIGHT SINGLE QUOTATION MARK}t.")
    form.get_by_label("Word").fill("Rex")
    taught.keyboard.press("Enter")
    expect(taught.locator("#meant")).to_have_text("Rex: taught by 2 picturesForget it")
    assert fragment(taught) == "c=photos&q=text:Rex"
    assert ids(taught)[0].startswith("sea/")
    expect(notice(taught)).to_contain_text("“Rex” is a word now")
    taught.locator("#words").press_sequentially("re")
    expect(taught.locator("#known-words option")).to_have_attribute("value", "Rex")
    taught.keyboard.press("Escape")
    taught.get_by_role("button", name="Filters", exact=True).click()
    expect(taught.get_by_role("group", name="Taught").get_by_role("checkbox", name="Rex")).to_be_visible()
    taught.get_by_role("button", name="Forget the word Rex").click()
    see(taught, "39 pictures")
    expect(taught.get_by_role("group", name="Taught")).to_have_count(0)
    notice(taught).get_by_role("button", name="Undo").click()
    expect(taught.locator("#meant")).to_contain_text("Rex: taught by 2 pictures")


def test_undoing_a_lesson_leads_back_to_the_marks(taught: Page, made: lookalike.Collection) -> None:
    address = f"{taught.url.partition('#')[0]}#c=photos&q=id:sea/sea-002.png&q=text:sea"
    taught.goto(address)
    taught.get_by_role("button", name="Teach as a word").click()
    field = taught.get_by_role("dialog").get_by_label("Word")
    expect(field).to_have_value("sea")
    field.fill("wave")
    field.press("Enter")
    notice(taught).get_by_role("button", name="Undo").click()
    expect(taught.locator(".chip")).to_have_count(2)
    assert made.marks.kinds() == []


def test_a_word_that_is_taught_while_a_build_is_at_work_gets_its_tags_later(
    taught: Page, made: lookalike.Collection
) -> None:
    taught.goto(f"{taught.url.partition('#')[0]}#c=photos&q=id:sea/sea-002.png&q=text:sea")
    with writing(made.path):
        taught.get_by_role("button", name="Teach as a word").click()
        taught.get_by_role("dialog").get_by_label("Word").fill("wave")
        taught.keyboard.press("Enter")
        expect(notice(taught)).to_contain_text("A build is at work; its tags come after that")
    assert made.marks.kinds() == ["word:wave"]


def test_a_name_that_cannot_be_a_word_is_said_at_the_field(taught: Page, errors: list[str]) -> None:
    taught.goto(f"{taught.url.partition('#')[0]}#c=photos&q=id:sea/sea-002.png&q=id:sea/sea-005.png")
    taught.get_by_role("button", name="Teach as a word").click()
    form = taught.get_by_role("dialog", name="Teach as a word")
    form.get_by_label("Word").fill("the")
    taught.keyboard.press("Enter")
    expect(form.get_by_role("alert")).to_contain_text("'the' cannot be a word")
    expect(form.get_by_label("Word")).to_be_focused()
    assert "400" in errors.pop()
    taught.keyboard.press("Escape")
    expect(form).to_be_hidden()
    expect(taught.locator(".chip")).to_have_count(2)


# Where nothing can be said.


def test_a_read_only_page_says_what_pictures_may_be_and_nothing_more(
    window: Any, made: lookalike.Collection
) -> None:
    made.identify_missing(write=True)
    with running(made, read_only=True) as url, tab(window, url) as page:
        page.goto(f"{url}#c=photos&item=new-sea.png")
        expect(label(page).locator(".label")).to_contain_text("sea?")
        expect(label(page).get_by_role("button")).to_have_count(0)
        page.get_by_role("button", name="To confirm").click()
        expect(page.locator("#view").get_by_role("listitem")).to_have_count(3)
        expect(page.locator("#view").get_by_role("button")).to_have_count(0)
        page.goto(f"{url}#c=photos&q=id:sea/sea-002.png&q=id:sea/sea-005.png")
        expect(page.locator(".chip")).to_have_count(2)
        expect(page.get_by_role("button", name="Teach as a word")).to_be_hidden()
        page.goto(f"{url}#c=photos&item=sea/sea-002.png")
        expect(page.locator(".facts")).to_contain_text("Labelsea")
        expect(label(page)).to_have_count(0)


def test_a_site_without_a_server_hides_it_all(
    window: Any, made: lookalike.Collection, tmp_path: Path
) -> None:
    made.export(tmp_path / "site")
    with serving(tmp_path / "site") as site, tab(window, site.url) as page:
        page.goto(f"{site.url}#c=photos&q=id:sea/sea-002.png&q=id:sea/sea-005.png&item=new-sea.png")
        expect(page.locator(".facts")).to_contain_text("new-sea.png")
        expect(page.get_by_role("button", name="Teach as a word")).to_be_hidden()
        expect(label(page)).to_have_count(0)


# For everyone.


@pytest.mark.skipif(not AXE, reason="AXE_CORE does not name axe.min.js (npm pack axe-core)")
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(chromium: Any, made: lookalike.Collection, scheme: str) -> None:
    made.identify_missing(write=True)
    context = chromium.new_context(color_scheme=scheme, reduced_motion="reduce", bypass_csp=True)
    page = context.new_page()
    with running(made) as url:
        page.goto(f"{url}#c=photos")
        see(page, "39 pictures")
        page.add_script_tag(content=Path(str(AXE)).read_text(encoding="utf-8"))
        found = {}
        details_of(page, "new-sea.png")
        found["proposal"] = violations(page)
        details_of(page, "sea/sea-002.png").get_by_role("button", name="Change").click()
        found["field"] = violations(page)
        page.keyboard.press("Escape")
        page.keyboard.press("Escape")
        page.locator("#file").set_input_files(SEA)
        page.locator("#identity .verdict").wait_for()
        found["identity"] = violations(page)
        page.goto(f"{url}#c=photos&q=id:sea/sea-002.png&q=id:sea/sea-005.png")
        page.get_by_role("button", name="Teach as a word").click()
        found["lesson"] = violations(page)
        page.get_by_role("textbox", name="Word", exact=True).fill("rex")
        page.keyboard.press("Enter")
        page.get_by_role("button", name="Forget the word rex").wait_for()
        found["taught"] = violations(page)
        page.get_by_role("button", name="To confirm").click()
        see(page, "3 labels to confirm")
        found["proposals"] = violations(page)
        context.close()
    assert len(found) == 6
    assert {name: some for name, some in found.items() if some} == {}


def violations(page: Page) -> list[str]:
    result = page.evaluate("axe.run(document, { resultTypes: ['violations'] })")
    return [f"{one['id']}: {one['nodes'][0]['html'][:120]}" for one in result["violations"]]


def test_nothing_is_wider_than_a_phone(proposed: Page) -> None:
    proposed.set_viewport_size({"width": 390, "height": 800})
    wide = "Math.max(document.documentElement.scrollWidth, document.getElementById('scroller').scrollWidth)"
    assert proposed.evaluate(wide) <= 390
    details_of(proposed, "new-sea.png").get_by_role("button", name="Another label").click()
    assert proposed.locator("#details").evaluate("panel => panel.scrollWidth") <= 390
    proposed.goto(f"{proposed.url.partition('#')[0]}#c=photos&q=id:sea/sea-002.png&q=id:sea/sea-005.png")
    proposed.get_by_role("button", name="Teach as a word").click()
    box = proposed.get_by_role("dialog", name="Teach as a word").bounding_box()
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= 390

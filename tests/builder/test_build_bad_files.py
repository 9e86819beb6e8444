"""Files that are no pictures, vanish or change, and names that are no text."""

from __future__ import annotations

import os

import numpy as np
from building import add_bad_files, counts, failures, ids, vectors
from conftest import build, write_picture
from PIL import Image

import lookalike


def test_bad_files_are_failures_and_the_good_ones_are_embedded(folder, target):
    add_bad_files(folder)
    with open(os.fsencode(folder) + b"/caf\xe9.jpg", "wb") as file:
        file.write((folder / "brick" / "brick-000.jpg").read_bytes())

    collection, report = build(folder, target)

    assert counts(report) == {"embedded": 14, "failed": 10}
    assert sorted((id_, stage) for id_, stage, _ in failures(collection)) == [
        ("again/", "list"),
        ("broken-link.jpg", "list"),
        ("empty.jpg", "decode"),
        ("fifo.jpg", "list"),
        ("headless.jpg", "decode"),
        ("huge.png", "decode"),
        ("loop.jpg", "list"),
        ("page.png", "decode"),
        ("text.jpg", "decode"),
        ("truncated.png", "decode"),
    ]
    errors = {id_: error for id_, _, error in failures(collection)}
    assert errors["again/"] == "a link that leads back to a folder above it"
    assert errors["broken-link.jpg"] == "a broken link"
    assert errors["empty.jpg"] == "the file is empty"
    assert errors["fifo.jpg"] == "not a regular file"
    assert errors["huge.png"] == "300 megapixels, the limit is 200; raise `max_megapixels`"
    assert errors["page.png"] == "not a readable image (it is an HTML page)"
    assert errors["text.jpg"] == 'not a readable image (it begins with "not a pi")'
    assert {r"caf\xe9.jpg", "directory.jpg/inside.jpg"} < set(ids(collection))
    assert list(collection.verify()) == []


def test_a_name_that_is_not_utf8_is_found_again(folder, target):
    with open(os.fsencode(folder) + b"/caf\xe9.jpg", "wb") as file:
        file.write((folder / "brick" / "brick-000.jpg").read_bytes())
    build(folder, target)

    collection, report = build(folder, target)

    assert counts(report) == {"unchanged": 13}
    rows = {row["id"]: row["uri"] for row in collection.items().to_pylist()}
    assert rows[r"caf\xe9.jpg"] == folder.as_uri() + "/caf%E9.jpg"


def test_two_names_that_read_the_same_are_one_row_and_one_failure(folder, target):
    whole = (folder / "brick" / "brick-000.jpg").read_bytes()
    for name in (b"caf\xe9.jpg", rb"caf\xe9.jpg"):
        with open(os.path.join(os.fsencode(folder), name), "wb") as file:
            file.write(whole)

    for _ in range(2):
        collection, report = build(folder, target)

        assert len(collection) == 13
        assert (report.failed, failures(collection)[0][:2]) == (1, (r"caf\xe9.jpg", "list"))


def test_odd_names_are_ids_as_they_are(folder, target):
    names = [
        "a b.jpg",
        "ü.jpg",
        "雪/花.png",
        "new\nline.jpg",
        "'\"<&>.jpg",
        "%41.jpg",
        "#?.jpg",
        "x" * 200 + ".jpg",
    ]
    for number, name in enumerate(names):
        write_picture(folder / name, 100 + number)

    collection, report = build(folder, target)

    assert counts(report) == {"embedded": 20}
    assert set(names) < set(ids(collection))
    assert list(collection.verify()) == []
    for name in names:
        assert collection.search(lookalike.Id(name), k=1, include_query=True)[0].id == name


def test_an_image_that_vanishes_after_it_was_listed_is_a_failure(folder, target):
    def remove_the_last(done: int, total: int) -> None:
        (folder / "sea" / "sea-011.png").unlink(missing_ok=True)

    for number in range(100):
        write_picture(folder / "aaa" / f"{number:03d}.jpg", number, size=(16, 16))

    collection, report = build(folder, target, threads=1, on_progress=remove_the_last)

    assert counts(report) == {"embedded": 111, "failed": 1}
    assert failures(collection) == [("sea/sea-011.png", "read", "No such file or directory")]


def test_an_image_that_changes_after_it_was_listed_is_embedded_again_by_the_next_build(folder, target):
    def change_the_last(done: int, total: int) -> None:
        if done == 1:
            write_picture(folder / "sea" / "sea-011.png", 100)

    build(folder, target, part_size=1, on_progress=change_the_last)
    collection, _ = build(folder, target)

    path = folder / "sea" / "sea-011.png"
    assert vectors(collection)["sea/sea-011.png"] == bytes(collection.model.embed([path])[0])


def test_an_image_over_the_limit_is_a_failure_until_the_limit_is_raised(folder, target):
    write_picture(folder / "large.png", 100, size=(1200, 1000))

    collection, _ = build(folder, target, max_megapixels=1)
    assert failures(collection) == [
        ("large.png", "decode", "2 megapixels, the limit is 1; raise `max_megapixels`")
    ]

    assert counts(build(folder, target)[1]) == {"embedded": 1, "unchanged": 12}


def test_a_picture_without_any_colour_of_its_own_still_has_a_unit_vector_or_is_a_failure(folder, target):
    grey = np.indices((64, 64)).sum(axis=0) % 2 * 255
    Image.fromarray(grey.astype(np.uint8)).save(folder / "checkerboard.png")

    collection, report = build(folder, target)

    assert report.embedded + report.failed == 13
    assert list(collection.verify()) == []

"""What a part says of who made it, and rows without thumbnails."""

from __future__ import annotations

import json

import pyarrow.parquet as pq
from conftest import build

import lookalike
from lookalike.storage.parts import Part, list_parts

CPU = {"device": "cpu", "decoder": "libjpeg-turbo"}


def test_the_footer_of_a_part_names_the_device_and_the_decoder(folder, target):
    build(folder, target)

    footer = pq.read_metadata(target / "items" / "part-000000.parquet").metadata

    assert json.loads(footer[b"lookalike.made_by"]) == CPU


def test_a_part_that_loses_rows_still_says_who_made_it(folder, target):
    collection, _ = build(folder, target)

    collection.remove([collection.ids[0]])

    assert [part.made_by() for part in list_parts(target)] == [CPU]


def test_a_part_of_an_older_version_says_nothing(folder, target):
    build(folder, target)
    part = Part(target, 0)
    part.write(part.items(), made_by={})

    assert part.made_by() == {}
    assert list(lookalike.open(target).verify()) == []


def test_without_thumbnails_rows_have_none_and_all_else(folder, target, tmp_path):
    with_them, _ = build(folder, target)
    without, _ = build(folder, tmp_path / "without.lookalike", thumbnails=False)

    assert without.ids == with_them.ids
    assert without.embeddings().tolist() == with_them.embeddings().tolist()
    assert Part(without.path, 0).thumbnails(without.ids) == [b""] * len(without.ids)
    assert list(without.verify()) == []
    assert (
        without.search(lookalike.Id(without.ids[0]), k=3).ids
        == with_them.search(lookalike.Id(with_them.ids[0]), k=3).ids
    )

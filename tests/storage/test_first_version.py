"""A collection that the first version made, kept in tests/data, opens as it was: nothing of it is stale."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from conftest import build, write_picture

import lookalike
from lookalike import Id
from lookalike.index import index_state
from lookalike.storage.derived import derived_state

STORED = Path(__file__).parents[1] / "data" / "first-version"


@pytest.fixture
def before(tmp_path: Path) -> lookalike.Collection:
    return lookalike.open(shutil.copytree(STORED, tmp_path / "before.lookalike"))


def test_its_fingerprint_is_what_it_was(before):
    assert before.fingerprint() == "c03b5d4a9d24ad993f69352f5481f24915fc92925a54b47f42e9a38a9ecd4852"
    assert list(before.verify()) == []


def test_its_index_is_fresh_and_answers(before):
    assert index_state(before.snapshot.state) == "fresh"

    results = before.search(Id("brick/brick-000.jpg"), k=5)

    assert results.ids == [f"brick/brick-0{number:02}.jpg" for number in (6, 12, 15, 9, 3)]
    assert results.scores == pytest.approx([0.770207, 0.767944, 0.749590, 0.716027, 0.680468], abs=1e-5)


@pytest.mark.parametrize("name", ["clusters", "outliers", "map"])
def test_what_was_derived_of_it_is_fresh_and_filters(before, name):
    column = {"clusters": "cluster_name", "outliers": "outlier_distance", "map": "map_x"}[name]

    assert derived_state(before.snapshot.state, name) == "fresh"
    assert len(before.where(f"{column} IS NOT NULL")) == 16


def test_the_columns_that_it_lacks_are_null_once_pictures_are_added(before, tmp_path):
    for number in range(3):
        write_picture(tmp_path / "more" / f"new-{number}.png", 50 + number)

    build(tmp_path / "more", before.path, model=None)

    assert len(before) == 19
    assert before["brick/brick-000.jpg"]["camera"] is None
    assert index_state(before.snapshot.state) == "fresh"

"""The views that a first look finds on the page."""

from __future__ import annotations

import pytest
from conftest import build, write_picture, write_pictures

from lookalike.cli import views
from lookalike.storage.derived import derived_command, derived_state


@pytest.fixture
def dozen(tmp_path, target):
    return build(write_pictures(tmp_path / "photos", 15), target, label="folder")[0]


def states(collection):
    state = collection.snapshot.state
    return {name: derived_state(state, name) for name in ("map", "clusters", "outliers", "duplicates")}


def test_all_are_made_at_once(dozen, capsys):
    views.make_views(dozen)

    assert set(states(dozen).values()) == {"fresh"}
    assert capsys.readouterr().err.startswith("made the map, clusters, outliers and duplicates in ")


def test_those_that_are_up_to_date_are_left_alone(dozen, capsys):
    views.make_views(dozen)
    capsys.readouterr()

    views.make_views(dozen)

    assert capsys.readouterr().err == ""


def test_those_of_an_older_state_are_made_again(dozen, tmp_path):
    views.make_views(dozen)
    write_picture(tmp_path / "photos" / "new.png", 100)
    collection = build(tmp_path / "photos", dozen.path)[0]

    views.make_views(collection)

    assert set(states(collection).values()) == {"fresh"}


def test_one_that_was_made_with_other_options_is_not_replaced(dozen, tmp_path, capsys):
    dozen.cluster(3, write=True)
    write_picture(tmp_path / "photos" / "new.png", 100)
    collection = build(tmp_path / "photos", dozen.path)[0]

    views.make_views(collection)

    assert states(collection) == {
        "map": "fresh",
        "clusters": "stale",
        "outliers": "fresh",
        "duplicates": "fresh",
    }
    command = derived_command(collection.snapshot.state, "clusters")
    assert capsys.readouterr().err.endswith(f"to see the clusters on the page: {command}\n")


def test_of_a_large_collection_the_commands_are_named(dozen, monkeypatch, capsys):
    monkeypatch.setattr(views, "MOST_IMAGES", 14)

    views.make_views(dozen)

    assert set(states(dozen).values()) == {"none"}
    assert f"to see the map on the page: lookalike map {dozen.path}\n" in capsys.readouterr().err


def test_what_cannot_be_made_is_told_and_the_rest_is_made(tmp_path, target, capsys):
    for number in range(15):
        write_picture(tmp_path / "same" / f"{number}.png", 7)
    collection = build(tmp_path / "same", target)[0]

    views.make_views(collection)

    assert states(collection)["outliers"] == "fresh"
    assert "the map could not be made: all images have the same vector" in capsys.readouterr().err

"""What a collection and a view of it are in Python: a sequence of items by id, and tables of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas
import pyarrow as pa
import pytest
from conftest import build, picture, write_picture, write_pictures

import lookalike
from lookalike import Collection, Id
from lookalike.errors import CollectionError, LookalikeError, QueryError, UnknownIdError
from lookalike.storage.items import Item, Items
from lookalike.view import View

SEA = "label = 'sea'"


@pytest.fixture
def view(collection: Collection) -> View:
    """The 14 pictures of the sea."""
    return collection.where(SEA)


# Items.


def test_a_collection_has_the_length_of_its_items(collection):
    assert len(collection) == 42
    assert len(collection.ids) == 42
    assert collection.name == "photos"


def test_an_id_is_in_a_collection_or_not(collection):
    assert "sea/sea-002.png" in collection
    assert "sea/sea-003.png" not in collection
    assert 0 not in collection
    assert None not in collection
    assert "\ud800" not in collection


def test_an_item_is_found_by_its_id_or_number(collection):
    item = collection["sea/sea-002.png"]
    assert isinstance(item, Item)
    assert (item.id, item.label) == ("sea/sea-002.png", "sea")
    assert collection[0].id == collection.ids[0] == "brick/brick-000.jpg"
    assert collection[-1].id == collection.ids[41]
    assert collection[np.int64(5)] == collection[5]
    assert collection[item.row] == item


def test_an_item_has_columns_a_vector_and_a_picture(collection, photos):
    item = collection["sea/sea-002.png"]
    assert (item["width"], item["height"], item["label"]) == (64, 48, "sea")
    assert item.uri == (photos.resolve() / "sea" / "sea-002.png").as_uri()
    assert item.tags == []
    assert item.vector.dtype == np.float32
    assert np.linalg.norm(item.vector) == pytest.approx(1)
    assert item.thumbnail[:2] == b"\xff\xd8"
    assert "thumb_offset" in item.columns
    assert "thumb_offset" not in item.as_dict()
    assert item.as_dict()["id"] == "sea/sea-002.png"
    with pytest.raises(KeyError, match="colour"):
        item["colour"]


def test_items_are_equal_where_they_are_the_same_of_one_state(collection, copied):
    assert collection[3] == collection[3]
    assert collection[3] != collection[4]
    assert collection[3] != copied[3]
    assert len({collection[3], collection[3], collection[4]}) == 2
    assert collection[3] != "brick"


def test_a_slice_is_a_list_of_items(collection):
    ids = collection.ids
    assert [one.id for one in collection[3:7]] == ids[3:7]
    assert [one.id for one in collection[::-20]] == ids[::-20]
    assert collection[99:] == []
    assert isinstance(collection[:2], Items)
    assert collection[:2]._repr_html_().count("<img") == 2
    assert collection[:0]._repr_html_() == "<p>no images</p>"


def test_a_collection_is_gone_through_in_the_order_of_its_rows(collection):
    assert [one.id for one in collection] == collection.ids
    assert next(iter(collection)) == collection[0]


def test_an_id_that_is_not_there_is_a_key_error_with_those_that_are_spelled_like_it(collection):
    with pytest.raises(KeyError) as caught:
        collection["sea/sea-003.png"]
    assert isinstance(caught.value, UnknownIdError)
    assert caught.value.nearest == ["sea/sea-038.png", "sea/sea-035.png", "sea/sea-032.png"]
    assert "photos has no item 'sea/sea-003.png'; did you mean sea/sea-0" in str(caught.value)


@pytest.mark.parametrize("number", [42, -43, 1000])
def test_a_number_beyond_the_end_is_an_index_error(collection, number):
    with pytest.raises(IndexError):
        collection[number]


@pytest.mark.parametrize("key", [1.5, None, b"sea", ["sea/sea-002.png"]])
def test_another_key_is_a_type_error_that_says_what_would_do(collection, key):
    with pytest.raises(TypeError, match="give an id, a number or a slice, not"):
        collection[key]


# Tables.


def test_the_items_are_a_table_of_arrow_or_pandas(collection):
    table = collection.to_arrow()
    assert table == collection.items()
    assert table.num_rows == 42
    assert "embedding" not in table.column_names
    frame = collection.to_pandas()
    assert isinstance(frame, pandas.DataFrame)
    assert frame["id"].tolist() == collection.ids
    assert frame["label"].value_counts().to_dict() == {"brick": 14, "meadow": 14, "sea": 14}
    assert collection.items(["label", "id"]).column_names == ["label", "id"]


def test_embeddings_come_in_the_order_asked(collection):
    every = collection.embeddings()
    rows = [30, 2, 41, 2]
    assert every.shape == (42, 192)
    assert np.array_equal(collection.embeddings([collection.ids[row] for row in rows]), every[rows])
    assert np.array_equal(collection.embeddings(collection.ids), every)
    assert collection.embeddings([]).shape == (0, every.shape[1])
    with pytest.raises(UnknownIdError):
        collection.embeddings(["nothing"])


def test_thumbnails_come_by_id(collection):
    found = collection.thumbnails(["sea/sea-002.png", "brick/brick-000.jpg"])
    assert list(found) == ["sea/sea-002.png", "brick/brick-000.jpg"]
    assert found["sea/sea-002.png"] == collection["sea/sea-002.png"].thumbnail


def test_items_without_a_picture_are_left_out_of_the_thumbnails(tmp_path):
    made = lookalike.from_vectors(tmp_path / "v.lookalike", np.eye(3, dtype=np.float32), ["a", "b", "c"])
    assert made.thumbnails(["a"]) == {}
    assert made["a"].thumbnail == b""
    assert "<img" not in made["a"]._repr_html_()
    assert made["b"].label is None
    assert len(made.to_pandas()) == 3


# Views.


def test_a_view_is_the_items_for_which_a_condition_holds(collection, view):
    expected = [id_ for id_ in collection.ids if id_.startswith("sea/")]
    assert len(view) == 14
    assert view.ids == [one.id for one in view] == expected
    assert view.to_pandas()["label"].unique().tolist() == ["sea"]
    assert view[0].id == expected[0]
    assert view[-1].id == expected[-1]
    assert [one.id for one in view[2:5]] == expected[2:5]
    assert "sea/sea-002.png" in view
    assert "brick/brick-000.jpg" not in view
    assert view["sea/sea-002.png"].label == "sea"
    with pytest.raises(IndexError):
        view[14]


def test_an_item_that_does_not_match_is_a_key_error_that_says_so(view):
    with pytest.raises(KeyError, match="is in the collection, but does not meet the condition"):
        view["brick/brick-000.jpg"]
    with pytest.raises(UnknownIdError):
        view["nothing"]


def test_the_embeddings_of_a_view_are_those_of_its_items(collection, view):
    rows = [row for row, id_ in enumerate(collection.ids) if id_.startswith("sea/")]
    assert np.array_equal(view.embeddings(), collection.embeddings()[rows])
    assert view.embeddings(view.ids[3:5]).tolist() == view.embeddings()[3:5].tolist()


def test_a_view_of_a_view_has_to_match_both(collection, view):
    both = view.where("id LIKE '%2.png' OR id LIKE '%5.png'")
    assert both.ids == [id_ for id_ in view.ids if id_[-5] in "25"]
    assert all(id_.startswith("sea/") for id_ in both.ids)
    commented = collection.where("label = 'sea' -- or another").where("id LIKE '%2.png' -- too")
    assert commented.ids == [id_ for id_ in view.ids if id_[-5] == "2"]


def test_a_condition_that_cannot_be_is_refused_at_once(collection, view):
    with pytest.raises(QueryError, match="colour"):
        collection.where("colour = 1")
    with pytest.raises(QueryError):
        view.where("label =")


def test_a_view_follows_builds(folder, target):
    made, _ = build(folder, target, label="folder")
    view = made.where(SEA)
    held = view.ids
    assert len(view) == 4
    write_picture(folder / "sea" / "new.png", 99)
    build(folder, target)
    assert len(view) == 5
    assert set(view.ids) - set(held) == {"sea/new.png"}
    made.remove(held)
    assert view.ids == ["sea/new.png"]
    assert "sea/new.png" in view


def test_a_collection_that_is_open_follows_builds(folder, target):
    made, _ = build(folder, target)
    item, snapshot = made["sea/sea-002.png"], made.snapshot
    made.add({"new": picture(5)})
    assert len(made) == 13
    assert len(snapshot) == 12
    assert item.id == "sea/sea-002.png"
    assert made[12].id == "new"


def test_a_view_that_matches_nothing_is_empty_and_keeps_its_columns(collection):
    view = collection.where("label = 'nothing'")
    assert len(view) == 0
    assert bool(view)
    assert list(view) == view.ids == view[:] == []
    assert view.to_arrow().schema == collection.to_arrow().schema
    assert view.to_pandas().shape == (0, len(collection.to_arrow().column_names))
    assert view.embeddings().shape == (0, collection.embeddings().shape[1])
    assert len(view.search(Id("sea/sea-002.png"))) == 0
    assert len(view.recommend("sea/sea-002.png")) == 0
    assert [len(one) for one in view.search([Id("sea/sea-002.png")] * 2)] == [0, 0]
    assert len(view.where("id LIKE '%'")) == 0
    assert "no images" in view._repr_html_()
    with pytest.raises(IndexError):
        view[0]


@pytest.mark.parametrize("what", ["cluster", "duplicates", "outliers", "map", "evaluate", "neighbors"])
def test_nothing_can_be_made_of_a_view_that_matches_nothing(collection, what):
    with pytest.raises(LookalikeError, match=r"has 0 matching images, this needs at least \d"):
        getattr(collection.where("label = 'nothing'"), what)()


def test_what_is_found_of_a_view_is_not_kept(view):
    with pytest.raises(LookalikeError, match="an analysis of a part of a collection cannot be stored"):
        view.cluster(2, write=True)
    assert len(view.cluster(2).clusters) == 2


def test_neighbors_are_the_nearest_others_of_every_item(collection, view):
    found = collection.neighbors(k=3)
    cosines = collection.embeddings() @ collection.embeddings().T
    np.fill_diagonal(cosines, -2)
    assert found.rows.shape == found.scores.shape == (42, 3)
    assert found.scores == pytest.approx(np.sort(cosines, axis=1)[:, ::-1][:, :3], abs=1e-5)
    assert view.neighbors(k=2).rows.max() < 14


# Shown.


def test_a_collection_is_shown_with_what_it_holds(collection, copied, tmp_path):
    assert repr(collection) == "Collection('photos': 42 images, colors, index: none)"
    copied.index("flat")
    assert repr(copied) == "Collection('copied': 42 images, colors, index: up to date)"
    assert repr(collection.where(SEA)) == "View('photos' where label = 'sea': 14 images)"


def test_a_collection_in_a_notebook_is_its_first_pictures(collection, view):
    shown = collection._repr_html_()
    assert shown.startswith("<p>42 images. The first 24:</p>")
    assert shown.count("<img") == 24
    assert view._repr_html_().startswith("<p>14 images.</p>")
    assert view._repr_html_().count("<img") == 14


def test_what_a_notebook_shows_is_escaped(target, tmp_path):
    folder = tmp_path / "pictures"
    write_picture(folder / "<b>&\"'" / "<script>.png", 1)
    made, _ = build(folder, target, label="folder")
    for shown in (made._repr_html_(), made[0]._repr_html_(), made.search(picture(1))._repr_html_()):
        assert "<script>" not in shown
        assert "<b>" not in shown
        assert "&lt;script&gt;" in shown


def test_an_item_and_a_hit_are_shown_with_id_and_label(collection):
    assert repr(collection[0]) == "Item(id='brick/brick-000.jpg', label='brick')"
    hit = collection.search(Id("brick/brick-000.jpg"), include_query=True)[0]
    assert repr(hit) == "Hit(id='brick/brick-000.jpg', score=1.000, label='brick')"


# Building and opening.


def test_a_build_gives_the_collection_and_what_was_done(folder, target):
    made = lookalike.build(folder, target, model="colors")
    assert isinstance(made, Collection)
    assert (made.report.embedded, made.report.failed, made.report.unchanged) == (12, 0, 0)
    again = lookalike.build(folder, target)
    assert (again.report.embedded, again.report.unchanged, again.report.removed) == (0, 12, 0)
    assert lookalike.open(target).report is None
    assert lookalike.open(str(target)).ids == made.ids


def test_what_is_no_collection_cannot_be_opened(tmp_path):
    with pytest.raises(CollectionError, match="there is no collection at"):
        lookalike.open(tmp_path / "nothing.lookalike")
    with pytest.raises(CollectionError, match="is not a collection"):
        lookalike.open(tmp_path)


def test_an_open_collection_whose_folder_is_gone_says_so(folder, target, tmp_path: Path):
    made, _ = build(folder, target)
    view = made.where("id LIKE 'sea/%'")
    assert (len(made), len(view)) == (12, 4)
    target.rename(tmp_path / "moved.lookalike")
    with pytest.raises(CollectionError, match="no longer at its place"):
        len(made)
    assert repr(made).startswith("Collection('target': the collection target is no longer at its place")
    assert repr(view).startswith("View('target' where id LIKE 'sea/%': the collection target is no longer")


def test_the_table_of_an_empty_collection_has_its_columns(tmp_path):
    made, _ = build(write_pictures(tmp_path / "pictures", 3), tmp_path / "made.lookalike")
    made.remove(made.ids)
    assert len(made) == 0
    assert made.to_arrow().column_names[:2] == ["id", "uri"]
    assert isinstance(made.items(["id"]), pa.Table)
    assert len(made.search(picture(1))) == 0
    assert made._repr_html_() == "<p>0 images.</p><p>no images</p>"

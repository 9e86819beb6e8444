"""Collections as the original image_embeddings library has them; test_interop.py runs the library itself."""

from __future__ import annotations

import io
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from building import ids
from conftest import write_picture
from PIL import Image

import lookalike
from lookalike.errors import CollectionError, SourceError, StorageError
from lookalike.export import export_image_embeddings, image_embeddings

VECTORS = np.eye(5, dtype=np.float32)


def collection_of(path, names: list[str]) -> lookalike.Collection:
    return lookalike.from_vectors(path / "c.lookalike", VECTORS[: len(names)], names)


def names_in(folder) -> list[str]:
    return [one["name"] for one in json.loads((folder / "embeddings" / "id_name.json").read_bytes())]


@pytest.fixture
def exported(tmp_path, monkeypatch):
    """Five vectors in three parts."""
    monkeypatch.setattr(image_embeddings, "PART_ROWS", 2)
    made = collection_of(tmp_path, ["x/a.jpg", "x/b.png", "c", "müde.JPG", "e.f.jpeg"])
    return export_image_embeddings(made.snapshot, tmp_path / "out")


def test_the_parts_have_the_names_as_bytes_and_the_vectors_as_lists(exported):
    parts = sorted((exported / "parquet").iterdir())

    assert [path.name for path in parts] == ["part-000.parquet", "part-001.parquet", "part-002.parquet"]
    schema = pq.read_schema(parts[0])
    assert schema.names == ["image_name", "embedding"]
    assert schema.types == [pa.binary(), pa.list_(pa.float32())]
    assert pq.read_table(parts[1]).to_pylist() == [
        {"image_name": b"c", "embedding": [0, 0, 1, 0, 0]},
        {"image_name": "müde".encode(), "embedding": [0, 0, 0, 1, 0]},
    ]


def test_their_folder_is_one_table(exported):
    table = pq.read_table(exported / "parquet")

    assert [name.decode() for name in table["image_name"].to_pylist()] == ["a", "b", "c", "müde", "e.f"]
    assert np.array_equal(np.stack(table["embedding"].to_pylist()), VECTORS)


def test_the_array_is_in_float32_and_the_list_numbers_its_rows(exported):
    array = np.load(exported / "embeddings" / "embedding.npy")
    text = (exported / "embeddings" / "id_name.json").read_text("ascii")

    assert (array.dtype, array.tolist()) == (np.float32, VECTORS.tolist())
    assert text.startswith('[{"id": 0, "name": "a"}, {"id": 1, "name": "b"}, {"id": 2')
    assert text.endswith(', {"id": 4, "name": "e.f"}]')


def test_a_table_says_the_id_and_the_columns_of_each_name(collection, tmp_path):
    folder = export_image_embeddings(collection.snapshot, tmp_path / "out", max_items=3)

    rows = pq.read_table(folder / "metadata.parquet")
    assert rows.select(["image_name", "id", "label"]).to_pylist() == [
        {"image_name": f"brick-{number:03d}", "id": f"brick/brick-{number:03d}.jpg", "label": "brick"}
        for number in (0, 3, 6)
    ]
    back = lookalike.import_vectors(
        folder / "embeddings" / "embedding.npy", tmp_path / "back", metadata=folder / "metadata.parquet"
    )
    assert back.items(["id", "label"]).to_pylist() == rows.select(["id", "label"]).to_pylist()


def test_the_pictures_are_beside_them_if_so_wanted(collection, tmp_path):
    folder = export_image_embeddings(collection.snapshot, tmp_path / "out", images=True)

    pictures = {path.name for path in (folder / "images").iterdir()}
    assert pictures == {f"{name}.jpeg" for name in names_in(folder)}
    data = (folder / "images" / "sea-002.jpeg").read_bytes()
    assert data == collection.snapshot.thumbnails([collection.snapshot.row_of("sea/sea-002.png")])[0]
    assert Image.open(io.BytesIO(data)).size == (64, 48)


def test_without_that_wish_there_are_none(exported):
    assert sorted(path.name for path in exported.iterdir()) == ["embeddings", "metadata.parquet", "parquet"]


def test_pictures_of_vectors_alone_are_a_clear_error(tmp_path):
    made = collection_of(tmp_path, ["a", "b"])

    with pytest.raises(CollectionError, match="2 of 2 items have no picture, such as a"):
        export_image_embeddings(made.snapshot, tmp_path / "out", images=True)
    assert not (tmp_path / "out").exists()


def test_names_of_one_stem_are_told_apart_and_none_is_lost(tmp_path):
    names = ["2020/a.jpg", "2021/a.jpg", "b.jpg", "b.png", "2021_a.jpg"]
    for number, name in enumerate(names):
        write_picture(tmp_path / "in" / name, number)
    built = lookalike.build(tmp_path / "in", tmp_path / "c.lookalike", model="colors")

    folder = export_image_embeddings(built.snapshot, tmp_path / "out", images=True)

    rows = pq.read_table(folder / "metadata.parquet", columns=["id", "image_name"]).to_pylist()
    assert {row["id"]: row["image_name"] for row in rows} == {
        "2020/a.jpg": "2020_a",
        "2021/a.jpg": "2021_a.jpg",
        "2021_a.jpg": "2021_a.jpg~2",
        "b.jpg": "b.jpg",
        "b.png": "b.png",
    }
    assert len(list((folder / "images").iterdir())) == 5


@pytest.mark.parametrize("part", ["", "parquet", "embeddings", "embeddings/embedding.npy"])
def test_what_was_exported_is_imported_with_the_names_as_ids(exported, tmp_path, part):
    back = lookalike.import_vectors(exported / part, tmp_path / "back.lookalike")

    assert ids(back) == ["a", "b", "c", "müde", "e.f"]
    assert np.array_equal(back.embeddings(), VECTORS)
    assert "image_name" not in back.items().column_names


def test_vectors_come_back_bit_for_bit(tmp_path):
    vectors = np.random.default_rng(0).normal(size=(300, 1280)).astype(np.float32)
    made = lookalike.from_vectors(tmp_path / "c.lookalike", vectors, map(str, range(300)))

    folder = export_image_embeddings(made.snapshot, tmp_path / "out")
    back = lookalike.import_vectors(folder, tmp_path / "back.lookalike")

    assert np.array_equal(back.embeddings(), made.embeddings())


def test_a_part_that_is_missing_is_named(exported, tmp_path):
    (exported / "parquet" / "part-001.parquet").unlink()

    message = r"parquet has no part-001\.parquet, but part-002\.parquet: 1 of 3 parts is missing"
    for folder in (exported, exported / "parquet"):
        with pytest.raises(SourceError, match=message):
            lookalike.import_vectors(folder, tmp_path / "back.lookalike")
    one = lookalike.import_vectors(exported / "parquet" / "part-002.parquet", tmp_path / "back.lookalike")
    assert ids(one) == ["e.f"]


def test_the_last_part_is_missed_where_the_list_of_names_is_there(exported, tmp_path):
    (exported / "parquet" / "part-002.parquet").unlink()

    with pytest.raises(SourceError, match=r"parquet has 4 vectors, but .*id_name\.json names 5"):
        lookalike.import_vectors(exported, tmp_path / "back.lookalike")


@pytest.mark.parametrize(
    ("gone", "there"), [("embedding.npy", "id_name.json"), ("id_name.json", "embedding.npy")]
)
def test_an_array_without_its_names_is_a_clear_error(exported, tmp_path, gone, there):
    (exported / "embeddings" / gone).unlink()

    with pytest.raises(SourceError, match=f"has {there}, but no {gone}"):
        lookalike.import_vectors(exported / "embeddings", tmp_path / "back.lookalike")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}[",
        '{"a": 1}',
        "[1, 2]",
        "[" * 100_000,
        '[{"id": 0}]',
        '[{"id": 0, "name": "a"}, {"id": 2, "name": "b"}]',
        '[{"id": 0, "name": "a"}, {"id": 0, "name": "b"}]',
        '[{"id": [], "name": "a"}]',
        '[{"id": 0, "name": null}]',
    ],
)
def test_a_list_of_names_that_is_none_is_a_clear_error(exported, tmp_path, text):
    (exported / "embeddings" / "id_name.json").write_text(text)

    with pytest.raises(SourceError, match="id_name"):
        lookalike.import_vectors(exported / "embeddings", tmp_path / "back.lookalike")


def test_the_order_of_the_list_of_names_does_not_matter(exported, tmp_path):
    path = exported / "embeddings" / "id_name.json"
    path.write_text(json.dumps(json.loads(path.read_text())[::-1]))

    assert ids(lookalike.import_vectors(exported / "embeddings", tmp_path / "back")) == [
        *"abc",
        "müde",
        "e.f",
    ]


def test_other_parquet_beside_the_parts_is_not_left_out(exported, tmp_path):
    rows = pq.read_table(exported / "parquet" / "part-000.parquet").slice(0, 1)
    more = rows.set_column(0, "image_name", pa.array([b"more"]))
    pq.write_table(more, exported / "parquet" / "more.parquet")

    assert ids(lookalike.import_vectors(exported / "parquet", tmp_path / "back")) == [
        *("more", "a", "b", "c", "müde", "e.f")
    ]


def test_a_name_that_is_no_text_is_a_clear_error(tmp_path):
    rows = {"image_name": pa.array([b"\xff"]), "embedding": pa.array([[1.0]], pa.list_(pa.float32()))}
    pq.write_table(pa.table(rows), tmp_path / "part-000.parquet")

    with pytest.raises(SourceError, match="an image_name is not text"):
        lookalike.import_vectors(tmp_path, tmp_path.with_name("back.lookalike"))


def test_a_folder_with_other_files_is_left_alone(exported, tmp_path):
    made = lookalike.Collection(tmp_path / "c.lookalike")

    with pytest.raises(StorageError, match="has other files"):
        export_image_embeddings(made.snapshot, exported)


def test_the_commands_export_and_import(collection, tmp_path, run):
    out, back = tmp_path / "out", tmp_path / "back.lookalike"

    code, said, _ = run("export", collection.path, out, "--to", "image-embeddings", "--images", "--json")
    assert (code, json.loads(said)["files"]) == (0, 1 + 2 + 1 + 42)
    assert run("import", out, "-c", back)[0] == 0

    assert ids(lookalike.Collection(back)) == names_in(out)

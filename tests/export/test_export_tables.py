"""Collections in the files of other tools, and back by `import`."""

from __future__ import annotations

import json

import numpy as np
import pyarrow.parquet as pq
import pytest
from conftest import command

import lookalike
from lookalike.errors import CollectionError, StorageError
from lookalike.export import export_tables, tables
from lookalike.storage.parts import list_parts


def assert_same(imported: lookalike.Collection, collection: lookalike.Collection) -> None:
    """The same ids, labels and vectors in the same order."""
    names = ["id", "label"]
    assert imported.items(names).to_pylist() == collection.items(names).to_pylist()
    assert imported.embeddings() == pytest.approx(
        collection.embeddings(), abs=1e-4
    )  # scaled to length 1 again


def test_npy_and_its_table_come_back(collection, tmp_path):
    folder = export_tables(collection.snapshot, tmp_path / "out", "npy")

    assert np.load(folder / "vectors.npy") == pytest.approx(collection.embeddings())
    imported = lookalike.import_vectors(
        folder / "vectors.npy", tmp_path / "back.lookalike", metadata=folder / "metadata.parquet"
    )
    assert_same(imported, collection)


@pytest.mark.parametrize("form", ["npy", "parquet", "clip-retrieval"])
def test_the_folder_of_an_export_comes_back_as_one(form, collection, tmp_path):
    folder = export_tables(collection.snapshot, tmp_path / "out", form)

    done = command("import", folder, "-c", tmp_path / "back.lookalike")

    assert (done.returncode, done.stderr) == (
        0,
        f"42 vectors of 192 dimensions in {tmp_path / 'back.lookalike'}\n",
    )
    assert_same(lookalike.open(tmp_path / "back.lookalike"), collection)


def test_an_array_in_a_folder_without_its_table_has_numbers_for_ids(collection, tmp_path):
    folder = export_tables(collection.snapshot, tmp_path / "out", "npy")
    (folder / "metadata.parquet").unlink()

    assert lookalike.import_vectors(folder, tmp_path / "back.lookalike").ids[:3] == ["0", "1", "2"]


def test_parquet_comes_back(collection, tmp_path):
    folder = export_tables(collection.snapshot, tmp_path / "out", "parquet")

    columns = pq.read_schema(folder / "vectors.parquet").names
    assert columns[0] == "id" and columns[-1] == "embedding" and "thumb_offset" not in columns
    assert_same(lookalike.import_vectors(folder, tmp_path / "back.lookalike"), collection)


def test_a_clip_retrieval_folder_of_several_files_comes_back(collection, tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "CLIP_RETRIEVAL_ROWS", 20)
    folder = export_tables(collection.snapshot, tmp_path / "out", "clip-retrieval")

    assert [len(np.load(path)) for path in sorted((folder / "img_emb").iterdir())] == [20, 20, 2]
    rows = pq.read_table(folder / "metadata" / "metadata_2.parquet")
    assert rows["image_path"].to_pylist() == rows["id"].to_pylist()
    assert_same(lookalike.import_vectors(folder, tmp_path / "back.lookalike"), collection)


def test_an_image_path_of_the_collections_own_goes_into_a_clip_retrieval_folder_as_it_is(tmp_path):
    vectors, columns = np.eye(2, dtype=np.float32), {"image_path": ["x.jpg", "y.jpg"]}
    made = lookalike.from_vectors(tmp_path / "c.lookalike", vectors, ["a", "b"], columns=columns)

    folder = export_tables(made.snapshot, tmp_path / "out", "clip-retrieval")

    (rows,) = [pq.read_table(path) for path in (folder / "metadata").iterdir()]
    assert rows.select(["id", "image_path"]).to_pylist() == [
        {"id": "a", "image_path": "x.jpg"},
        {"id": "b", "image_path": "y.jpg"},
    ]
    imported = lookalike.import_vectors(folder, tmp_path / "back.lookalike")
    assert imported.items(["id", "image_path"]).to_pylist() == rows.select(["id", "image_path"]).to_pylist()


@pytest.mark.parametrize("form", ["npy", "parquet", "clip-retrieval"])
def test_only_the_first_items_are_taken_if_so_wanted(collection, tmp_path, form):
    folder = export_tables(collection.snapshot, tmp_path / "out", form, max_items=17)
    table = next(path for path in sorted(folder.rglob("*.parquet")))

    assert pq.read_table(table)["id"].to_pylist() == collection.items(["id"])["id"].to_pylist()[:17]


def test_16_bit_vectors_are_exported(photos, tmp_path):
    built = lookalike.build(photos, tmp_path / "half.lookalike", model="colors", dtype="float16")

    folder = export_tables(built.snapshot, tmp_path / "out", "parquet")

    assert_same(lookalike.import_vectors(folder, tmp_path / "back.lookalike"), built)


def test_a_folder_that_is_not_empty_is_refused(collection, tmp_path):
    export_tables(collection.snapshot, tmp_path / "out", "npy")

    with pytest.raises(StorageError, match="has other files, which an export would replace"):
        export_tables(collection.snapshot, tmp_path / "out", "npy")


def test_nothing_is_left_when_the_collection_changes_meanwhile(copied, tmp_path, monkeypatch):
    def change(done: int, total: int) -> None:
        part = list_parts(copied.path)[-1]
        part.write(part.items().slice(1))

    monkeypatch.setattr("lookalike.export.tables._PIECE_ROWS", 16)
    with pytest.raises(CollectionError, match="was changed while it was read; run it again"):
        export_tables(copied.snapshot, tmp_path / "out", "npy", on_progress=change)
    assert not list(tmp_path.glob("*out*"))


def test_the_command_exports_npy(collection, tmp_path):
    done = command("export", collection.path, tmp_path / "out", "--to", "npy", "--json")

    assert json.loads(done.stdout)["files"] == 2
    assert np.load(tmp_path / "out" / "vectors.npy").shape == (42, 192)

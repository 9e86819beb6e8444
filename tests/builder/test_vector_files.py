"""Files of vectors that other tools wrote, taken as a collection."""

from __future__ import annotations

import re
import tracemalloc
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from building import ids as ids_of

from lookalike.collection import from_vectors, import_vectors
from lookalike.errors import SourceError
from lookalike.storage.parts import list_parts

IDS = ["a", "b", "c"]
VECTORS = np.array([[3, 4], [0, -2], [1, 1]], np.float32)
HALF = 0.5**0.5


def noise(count: int, dim: int = 4) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(count, dim)).astype(np.float32)


def folder_of_clip_retrieval(root: Path, vectors: np.ndarray, rows: pa.Table, cut: int) -> Path:
    """Files of `cut` rows, numbered from 0."""
    (root / "img_emb").mkdir(parents=True)
    (root / "metadata").mkdir()
    for number, start in enumerate(range(0, len(vectors), cut)):
        np.save(root / "img_emb" / f"img_emb_{number}.npy", vectors[start : start + cut])
        pq.write_table(rows.slice(start, cut), root / "metadata" / f"metadata_{number}.parquet")
    return root


def test_a_npy_file_has_numbers_for_ids(tmp_path, target):
    np.save(tmp_path / "v.npy", VECTORS.astype(np.float16))
    collection = import_vectors(tmp_path / "v.npy", target)

    assert ids_of(collection) == ["0", "1", "2"]
    assert collection.embeddings()[0].tolist() == pytest.approx([0.6, 0.8])
    assert collection.manifest.model.name == "imported"


@pytest.mark.parametrize("name", ["rows.csv", "rows.parquet"])
def test_a_npy_file_has_the_rows_of_its_metadata(tmp_path, target, name):
    np.save(tmp_path / "v.npy", VECTORS)
    if name == "rows.csv":
        (tmp_path / name).write_text("path,label,price\n007,x,1\nb,y,2\nc,z,3\n")
    else:
        rows = {"path": ["007", "b", "c"], "label": ["x", "y", "z"], "price": [1, 2, 3]}
        pq.write_table(pa.table(rows), tmp_path / name)

    collection = import_vectors(tmp_path / "v.npy", target, metadata=tmp_path / name)

    assert collection.items(["id", "label", "price"]).to_pylist() == [
        {"id": "007", "label": "x", "price": 1},
        {"id": "b", "label": "y", "price": 2},
        {"id": "c", "label": "z", "price": 3},
    ]


def test_metadata_without_ids_goes_by_the_order_of_rows(tmp_path, target):
    np.save(tmp_path / "v.npy", VECTORS)
    (tmp_path / "rows.csv").write_text("price\n5\n6\n7\n")
    collection = import_vectors(tmp_path / "v.npy", target, metadata=tmp_path / "rows.csv")

    assert collection.items(["id", "price"]).to_pylist() == [
        {"id": "0", "price": 5},
        {"id": "1", "price": 6},
        {"id": "2", "price": 7},
    ]


def test_the_files_of_clip_retrieval_are_taken_in_the_order_of_their_numbers(tmp_path, target):
    vectors, ids = noise(24), [f"img-{number}.jpg" for number in range(24)]
    rows = pa.table({"image_path": ids, "caption": ids, "width": list(range(24))})
    source = folder_of_clip_retrieval(tmp_path / "clip", vectors, rows, cut=2)

    collection = import_vectors(source, target)

    assert ids_of(collection) == ids
    assert collection.items(["caption"])["caption"].to_pylist() == ids
    assert collection.items(["source_width"])["source_width"].to_pylist() == list(range(24))
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    assert collection.embeddings() == pytest.approx(vectors / lengths, abs=1e-6)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["key", "url"], ["key-0", "key-1", "key-2"]),
        (["url"], ["url-0", "url-1", "url-2"]),
        (["image_path", "key"], ["image_path-0", "image_path-1", "image_path-2"]),
        (["caption"], ["0", "1", "2"]),
    ],
)
def test_the_first_known_column_has_the_ids(tmp_path, target, names, expected):
    rows = pa.table({name: [f"{name}-{number}" for number in range(3)] for name in names})
    collection = import_vectors(folder_of_clip_retrieval(tmp_path / "clip", VECTORS, rows, cut=2), target)

    assert ids_of(collection) == expected


@pytest.mark.parametrize(
    "type_",
    [pa.list_(pa.float32()), pa.list_(pa.float32(), 2), pa.large_list(pa.float64()), pa.list_(pa.float16())],
)
def test_the_parquet_of_image_embeddings_is_read(tmp_path, target, type_):
    embedding = pa.array(VECTORS.tolist(), pa.list_(pa.float64())).cast(type_)
    pq.write_table(pa.table({"image_name": IDS, "embedding": embedding}), tmp_path / "part-0.parquet")
    collection = import_vectors(tmp_path, target.with_suffix(""))

    assert ids_of(collection) == IDS
    assert collection.embeddings()[2].tolist() == pytest.approx([HALF, HALF], abs=1e-4)
    assert collection.items().column_names[-1] == "label"  # no column but those of the format


def test_a_folder_of_parquet_is_taken_in_the_order_of_numbers(tmp_path, target):
    (tmp_path / "in").mkdir()
    for number in (10, 9, 1):
        table = pa.table({"id": [number], "embedding": [[1.0, number]]})
        pq.write_table(table, tmp_path / "in" / f"{number}.parquet")

    assert ids_of(import_vectors(tmp_path / "in", target)) == ["1", "9", "10"]


def test_a_collection_that_was_imported_can_be_imported_again(tmp_path, target):
    first = from_vectors(tmp_path / "first", VECTORS, IDS)
    again = import_vectors(first.path / "items", target)

    assert ids_of(again) == IDS
    assert again.embeddings() == pytest.approx(first.embeddings())


@pytest.mark.parametrize(
    ("embedding", "message"),
    [
        (pa.array([[1.0, 2], [1.0]]), "the embeddings have different dimensions, [1, 2]"),
        (pa.array([[1.0, 2], None]), "an embedding or a number in it is null"),
        (pa.array([[1.0, 2], [1.0, None]]), "an embedding or a number in it is null"),
        (pa.array([1.0, 2]), "the embeddings have type double, not lists of numbers"),
        (pa.array([["a"], ["b"]]), "not rows of numbers (N, D)"),
        (pa.array([[], []], pa.list_(pa.float32())), "(2, 0), not rows of numbers"),
    ],
)
def test_a_column_of_embeddings_that_are_none_is_refused(tmp_path, target, embedding, message):
    pq.write_table(pa.table({"id": ["a", "b"], "embedding": embedding}), tmp_path / "v.parquet")

    with pytest.raises(SourceError, match=re.escape(message)):
        import_vectors(tmp_path / "v.parquet", target)

    assert [path.name for path in tmp_path.iterdir()] == ["v.parquet"]


def damaged(folder: Path, kind: str) -> Path:
    """A source with something wrong."""
    path = folder / "v.npy"
    if kind == "pickled":
        np.save(path, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    elif kind == "flat":
        np.save(path, np.ones(3))
    elif kind == "cut":
        np.save(path, np.ones((100, 4)))
        path.write_bytes(path.read_bytes()[:-100])
    elif kind == "no header":
        path.write_bytes(b"")
    elif kind == "no rows":
        np.save(path, np.ones((0, 4)))
    elif kind == "other":
        path = folder / "v.txt"
        path.write_text("1 2 3")
    elif kind == "no column":
        path = folder / "v.parquet"
        pq.write_table(pa.table({"id": ["a"], "vector": [[1.0]]}), path)
    elif kind == "not parquet":
        path = folder / "v.parquet"
        path.write_text("no")
    return path


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("missing", "cannot read the vectors .*v.npy"),
        ("pickled", "cannot read the vectors .*v.npy: .*Python objects"),
        ("flat", r"v.npy has the shape \(3,\), not \(N, D\)"),
        ("cut", "cannot read the vectors .*v.npy"),
        ("no header", "cannot read the vectors .*v.npy"),
        ("no rows", "there are no vectors"),
        ("other", "v.txt has no embeddings that Lookalike can read; give a .npy file"),
        ("no column", "has no column `embedding`, only: id, vector"),
        ("not parquet", "cannot read .*v.parquet"),
    ],
)
def test_a_source_that_cannot_be_read_is_an_error_in_one_line(tmp_path, target, kind, message):
    with pytest.raises(SourceError, match=message) as error:
        import_vectors(damaged(tmp_path, kind), target)

    assert "\n" not in str(error.value)
    assert not target.exists()


def test_metadata_with_another_number_of_rows_is_refused(tmp_path, target):
    np.save(tmp_path / "v.npy", VECTORS)
    (tmp_path / "rows.csv").write_text("id\na\nb\n")

    with pytest.raises(SourceError, match=r"v.npy has 3 vectors, but .*rows.csv has 2 rows"):
        import_vectors(tmp_path / "v.npy", target, metadata=tmp_path / "rows.csv")


@pytest.mark.parametrize("names", [["id", "tag", "tag"], ["id", "id", "tag"]])
@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_metadata_with_two_columns_of_one_name_is_refused(tmp_path, target, names, suffix):
    np.save(tmp_path / "v.npy", VECTORS)
    rows = pa.table([pa.array(IDS)] * 3, names)
    path = tmp_path / f"rows{suffix}"
    pq.write_table(rows, path) if suffix == ".parquet" else pyarrow.csv.write_csv(rows, path)

    with pytest.raises(SourceError, match=rf"rows{suffix} has more than one column {names[1]}; rename"):
        import_vectors(tmp_path / "v.npy", target, metadata=path)


def test_columns_that_change_their_type_between_files_are_refused(tmp_path, target):
    for number, value in enumerate([1, "one"]):
        table = pa.table({"id": [str(number)], "x": [value], "embedding": [[1.0]]})
        pq.write_table(table, tmp_path / f"{number}.parquet")

    with pytest.raises(SourceError, match="a column has a different type than in earlier rows"):
        import_vectors(tmp_path, target.with_name("other"))


@pytest.mark.slow
def test_an_import_holds_a_few_parts_in_memory_and_not_the_file(tmp_path, target, monkeypatch):
    monkeypatch.setattr("lookalike.builder.vectors._PART_ROWS", (256, 256))
    monkeypatch.setattr("lookalike.builder.vectors.READ_ROWS", 256)
    monkeypatch.setattr("lookalike.builder.array_files.READ_ROWS", 256)
    np.save(tmp_path / "v.npy", noise(4_096, 2_048))
    size = (tmp_path / "v.npy").stat().st_size

    tracemalloc.start()
    collection = import_vectors(tmp_path / "v.npy", target)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert [part.num_rows() for part in list_parts(collection.path)] == [256] * 16
    assert peak < size / 2

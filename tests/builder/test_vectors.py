"""Collections of vectors made elsewhere: what goes in is found again, and what does not fit is refused."""

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa
import pytest
from building import ids as ids_of

import lookalike
from lookalike.collection import from_vectors
from lookalike.errors import CollectionError, LockedError, ModelError, SourceError
from lookalike.storage.parts import list_parts
from lookalike.storage.writing import writing

IDS = ["a", "b", "c"]

VECTORS = np.array([[3, 4], [0, -2], [1, 1]], np.float32)

HALF = 0.5**0.5


def noise(count: int, dim: int = 4) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(count, dim)).astype(np.float32)


def test_vectors_go_in_and_come_out_at_length_one(target):
    collection = from_vectors(target, VECTORS, IDS, columns={"label": ["x", None, "y"], "price": [1, 2, 3]})

    assert collection.embeddings().tolist() == pytest.approx(np.array([[0.6, 0.8], [0, -1], [HALF, HALF]]))
    assert collection.items(["id", "uri", "label", "price", "width", "sha256"]).to_pylist() == [
        {"id": "a", "uri": "vectors:a", "label": "x", "price": 1, "width": 0, "sha256": ""},
        {"id": "b", "uri": "vectors:b", "label": None, "price": 2, "width": 0, "sha256": ""},
        {"id": "c", "uri": "vectors:c", "label": "y", "price": 3, "width": 0, "sha256": ""},
    ]
    assert (collection.manifest.model.name, collection.manifest.model.dim) == ("vectors", 2)
    assert list(lookalike.open(target).verify()) == []


def test_the_uri_is_percent_encoded(target):
    rows = from_vectors(target, VECTORS, ["a b", "é", "x/y?z"]).items(["uri"])

    assert rows["uri"].to_pylist() == ["vectors:a%20b", "vectors:%C3%A9", "vectors:x/y%3Fz"]


def test_a_search_by_id_finds_the_same_direction_first(target):
    vectors = np.concatenate([noise(20), 3 * noise(20)])
    collection = from_vectors(target, vectors, [f"{number % 20}-{number // 20}" for number in range(40)])

    for number in range(20):
        scores = {hit.id: hit.score for hit in collection.search(lookalike.Id(f"{number}-0"), k=2)}
        assert scores[f"{number}-1"] == pytest.approx(1, abs=1e-6)


def test_no_item_has_a_thumbnail(target):
    collection = from_vectors(target, VECTORS, IDS)

    assert collection.items(["thumb_size"])["thumb_size"].to_pylist() == [0, 0, 0]
    assert [part.thumbnails(IDS) for part in list_parts(collection.path)] == [[b"", b"", b""]]


def test_a_picture_cannot_be_a_query(target, photos):
    with pytest.raises(ModelError):
        from_vectors(target, VECTORS, IDS).search(photos / "sea" / "sea-002.png")


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int8"])
def test_scaling_equals_a_slow_loop_for_any_type_of_number(target, dtype):
    vectors = (noise(50) * 20).astype(dtype)
    expected = []
    for row in vectors.tolist():
        length = sum(number * number for number in row) ** 0.5
        expected.append([number / length for number in row])

    collection = from_vectors(target, vectors, [str(number) for number in range(50)])

    assert collection.embeddings() == pytest.approx(np.array(expected), abs=1e-6)


@pytest.mark.parametrize("size", [1e-300, 1e-30, 1e30, 1e300])
def test_no_vector_is_too_long_or_too_short_to_be_scaled(target, size):
    assert from_vectors(target, [[3 * size, 4 * size]], ["a"]).embeddings()[0] == pytest.approx([0.6, 0.8])


def test_vectors_of_length_one_may_be_kept_as_they_are(target):
    vectors = np.array([[0.6, 0.8], [1, 0]], np.float32)

    assert (
        from_vectors(target, vectors, ["a", "b"], normalize=False).embeddings().tolist() == vectors.tolist()
    )


def test_vectors_that_are_not_to_be_scaled_have_to_be_of_length_one(target):
    message = "the vector of 'b' (row 1) has length 2, not 1; let it be scaled: normalize=True"
    with pytest.raises(SourceError, match=re.escape(message)):
        from_vectors(target, np.array([[0.6, 0.8], [0, 2]]), ["a", "b"], normalize=False)


@pytest.mark.parametrize(("near", "far"), [(0.9995, 0.998), (1.0005, 1.002)])
def test_a_length_is_one_to_within_a_thousandth(target, tmp_path, near, far):
    vector = np.array([[0.6, 0.8]])
    from_vectors(tmp_path / "near", near * vector, ["a"], normalize=False)

    with pytest.raises(SourceError, match=rf"has length {far}, not 1"):
        from_vectors(target, far * vector, ["a"], normalize=False)


def test_blocks_are_the_same_as_one_array(target, tmp_path):
    vectors, ids = noise(10), [f"id-{number}" for number in range(10)]
    whole = from_vectors(target, vectors, ids, columns={"n": range(10)})

    blocks = from_vectors(
        tmp_path / "blocks",
        (vectors[start:end] for start, end in [(0, 3), (3, 4), (4, 10)]),
        iter([ids[:3], ids[3:4], ids[4:]]),
        columns=pa.table({"n": list(range(10))}),
    )

    assert blocks.items(["id", "n"]).to_pylist() == whole.items(["id", "n"]).to_pylist()
    assert blocks.embeddings().tolist() == whole.embeddings().tolist()


def test_many_rows_are_cut_into_parts_in_their_order(target):
    ids = [str(number) for number in range(8_193)]
    collection = from_vectors(target, noise(8_193), ids)

    assert [part.num_rows() for part in list_parts(collection.path)] == [8_192, 1]
    assert ids_of(collection) == ids
    assert list(collection.verify()) == []


@pytest.mark.parametrize(
    ("vectors", "ids", "columns", "message"),
    [
        (VECTORS, ["a", "b"], None, "2 ids do not fit vectors of shape (3, 2)"),
        (VECTORS, ["a", "b", "a"], None, "row 2 has the id 'a', which an earlier row has too"),
        (VECTORS, ["a", "b", 3], None, "row 2 has the id 3; ids have to be text: str(id)"),
        (VECTORS, ["a", "b", ""], None, "row 2 has the id ''"),
        (VECTORS, ["a", "b", None], None, "row 2 has the id None"),
        (VECTORS, ["a", "b", "\ud800"], None, "an id or a label is not text"),
        (
            [[1, 2], [np.nan, 1], [1, 1]],
            IDS,
            None,
            "of 'b' (row 1) has a value that is not finite",
        ),
        ([[1, 2], [2, 1], [-np.inf, 1]], IDS, None, "of 'c' (row 2) has a value that is not finite"),
        ([[1, 2], [0, 0], [1, 1]], IDS, None, "the vector of 'b' (row 1) has zeros only; leave it out"),
        ([[1, 2], [1], [1, 1]], IDS, None, "the vectors have different dimensions"),
        (np.ones(3), IDS, None, "the vectors are float64 (3,), not rows of numbers (N, D)"),
        (np.ones((3, 0)), IDS, None, "the vectors are float64 (3, 0), not rows"),
        (np.array([["a"]] * 3), IDS, None, "the vectors are <U1 (3, 1), not rows"),
        (np.empty((0, 2)), [], None, "there are no vectors"),
        ([], [], None, "there are no vectors"),
        (
            [np.ones((1, 2)), np.ones((1, 3))],
            [["a"], ["b"]],
            None,
            "row 1 has 3 dimensions, earlier",
        ),
        (
            [np.ones((1, 3)), np.ones((1, 2))],
            [["a"], ["b"]],
            None,
            "row 1 has 2 dimensions, earlier",
        ),
        ([np.ones((1, 2)), np.ones((1, 2))], [["a"]], None, "there are more blocks of vectors than 1"),
        ([np.ones((2, 2))], [["a"]], None, "2 vectors, 1 ids and 1 rows of columns do not fit together"),
        (VECTORS, IDS, {"price": [1, 2]}, "3 vectors, 3 ids and 2 rows of columns do not fit together"),
        (VECTORS, IDS, {"price": [1] * 4}, "3 vectors and 4 rows of columns do not fit together"),
        (VECTORS, IDS, {"a": [1, 2, 3], "b": [1]}, "the columns do not form a table"),
        (VECTORS, IDS, {"uri": IDS}, "reserved by the collection or occur twice: uri"),
        (VECTORS, IDS, {"embedding": IDS}, "or occur twice: embedding; rename them"),
        (VECTORS, IDS, pa.table([IDS, IDS], ["x", "x"]), "or occur twice: x, x"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line_and_leaves_nothing(target, vectors, ids, columns, message):
    with pytest.raises(SourceError, match=re.escape(message)) as error:
        from_vectors(target, vectors, ids, columns=columns)

    assert "\n" not in str(error.value)
    assert list(target.parent.iterdir()) == []


def test_a_bad_row_after_many_good_parts_leaves_nothing(target):
    vectors = noise(8_200)
    vectors[8_195] = np.nan

    with pytest.raises(SourceError, match="row 8195"):
        from_vectors(target, vectors, [str(number) for number in range(8_200)])

    assert list(target.parent.iterdir()) == []


def test_a_collection_that_is_there_is_refused_and_unharmed(target):
    from_vectors(target, VECTORS, IDS)

    with pytest.raises(CollectionError, match="is a collection already; give another path"):
        from_vectors(target, VECTORS, ["x", "y", "z"])

    assert ids_of(lookalike.open(target)) == IDS


def test_a_folder_of_other_files_is_refused(target):
    target.mkdir()
    (target / "mine.txt").write_text("mine")

    with pytest.raises(CollectionError, match="has other files"):
        from_vectors(target, VECTORS, IDS)

    assert [path.name for path in target.iterdir()] == ["mine.txt"]


def test_an_empty_folder_may_be_there(target):
    target.mkdir()

    assert ids_of(from_vectors(target, VECTORS, IDS)) == IDS


def test_what_a_killed_writer_left_is_no_part_of_the_next_one(target):
    from_vectors(target, noise(9_000), [str(number) for number in range(9_000)])
    target.rename(target.with_name(target.name + ".unfinished"))

    assert ids_of(from_vectors(target, VECTORS, IDS)) == IDS
    assert [path.name for path in target.parent.iterdir()] == [target.name]


def test_a_collection_that_another_made_meanwhile_is_unharmed(target, tmp_path):
    def blocks():
        yield VECTORS[:1]
        from_vectors(tmp_path / "other", VECTORS, ["x", "y", "z"]).path.rename(target)
        yield VECTORS[1:]

    with pytest.raises(CollectionError, match="is a collection already"):
        from_vectors(target, blocks(), [["a"], ["b", "c"]])

    assert ids_of(lookalike.open(target)) == ["x", "y", "z"]
    assert [path.name for path in tmp_path.iterdir()] == [target.name]


def test_two_writers_of_one_path_do_not_meet(target):
    with writing(target.with_name(target.name + ".unfinished")), pytest.raises(LockedError):
        from_vectors(target, VECTORS, IDS)

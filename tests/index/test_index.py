"""Indexes: every kind finds what exact search finds, says how well, and never answers for another state."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
from indexes import COUNT, DIM, PART_SIZE, clouds, index_path, write_collection, write_part

import lookalike
from lookalike.collection import Collection
from lookalike.errors import CollectionError, LookalikeError, QueryError
from lookalike.index import KINDS, build_index, index_state, open_index, refresh
from lookalike.index.plans import choose
from lookalike.index.recall import Truth, draw_sample
from lookalike.storage.parts import list_parts
from lookalike.storage.state import State


def exact(vectors: np.ndarray, query: np.ndarray, k: int) -> list[int]:
    """The k nearest rows, by one product after the other."""
    return sorted(range(len(vectors)), key=lambda row: -float(np.dot(vectors[row], query)))[:k]


@pytest.fixture
def changing(indexed, tmp_path) -> Collection:
    """A copy with an ivf-rabitq index that the test may change."""
    shutil.copytree(indexed["ivf-rabitq"].path, tmp_path / "changing.lookalike")
    return lookalike.open(tmp_path / "changing.lookalike")


@pytest.mark.parametrize("kind", KINDS)
def test_an_image_is_its_own_nearest_neighbour_with_a_score_of_about_1(kind, indexed, vectors):
    scores, rows = open_index(indexed[kind].snapshot.state).search(vectors[::100], 5)

    assert rows[:, 0].tolist() == list(range(0, COUNT, 100))
    assert scores[:, 0] == pytest.approx(1, abs=0.005)
    assert (np.diff(scores, axis=1) <= 0).all()
    assert (scores.dtype, rows.dtype, scores.shape) == (np.float32, np.int64, (30, 5))


@pytest.mark.parametrize("kind", KINDS)
def test_scores_are_cosines(kind, indexed, vectors):
    scores, rows = open_index(indexed[kind].snapshot.state).search(vectors[:20], 10)

    true = np.einsum("qd,qkd->qk", vectors[:20], vectors[rows])
    assert np.abs(scores - true).max() < 0.01


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_the_stated_recall_is_that_of_a_slow_recount_and_at_least_the_wanted(kind, indexed, vectors):
    index = open_index(indexed[kind].snapshot.state)
    lists = choose(COUNT, DIM, kind, None).lists
    asked = draw_sample(indexed[kind].snapshot.parts, [PART_SIZE] * 6, DIM, lists, None)[1].rows.tolist()

    found = 0
    for row in asked:
        answer = index.search(vectors[[row]], 11)[1][0].tolist()
        true = [one for one in exact(vectors, vectors[row], 11) if one != row]
        found += len(set(true[:10]) & set([one for one in answer if one != row][:10]))

    assert len(asked) == 200
    assert index.info.recall == pytest.approx(found / 2000, abs=1e-9)
    assert index.info.recall >= 0.95


def test_flat_equals_exact_search(indexed, vectors):
    queries = clouds(20, seed=5)

    rows = open_index(indexed["flat"].snapshot.state).search(queries, 15)[1]

    assert rows.tolist() == [exact(vectors, query, 15) for query in queries]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("share", [0.5, 0.1, 0.02, 0.005])
def test_a_filter_gives_k_rows_that_all_match_and_the_nearest_of_them(kind, share, indexed, vectors):
    mask = np.random.default_rng(1).random(COUNT) < share
    queries = clouds(30, seed=2)

    rows = open_index(indexed[kind].snapshot.state).search(queries, 10, mask)[1]

    allowed = np.flatnonzero(mask)
    true = [{int(allowed[one]) for one in exact(vectors[allowed], query, 10)} for query in queries]
    assert (rows >= 0).all() and mask[rows].all()
    assert all(len(set(row)) == 10 for row in rows.tolist())
    recall = np.mean([len(set(row) & best) / 10 for row, best in zip(rows.tolist(), true, strict=True)])
    assert recall >= 0.9


@pytest.mark.parametrize("kind", KINDS)
def test_a_filter_for_what_is_far_from_the_query_is_met_too(kind, indexed, vectors):
    far = exact(vectors, -vectors[0], 100)
    mask = np.isin(np.arange(COUNT), far)

    rows = open_index(indexed[kind].snapshot.state).search(vectors[:1], 100, mask)[1]

    assert sorted(rows[0].tolist()) == sorted(far)


@pytest.mark.parametrize("kind", ["flat", "hnsw", "ivf-rabitq"])
def test_few_rows_that_match_are_compared_one_by_one(kind, indexed, vectors, monkeypatch):
    index = open_index(indexed[kind].snapshot.state)
    monkeypatch.setattr(index, "ask", None)  # which looks for them
    few, many = np.arange(COUNT) % 3 == 0, np.arange(COUNT) % 2 == 0

    rows = index.search(vectors[:1], 10, few)[1]

    assert few[rows].all() and rows[0, 0] == 0
    with pytest.raises(TypeError):
        index.search(vectors[:1], 10, many)


@pytest.mark.parametrize("kind", KINDS)
def test_more_results_than_rows_end_in_minus_one(kind, indexed, vectors):
    mask = np.arange(COUNT) < 3
    index = open_index(indexed[kind].snapshot.state)

    scores, rows = index.search(vectors[:2], 5, mask)
    assert sorted(rows[0][:3].tolist()) == [0, 1, 2]
    assert rows[:, 3:].tolist() == [[-1, -1]] * 2 and scores[:, 3:].tolist() == [[-1, -1]] * 2

    rows = index.search(vectors[:1], 10_000)[1][0]
    assert sorted(rows[:COUNT].tolist()) == list(range(COUNT))
    assert set(rows[COUNT:].tolist()) == {-1}

    assert set(index.search(vectors[:1], 4, np.zeros(COUNT, bool))[1][0].tolist()) == {-1}


@pytest.mark.parametrize("kind", KINDS)
def test_the_estimated_size_is_within_a_tenth_of_the_file(kind, indexed):
    info = open_index(indexed[kind].snapshot.state).info

    assert info.bytes == index_path(indexed[kind]).stat().st_size
    assert choose(COUNT, DIM, kind, None).bytes == pytest.approx(info.bytes, rel=0.1)


def test_less_memory_gives_coarser_codes_and_the_reason_says_what_that_costs(changing):
    limit = COUNT * 40

    info = build_index(changing.path, "ivf-rabitq", max_memory_bytes=limit, min_recall=0.99)

    assert info.refine_bits == 0
    assert info.bytes <= limit * 1.1
    assert info.recall < 0.99
    assert f"is the best it reaches in {limit:,} bytes, not 0.99" in info.reason


def test_auto_says_what_it_takes_and_why(changing):
    info = build_index(changing.path)

    assert (info.kind, info.recall) == ("flat", 1)
    assert info.reason.startswith("3,000 vectors of 64: exact search takes ")
    assert info.reason.endswith(" ms, which is fast enough")


def test_auto_depends_on_number_dimension_and_memory():
    assert choose(10_000, 1280, "auto", None).kind == "flat"
    assert choose(10_001, 1280, "auto", None).factory == "IVF100,RaBitQ,Refine(SQfp16)"
    assert choose(1_000_000, 1280, "auto", None).factory == "IVF1000,RaBitQ,Refine(SQfp16)"
    assert choose(1_000_000, 1280, "auto", 2 * 10**9).factory == "IVF1000,RaBitQ,Refine(SQ8)"
    assert choose(1_000_000, 1280, "auto", 10**9).factory == "IVF1000,RaBitQ,Refine(SQ4)"
    assert choose(1_000_000, 1280, "auto", 200_000_000).factory == "IVF1000,RaBitQ"
    assert choose(1_000_000, 64, "auto", None).factory == "IVF1000,SQ8"
    assert choose(10_000, 1280, "auto", 20_000_000).factory == "IVF100,RaBitQ,Refine(SQ8)"


def test_half_a_byte_of_a_code_takes_a_whole_one():
    """Of a row 65 numbers of 4 bits are 33 bytes, and its number 8; of 32 lists a centroid and a length."""
    expected_bytes = 1000 * (33 + 8) + 32 * (4 * 65 + 8) + 8 * 65

    assert choose(1000, 65, "ivf", expected_bytes).bytes == expected_bytes


def test_too_little_memory_is_refused_with_the_least_that_would_do(plain):
    message = (
        "an index over 3,000 vectors of 64 needs at least 48,256 bytes, the limit is 1,000; "
        "raise it to `max_memory_bytes=48256`"
    )
    with pytest.raises(LookalikeError, match=f"^{message}$"):
        build_index(plain.path, max_memory_bytes=1000)
    with pytest.raises(LookalikeError, match=r"an index of kind flat over .* 768,000 bytes, .*leave `kind`"):
        build_index(plain.path, "flat", max_memory_bytes=1000)
    assert index_state(plain.snapshot.state) == "none"


@pytest.mark.parametrize(
    ("wishes", "message"),
    [
        ({"kind": "tree"}, "unknown kind of index 'tree'; known are: auto, flat, hnsw, ivf, ivf-pq, rabitq,"),
        ({"min_recall": 0}, "the target recall is 0, it has to be above 0 and at most 1"),
        ({"min_recall": 1.1}, "the target recall is 1.1"),
        ({"min_recall": float("nan")}, "the target recall is nan"),
        ({"max_memory_bytes": 0}, "the memory limit is 0 bytes"),
    ],
)
def test_wishes_that_cannot_be_met_are_named(wishes, message, plain):
    with pytest.raises(LookalikeError, match=message):
        build_index(plain.path, **wishes)


def test_an_empty_collection_has_nothing_to_index(tmp_path):
    with pytest.raises(LookalikeError, match="has no images to index"):
        build_index(write_collection(tmp_path / "empty.lookalike", clouds(0)).path)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("count", [1, 2, 30])
def test_tiny_collections_are_indexed_too(kind, count, tmp_path):
    collection = write_collection(tmp_path / "tiny.lookalike", clouds(count))
    if kind == "ivf-pq" and count < 16:
        with pytest.raises(LookalikeError, match=f"needs at least 16 vectors to learn from, .* {count}"):
            build_index(collection.path, kind)
        return

    build_index(collection.path, kind)

    assert open_index(collection.snapshot.state).search(clouds(count), 1)[1][:, 0].tolist() == list(
        range(count)
    )


@pytest.mark.parametrize(
    ("queries", "message"),
    [
        (np.zeros((1, 32), np.float32), r"the queries have shape \(1, 32\), the index takes \(Q, 64\)"),
        (np.zeros(64, np.float32), r"the queries have shape \(64,\)"),
        (np.full((1, 64), np.nan, np.float32), "a query has a number that is not finite"),
        (np.full((1, 64), np.inf, np.float32), "a query has a number that is not finite"),
    ],
)
def test_queries_that_are_none_are_refused(queries, message, indexed):
    with pytest.raises(QueryError, match=message):
        open_index(indexed["ivf"].snapshot.state).search(queries, 3)


def test_a_k_or_a_mask_that_cannot_be_is_refused(indexed, vectors):
    index = open_index(indexed["ivf"].snapshot.state)
    with pytest.raises(QueryError, match="at least 1, not 0"):
        index.search(vectors[:1], 0)
    with pytest.raises(QueryError, match=r"the mask is bool \(5,\), the index takes bool \(3000,\)"):
        index.search(vectors[:1], 1, np.ones(5, bool))
    assert index.search(vectors[:0], 3)[1].shape == (0, 3)


def test_an_index_is_none_then_fresh_then_stale_then_fresh(plain, tmp_path):
    shutil.copytree(plain.path, tmp_path / "c.lookalike")
    collection = lookalike.open(tmp_path / "c.lookalike")
    assert (
        index_state(collection.snapshot.state),
        open_index(collection.snapshot.state),
        refresh(collection.path),
    ) == ("none", None, None)

    build_index(collection.path, "ivf")
    assert index_state(collection.snapshot.state) == "fresh"
    assert refresh(collection.path) == open_index(collection.snapshot.state).info

    write_part(collection, 6, clouds(100, seed=3))
    assert (index_state(collection.snapshot.state), open_index(collection.snapshot.state)) == ("stale", None)

    refresh(collection.path)
    assert index_state(collection.snapshot.state) == "fresh"


@pytest.mark.parametrize("kind", KINDS)
def test_a_new_part_is_found_after_a_refresh_without_training_again(kind, indexed, tmp_path, monkeypatch):
    shutil.copytree(indexed[kind].path, tmp_path / "c.lookalike")
    collection = lookalike.open(tmp_path / "c.lookalike")
    new = clouds(100, seed=3)
    write_part(collection, 9, new)
    monkeypatch.setattr("lookalike.index.building.trained", lambda *_: pytest.fail("trained again"))

    info = refresh(collection.path)

    assert info.parts[-1][0] == 9 and info.count == COUNT + 100
    scores, rows = open_index(collection.snapshot.state).search(new, 1)
    assert rows[:, 0].tolist() == list(range(COUNT, COUNT + 100))
    assert scores[:, 0] == pytest.approx(1, abs=0.03)


def test_removed_images_never_come_back(changing, vectors):
    part = list_parts(changing.path)[2]
    rows = part.items()
    part.write(rows.slice(10), [b""] * (PART_SIZE - 10))
    removed, start = vectors[1000:1010], 1000
    kept = np.delete(vectors, np.s_[start : start + 10], axis=0)
    assert open_index(changing.snapshot.state) is None

    refresh(changing.path)

    index = open_index(changing.snapshot.state)
    assert index.info.count == COUNT - 10
    assert (index.search(removed, 1)[0] < 0.99).all()
    assert index.search(kept[::50], 1)[1][:, 0].tolist() == list(range(0, COUNT - 10, 50))


def test_a_part_that_is_gone_is_gone_from_the_index(changing, vectors):
    list_parts(changing.path)[0].write(list_parts(changing.path)[0].items().slice(0, 0))

    assert index_state(changing.snapshot.state) == "stale"
    assert refresh(changing.path).kind == "ivf-rabitq"
    assert open_index(changing.snapshot.state).search(vectors[PART_SIZE : PART_SIZE + 1], 1)[1].tolist() == [
        [0]
    ]


def test_an_index_of_twice_the_rows_is_trained_again(changing):
    for number in range(6, 12):
        write_part(changing, number, clouds(PART_SIZE, seed=number))

    assert refresh(changing.path).trained_rows == 2 * COUNT


@pytest.mark.parametrize("kept", [0, 1000, 0.5, 0.999])
def test_a_truncated_index_is_refused_with_the_command_that_builds_it(kept, changing):
    path = index_path(changing)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * kept) if isinstance(kept, float) else kept])

    with pytest.raises(CollectionError, match=r"truncated, or not the file .*; build .*\.index\(\)`"):
        open_index(changing.snapshot.state)
    assert build_index(changing.path, "flat").kind == "flat"
    assert len(changing) == COUNT


def test_an_index_file_that_is_gone_is_refused(changing):
    index_path(changing).unlink()

    with pytest.raises(CollectionError, match=r"cannot be used: .*No such file"):
        open_index(changing.snapshot.state)


def test_the_file_of_another_collection_is_refused(changing, indexed):
    shutil.copy(index_path(indexed["ivf"]), index_path(changing))

    with pytest.raises(CollectionError, match=r"not the file that index\.json describes"):
        open_index(changing.snapshot.state)


def test_the_whole_index_of_another_collection_is_stale(changing, tmp_path):
    other = write_collection(tmp_path / "other.lookalike", clouds(COUNT, seed=8))
    shutil.copytree(changing.path / "derived", other.path / "derived")

    assert (index_state(other.snapshot.state), open_index(other.snapshot.state)) == ("stale", None)


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"format": "else"}', '{"format": "lookalike-index", "version": 2}']
)
def test_a_json_that_is_none_is_refused(text, changing):
    (changing.path / "derived" / "index.json").write_text(text)

    state = State.read(changing.path)
    for ask in (lambda: open_index(state), lambda: index_state(state), lambda: refresh(changing.path)):
        with pytest.raises(CollectionError, match=r"index\.json cannot be used"):
            ask()


def test_the_json_says_everything_of_the_index(changing):
    fields = json.loads((changing.path / "derived" / "index.json").read_text())

    assert (fields["format"], fields["version"]) == ("lookalike-index", 1)
    info = fields["info"]
    assert info["kind"] == info["wanted"] == "ivf-rabitq"
    assert info["fingerprint"] == changing.fingerprint()
    assert [rows for _, _, rows in info["parts"]] == [PART_SIZE] * 6
    assert set(info["parameters"]) == {"nprobe", "refine"}
    assert info["latency_ms"] > 0 and info["build_s"] > 0


def test_an_open_index_goes_on_when_it_is_built_again(changing, vectors):
    index = open_index(changing.snapshot.state)
    before = index.search(vectors[:50], 10)[1].tolist()

    build_index(changing.path, "flat")

    assert index.search(vectors[:50], 10)[1].tolist() == before


def test_equal_vectors_do_not_count_as_missed():
    one = np.eye(DIM, dtype=np.float32)[:1]
    truth = Truth.of(one, np.array([0]))
    truth.add(0, np.repeat(one, 30, axis=0))

    assert truth.recall(np.arange(11, 22)[None]) == 1
    assert truth.recall(np.array([[0, 40, *range(20, 29)]])) == 0.9


@pytest.mark.process
def test_importing_the_module_does_not_load_faiss():
    code = "import lookalike.index, sys; print('faiss' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert run.stdout == "False\n"

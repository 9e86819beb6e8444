"""The files of an index: written in place as faiss would, refreshed by copying, refused when damaged."""

from __future__ import annotations

import json
import subprocess
import sys

import faiss
import numpy as np
import pytest
from conftest import command
from indexes import COUNT, clouds, copy_of, index_path, write_part

from lookalike.collection import Collection
from lookalike.errors import CollectionError
from lookalike.index import KINDS, build_index, index_problems, index_state, open_index, refresh
from lookalike.index.faiss_library import emptied, mapped
from lookalike.index.recall import Truth
from lookalike.storage.part_state import PartState
from lookalike.storage.parts import list_parts

STREAMED = [kind for kind in KINDS if kind != "hnsw"]


def remove_rows(collection: Collection, number: int, gone: slice) -> None:
    """Rewrite a part without some of its rows."""
    part = list_parts(collection.path)[number]
    keep = np.ones(part.num_rows(), bool)
    keep[gone] = False
    part.write(part.items().filter(keep), [b""] * int(keep.sum()))


def never_train(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lookalike.index.building.trained", lambda *_: pytest.fail("trained again"))


@pytest.mark.parametrize("kind", STREAMED)
def test_the_file_is_byte_for_byte_what_faiss_writes_of_the_same_rows(kind, indexed, vectors):
    path = index_path(indexed[kind])
    whole = emptied(mapped(path))

    whole.add(vectors)

    assert path.read_bytes() == faiss.serialize_index(whole).tobytes()


@pytest.mark.slow
@pytest.mark.parametrize("kind", STREAMED)
def test_memory_for_one_list_at_a_time_gives_the_same_file(kind, indexed, tmp_path, monkeypatch):
    collection = copy_of(indexed[kind], tmp_path)
    before = index_path(collection).read_bytes()
    monkeypatch.setattr("lookalike.index.building._WORK_BYTES", 1)

    build_index(collection.path, kind)

    assert index_path(collection).read_bytes() == before


@pytest.mark.parametrize("kind", STREAMED)
def test_removed_images_are_left_out_without_training_again(kind, indexed, vectors, tmp_path, monkeypatch):
    collection = copy_of(indexed[kind], tmp_path)
    remove_rows(collection, 2, slice(0, 10))
    write_part(collection, 9, clouds(100, seed=3))
    never_train(monkeypatch)

    info = refresh(collection.path)

    assert info.count == COUNT - 10 + 100
    kept = np.concatenate([np.delete(vectors, np.s_[1000:1010], axis=0), clouds(100, seed=3)])
    index = open_index(collection.snapshot.state)
    assert index.search(kept[::37], 1)[1][:, 0].tolist() == list(range(0, len(kept), 37))
    assert (index.search(vectors[1000:1010], 1)[0] < 0.99).all()
    whole = emptied(mapped(index_path(collection)))
    whole.add(kept)
    queries = clouds(50, seed=7)
    assert index.search(queries, 5)[1].tolist() == type(index)(info, whole).search(queries, 5)[1].tolist()


@pytest.mark.parametrize("kind", STREAMED)
def test_a_refresh_reads_only_the_parts_that_are_new_or_changed(kind, indexed, tmp_path, monkeypatch):
    collection = copy_of(indexed[kind], tmp_path)
    remove_rows(collection, 2, slice(0, 10))
    write_part(collection, 9, clouds(100, seed=3))
    read = []
    embeddings = PartState.embeddings
    monkeypatch.setattr(
        PartState, "embeddings", lambda state: (read.append(state.part.number), embeddings(state))[1]
    )

    refresh(collection.path)

    assert sorted(read) == [2, 9]


def test_the_recall_after_a_refresh_is_that_of_the_new_state(indexed, vectors, tmp_path):
    collection = copy_of(indexed["ivf"], tmp_path)
    remove_rows(collection, 1, slice(0, 250))
    new = clouds(400, seed=3)
    write_part(collection, 9, new)

    info = refresh(collection.path)

    now = np.concatenate([np.delete(vectors, np.s_[500:750], axis=0), new])
    truth = Truth.read(index_path(collection).with_suffix(".npz"))
    slow = Truth.of(truth.queries, truth.rows)
    for start in range(0, len(now), 100):
        slow.add(start, now[start : start + 100])
    assert [row[:10] for row in truth.near.tolist()] == [row[:10] for row in slow.near.tolist()]
    found = open_index(collection.snapshot.state).ask(truth.queries, 11, info.parameters)[1]
    assert info.recall == slow.recall(found)


def test_a_recall_that_fell_is_tuned_up_again(indexed, tmp_path, monkeypatch):
    collection = copy_of(indexed["ivf"], tmp_path)
    path = collection.path / "derived" / "index.json"
    fields = json.loads(path.read_text())
    fields["info"]["parameters"] = {"nprobe": 1}
    path.write_text(json.dumps(fields))
    write_part(collection, 9, clouds(10, seed=3))
    never_train(monkeypatch)

    info = refresh(collection.path)

    assert info.recall >= 0.95
    assert info.parameters["nprobe"] > 1


def test_an_index_of_half_the_rows_is_trained_again(indexed, tmp_path):
    collection = copy_of(indexed["ivf"], tmp_path)
    for part in list_parts(collection.path)[:3]:
        part.write(part.items().slice(0, 0))

    assert refresh(collection.path).trained_rows == COUNT // 2


def test_a_graph_that_lost_rows_is_built_again(indexed, vectors, tmp_path):
    collection = copy_of(indexed["hnsw"], tmp_path)
    remove_rows(collection, 0, slice(0, 10))

    assert refresh(collection.path).trained_rows == COUNT - 10
    assert open_index(collection.snapshot.state).search(vectors[10:11], 1)[1].tolist() == [[0]]


def test_moved_neighbours_keep_their_order_and_those_that_are_gone_leave():
    queries = np.eye(4, dtype=np.float32)[:1]
    truth = Truth.of(queries, np.array([2]))
    truth.add(0, np.array([[0.1], [0.4], [1], [0.3], [0.2]], np.float32) * queries)

    truth = truth.moved(np.array([0, -1, 1, 2, 3]))

    assert truth.rows.tolist() == [1]
    assert truth.near[0, :3].tolist() == [2, 3, 0]
    assert truth.recall(np.array([[1, 2, 3, 0]])) == 1
    assert truth.recall(np.array([[1, 3, 9, 8]])) == pytest.approx(1 / 3)


@pytest.mark.parametrize(("suffix", "place"), [(".npz", 0.5), (".faiss", 0.0), (".faiss", 0.001)])
def test_an_index_with_a_damaged_file_is_trained_again(suffix, place, indexed, tmp_path):
    collection = copy_of(indexed["ivf"], tmp_path)
    path = index_path(collection).with_suffix(suffix)
    data = bytearray(path.read_bytes())
    data[int(len(data) * place)] ^= 0xFF
    path.write_bytes(data)
    write_part(collection, 9, clouds(10, seed=3))

    assert refresh(collection.path).trained_rows == COUNT + 10
    assert list(index_problems(collection.path)) == []


def test_a_kill_before_the_json_is_written_leaves_the_old_index(indexed, vectors, tmp_path, monkeypatch):
    collection = copy_of(indexed["ivf"], tmp_path)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("lookalike.index.building.commit", killed)
    with pytest.raises(KeyboardInterrupt):
        build_index(collection.path, "flat")

    assert open_index(collection.snapshot.state).info.kind == "ivf"
    monkeypatch.undo()
    build_index(collection.path, "rabitq")
    assert len(list((collection.path / "derived").glob("index*"))) == 3


def test_verifying_names_the_file_with_a_flipped_byte(indexed, tmp_path):
    collection = copy_of(indexed["ivf-rabitq"], tmp_path)
    assert list(index_problems(collection.path)) == []
    path = index_path(collection)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)

    (problem,) = index_problems(collection.path)

    assert problem == (
        f"{path}: the checksum does not match, the file is damaged; "
        f"build it again with: `lookalike.open({str(collection.path)!r}).index()`"
    )
    assert (
        f"build it again with: lookalike index {collection.path}\n"
        in command("verify", collection.path).stdout
    )
    path.unlink()
    assert "missing" in next(index_problems(collection.path))


_FLIP = """
import sys, random
import numpy as np, lookalike
from pathlib import Path
from lookalike.errors import CollectionError
from lookalike.index import open_index
collection = lookalike.open(sys.argv[1])
path = next(Path(sys.argv[1], "derived").glob("index-*.faiss"))
data, chance, refused = path.read_bytes(), random.Random(0), 0
queries = np.random.default_rng(0).normal(size=(20, 64)).astype(np.float32)
mask = np.arange(3000) % 3 == 0
for _ in range(40):
    place = chance.randrange(len(data))
    damaged = bytearray(data)
    damaged[place] ^= 1 << chance.randrange(8)
    path.unlink()
    path.write_bytes(damaged)
    try:
        index = open_index(collection.snapshot.state)
    except CollectionError:
        refused += 1
        continue
    for rows in (index.search(queries, 10)[1], index.search(queries, 10, mask)[1]):
        assert rows.min() >= -1 and rows.max() < 3000
print(refused)
"""


@pytest.mark.process
@pytest.mark.parametrize("kind", STREAMED)
def test_a_flipped_byte_is_refused_or_changes_results_but_never_crashes(kind, indexed, tmp_path):
    collection = copy_of(indexed[kind], tmp_path)

    run = subprocess.run(
        [sys.executable, "-c", _FLIP, str(collection.path)], capture_output=True, text=True, check=False
    )

    assert (run.returncode, run.stderr) == (0, "")


def test_row_numbers_that_do_not_exist_are_refused(indexed, tmp_path):
    collection = copy_of(indexed["ivf"], tmp_path)
    path = index_path(collection)
    data = bytearray(path.read_bytes())
    data[-1] ^= 0x40  # the last byte is the highest of the number of a row
    path.write_bytes(data)

    with pytest.raises(CollectionError, match="damaged: it names rows that are not there; build it again"):
        open_index(collection.snapshot.state)
    assert index_state(collection.snapshot.state) == "fresh"


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["flat", "ivf", "ivf-rabitq"])
def test_ten_thousand_results_of_more_rows_are_nearly_the_true_ones(kind, big, tmp_path):
    collection, vectors = big
    collection = copy_of(collection, tmp_path)
    build_index(collection.path, kind)
    query = clouds(1, seed=11)

    scores, rows = open_index(collection.snapshot.state).search(query, 10_000)

    assert len(set(rows[0].tolist())) == 10_000 and rows.min() >= 0
    assert (np.diff(scores[0]) <= 0).all()
    true = np.argsort(-(vectors @ query[0]))[:10_000]
    assert np.isin(rows[0], true).mean() >= 0.95

"""The part function: pure, picklable, with failures as rows, and what a build writes."""

from __future__ import annotations

import multiprocessing
import pickle
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from conftest import build, taught

from lookalike.builder.listing import list_source
from lookalike.builder.part import MadePart, embed, make_part
from lookalike.models.model import as_model
from lookalike.models.registry import load_model
from lookalike.sources.opening import open_source
from lookalike.sources.sample import Sample
from lookalike.storage.parts import Part, failure_table, list_parts


def samples_of(folder: Path) -> list[Sample]:
    """The samples of a folder, labelled by folder."""
    return list(list_source(open_source(folder), {"label": "folder"}).samples.values())


def files(root: Path, made: MadePart) -> dict[str, bytes]:
    """The bytes of the part when it is written."""
    part = Part(root, 0)
    part.write_failures(failure_table(made.failures))
    part.write(made.rows, made.thumbnails, made.made_by)
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("part-*")}


def ids(made: MadePart) -> list[str]:
    return made.rows["id"].to_pylist()


def test_rows_thumbnails_and_failures_keep_the_order_of_the_samples(folder):
    (folder / "a.jpg").touch()
    (folder / "z.jpg").write_text("no picture")
    samples = samples_of(folder)[::-1]

    made = make_part(samples, load_model("colors"))

    names = [sample.id for sample in samples]
    assert ids(made) == [name for name in names if name not in ("a.jpg", "z.jpg")]
    assert len(made.thumbnails) == 12
    assert [one.id for one in made.failures] == ["z.jpg", "a.jpg"]
    vectors = load_model("colors").embed([folder / name for name in ids(made)])
    np.testing.assert_array_equal(np.stack(made.rows["embedding"].to_pylist()).astype(np.float32), vectors)


def test_failures_say_where_they_stopped(folder):
    (folder / "gone.jpg").touch()
    samples = samples_of(folder)
    (folder / "gone.jpg").unlink()
    (folder / "brick" / "brick-000.jpg").write_bytes(b"")

    made = make_part(samples, load_model("colors"))

    assert {(one.id, one.stage, one.error) for one in made.failures} == {
        ("gone.jpg", "read", "No such file or directory"),
        ("brick/brick-000.jpg", "decode", "the file is empty"),
    }


def test_a_picture_above_the_limit_is_a_failure(folder):
    made = make_part(samples_of(folder)[:1], load_model("colors"), max_megapixels=0.003)

    assert ids(made) == []
    assert "megapixels, the limit is 0.003" in made.failures[0].error


def test_the_same_samples_give_the_same_bytes_whatever_the_threads(folder, tmp_path):
    (folder / "bad.jpg").touch()
    samples, model = samples_of(folder), load_model("efficientnet-lite0")

    first = files(tmp_path / "first", make_part(samples, model))
    again = files(tmp_path / "again", make_part(samples, model, threads=3))

    assert len(first) == 3
    assert first == again


def test_it_writes_nothing_and_changes_no_sample(folder):
    samples = samples_of(folder)
    before = ([replace(sample) for sample in samples], sorted(folder.parent.rglob("*")))

    make_part(samples, load_model("colors"))

    assert (samples, sorted(folder.parent.rglob("*"))) == before


@pytest.mark.process
@pytest.mark.parametrize("name", ["efficientnet-lite0", "sift"])
def test_another_process_makes_the_same_part(folder, tmp_path, name):
    (folder / "bad.jpg").touch()
    samples, model = samples_of(folder), taught(name)
    work = partial(make_part, model=model, dtype="float16")

    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        made = pool.submit(work, samples).result()

    assert made.rows["label"].to_pylist()[0] == "brick"
    assert [one.id for one in made.failures] == ["bad.jpg"]
    assert files(tmp_path / "theirs", made) == files(tmp_path / "ours", work(samples))


def test_samples_of_a_folder_can_be_pickled(folder):
    samples = samples_of(folder)

    again = pickle.loads(pickle.dumps(samples))

    assert [one.id for one in again] == [one.id for one in samples]
    assert [one.read() for one in again] == [one.read() for one in samples]


@pytest.mark.parametrize("part_size", [5, 12, 100])
def test_a_build_writes_the_parts_that_the_function_makes(folder, target, tmp_path, part_size):
    samples = samples_of(folder)
    collection, _ = build(folder, target, label="folder", part_size=part_size)
    model = collection.model

    for part in list_parts(collection.path):
        start = part.number * part_size
        made = make_part(samples[start : start + part_size], model)
        root = tmp_path / str(part.number)
        Part(root, part.number).write(made.rows, made.thumbnails, made.made_by)
        assert Part(root, part.number).items_path.read_bytes() == part.items_path.read_bytes()
        assert Part(root, part.number).thumbnails_path().read_bytes() == part.thumbnails_path().read_bytes()


class Counting:
    """A model that tells how many pictures came with each: its vectors depend on the batch."""

    name, dim, size_px = "counting", 2, 4

    def features(self, pixels: np.ndarray) -> np.ndarray:
        return np.full((len(pixels), 2), (1, len(pixels)))


def test_no_batch_reaches_from_one_part_into_the_next(folder, target):
    collection, _ = build(folder, target, model=Counting(), part_size=6)

    vectors = collection.embeddings()

    assert np.rint(vectors[:, 1] / vectors[:, 0]).tolist() == [4, 4, 4, 4, 2, 2] * 2


def test_a_device_that_is_no_cpu_gets_larger_batches(folder):
    model = Counting()
    model.device = "cuda:1"

    made = make_part(samples_of(folder), as_model(model))

    vectors = np.stack(made.rows["embedding"].to_pylist())
    assert np.rint(vectors[:, 1] / vectors[:, 0]).tolist() == [12] * 12


def test_a_size_that_no_listing_told_is_that_of_the_bytes(folder):
    samples = [replace(samples_of(folder)[0], size_bytes=None), replace(samples_of(folder)[1], size_bytes=7)]

    made = make_part(samples, load_model("colors"))

    assert made.rows["size_bytes"].to_pylist() == [len(samples[0].read()), 7]


def test_left_early_the_samples_are_closed(folder):
    closed = []

    def samples():
        try:
            yield from samples_of(folder) * 100
        finally:
            closed.append(True)

    given = samples()
    outcomes = embed(given, load_model("colors"), count=0, max_megapixels=200, threads=1)
    assert next(outcomes).row["id"] == samples_of(folder)[0].id
    assert closed == []
    outcomes.close()
    assert closed == [True]


def test_no_samples_are_a_part_without_rows():
    made = make_part([], load_model("efficientnet-lite0"))

    assert (made.rows.num_rows, made.thumbnails, made.failures) == (0, [], [])
    assert made.rows.column_names[-1] == "embedding"
    assert made.rows.schema.field("embedding").type.list_size == 1280

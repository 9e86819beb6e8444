"""Models compared on the same pictures: of a folder, of a collection, and in the terminal."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

import numpy as np
import pytest
from conftest import command
from networks import write_network

import lookalike
from lookalike.analysis.bootstrap import Estimate
from lookalike.analysis.comparison import Contender, compare, pareto_front
from lookalike.errors import LookalikeError, ModelError


def test_models_are_compared_on_the_same_images_the_best_first(photos, tmp_path):
    compared = compare(photos, ["pixels", "colors"], "folder", tmp_path, ks=(1, 5))

    by_name = {one.model: one for one in compared.contenders}
    qualities = [one.evaluation.overall["map@r"].value for one in compared.contenders]
    assert qualities == sorted(qualities, reverse=True)
    assert (by_name["pixels"].vector_bytes, by_name["colors"].vector_bytes) == (12288, 768)
    assert all(one.images_per_s > 0 for one in compared.contenders)
    again = compare(photos, ["pixels", "colors"], "folder", tmp_path, ks=(1, 5))
    assert [one.images_per_s for one in again.contenders] == [None, None]
    assert [one.evaluation for one in again.contenders] == [one.evaluation for one in compared.contenders]


@pytest.mark.slow
def test_a_model_that_learns_is_compared_with_one_that_does_not(photos, tmp_path):
    pytest.importorskip("cv2")

    compared = compare(photos, ["pixels", "sift"], "folder", tmp_path, ks=(1,))

    assert {one.model: one.vector_bytes for one in compared.contenders} == {"pixels": 12288, "sift": 8192}


def test_on_the_pareto_front_is_what_nothing_beats_in_everything(photos, tmp_path):
    (one,) = compare(photos, ["colors"], "folder", tmp_path, ks=(1,)).contenders

    def contender(quality: float, images_per_s: float | None, vector_bytes: int) -> Contender:
        overall = {"map@r": Estimate(quality, quality, quality)}
        return Contender("m", replace(one.evaluation, overall=overall), images_per_s, vector_bytes)

    best, fast, small = contender(0.9, 10, 5000), contender(0.5, 99, 5000), contender(0.4, 9, 100)
    beaten, equal = contender(0.4, 9, 5000), contender(0.9, 10, 5000)
    assert pareto_front([best, fast, small, beaten, equal]) == [True, True, True, False, True]
    # Where one was not timed, speed says nothing of any.
    assert pareto_front([best, fast, contender(0.4, None, 100)]) == [True, False, True]


def test_one_model_twice_is_refused(photos, tmp_path):
    with pytest.raises(LookalikeError, match="name each model once"):
        compare(photos, ["pixels", "pixels"], "folder", tmp_path)


def test_two_files_of_one_name_are_refused_by_their_paths(photos, tmp_path):
    one, other = (write_network(tmp_path / folder / "net.onnx") for folder in ("a", "b"))

    with pytest.raises(LookalikeError, match=f"{one} and {other} are both the model net"):
        compare(photos, [str(one), str(other)], "folder", tmp_path / "kept")


def test_no_models_are_refused(photos, tmp_path):
    with pytest.raises(LookalikeError, match="there are no models to compare"):
        compare(photos, [], "folder", tmp_path)


def test_an_unknown_model_is_refused_before_any_is_built(photos, tmp_path):
    with pytest.raises(ModelError, match="unknown model 'foo'"):
        compare(photos, ["pixels", "foo"], "folder", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_command_compares_models_on_a_folder(photos, tmp_path):
    asked = command("evaluate", photos, "--label", "folder", "--models", "pixels, colors", "--json")

    found = json.loads(asked.stdout)
    assert {one["model"] for one in found["contenders"]} == {"pixels", "colors"}
    assert not list(photos.parent.glob("pixels*"))


def test_the_numbers_stand_below_their_names_however_long_a_model_is_called(photos, tmp_path):
    folder = tmp_path / "named"
    lookalike.add_model(write_network(tmp_path / "net.onnx"), name="a" * 40, out=folder)

    asked = command("evaluate", photos, "--label", "folder", "--models", f"colors,{folder}")

    head, *rows = asked.stdout.splitlines()
    assert [row.index(".") for row in rows] == [head.index("precision@1") + 7] * 2


def test_the_command_compares_models_on_the_pictures_of_a_collection(photos, tmp_path):
    table = tmp_path / "rows.csv"
    names = [path.relative_to(photos) for path in sorted(photos.rglob("*.*"))]
    rows = [f"{name},{name.parent},{['train', 'test'][at % 2]}" for at, name in enumerate(names)]
    table.write_text("\n".join(["path,kind,split", *rows]))
    lookalike.build(photos, tmp_path / "c.lookalike", metadata=table, model="colors")
    split = ("--query-where", "split = 'test'", "--gallery-where", "split = 'train'")

    asked = command(
        *("evaluate", tmp_path / "c.lookalike", "--label", "kind", "--models", "pixels,colors", "--json"),
        *split,
    )

    found = {one["model"]: one["evaluation"] for one in json.loads(asked.stdout)["contenders"]}
    assert (found["colors"]["queries"], found["pixels"]["gallery"]) == (21, 21)
    alone = lookalike.open(tmp_path / "c.lookalike").evaluate(
        "kind", query_where=split[1], gallery_where=split[3]
    )
    assert found["colors"]["overall"] == asdict(alone)["overall"]


def test_pictures_that_are_no_files_here_cannot_be_compared(tmp_path):
    vectors, ids = np.eye(20, dtype=np.float32), [str(number) for number in range(20)]
    labels = [str(number % 3) for number in range(20)]
    collection = lookalike.from_vectors(tmp_path / "c", vectors, ids, columns={"label": labels})

    refused = command("evaluate", collection.path, "--models", "pixels")

    assert (refused.returncode, refused.stderr.splitlines()[-2:]) == (
        1,
        [
            f"lookalike: no picture of {collection.path} is a file here",
            "  give the source that it was built from",
        ],
    )

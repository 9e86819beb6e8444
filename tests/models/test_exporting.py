"""A published model is exported to a folder that needs onnxruntime alone."""

from __future__ import annotations

import json
import resource
import subprocess
import sys

import numpy as np
import pytest
from hubs import REVISION, save_timm, save_transformers, scene, use_hub

import lookalike
from lookalike.errors import ModelError
from lookalike.models import exporting
from lookalike.models.registry import load_model

pytestmark = [pytest.mark.reference, pytest.mark.filterwarnings("default")]

SCENES = [np.asarray(scene(seed, (200, 150))) for seed in range(3)]


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hub")
    for name in ("test_vit", "test_resnet"):
        save_timm(folder, f"{name}.r160_in1k")
    save_transformers(folder, "tests/dinov2", "dinov2")
    return folder


@pytest.fixture(autouse=True)
def offline(hub, monkeypatch):
    use_hub(monkeypatch, hub)


@pytest.mark.parametrize("name", ["timm:test_vit", "timm:test_resnet", "hf:tests/dinov2"])
def test_the_exported_model_gives_the_vectors_of_pytorch(name, tmp_path):
    made = lookalike.export_model(name, tmp_path / "model")

    exported, before = load_model(f"{tmp_path}/model/"), load_model(name)
    assert made.cosine >= 0.9999
    assert np.sum(exported.embed(SCENES) * before.embed(SCENES), axis=1).min() >= 0.9999
    assert made.bytes == sum(path.stat().st_size for path in (tmp_path / "model").iterdir())


def test_the_folder_says_where_it_comes_from_and_how_pictures_are_prepared(tmp_path):
    lookalike.export_model("hf:tests/dinov2", tmp_path / "model")

    written = json.loads((tmp_path / "model" / "model.json").read_bytes())
    spec = load_model("hf:tests/dinov2").spec
    assert written.pop("source") == {"name": "hf:tests/dinov2", "revision": REVISION, "sha256": spec.sha256}
    assert written == {
        "format": "lookalike-model",
        "version": 1,
        "name": "tests-dinov2",
        "sha256": written["sha256"],
        "dim": 32,
        "size_px": 56,
        "crop": 0.875,
        "resize": "crop",
        "mean": [0.485, 0.456, 0.406],
        "std": [0.229, 0.224, 0.225],
        "offset": "floor",
    }
    assert sorted(path.name for path in (tmp_path / "model").iterdir()) == ["image.onnx", "model.json"]


def test_with_8_bits_a_transformer_is_smaller_and_nearly_the_same(tmp_path):
    whole = lookalike.export_model("timm:test_vit", tmp_path / "whole")
    small = lookalike.export_model("timm:test_vit", tmp_path / "small", int8=True)

    assert small.model.name == "test_vit.r160_in1k-int8"
    assert small.bytes < whole.bytes / 2
    assert 0.99 < small.cosine < 1
    assert np.sum(small.model.embed(SCENES) * whole.model.embed(SCENES), axis=1).min() > 0.99


def test_it_needs_onnxruntime_alone(tmp_path, folder):
    lookalike.export_model("timm:test_vit", tmp_path / "model")
    program = (
        "import sys\n"
        "for name in ('torch', 'timm', 'transformers', 'open_clip', 'huggingface_hub', 'onnx'):\n"
        "    sys.modules[name] = None\n"
        "import lookalike\n"
        "collection = lookalike.build(sys.argv[1], sys.argv[2], model=sys.argv[3])\n"
        "print(len(collection), collection.search(sys.argv[1] + '/sea/sea-002.png', k=1).ids[0])\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", program, folder, tmp_path / "c", f"{tmp_path}/model/"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.stdout, done.stderr) == ("12 sea/sea-002.png\n", "")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("efficientnet-lite0", "'efficientnet-lite0' is not a published model"),
        ("net.onnx", "'net.onnx' is not a published model"),
        ("hf:tests/nothing", "tests/nothing is not on this machine"),
    ],
)
def test_what_cannot_be_exported_is_told_and_nothing_is_left(name, said, tmp_path):
    with pytest.raises(ModelError, match=said):
        lookalike.export_model(name, tmp_path / "model")

    assert list(tmp_path.iterdir()) == []


def test_files_that_do_not_fit_on_the_disk_are_told_as_that(tmp_path):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))
    try:
        with pytest.raises(ModelError, match="model cannot be written: File too large"):
            lookalike.export_model("timm:test_vit", tmp_path / "model")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)

    assert list(tmp_path.iterdir()) == []


def test_a_site_of_a_published_model_is_told_to_take_its_folder(folder, target, tmp_path):
    collection = lookalike.build(folder, target, model="hf:tests/dinov2")

    with pytest.raises(ModelError) as caught:
        collection.export(tmp_path / "site", to="site", with_model=True)

    assert caught.value.hint == (
        "build with the folder that `lookalike.export_model('hf:tests/dinov2', out=folder)` makes, "
        "or leave `with_model` out: visitors then search by the site's own pictures"
    )


def test_a_folder_that_is_there_is_left_alone(tmp_path):
    with pytest.raises(ModelError, match="exists already"):
        lookalike.export_model("timm:test_vit", tmp_path)


def test_one_that_gives_other_vectors_is_refused_and_nothing_is_left(tmp_path, monkeypatch):
    monkeypatch.setattr(exporting, "_LEAST_COSINE_INT8", 0.99999)

    with pytest.raises(ModelError, match="exported, it gives other vectors of pictures"):
        lookalike.export_model("timm:test_vit", tmp_path / "model", int8=True)

    assert list(tmp_path.iterdir()) == []


def test_the_command_says_how_near_and_how_large_it_is(run, tmp_path):
    out = tmp_path / "model"

    code, stdout, stderr = run("model", "export", "timm:test_vit", out)

    assert code == 0
    assert stdout.splitlines() == [
        f"test_vit.r160_in1k: 64 dimensions of pictures of 160 px, 1.3 MB, in {out}",
        "least cosine to PyTorch: of pictures 1.000000",
    ]
    assert stderr == f"use it: lookalike build photos/ --model {out}\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["export", "timm:test_vit"], "say once where to keep the model"),
        (["export", "timm:test_vit", "a", "-o", "b"], "say once where to keep the model"),
        (["export", "timm:test_vit", "a", "--size", "32"], "--size is for lookalike model add"),
        (
            ["export", "timm:test_vit", "a", "--precision", "float16"],
            "export writes float32, --int8 integers",
        ),
        (["add", "net.onnx", "-o", "a", "--precision", "float16"], "leave --precision out"),
        (["add", "net.onnx", "-o", "a", "--int8"], "--int8 is for lookalike model export"),
    ],
)
def test_options_of_the_other_action_are_refused(run, words, said):
    code, _, stderr = run("model", *words)

    assert code == 1
    assert said in stderr

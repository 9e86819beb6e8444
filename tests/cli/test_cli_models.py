"""The commands about models: those that are known, and a network that becomes one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from conftest import strict_json, taught
from hubs import snapshot, use_hub
from networks import write_network

import lookalike
from lookalike.models.known import KNOWN_MODELS


def test_the_known_models_are_listed_with_what_they_are_for(run):
    code, stdout, stderr = run("models")

    assert code == 0
    assert [line.split()[0] for line in stdout.splitlines()] == [
        "name",
        "efficientnet-lite0",
        "pixels",
        "colors",
        "sift",
        "siglip2-base",
        "siglip-base",
        "clip-vit-b32",
        "mobileclip-s1",
        "dinov2-small",
        "dinov2-base",
        "dinov3-small",
        "resnet50",
    ]
    colors = stdout.splitlines()[3]
    assert colors == (
        "colors                     192    64 px  no     Apache-2.0  here               "
        "average colours on a grid of 8 x 8: instant"
    )
    dinov2 = stdout.splitlines()[9]
    assert dinov2 == (
        "dinov2-small               384   224 px  no     Apache-2.0  88 MB to fetch     "
        "shapes and details, learned without any labels (needs the extra transformers)"
    )
    assert stderr == (
        "others: timm:NAME, hf:ORG/NAME and open_clip:NAME/TAG, which are fetched; "
        "a network in an ONNX file, by its path (see lookalike model add --help)\n"
    )


def test_what_is_here_is_listed_with_its_size(run, tmp_path, monkeypatch):
    pytest.importorskip("huggingface_hub")
    use_hub(monkeypatch, tmp_path)
    (snapshot(tmp_path, "facebook/dinov2-small") / "model.safetensors").write_bytes(b"0" * 2_340_000)

    rows = run("models")[1].splitlines()
    listed = strict_json(run("models", "--json")[1])

    assert "  here, 2.3 MB       shapes and details" in rows[9]
    assert (listed[8]["here"], listed[8]["here_mb"]) == (True, 2.3)


def test_the_size_of_the_built_in_model_is_that_of_its_files():
    files = Path(lookalike.models.__file__).parent.glob("efficientnet_lite0*")

    assert KNOWN_MODELS[0].here_mb == round(sum(path.stat().st_size for path in files) / 1e6, 1)


def test_the_known_models_are_listed_for_machines(run):
    _, stdout, stderr = run("models", "--json")

    listed = strict_json(stdout)
    assert listed[3] == {
        "name": "sift",
        "purpose": "details of corners and blobs, with a codebook learned from your images",
        "dim": 2048,
        "size_px": 224,
        "license": "Apache-2.0",
        "words": False,
        "extra": "sift",
        "published": "",
        "repository": "",
        "download_mb": 0,
        "here_mb": 0.0,
        "here": True,
    }
    assert listed[8] == {
        "name": "dinov2-small",
        "purpose": "shapes and details, learned without any labels",
        "dim": 384,
        "size_px": 224,
        "license": "Apache-2.0",
        "words": False,
        "extra": "transformers",
        "published": "hf:facebook/dinov2-small",
        "repository": "facebook/dinov2-small",
        "download_mb": 88,
        "here_mb": 0.0,
        "here": False,
    }
    assert (len(listed), stderr) == (12, "")


@pytest.mark.parametrize("known", KNOWN_MODELS, ids=lambda known: known.name)
def test_what_is_listed_is_what_is_loaded(known):
    model = taught(known.name)

    assert (model.name, model.dim, model.size_px) == (known.name, known.dim, known.size_px)
    assert (model.text_vector is not None) == known.words


def test_a_network_is_added_built_with_and_searched(run, folder, target, tmp_path):
    net, out = write_network(tmp_path / "net.onnx"), tmp_path / "my model"

    added = run("model", "add", net, "--name", "my-net", "--size", 32, "-o", out)
    built = run("build", folder, "-c", target, "--model", f"{out}/")
    found = run("search", target, folder / "sea" / "sea-002.png", "-k", 1)

    assert added == (
        0,
        f"my-net: 8 dimensions of pictures of 32 px, in {out}\n",
        f"use it: lookalike build photos/ --model '{out}'\n",
    )
    assert built[0] == 0
    assert found[1].split()[-1] == "sea/sea-002.png"


def test_every_option_of_it_is_written_down(run, tmp_path):
    net, out = write_network(tmp_path / "net.onnx", gives="map", outputs=["a", "b"]), tmp_path / "model"
    given = (
        "--mean 0.1,0.2,0.3 --std 0.4,0.5,0.6 --crop 0.875 --resize squash --interpolation lanczos "
        "--channels BGR --output b --pooling mean --json"
    )

    _, stdout, _ = run("model", "add", net, "-o", out, *given.split())

    written = json.loads((out / "model.json").read_bytes())
    assert strict_json(stdout) == {"path": str(out)} | {
        name: value for name, value in written.items() if name not in ("format", "version")
    }
    del written["sha256"]
    assert written == {
        "format": "lookalike-model",
        "version": 1,
        "name": "net",
        "dim": 8,
        "size_px": 32,
        "crop": 0.875,
        "resize": "squash",
        "interpolation": "lanczos",
        "mean": [0.1, 0.2, 0.3],
        "std": [0.4, 0.5, 0.6],
        "channels": "BGR",
        "output": "b",
        "pooling": "mean",
    }


def test_a_network_with_several_outputs_is_told_with_the_command_that_says_which(run, folder, tmp_path):
    net = write_network(tmp_path / "net.onnx", outputs=["logits", "features"])

    code, _, stderr = run("build", folder, "-c", tmp_path / "c", "--model", net)

    assert code == 1
    assert stderr == (
        f"lookalike: {net} has 2 outputs: logits (batch, 8), features (batch, 8)\n"
        f"  say which: lookalike model add {net} --output NAME -o FOLDER\n"
    )


@pytest.mark.parametrize("text", ["1,2", "1,2,3,4", "a,b,c", ""])
def test_a_mean_that_is_not_three_numbers_is_wrong_usage(run, tmp_path, text):
    code, _, stderr = run("model", "add", "net.onnx", "-o", tmp_path / "model", "--mean", text)

    assert code == 2
    assert f"argument --mean: {text!r} is not three numbers with commas between them" in stderr


def test_a_file_that_is_missing_is_told(run, tmp_path):
    code, _, stderr = run("model", "add", tmp_path / "net.onnx", "-o", tmp_path / "model")

    assert code == 1
    assert f"{tmp_path / 'net.onnx'} cannot be read: No such file or directory" in stderr


@pytest.mark.parametrize("name", ["", " "])
def test_an_empty_name_is_not_the_default_model(run, folder, target, name):
    code, _, stderr = run("build", folder, "-c", target, "--model", name)

    assert code == 1
    assert stderr.startswith("lookalike: the name of the model is empty\n")
    assert not target.exists()

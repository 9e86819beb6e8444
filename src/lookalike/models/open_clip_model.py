"""Models of open_clip: `open_clip:NAME/TAG`, and those that others keep on a hub, `open_clip:ORG/NAME`."""

from __future__ import annotations

from functools import partial
from typing import Any

from lookalike.errors import ModelError
from lookalike.models import hub
from lookalike.models.open_clip_text import text_of, tokenizer_of
from lookalike.models.spec import ModelSpec
from lookalike.models.spelling import close_names
from lookalike.models.torch_network import TorchNetwork, library, loaded, not_supported
from lookalike.models.torch_text import TOKENIZER, TOKENIZER_CONFIG, checksum_with

_EXTRA = "open-clip"

_WEIGHTS = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")
_CONFIG = "open_clip_config.json"
_TOKENIZER = (TOKENIZER, TOKENIZER_CONFIG)


def full_name(name: str) -> str:
    """The name itself; raises `ModelError` for one that open_clip does not know."""
    if is_listed(name):
        return name
    tags: dict[str, list[str]] = {}
    for model, tag in library("open_clip", _EXTRA).list_pretrained():
        tags.setdefault(model, []).append(tag)
    first, slash, rest = name.partition("/")
    is_misspelled = first in tags or any(rest in some for some in tags.values())
    if slash and rest and not is_misspelled:  # ORG/NAME
        return name
    listed = [f"{model}/{tag}" for model, some in tags.items() for tag in some]
    near = close_names(name, [one for one in listed if one.startswith(f"{first}/")] or listed)
    hint = [f"did you mean {' or '.join(f'open_clip:{one}' for one in near)}?"] if near else []
    if first in tags:
        hint.append(f"the tags of {first} are: {', '.join(tags[first])}")
    elif not near:
        hint.append("`open_clip.list_pretrained()` lists all; write them as open_clip:NAME/TAG")
    raise ModelError(f"open_clip has no published weights called {name!r}", " ".join(hint))


def is_listed(name: str) -> bool:
    """Whether a name is that of weights that open_clip lists, NAME/TAG."""
    model, _, tag = name.partition("/")
    return bool(library("open_clip", _EXTRA).get_pretrained_cfg(model, tag))


def _wanted(name: str) -> tuple[str, hub.Wanted]:
    """The repository of a model, and the files that are wanted of it."""
    if not is_listed(name):
        return name, hub.Wanted(((_CONFIG,), _WEIGHTS), _TOKENIZER)
    model, _, tag = name.partition("/")
    place = library("open_clip", _EXTRA).get_pretrained_cfg(model, tag)["hf_hub"]
    if not place:
        raise ModelError(f"open_clip:{name} is on no hub", "take another tag of this model")
    organisation, repository, *file = place.split("/")
    first = file[0] if file and file[0] else ""
    safe = first.rpartition(".")[0] + ".safetensors"
    weights = (safe, first) if first else _WEIGHTS
    return f"{organisation}/{repository}", hub.Wanted((weights,), _TOKENIZER)


def fetch(name: str, revision: str) -> hub.Fetched:
    """The files of a `full_name`; raises `ExtraError` without open_clip, before anything is fetched."""
    return hub.fetch(*_wanted(name), revision)


def read(name: str, files: hub.Fetched) -> TorchNetwork:
    """Load a `full_name`; its features are what `encode_image` gives."""
    open_clip = library("open_clip", _EXTRA)
    called = f"open_clip:{name}"
    weights = files.matching("*.safetensors", "*.bin", "*.pt", "*.pth")
    whole = loaded(called, lambda: open_clip.create_model(**_source(open_clip, name, files, weights)))
    spec = _spec(called, open_clip.get_model_preprocess_cfg(whole), hub.checksum(weights), files.revision)
    config = _text_config(open_clip, name, files)
    tokenizer = tokenizer_of(config, name, files.folder)
    if tokenizer is None:
        return TorchNetwork(spec, whole.visual)
    text = partial(text_of, whole, config, files.folder)
    return TorchNetwork(spec, whole.visual, text, checksum_with(spec.sha256, tokenizer))


def _text_config(open_clip: Any, name: str, files: hub.Fetched) -> dict[str, Any]:
    """What describes the tower for texts of a model."""
    known = name.partition("/")[0] if is_listed(name) else f"local-dir:{files.folder}"
    found: dict[str, Any] = open_clip.get_model_config(known)["text_cfg"]
    return found


def _source(open_clip: Any, name: str, files: hub.Fetched, weights: list[Any]) -> dict[str, Any]:
    """The arguments of `create_model` for files that are here."""
    if not is_listed(name):
        return {"model_name": f"local-dir:{files.folder}"}
    model, _, tag = name.partition("/")
    said = open_clip.get_pretrained_cfg(model, tag)
    preprocessing = {key: said[key] for key in ("mean", "std", "interpolation", "resize_mode") if key in said}
    return {
        "model_name": model,
        "pretrained": str(weights[0]),
        "force_preprocess_cfg": preprocessing,
        # Weights that were trained with it give other vectors without; open_clip only warns.
        "force_quick_gelu": bool(said.get("quick_gelu", False)),
    }


def _spec(name: str, said: dict[str, Any], sha256: str, revision: str) -> ModelSpec:
    """The spec by the preprocessing that open_clip states; raises `ModelError` for one that is not known."""
    size = said["size"]
    height, width = size if isinstance(size, list | tuple) else (size, size)
    if height != width:
        raise not_supported(name, f"takes pictures of {width} x {height} px")
    if said["resize_mode"] not in ("shortest", "squash"):
        raise not_supported(name, f"fits pictures by {said['resize_mode']!r}")
    return ModelSpec(
        name,
        sha256,
        dim=0,
        size_px=height,
        crop=1.0,
        resize="squash" if said["resize_mode"] == "squash" else "crop",
        interpolation="bilinear" if said["interpolation"] == "bilinear" else "bicubic",
        mean=tuple(map(float, said["mean"])),
        std=tuple(map(float, said["std"])),
        revision=revision,
    )

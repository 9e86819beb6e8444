"""Models of timm: `timm:NAME`, `timm:NAME.TAG`, and those that others keep on a hub, `timm:ORG/NAME`."""

from __future__ import annotations

from typing import Any

from lookalike.errors import ModelError
from lookalike.images.fit import Interpolation
from lookalike.models import hub
from lookalike.models.spec import ModelSpec
from lookalike.models.spelling import close_names
from lookalike.models.torch_network import TorchNetwork, library, loaded, not_supported

_EXTRA = "timm"

_WEIGHTS = ("model.safetensors", "pytorch_model.bin")
_INTERPOLATIONS: dict[str, Interpolation] = {
    "bicubic": "bicubic",
    "bilinear": "bilinear",
    "lanczos": "lanczos",
    "nearest": "nearest",
}


def full_name(name: str) -> str:
    """The name with its tag; raises `ModelError` for one that timm does not know."""
    if "/" in name:
        return name
    timm = library("timm", _EXTRA)
    listed = timm.list_pretrained()
    # The name of an architecture stands for its first weights.
    known = name in listed or ("." not in name and timm.models.is_model_pretrained(name))
    about = timm.models.get_pretrained_cfg(name) if known else None
    if about is not None and not about.hf_hub_id:
        raise ModelError(f"the weights of timm:{name} are on no hub", "take others: `timm.list_pretrained()`")
    if about is None:
        near = close_names(name, listed)
        raise ModelError(
            f"timm has no published weights called {name!r}",
            f"did you mean {' or '.join(f'timm:{one}' for one in near)}?"
            if near
            else "`timm.list_pretrained()` lists all",
        )
    return f"{about.architecture}.{about.tag}" if about.tag else name


def _wanted(name: str) -> tuple[str, hub.Wanted]:
    """The repository of a model, and the files that are wanted of it."""
    if "/" in name:
        return name, hub.Wanted((("config.json",), _WEIGHTS))
    about = library("timm", _EXTRA).models.get_pretrained_cfg(name)
    return about.hf_hub_id.rstrip("/"), hub.Wanted(
        (tuple(dict.fromkeys([about.hf_hub_filename or _WEIGHTS[0], *_WEIGHTS])),)
    )


def fetch(name: str, revision: str) -> hub.Fetched:
    """The files of a `full_name`; raises `ExtraError` without timm, before anything is fetched."""
    library("timm", _EXTRA)
    return hub.fetch(*_wanted(name), revision)


def read(name: str, files: hub.Fetched) -> TorchNetwork:
    """Load the network of a `full_name`; its features are those before the classifier, pooled."""
    timm = library("timm", _EXTRA)
    called = f"timm:{name}"
    weights = files.matching("*.safetensors", "*.bin")
    if "/" in name:
        source: dict[str, Any] = {"model_name": f"local-dir:{files.folder}"}
    else:
        source = {
            "model_name": name,
            "pretrained_cfg_overlay": {"file": str(weights[0]), "custom_load": False},
        }
    image = loaded(called, lambda: _without_classes(timm, source))
    spec = _spec(called, timm.data.resolve_model_data_config(image), hub.checksum(weights), files.revision)
    return TorchNetwork(spec, image)


def _without_classes(timm: Any, source: dict[str, Any]) -> Any:
    """The network before its classifier. It is loaded with it: else timm leaves missing weights random."""
    weights = timm.create_model(**source, pretrained=True).state_dict()
    image = timm.create_model(**source, num_classes=0)
    image.load_state_dict({name: weights[name] for name in image.state_dict()}, assign=True)
    return image


def _spec(name: str, said: dict[str, Any], sha256: str, revision: str) -> ModelSpec:
    """The spec by the preprocessing that timm states; raises `ModelError` for one that is not known here."""
    channels, height, width = said["input_size"]
    if channels != 3 or height != width:
        raise not_supported(name, f"takes pictures of {width} x {height} px and {channels} channels")
    if said["crop_mode"] not in ("center", "squash") or not 0 < said["crop_pct"] <= 1:
        raise not_supported(name, f"fits pictures by {said['crop_mode']!r}, with {said['crop_pct']:g}")
    if said["interpolation"] not in _INTERPOLATIONS:
        raise not_supported(name, f"resizes by {said['interpolation']!r}")
    return ModelSpec(
        name,
        sha256,
        dim=0,
        size_px=height,
        crop=float(said["crop_pct"]),
        resize="squash" if said["crop_mode"] == "squash" else "crop",
        interpolation=_INTERPOLATIONS[said["interpolation"]],
        mean=tuple(map(float, said["mean"])),
        std=tuple(map(float, said["std"])),
        revision=revision,
    )

"""The networks that can be trained further: the built-in one, and those of timm by their names."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from lookalike.errors import ExtraError, LookalikeError, ModelError, one_line
from lookalike.learning.finetune.folding import convolutions
from lookalike.learning.finetune.lite0 import PIXEL_MEAN, PIXEL_STD, lite0, published
from lookalike.models.known import BUILT_IN
from lookalike.models.onnx_session import start
from lookalike.models.spec import ModelSpec
from lookalike.parallel import cores

Layers = Literal["auto", "last", "all"]

TIMM = "timm:"
FRONT = 13  # the stem and blocks 0 to 11: they see edges and textures, which are the same everywhere
_AT_ONCE = 8
_RATE_OF_LAST, _RATE_OF_ALL, _RATE_OF_TIMM = 2e-3, 1e-3, 2e-4


@dataclass(frozen=True)
class Network:
    """A network to train.

    `spec` says what it sees of a picture. `prepare` turns pictures float32 (B, 3, S, S), 0 to 255, into what
    `body` takes, and is not trained; `body` gives features (B, D). `is_split` if `prepare` is most of the
    work, so that its results are worth keeping. `whole` are all layers, for the export.
    """

    spec: ModelSpec
    prepare: Callable[[Tensor], Tensor]
    body: nn.Module
    whole: nn.Module
    is_split: bool
    rate: float


class Averaged(nn.Module):
    """Layers whose maps (B, D, H, W) are averaged over the places to features (B, D)."""

    def __init__(self, layers: nn.Module) -> None:
        super().__init__()
        self.layers = layers

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x).mean(dim=(2, 3))


def network_of(model: str, layers: Layers, device: str) -> Network:
    """The network of a name, to be trained on a device: its `last` layers, or `all`.

    `auto` trains the last ones of the built-in network on a CPU. Raises `ModelError` for a network that
    cannot be trained, `ExtraError` if a package is missing.
    """
    if layers not in ("auto", "last", "all"):
        raise LookalikeError(f"unknown layers {layers!r}", "known are: auto, last, all")
    if model == BUILT_IN:
        last = layers == "last" or (layers == "auto" and device == "cpu")
        return _last_of_lite0() if last else _all_of_lite0(device)
    if model.startswith(TIMM):
        if layers == "last":
            raise LookalikeError(f"{model} is trained as a whole", "leave out `layers`")
        return _timm(model, device)
    raise ModelError(
        f"{model} cannot be trained further: its weights are not floats in PyTorch",
        f"use `model={BUILT_IN!r}`, or `model='timm:NAME'`",
    )


def _last_of_lite0() -> Network:
    """The front runs in 8 bits, as it will in the end: five times as fast, and the rest learns on that."""
    from lookalike.learning.finetune.onnx_graph import int8_front

    whole = lite0(published())
    convs = convolutions(whole)
    frozen = [one for one in convs if not one.name.startswith(("head", *_blocks_from(FRONT - 1)))]
    session = start(int8_front(frozen).SerializeToString(), "cpu")

    def front(pixels: np.ndarray) -> np.ndarray:
        (maps,) = session.run(None, {"pixels": pixels})
        return np.asarray(maps, np.float32)

    def prepare(planes: Tensor) -> Tensor:
        pixels = planes.permute(0, 2, 3, 1).round().to(torch.uint8).numpy()
        pieces = [pixels[at : at + _AT_ONCE] for at in range(0, len(pixels), _AT_ONCE)]
        with ThreadPoolExecutor(cores()) as pool:
            return torch.from_numpy(np.concatenate(list(pool.map(front, pieces))))

    return Network(_lite0_spec(), prepare, Averaged(whole[FRONT:]), whole, True, _RATE_OF_LAST)


def _all_of_lite0(device: str) -> Network:
    whole = lite0(published()).to(device)

    def prepare(planes: Tensor) -> Tensor:
        return (planes - PIXEL_MEAN) / PIXEL_STD

    return Network(_lite0_spec(), prepare, Averaged(whole), whole, False, _RATE_OF_ALL)


def _blocks_from(first: int) -> list[str]:
    return [f"block{number:02}" for number in range(first, 16)]


def _lite0_spec() -> ModelSpec:
    return ModelSpec(BUILT_IN, "", dim=1280, size_px=224, crop=1.0)


def _timm(model: str, device: str) -> Network:
    """A network of timm with its weights; raises `ExtraError` without timm, and `ModelError`."""
    name = model.removeprefix(TIMM)
    try:
        import timm
        from timm.data import resolve_model_data_config
    except (
        ImportError,
        RuntimeError,
    ) as error:  # torchvision raises RuntimeError where operators are missing
        raise ExtraError(f"{model} needs timm ({one_line(error)})", "timm") from None
    try:
        body = timm.create_model(name, pretrained=True, num_classes=0)
    except Exception as error:  # whatever timm and its hub raise: unknown, unreachable, damaged
        raise ModelError(f"{model} cannot be loaded: {one_line(error)}") from error
    found = resolve_model_data_config(body)
    mean, std = (tuple(map(float, found[one])) for one in ("mean", "std"))
    spec = ModelSpec(
        name.replace("/", "-").replace(":", "-"),
        "",
        dim=int(body.num_features),
        size_px=int(found["input_size"][-1]),
        crop=float(found["crop_pct"]),
        resize="squash" if found.get("crop_mode") == "squash" else "crop",
        interpolation=found["interpolation"],
        mean=mean,
        std=std,
    )
    # Batch normalisation and dropout stay as they are when the network is used.
    body = body.eval().to(device)
    center = torch.tensor(mean, device=device).view(1, 3, 1, 1) * 255
    spread = torch.tensor(std, device=device).view(1, 3, 1, 1) * 255

    def prepare(planes: Tensor) -> Tensor:
        return (planes - center) / spread

    return Network(spec, prepare, body, body, False, _RATE_OF_TIMM)

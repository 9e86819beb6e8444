"""A published network as its library gives it in PyTorch, and the model that runs it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from lookalike.errors import ExtraError, ModelError, one_line
from lookalike.models.model import LoadedModel
from lookalike.models.runner import grey_pictures
from lookalike.models.spec import ModelSpec
from lookalike.models.torch_text import TorchText, torch_tower
from lookalike.models.tower_words import with_text_tower

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class TorchNetwork:
    """A network whose weights are loaded.

    `spec` has what its publisher says about pictures; its `dim` is 0, because only a trial tells. `image`
    takes float32 (B, 3, S, S), normalised, and gives (B, D), not of unit length. `text` loads the tower for
    words, if it has one; `text_sha256` is the checksum of that tower and its tokenizer.
    """

    spec: ModelSpec
    image: torch.nn.Module
    text: Callable[[], TorchText] | None = None
    text_sha256: str = ""


def to_model(network: TorchNetwork, device: str) -> LoadedModel:
    """A model that runs the network on a device, after trying it on grey pictures."""
    from lookalike.models.torch_runner import TorchFeatures

    spec = network.spec
    features = TorchFeatures(network.image, spec, device, spec.precision)
    grey = grey_pictures(spec.size_px)
    model = LoadedModel(replace(spec, dim=features(grey).shape[1]), features, device)
    if network.text is None:
        return model
    return with_text_tower(
        model, torch_tower(network.text, network.text_sha256, f"the text tower of {spec.name}")
    )


def only_output(network: Any, call: Callable[[Any, torch.Tensor], torch.Tensor]) -> torch.nn.Module:
    """A module that holds a network and gives what `call(network, given)` does."""
    import torch

    class Tower(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, given: torch.Tensor) -> torch.Tensor:
            return call(self.network, given)

    return Tower().eval()


def crop_of(size_px: int, resized_px: int, name: str) -> float:
    """The crop of a picture that is resized to `resized_px` and cut to `size_px`.

    Raises `ModelError` if the cut is larger than the picture, which libraries fill up with black.
    """
    if not 0 < size_px <= resized_px:
        raise ModelError(f"{name} cuts {size_px} px out of pictures of {resized_px} px", _NOT_SUPPORTED)
    crop = size_px / resized_px
    # `ModelSpec` says it the other way round, and rounds that down.
    return crop if math.floor(size_px / crop) == resized_px else math.nextafter(crop, 0)


def library(name: str, extra: str) -> Any:
    """Import the library of a kind of model.

    Raises `ExtraError` if it is missing or too old, `ModelError` if it is there and broken.
    """
    from importlib import import_module

    try:
        return import_module(name)
    except ImportError as error:
        raise ExtraError(f"this model needs {name} ({one_line(error)})", extra) from None
    except RuntimeError as error:  # torchvision misses its operators
        raise ModelError(
            f"{name} is installed and does not load: {one_line(error)}",
            "torch and torchvision have to be made for each other: install both anew, from one index",
        ) from None


def loaded(name: str, load: Callable[[], Any]) -> Any:
    """The network that a library loads, for use alone; raises `ModelError` if the library fails."""
    try:
        return load().float().eval().requires_grad_(False)
    except Exception as error:  # of any library, about damaged or other files
        raise ModelError(
            f"{name} cannot be loaded: {type(error).__name__}: {one_line(error)[:300]}",
            "its files are damaged, or of another kind",
        ) from error


def not_supported(name: str, what: str) -> ModelError:
    """An error for a preprocessing that is not ours."""
    return ModelError(f"{name} {what}", _NOT_SUPPORTED)


_NOT_SUPPORTED = "this preprocessing is not supported; make a model of your own: help(lookalike.Model)"
